"""Language models through the plain Anthropic SDK, recorded once and replayed in every run.

``client("answers")`` is an ordinary `anthropic.AsyncAnthropic`. One middleware, `Cassette`, stands between it and the
network: it answers a request that it has seen from ``recordings/answers.jsonl``, and raises `MissingRecording` for one
that it has not. Set ``MECHLIB_LLM=record`` to add what is missing, or ``MECHLIB_LLM=live`` to bypass the recordings.
"""

from __future__ import annotations

import asyncio
import datetime
import json
import os
import time
from collections.abc import Mapping
from importlib import metadata
from pathlib import Path
from typing import Any, Literal, cast

import anthropic
import httpx2
from anthropic import APIRequest, AsyncAPIResponse, AsyncCallNext

from mechlib.agents.folders import home, shipped
from mechlib.agents.recordings import append, key, read
from mechlib.agents.roster import SAMPLE, Model, Roster

Mode = Literal["replay", "record", "live"]


class MissingRecording(LookupError):
    """A request in replay mode that no recording answers."""


def client(
    cassette: str | Path | Cassette,
    mode: Mode | None = None,
    roster: str | Path | Roster = "open",
    **options: Any,
) -> anthropic.AsyncAnthropic:
    """Return the SDK's own asynchronous client, with a cassette in it.

    Parameters
    ----------
    cassette : str, Path or Cassette
        The name of a recording (``"answers"`` is ``recordings/answers.jsonl``), or a path, or a `Cassette`.
    mode : {"replay", "record", "live"}, optional
        By default the environment variable ``MECHLIB_LLM``, else ``"replay"``, which never touches the network.
    roster : str, Path or Roster
        Where the models are served; see `Roster.load`.
    **options
        Passed on to `anthropic.AsyncAnthropic` (``timeout``, ``max_retries``, ...).
    """
    if not isinstance(cassette, str | Path | Cassette):
        raise TypeError(f"cassette is {cassette!r:.80}: it must be the name of a recording, a path, or a Cassette")
    tape = cassette if isinstance(cassette, Cassette) else Cassette(cassette, mode, roster)
    if tape.mode == "replay":
        options.setdefault("http_client", anthropic.DefaultAsyncHttpxClient(transport=httpx2.MockTransport(_refuse)))
        options.setdefault("open_telemetry", False)  # nothing is sent, so there is nothing to trace
    options.setdefault("api_key", os.environ.get("ANTHROPIC_API_KEY") or "not-needed")
    options.setdefault("timeout", 600.0)
    return anthropic.AsyncAnthropic(middleware=[tape], **options)


def _refuse(request: httpx2.Request) -> httpx2.Response:
    raise RuntimeError(f"replay never touches the network, but something asked for {request.url}")


