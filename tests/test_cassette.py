"""Every use of the SDK, synchronous and not: recorded against a strict server, replayed against none."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import pytest
from messages_api import NO_REPLIES, Server, serving
from sdk_uses import (
    HELLO,
    USES,
    Use,
    create,
    create_stream,
    files,
    models,
    options,
    run,
    stream,
    without_wait,
)

from mechlib.agents import wire
from mechlib.agents.cassette import Cassette
from mechlib.agents.llm import MissingRecording
from mechlib.agents.recordings import Tape, dump, key, read, tidy


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with serving() as server:
        yield server


@pytest.fixture
def server(running: Server) -> Server:
    running.plan.clear()
    running.hits.clear()
    return running


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
@pytest.mark.parametrize("use", USES, ids=lambda use: use.__name__)
def test_each_use_is_recorded_once_and_replays_the_same(
    tmp_path: Path, server: Server, use: Use, sync: bool
) -> None:
    live = run(use, tmp_path / "none.jsonl", "live", sync=sync, base_url=server.url)
    server.batches.clear()
    server.files.clear()
    recorded = run(use, tmp_path / "t.jsonl", "record", sync=sync, base_url=server.url)
    hits = len(server.hits)
    for mode in ("record", "replay", "replay"):
        assert without_wait(run(use, tmp_path / "t.jsonl", mode, sync=sync)) == without_wait(recorded)
    if use not in (files,):  # which are numbered
        assert without_wait(live).replace("batch_2", "batch_1") == without_wait(recorded)
    assert len(server.hits) == hits and not (tmp_path / "none.jsonl").exists()
    other = run(use, tmp_path / "t.jsonl", "replay", sync=not sync)
    assert without_wait(other) == without_wait(recorded)
    assert all(entry["key"] == key(**entry["request"]) for entry in read(tmp_path / "t.jsonl"))
    assert not any("sample" in name.lower() for _, _, headers, _ in server.hits for name in headers)
    text = (tmp_path / "t.jsonl").read_text()
    assert "secret" not in text and "cookie" not in text and '"headers"' not in text


def sent(path: str = "/v1/messages", **more: Any) -> tuple[str, dict[str, Any]]:
    """Return how a call would be named, by its request."""
    headers = {"content-type": "application/json", "anthropic-version": wire.VERSION, **more.pop("headers", {})}
    request = httpx2.Request("POST", f"https://api.anthropic.com{path}", headers=headers, json={**HELLO, **more})
    asked = wire.asked(request, request.read())
    return key(**asked), asked


def test_queries_betas_and_the_version_are_in_the_key_and_who_asks_is_not() -> None:
    plain, asked = sent()
    assert plain == key("post", "/v1/messages", HELLO) and set(asked) == {"method", "path", "body", "sample"}
    others = [sent("/v1/messages?beta=true"), sent(headers={"anthropic-beta": "a"}), sent(max_tokens=65),
              sent(headers={"anthropic-beta": "a,b"}), sent(headers={"anthropic-version": "2023-06-01"})]  # fmt: skip
    assert len({plain, *(name for name, _ in others)}) == 6
    assert sent(headers={"anthropic-beta": "b, a"})[0] == others[3][0]
    assert sent("/v1/messages?b=2&a=1")[0] == sent("/v1/messages?a=1&b=2")[0]
    for same in ({"x-api-key": "mine"}, {"authorization": "Bearer mine"}, {"user-agent": "me"}):
        assert sent(headers=same)[0] == plain
    assert sent("/gateway/v1/messages")[0] == plain


def test_a_file_is_named_by_what_is_in_it_and_not_by_the_boundary(tmp_path: Path, server: Server) -> None:
    async def upload(llm: Any) -> Any:
        await llm.files.upload(file=("a.txt", b"one", "text/plain"))
        await llm.files.upload(file=("a.txt", b"one", "text/plain"))
        return await llm.files.upload(file=("a.txt", b"two", "text/plain"))

    run(upload, tmp_path / "t.jsonl", "record", base_url=server.url)
    assert len(server.hits) == 2 and len(read(tmp_path / "t.jsonl")) == 2


@pytest.mark.parametrize("sync", [False, True], ids=["async", "sync"])
@pytest.mark.parametrize("step", NO_REPLIES)
def test_what_is_no_reply_is_refused_and_never_kept(tmp_path: Path, server: Server, step: str, sync: bool) -> None:
    server.plan = [step]
    with pytest.raises(anthropic.APIResponseValidationError, match="not recorded"):
        run(create, tmp_path / "t.jsonl", "record", sync=sync, base_url=server.url)
    assert not (tmp_path / "t.jsonl").exists() and len(server.hits) == 1
    assert run(create, tmp_path / "t.jsonl", "record", sync=sync, base_url=server.url)["type"] == "message"


@pytest.mark.parametrize("step", ["stream error", "stream cut", "html"])
def test_a_stream_that_is_no_whole_message_is_never_kept(tmp_path: Path, server: Server, step: str) -> None:
    server.plan = [step]
    with pytest.raises(anthropic.AnthropicError):
        run(stream, tmp_path / "t.jsonl", "record", base_url=server.url)
    assert not (tmp_path / "t.jsonl").exists()


def test_live_hands_through_what_the_server_sent(tmp_path: Path, server: Server) -> None:
    async def ask(llm: Any) -> Any:
        response = await llm.messages.with_raw_response.create(**HELLO)
        return response.headers["request-id"], response.http_response.json()

    request_id, body = run(ask, tmp_path / "t.jsonl", "live", base_url=server.url)
    plain = asyncio.run(ask(anthropic.AsyncAnthropic(base_url=server.url, api_key="nobody's")))
    assert (request_id, body) == plain and "recorded_seconds" not in body


@pytest.mark.no_cover
def test_two_hundred_calls_at_once_bear_a_hundred_and_fifty_refusals(tmp_path: Path, server: Server) -> None:
    async def ask(llm: Any) -> Any:
        bodies = [{**HELLO, "max_tokens": 1 + n} for n in range(200)]
        return await asyncio.gather(*(llm.messages.create(**body) for body in bodies))

    server.plan = [429] * 150
    said = run(ask, tmp_path / "t.jsonl", "record", base_url=server.url, max_retries=8)
    assert len(said) == 200 and len(server.hits) == 350 and len(read(tmp_path / "t.jsonl")) == 200


def big(tape: Path, megabytes: int) -> int:
    """Write a tape of recordings that are nobody's, and return how many."""
    provenance = {"weights": None, "server": "s", "sdk": "a", "date": "d", "seconds": 1.0}
    said = {"id": "m", "type": "message", "role": "assistant", "model": "m", "content": [], "usage": {}}
    count = megabytes * 270
    with open(tape, "w") as file:
        for number in range(count):
            body = {**HELLO, "messages": [{"role": "user", "content": f"{number} " + "x" * 3400}]}
            request = {"method": "post", "path": "/v1/messages", "body": body, "sample": 0}
            line = {"key": key(**request), "request": request, "response": said, "provenance": provenance}
            file.write(dump(line) + "\n")
    return count


