"""Language models through the plain Anthropic SDK, recorded once and replayed in every run.

``client("answers")`` is an ordinary `anthropic.AsyncAnthropic`. One transport, a `Cassette`, stands between it and the
network: it answers a request that it has seen from ``recordings/answers.jsonl``, and raises `MissingRecording` for one
that it has not. Set ``MECHLIB_LLM=record`` to add what is missing, or ``MECHLIB_LLM=live`` to bypass the recordings.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Literal, overload

import anthropic

from mechlib.agents.cassette import Cassette as Cassette
from mechlib.agents.cassette import Mode as Mode
from mechlib.agents.missing import MissingRecording as MissingRecording
from mechlib.agents.missing import NotOffered as NotOffered
from mechlib.agents.roster import Roster
from mechlib.agents.sending import replays
from mechlib.agents.wire import VERSION

_CREDENTIALS = {"api_key", "auth_token", "credentials", "config", "profile"}
_IN_ENVIRONMENT = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE", "ANTHROPIC_FEDERATION_RULE_ID")


@overload
def client(
    cassette: str | Path | Cassette,
    mode: Mode | None = None,
    roster: str | Path | Roster = "open",
    sync: Literal[False] = False,
    **options: Any,
) -> anthropic.AsyncAnthropic: ...
@overload
def client(
    cassette: str | Path | Cassette,
    mode: Mode | None = None,
    roster: str | Path | Roster = "open",
    *,
    sync: Literal[True],
    **options: Any,
) -> anthropic.Anthropic: ...
def client(
    cassette: str | Path | Cassette,
    mode: Mode | None = None,
    roster: str | Path | Roster = "open",
    sync: bool = False,
    **options: Any,
) -> anthropic.AsyncAnthropic | anthropic.Anthropic:
    """Return the SDK's own client, with a cassette in it.

    All that the SDK does works as ever: streams, raw and streaming responses, parsing, tool runners, counting tokens,
    models, files, batches, retries.

    Parameters
    ----------
    cassette : str, Path or Cassette
        The name of a recording (``"answers"`` is ``recordings/answers.jsonl``), or a path, or a `Cassette`.
    mode : {"replay", "record", "live"}, optional
        By default the environment variable ``MECHLIB_LLM``, else ``"replay"``, which never touches the network.
    roster : str, Path or Roster
        Where the models are served; see `Roster.load`.
    sync : bool
        Whether to return `anthropic.Anthropic` instead of `anthropic.AsyncAnthropic`.
    **options
        Passed on to the SDK's client (``timeout``, ``max_retries``, ``http_client``, ...).
    """
    if not isinstance(cassette, str | Path | Cassette):
        raise TypeError(f"cassette is {cassette!r:.80}: it must be the name of a recording, a path, or a Cassette")
    own = bool(options)
    network = options.pop("http_client", None)
    tape = cassette if isinstance(cassette, Cassette) else Cassette(cassette, mode, roster, network)
    if tape.mode == "replay":
        options.setdefault("open_telemetry", False)  # nothing is sent, so there is nothing to trace
    if not _CREDENTIALS & set(options) and (tape.mode == "replay" or not any(map(os.environ.get, _IN_ENVIRONMENT))):
        options["api_key"] = "not-needed"  # by recordings and by local models; without one the SDK sends nothing
    options.setdefault("timeout", 600.0)
    if sync:
        return anthropic.Anthropic(http_client=anthropic.DefaultHttpxClient(transport=tape), **options)
    made = anthropic.AsyncAnthropic(http_client=anthropic.DefaultAsyncHttpxClient(transport=tape), **options)
    sent = made.default_headers
    if tape.mode == "replay" and not own and sent.get("anthropic-version") == VERSION and "anthropic-beta" not in sent:
        replays(made, tape)
    return made
