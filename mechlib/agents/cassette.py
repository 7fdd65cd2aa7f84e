"""A cassette: an HTTP transport for the Anthropic SDK's own client that replays, records, or passes through.

Between the SDK and the network there is one place where every call comes by as what it is, a request and a reply. There
stands the cassette. Retries, streams, parsing and tool loops remain the SDK's.
"""

from __future__ import annotations

import asyncio
import datetime
import hashlib
import os
import sys
import threading
import time
from collections.abc import Mapping
from contextlib import asynccontextmanager
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

import anthropic
import httpx2

from mechlib.agents import plan, wire
from mechlib.agents.folders import home, shipped
from mechlib.agents.missing import MissingRecording, NotOffered, explained, not_offered
from mechlib.agents.recordings import Tape, key, model
from mechlib.agents.roster import Model, Roster, chosen
from mechlib.agents.sending import SAMPLE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

Mode = Literal["replay", "record", "live", "plan"]


class WrongServer(anthropic.AnthropicError, ValueError):
    """A local server that serves something else than the roster says."""


class Cassette(httpx2.AsyncBaseTransport, httpx2.BaseTransport):
    """Replay, record or pass through every call of one client, synchronous or not.

    One JSON line a call: the key (SHA-256 of method, path, query, body, betas, version and sample number), the request,
    the reply, and where it came from. Headers and keys are never written. Only a whole and well-formed reply is kept.

    Parameters
    ----------
    path : str or Path
        A name under the project's ``recordings/``, to which what the package ships by that name is added; or a path to
        a ``.jsonl`` file. A roster may have a folder of its own in ``recordings/``.
    mode : {"replay", "record", "live", "plan"}, optional
        By default ``MECHLIB_LLM``, else ``"replay"``. In a browser, only ``"replay"``. With ``"plan"``, nothing is sent
        and a stand-in takes the place of what is missing; see `mechlib.agents.plan`.
    roster : str, Path or Roster
        Where local models are served; consulted when a call has to be made.
    network : httpx2.AsyncClient or httpx2.Client, optional
        What carries the calls that are made; by default the SDK's own HTTP client.

    Raises
    ------
    ValueError
        If the mode is unknown, or the file is no cassette.
    """

    def __init__(
        self,
        path: str | Path,
        mode: Mode | None = None,
        roster: str | Path | Roster = "open",
        network: httpx2.AsyncClient | httpx2.Client | None = None,
    ) -> None:
        wanted = mode if mode is not None else os.environ.get("MECHLIB_LLM") or "replay"
        if wanted not in ("replay", "record", "live", "plan"):
            name = "MECHLIB_LLM" if mode is None else "mode"
            raise ValueError(f"{name} is {wanted!r:.80}; it must be replay, record or live; or plan")
        if sys.platform == "emscripten" and wanted != "replay":
            raise ValueError("in a browser, recordings can only be replayed: unset MECHLIB_LLM")
        self.mode = cast(Mode, wanted)
        self._roster = roster
        named = Path("recordings") / self._folder() / f"{path}.jsonl" if not str(path).endswith(".jsonl") else None
        self.path = home() / named if named else Path(path)
        beneath = shipped() / named if named and shipped() != home() else None  # a project adds to what is shipped
        self.tape = Tape(self.path, beneath) if self.mode != "live" else Tape(Path(os.devnull))
        if self.mode != "replay":
            self.roster  # noqa: B018  (one that is not there is an error now, and not at the first call)
        self._network = network if isinstance(network, httpx2.Client) else None
        self._network_async = network if isinstance(network, httpx2.AsyncClient) else None
        self._direct: httpx2.HTTPTransport | None = None
        self._direct_async: httpx2.AsyncHTTPTransport | None = None
        self._waiting: dict[str, tuple[asyncio.Lock, int]] = {}
        self._holding: dict[str, threading.Lock] = {}
        self._served: dict[str, dict[str, Any]] = {}
        self._used: set[str] = set()

    @property
    def roster(self) -> Roster:
        """Where the models are."""
        if not isinstance(self._roster, Roster):
            self._roster = Roster.load(self._roster)
        return self._roster

    def _folder(self) -> str:
        usual = not isinstance(self._roster, Roster) and chosen(self._roster) == "open"
        return "" if usual else self.roster.folder

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request of an asynchronous client."""
        asked = wire.asked(request, await request.aread(), _sample(request))
        if self.mode == "live":
            return await self._send_async(request, self._local(asked))
        name, entry = self._find(asked)
        how = "replayed"
        if entry is None and self.mode == "plan":
            entry, how = self._planned(name, asked), "planned"
        elif entry is None:
            async with self._alone_async(name):
                entry = self.tape.get(name)
                if entry is None:
                    player = self._local(asked)
                    served = await asyncio.to_thread(self._provenance, player) if player else {}
                    start = time.perf_counter()
                    response = await self._send_async(request, player)
                    if response.status_code != 200:
                        return response  # the SDK retries it or raises its own exception
                    content = await response.aread()
                    await response.aclose()
                    found = self._entry(name, asked, response, content, served, time.perf_counter() - start)
                    if isinstance(found, httpx2.Response):
                        return found
                    entry, how = await asyncio.to_thread(self.tape.add, found), "recorded"
        self._log_use(name, how, entry)
        return wire.replayed(entry)

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        """Answer one request of a synchronous client."""
        asked = wire.asked(request, request.read(), _sample(request))
        if self.mode == "live":
            return self._send(request, self._local(asked))
        name, entry = self._find(asked)
        how = "replayed"
        if entry is None and self.mode == "plan":
            entry, how = self._planned(name, asked), "planned"
        elif entry is None:
            with self._holding.setdefault(name, threading.Lock()):
                entry = self.tape.get(name)
                if entry is None:
                    player = self._local(asked)
                    served = self._provenance(player) if player else {}
                    start = time.perf_counter()
                    response = self._send(request, player)
                    if response.status_code != 200:
                        return response
                    content = response.read()
                    response.close()
                    found = self._entry(name, asked, response, content, served, time.perf_counter() - start)
                    if isinstance(found, httpx2.Response):
                        return found
                    entry, how = self.tape.add(found), "recorded"
        self._log_use(name, how, entry)
        return wire.replayed(entry)

    def recalled(
        self, body: Mapping[str, Any], sample: int = 0, path: str = "/v1/messages"
    ) -> dict[str, Any] | None:
        """Return the recorded reply to the body of a request; None where the SDK has to send it."""
        name = key("post", path, body, sample)
        entry = self.tape.get(name) if self.mode == "replay" else None
        if entry is None or not wire.plain(entry.get("type", "application/json")):
            return None
        self._log_use(name, "replayed", entry)
        reply: dict[str, Any] = wire.told(entry)
        return reply

    async def aclose(self) -> None:
        """Close what carried the calls of an asynchronous client."""
        for carrier in (self._network_async, self._direct_async):
            if carrier is not None:
                await carrier.aclose()

    def close(self) -> None:
        """Close what carried the calls of a synchronous client."""
        for carrier in (self._network, self._direct):
            if carrier is not None:
                carrier.close()

    def _find(self, asked: dict[str, Any]) -> tuple[str, dict[str, Any] | None]:
        """Return a request's key and what is recorded under it; with neither a reply nor leave to ask, say why."""
        name = key(**asked)
        entry = self.tape.get(name)
        if entry is None and (reason := not_offered(asked, self._roster)):
            raise NotOffered(reason)
        if entry is None and self.mode == "replay":
            raise MissingRecording(explained(self.tape, asked))
        return name, entry

    @asynccontextmanager
    async def _alone_async(self, name: str) -> AsyncIterator[None]:
        """Let equal calls wait for each other: they share one recording."""
        lock, waiting = self._waiting.get(name, (asyncio.Lock(), 0))
        self._waiting[name] = lock, waiting + 1
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._waiting.pop(name)
            if waiting > 1:  # else it goes: a lock belongs to one event loop
                self._waiting[name] = lock, waiting - 1

    def _local(self, asked: Mapping[str, Any]) -> Model | None:
        """Return the model that is asked, if the roster says where it is served."""
        player = self.roster.models.get(str(model(asked)))
        return player if player is not None and player.address is not None else None

    async def _send_async(self, request: httpx2.Request, player: Model | None) -> httpx2.Response:
        if player is None:
            self._network_async = self._network_async or anthropic.DefaultAsyncHttpxClient()
            return await self._network_async.send(request, stream=True, auth=None, follow_redirects=True)
        self._direct_async = self._direct_async or httpx2.AsyncHTTPTransport(limits=anthropic.DEFAULT_CONNECTION_LIMITS)
        response = await self._direct_async.handle_async_request(_addressed(request, player))
        response.request = request
        return response

    def _send(self, request: httpx2.Request, player: Model | None) -> httpx2.Response:
        if player is None:
            self._network = self._network or anthropic.DefaultHttpxClient()
            return self._network.send(request, stream=True, auth=None, follow_redirects=True)
        self._direct = self._direct or httpx2.HTTPTransport(limits=anthropic.DEFAULT_CONNECTION_LIMITS)
        response = self._direct.handle_request(_addressed(request, player))
        response.request = request
        return response

    def _entry(
        self,
        name: str,
        asked: dict[str, Any],
        response: httpx2.Response,
        content: bytes,
        served: dict[str, Any],
        seconds: float,
    ) -> dict[str, Any] | httpx2.Response:
        """Return the line to be kept; or the reply itself, where it is sound and none to be kept.

        A reply that breaks off or is of a wrong shape is an `anthropic.APIResponseValidationError`.
        """
        kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
        try:
            reply = wire.stored(kind, content, named=bool(served))
            keep = wire.checked(asked, kind, reply)
        except ValueError as error:
            raise anthropic.APIResponseValidationError(response, content, message=f"not recorded: {error}") from None
        if not keep:
            headers = {n: v for n, v in response.headers.items() if n not in ("content-encoding", "content-length")}
            return httpx2.Response(200, headers=headers, content=content)
        return {
            "key": name,
            "request": asked,
            "response": reply,
            **({} if wire.plain(kind) else {"type": kind}),
            "provenance": {
                **(served or {"weights": None, "server": response.request.url.netloc.decode()}),
                "sdk": f"anthropic {anthropic.__version__}",
                "date": datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
                "seconds": round(seconds, 3),
            },
        }

    def _provenance(self, player: Model) -> dict[str, Any]:
        """Ask a local server what it serves, and hold its files against the roster."""
        if player.weights is None:
            return {"weights": None, "server": httpx2.URL(str(player.address)).netloc.decode()}
        told = self._served.get(player.id)
        if told is None or player.adapter:  # a server may switch between adapters call by call
            told = self._served[player.id] = self._asked_of(player)
        return told

    def _asked_of(self, player: Model) -> dict[str, Any]:
        with httpx2.Client(trust_env=False, timeout=60, base_url=str(player.address)) as http:
            answers = [http.get(path) for path in ("/props", "/lora-adapters")]
        weights = self.roster.weights[str(player.weights)]
        adapter = self.roster.adapters[player.adapter] if player.adapter else None
        try:
            props, loaded = (answer.json() for answer in answers)
            file, active = str(props["model_path"]), [str(each["path"]) for each in loaded if each["scale"]]
        except (ValueError, LookupError, TypeError):
            raise WrongServer(f"{_place(player)} does not say which files it serves: is it llama.cpp?") from None
        _check(player, [file], [weights])
        _check(player, active, [adapter] if adapter else [])
        return {
            "weights": weights["sha256"],
            **({"adapter": adapter["sha256"]} if adapter else {}),
            "server": f"llama.cpp (xllamacpp {metadata.version('xllamacpp')})",
            "temperature": player.temperature,
        }

    def _planned(self, name: str, asked: dict[str, Any]) -> dict[str, Any]:
        reply = plan.stand_in(asked)
        if reply is None:
            raise MissingRecording(f"nothing can stand in for the reply to {asked['method'].upper()} {asked['path']}")
        return {"key": name, "request": asked, "response": reply, "provenance": {"seconds": 0.0}}

    def _log_use(self, name: str, how: str, entry: Mapping[str, Any]) -> None:
        if self.mode != "replay":
            plan.log(self.path, name, how, entry["request"], entry["response"])
        if how == "planned":
            return
        folder = os.environ.get("MECHLIB_USAGE")
        if folder and name not in self._used:
            inside = self.path.parent.name if self.path.parent.parent.name == "recordings" else ""
            place = Path(folder) / inside
            place.mkdir(exist_ok=True)
            with open(place / f"{self.path.stem}-{os.getpid()}.txt", "a", encoding="ascii") as log:
                log.write(name + "\n")
        self._used.add(name)