@pytest.fixture
def elsewhere() -> Iterator[str]:
    """The address of a server in a process of its own, which takes no time of ours."""
    command = [sys.executable, str(Path(__file__).with_name("messages_api.py"))]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        yield process.stdout.readline().strip()
        process.kill()


@pytest.mark.no_cover
def test_recording_into_a_large_tape_does_not_hold_up_the_loop(
    tmp_path: Path, elsewhere: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tape = tmp_path / "t.jsonl"
    known = big(tape, 36)
    assert tape.stat().st_size > 36e6
    writers, sync = set[int](), os.fsync

    def written(file: int) -> None:
        writers.add(threading.get_ident())
        sync(file)

    monkeypatch.setattr(os, "fsync", written)

    async def watch(stalls: list[float]) -> None:
        while True:
            start = time.perf_counter()
            await asyncio.sleep(0)
            stalls.append(time.perf_counter() - start)

    async def worst(llm: Any) -> Any:
        """Return the longest stall in which nothing else ran, of three times a hundred calls."""
        await llm.messages.create(**{**HELLO, "max_tokens": 9})  # the first call of a process imports half the SDK
        worsts = []
        for trial in range(3):
            stalls = [0.0]
            watching = asyncio.create_task(watch(stalls))
            for first in range(0, 100, 4):  # a few at a time: what is measured is the tape, not who builds requests
                bodies = [{**HELLO, "max_tokens": 10 + 100 * trial + first + n} for n in range(4)]
                await asyncio.gather(*(llm.messages.create(**body) for body in bodies))
            watching.cancel()
            worsts.append(max(stalls))
        assert writers and threading.get_ident() not in writers  # who waits for the disk is another thread
        return min(worsts)  # other work on the machine holds up any process

    assert run(worst, tape, "record", base_url=elsewhere) < 0.05
    assert len(read(tape)) == known + 301


def test_a_miss_says_how_the_nearest_recording_differs(tmp_path: Path, server: Server) -> None:
    run(create, tmp_path / "t.jsonl", "record", base_url=server.url)

    def miss(use: Use) -> str:
        with pytest.raises(MissingRecording) as error:
            run(use, tmp_path / "t.jsonl", "replay")
        return str(error.value)

    async def longer(llm: Any) -> Any:
        await llm.messages.create(**{**HELLO, "max_tokens": 65})

    async def another(llm: Any) -> Any:
        await llm.messages.create(**{**HELLO, "messages": [{"role": "user", "content": "hello there"}]})

    assert "differs: max_tokens is 65 here, 64 there. " in miss(longer)
    assert "messages[0].content is 'hello there' here, 'hello' there. " in miss(another)
    assert "sample is 3 here, 0 there" in miss(options)
    assert "stream is True here, None there" in miss(create_stream)
    assert "to GET /v1/models, " in miss(models)
    assert len(server.hits) == 1


def test_a_miss_reaches_no_network_even_where_there_is_one(tmp_path: Path, server: Server) -> None:
    for sync in (False, True):
        with pytest.raises(MissingRecording, match="Nothing is recorded there"):
            run(create, tmp_path / "t.jsonl", "replay", sync=sync, base_url=server.url)
    assert server.hits == []


def test_a_browser_only_replays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mechlib.agents.cassette.sys.platform", "emscripten")
    assert Cassette(tmp_path / "t.jsonl").mode == "replay"
    for mode in ("record", "live"):
        with pytest.raises(ValueError, match="only be replayed"):
            Cassette(tmp_path / "t.jsonl", mode)  # type: ignore[arg-type]


def test_who_answered_is_in_the_recording(tmp_path: Path, server: Server) -> None:
    run(create, tmp_path / "t.jsonl", "record", base_url=server.url)
    (entry,) = read(tmp_path / "t.jsonl")
    assert entry["provenance"]["server"] == server.url.removeprefix("http://")
    transport = httpx2.MockTransport(lambda request: httpx2.Response(200, json=entry["response"]))
    mine = httpx2.AsyncClient(transport=transport)
    run(create, tmp_path / "u.jsonl", "record", http_client=mine)
    assert read(tmp_path / "u.jsonl")[0]["provenance"]["server"] == "api.anthropic.com"


@pytest.mark.no_cover
def test_replaying_takes_little_beside_the_sdk_itself(tmp_path: Path, server: Server) -> None:
    run(create, tmp_path / "t.jsonl", "record", base_url=server.url)
    reply = json.dumps(read(tmp_path / "t.jsonl")[0]["response"]).encode()
    kind = {"content-type": "application/json"}
    bare = httpx2.MockTransport(lambda request: httpx2.Response(200, headers=kind, content=reply))

    async def seconds(llm: Any) -> float:
        start = time.process_time()
        for _ in range(20):
            await llm.messages.create(**HELLO)
        return (time.process_time() - start) / 20

    async def both(llm: Any) -> list[tuple[float, float]]:
        http = anthropic.DefaultAsyncHttpxClient(transport=bare)
        floor = anthropic.AsyncAnthropic(api_key="nobody's", http_client=http, open_telemetry=False)
        return [(await seconds(llm), await seconds(floor)) for _ in range(20)]

    replayed, floor = map(min, zip(*run(both, tmp_path / "t.jsonl", "replay"), strict=True))
    assert replayed < max(1.5 * floor, 0.6e-3)  # a machine at work slows down both


def test_a_tape_reads_what_others_wrote_and_not_what_it_knows(tmp_path: Path) -> None:
    path = tmp_path / "t.jsonl"
    big(path, 1)
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    path.write_text("".join(dump(line) + "\n" for line in lines[:100]))
    one, two = Tape(path), Tape(path)
    two.add(lines[100])
    assert one.get(lines[100]["key"]) is None
    assert one.add(lines[100]) == lines[100] and len(read(path)) == 101
    tidy(path)
    one.add(lines[101])
    two.add(lines[102])
    assert len(one) == 102 and len(two) == 103 and len(read(path)) == 103
