"""Recordings by Message Batches: many calls at once, at half the price, within a day."""

from __future__ import annotations

import datetime
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import anthropic
from tqdm import tqdm

from mechlib.agents import wire
from mechlib.agents.plan import Call
from mechlib.agents.recordings import Tape

_SIZE = 10_000  # requests in a batch; the API takes ten times as many


def suitable(planned: Iterable[Call]) -> list[Call]:
    """Return the calls that a batch can make: plain messages to Claude that rest on no stand-in."""
    return [
        call
        for call in planned
        if call.request is not None
        and not call.rests
        and call.model.startswith("claude-")
        and call.request["path"] == "/v1/messages"
        and not set(call.request) & {"betas", "version"}
    ]


def record(planned: list[Call], client: anthropic.Anthropic, pause: float = 20.0) -> tuple[int, list[str]]:
    """Ask all at once, wait, and write what came back where it belongs.

    Parameters
    ----------
    planned : list of Call
        As `suitable` returns them.
    client : anthropic.Anthropic
        Who sends them.
    pause : float
        Seconds between two looks at a batch.

    Returns
    -------
    tuple
        How many replies were recorded, and what was said of those that were not.
    """
    kept, lost = 0, []
    for first in range(0, len(planned), _SIZE):
        wanted = {call.key: call for call in planned[first : first + _SIZE]}
        start = time.perf_counter()
        requests: Any = [{"custom_id": key, "params": _body(call)} for key, call in wanted.items()]
        batch = client.messages.batches.create(requests=requests)
        with tqdm(desc=batch.id, total=len(wanted), unit="call") as bar:
            while batch.processing_status != "ended":
                time.sleep(pause)
                batch = client.messages.batches.retrieve(batch.id)
                bar.update(len(wanted) - batch.request_counts.processing - bar.n)
        seconds = time.perf_counter() - start
        tapes = {call.tape: Tape(Path(call.tape)) for call in wanted.values()}
        for each in client.messages.batches.results(batch.id):
            call = wanted[each.custom_id]
            if each.result.type != "succeeded":
                lost.append(f"{call.model} {call.key[:12]}: {each.result.type}")
                continue
            reply = each.result.message.to_dict(mode="json")
            assert call.request is not None
            wire.checked(call.request, "application/json", reply)
            made = _provenance(client, batch.id, seconds)
            entry = {"key": call.key, "request": call.request, "response": reply, "provenance": made}
            tapes[call.tape].add(entry)
            kept += 1
    return kept, lost


def _body(call: Call) -> Any:
    return call.request["body"] if call.request else None


def _provenance(client: anthropic.Anthropic, batch: str, seconds: float) -> dict[str, Any]:
    return {
        "weights": None,
        "server": client.base_url.netloc.decode(),
        "batch": batch,
        "sdk": f"anthropic {anthropic.__version__}",
        "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "seconds": round(seconds, 3),
    }