def _sample(request: httpx2.Request) -> int:
    """Return which sample is asked for; the header that says so goes no further."""
    return int(request.headers.pop(SAMPLE, 0))


def _addressed(request: httpx2.Request, player: Model) -> httpx2.Request:
    """Return the request as the roster's server gets it: at its address, and without anybody's key."""
    headers = {n: v for n, v in request.headers.items() if n not in ("host", "x-api-key", "authorization", "cookie")}
    url = httpx2.URL(str(player.address) + request.url.raw_path.decode())
    return httpx2.Request(request.method, url, headers=headers, content=request.content, extensions=request.extensions)


def _place(player: Model) -> str:
    return player.url or f"port {player.port}"


def _check(player: Model, served: list[str], wanted: list[Mapping[str, Any]]) -> None:
    """Hold the files that a server has loaded against those of the roster, by SHA-256."""
    hashes = [_sha256(Path(file)) for file in served]
    if hashes != [each["sha256"] for each in wanted]:
        names = [", ".join(Path(str(file)).name for file in files) or "no adapter"
                 for files in (served, [each["file"] for each in wanted])]  # fmt: skip
        raise WrongServer(
            f"{_place(player)} serves {names[0]}, which by SHA-256 is not {names[1]} of the roster, as {player.id} "
            "should be: restart `mechlib serve`"
        )


_HASHES: dict[tuple[str, int, int], str] = {}


def _sha256(file: Path) -> str:
    try:
        state = file.stat()
        known = (str(file), state.st_size, state.st_mtime_ns)
        if known not in _HASHES:
            with open(file, "rb") as data:
                _HASHES[known] = hashlib.file_digest(data, "sha256").hexdigest()
    except OSError as error:
        raise WrongServer(f"what is served cannot be known by its hash: {error}") from None
    return _HASHES[known]