class Cassette(anthropic.Middleware):
    """Replay, record or pass through every call of one client.

    One JSON line a call: the key (SHA-256 of the canonical method, path, body and sample number), the request, the
    response, and where it came from. Headers and keys are never written.

    Parameters
    ----------
    path : str or Path
        A name under the project's ``recordings/``, to which what the package ships by that name is added; or a path to
        a ``.jsonl`` file.
    mode : {"replay", "record", "live"}, optional
        By default ``MECHLIB_LLM``, else ``"replay"``.
    roster : str, Path or Roster
        Consulted only when a call has to be made.

    Raises
    ------
    ValueError
        If the mode is unknown, or two different replies are stored under one key.
    """

    def __init__(self, path: str | Path, mode: Mode | None = None, roster: str | Path | Roster = "open") -> None:
        chosen = mode if mode is not None else os.environ.get("MECHLIB_LLM") or "replay"
        if chosen not in ("replay", "record", "live"):
            name = "MECHLIB_LLM" if mode is None else "mode"
            raise ValueError(f"{name} is {chosen!r:.80}; it must be replay, record or live")
        self.mode = cast(Mode, chosen)
        self.path = Path(path) if str(path).endswith(".jsonl") else home() / "recordings" / f"{path}.jsonl"
        self.roster = roster
        kept = shipped() / "recordings" / f"{path}.jsonl"  # a project adds to what is shipped under a name
        tapes = [kept, self.path] if kept != self.path and not str(path).endswith(".jsonl") else [self.path]
        self.entries = {entry["key"]: entry for tape in tapes for entry in read(tape)}
        self._locks: dict[str, asyncio.Lock] = {}
        self._servers: dict[str, str] = {}
        self._used: set[str] = set()

    async def handle_async(self, request: APIRequest, call_next: AsyncCallNext) -> AsyncAPIResponse[Any]:
        """Answer one request: from the recording if it is there, else as the mode says."""
        if request.stream:
            raise TypeError("a cassette does not hold streams: ask with stream=False")
        headers = dict(request.headers)
        sample = int(str(headers.pop(SAMPLE, 0)))
        entry_key = key(request.method, request.url, request.json, sample)
        alone = asyncio.Lock()  # equal calls share one recording; live, each is made for itself
        async with alone if self.mode == "live" else self._locks.setdefault(entry_key, alone):
            entry = self.entries.get(entry_key) if self.mode != "live" else None
            if entry is None and self.mode == "replay":
                raise MissingRecording(_missing(self.path, request.json or {}))
            if entry is None:
                called = await self._call(request.copy(headers=headers), call_next, entry_key, sample)
                if isinstance(called, AsyncAPIResponse):
                    return called  # an error status: the SDK retries it or raises its own exception
                entry = called
        self._log_use(entry_key)
        return cast(AsyncAPIResponse[Any], _value(request.cast_to, entry))

    async def _call(
        self, request: APIRequest, call_next: AsyncCallNext, entry_key: str, sample: int
    ) -> dict[str, Any] | AsyncAPIResponse[Any]:
        body = json.loads(json.dumps(request.json))
        if not isinstance(self.roster, Roster):
            self.roster = Roster.load(self.roster)
        model = self.roster.models.get(str(body.get("model")))
        path = request.url
        if model is not None and model.port is not None:
            local = {**request.headers, "x-api-key": "none", "authorization": "none"}  # a real key stays here
            request = request.copy(url=f"http://127.0.0.1:{model.port}{path}", headers=local)
        start = time.perf_counter()
        response = await call_next(request)
        if not response.http_response.is_success:
            return response
        try:
            answer: Any = await response.json()
        except ValueError:
            raise anthropic.APIResponseValidationError(response.http_response, None) from None
        if model is not None and model.port is not None and "model" in answer:
            answer["model"] = Path(answer["model"]).name  # llama.cpp names the file by its whole path
        entry = {
            "key": entry_key,
            "request": {"method": request.method, "path": path, "body": body, "sample": sample},
            "response": answer,
            "provenance": {
                **await self._provenance(model),
                "sdk": f"anthropic {anthropic.__version__}",
                "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "seconds": round(time.perf_counter() - start, 3),
            },
        }
        if self.mode == "record":
            entry = self.entries[entry_key] = append(self.path, entry)
        return entry

    async def _provenance(self, model: Model | None) -> dict[str, Any]:
        if model is None or model.port is None or not isinstance(self.roster, Roster):
            return {"weights": None, "server": "api.anthropic.com"}
        weights = self.roster.weights[str(model.weights)]
        if model.id not in self._servers:
            async with httpx2.AsyncClient(trust_env=False, timeout=60) as http:
                props = (await http.get(f"http://127.0.0.1:{model.port}/props")).json()
            if Path(props["model_path"]).name != weights["file"]:
                served = Path(props["model_path"]).name
                raise ValueError(f"port {model.port} serves {served}, not {weights['file']}: restart `mechlib serve`")
            self._servers[model.id] = f"llama.cpp (xllamacpp {metadata.version('xllamacpp')})"
        return {"weights": weights["sha256"], "server": self._servers[model.id], "temperature": model.temperature}

    def _log_use(self, entry_key: str) -> None:
        folder = os.environ.get("MECHLIB_USAGE")
        if folder and entry_key not in self._used:
            with open(Path(folder) / f"{self.path.stem}-{os.getpid()}.txt", "a", encoding="ascii") as log:
                log.write(entry_key + "\n")
        self._used.add(entry_key)


def _value(cast_to: Any, entry: Mapping[str, Any]) -> Any:
    response = entry["response"]
    if not hasattr(cast_to, "model_validate"):
        return response
    return cast_to.model_validate({**response, "recorded_seconds": entry["provenance"]["seconds"]})


def _missing(path: Path, body: Any) -> str:
    messages = body.get("messages") or [{"content": ""}]
    prompt = " ".join(str(messages[-1].get("content", "")).split())[:80]
    return (
        f"{path.name} has no reply of {body.get('model')!r} to {prompt!r}, and replay makes no calls. Two ways out: "
        "run `make models` and `python -m mechlib serve`, then again with MECHLIB_LLM=record (open models, here); "
        "or set ANTHROPIC_API_KEY and use roster='claude' with MECHLIB_LLM=record."
    )
