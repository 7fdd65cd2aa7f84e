"""The cassette, through the real SDK: against a real local server, and against nothing at all."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import anthropic
import pytest
from crash import kill_nine

from mechlib.agents.llm import Cassette, MissingRecording, Mode, client
from mechlib.agents.recordings import Tape, dump, key, read, tidy
from mechlib.agents.roster import Agent, Roster

HELLO = {"model": "test-model", "max_tokens": 8, "messages": [{"role": "user", "content": "hello"}]}


def message(text: str = "hi") -> dict[str, Any]:
    """A reply as the Messages API sends it."""
    usage = {"input_tokens": 3, "output_tokens": 1}
    content = [{"type": "text", "text": text}]
    shared = {"id": "msg_1", "type": "message", "role": "assistant", "stop_reason": "end_turn", "stop_sequence": None}
    return {**shared, "model": "test-model", "content": content, "usage": usage}


class Server(ThreadingHTTPServer):
    """Speaks enough of the Messages API to fail in every way that it can."""

    daemon_threads = True

    def __init__(self) -> None:
        self.plan: list[int | str] = []
        self.hits: list[dict[str, Any]] = []
        self.meeting = threading.Barrier(4)
        super().__init__(("127.0.0.1", 0), Handler)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(BaseHTTPRequestHandler):
    server: Server

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.hits.append({"body": body, "headers": dict(self.headers)})
        step = self.server.plan.pop(0) if self.server.plan else 200
        if step == "slow":
            time.sleep(1.0)
            step = 200
        if step == "together":  # nobody gets a reply until four have asked
            self.server.meeting.wait(30)
            step = 200
        if step == "cut":  # promises more bytes than it sends
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", "500")
            self.end_headers()
            self.wfile.write(b'{"id": "msg_1", "content": [')
            return
        if step == "garbage":
            data, status = b'{"id": "msg_1", "content": [', 200
        elif step == 200:
            data, status = json.dumps(message(f"reply {len(self.server.hits)}")).encode(), 200
        else:
            error = {"type": "error", "error": {"type": "api_error", "message": f"status {step}"}}
            data, status = json.dumps(error).encode(), int(step)
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Server]:
    with Server() as running:
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def record(path: Path, server: Server, **options: Any) -> anthropic.AsyncAnthropic:
    return client(path, "record", base_url=server.url, **options)


def run(work: Callable[[], Any]) -> Any:
    return asyncio.run(work())


def test_a_request_is_made_once_and_replayed_ever_after(tmp_path: Path, server: Server) -> None:
    tape = tmp_path / "tape.jsonl"

    async def work() -> None:
        for mode in ("record", "replay", "replay"):
            ask = client(tape, mode, base_url=server.url)
            for _ in range(3):
                reply = await ask.messages.create(**HELLO)
                assert reply.content[0].text == "reply 1"

    run(work)
    assert len(server.hits) == 1


def test_replay_without_a_recording_says_which_model_which_prompt_and_the_two_ways_out(tmp_path: Path) -> None:
    async def work() -> None:
        await client(tmp_path / "tape.jsonl", "replay").messages.create(**HELLO)

    with pytest.raises(MissingRecording, match=r"test-model.*hello.*make models.*ANTHROPIC_API_KEY"):
        run(work)
    assert not (tmp_path / "tape.jsonl").exists()


def test_live_mode_neither_reads_nor_writes_the_recording(tmp_path: Path, server: Server) -> None:
    tape = tmp_path / "tape.jsonl"

    async def work() -> None:
        ask = client(tape, "live", base_url=server.url)
        await ask.messages.create(**HELLO)
        await ask.messages.create(**HELLO)

    run(work)
    assert len(server.hits) == 2 and not tape.exists()


def test_a_sample_number_asks_for_another_reply_and_is_never_sent(tmp_path: Path, server: Server) -> None:
    tape = tmp_path / "tape.jsonl"
    agent = Agent("a", "test-model")

    async def work() -> list[str]:
        texts = []
        for mode in ("record", "replay"):
            ask = client(tape, mode, base_url=server.url)
            for sample in (0, 1, 2, 1):
                texts.append((await agent.ask(ask, "hello", sample)).content[0].text)
        return texts

    assert run(work) == ["reply 1", "reply 2", "reply 3", "reply 2"] * 2
    assert not any("sample" in name.lower() for hit in server.hits for name in hit["headers"])


def test_many_calls_at_once_share_one_cassette_and_equal_ones_share_one_request(tmp_path: Path, server: Server) -> None:
    tape = tmp_path / "tape.jsonl"

    async def work() -> None:
        ask = record(tape, server)
        bodies = [{**HELLO, "max_tokens": 1 + i % 20} for i in range(100)]
        await asyncio.gather(*(ask.messages.create(**body) for body in bodies))

    run(work)
    assert len(server.hits) == 20 and len(read(tape)) == 20


def test_of_two_who_record_the_same_call_the_first_is_kept_and_both_are_told_the_same(
    tmp_path: Path, server: Server
) -> None:
    tape = tmp_path / "tape.jsonl"
    first, second = record(tape, server), record(tape, server)  # as two processes would: neither knows of the other
    texts = [run(lambda ask=ask: ask.messages.create(**HELLO)).content[0].text for ask in (first, second)]
    assert texts == ["reply 1", "reply 1"] and len(server.hits) == 2 and len(read(tape)) == 1


def test_equal_calls_wait_for_each_other_only_where_they_share_a_recording(tmp_path: Path, server: Server) -> None:
    async def work() -> None:
        ask = client(tmp_path / "tape.jsonl", "live", base_url=server.url)
        await asyncio.gather(*(ask.messages.create(**HELLO) for _ in range(4)))

    server.plan = ["together"] * 4
    run(work)
    assert len(server.hits) == 4


def test_no_header_and_no_key_reaches_the_disk(tmp_path: Path, server: Server) -> None:
    tape = tmp_path / "tape.jsonl"

    async def work() -> None:
        ask = record(tape, server, api_key="sk-ant-secret", default_headers={"x-other": "secret"})
        await ask.messages.create(**HELLO)

    run(work)
    assert "sk-ant-secret" in str(server.hits[0]["headers"])
    assert "secret" not in tape.read_text() and "header" not in tape.read_text()


def test_a_recording_says_where_it_comes_from(tmp_path: Path, server: Server) -> None:
    run(lambda: record(tmp_path / "t.jsonl", server).messages.create(**HELLO))
    provenance = read(tmp_path / "t.jsonl")[0]["provenance"]
    assert set(provenance) == {"weights", "server", "sdk", "date", "seconds"}
    assert provenance["sdk"] == f"anthropic {anthropic.__version__}" and provenance["seconds"] > 0


@pytest.mark.parametrize("status", [429, 500, 529])
def test_the_sdk_retries_what_can_be_retried_and_only_success_is_recorded(
    tmp_path: Path, server: Server, status: int
) -> None:
    server.plan = [status, 200]
    run(lambda: record(tmp_path / "t.jsonl", server, max_retries=2).messages.create(**HELLO))
    assert len(server.hits) == 2 and len(read(tmp_path / "t.jsonl")) == 1


@pytest.mark.parametrize(
    ("step", "error"),
    [
        (400, anthropic.BadRequestError),
        (429, anthropic.RateLimitError),
        (500, anthropic.InternalServerError),
        (529, anthropic.APIStatusError),
        ("slow", anthropic.APITimeoutError),
        ("cut", anthropic.APIError),
        ("garbage", anthropic.APIResponseValidationError),
    ],
)
def test_every_failure_is_the_sdks_own_exception_and_leaves_no_recording(
    tmp_path: Path, server: Server, step: int | str, error: type[Exception]
) -> None:
    server.plan = [step]
    ask = record(tmp_path / "t.jsonl", server, max_retries=0, timeout=0.3)
    with pytest.raises(error):
        run(lambda: ask.messages.create(**HELLO))
    assert read(tmp_path / "t.jsonl") == []


def test_an_unknown_mode_is_refused_with_a_reason(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MECHLIB_LLM", "rewind")
    with pytest.raises(ValueError, match="replay, record or live"):
        Cassette(tmp_path / "t.jsonl")


def test_a_name_is_a_file_of_the_project_and_what_the_package_ships_under_it_is_replayed_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    shipped = Cassette("revelation")
    assert shipped.path == tmp_path / "recordings" / "revelation.jsonl" and len(shipped.tape) == 180
    shipped.tape.add(entry(1))
    assert len(Cassette("revelation").tape) == 181 and len(Cassette(shipped.path).tape) == 1
    assert len(Cassette("mine").tape) == 0


def entry(number: int, text: str = "hi") -> dict[str, Any]:
    body = {**HELLO, "max_tokens": number}
    request = {"method": "post", "path": "/v1/messages", "body": body, "sample": 0}
    provenance = {"weights": None, "server": "s", "sdk": "a", "date": "d", "seconds": 1.0}
    return {"key": key("post", "/v1/messages", body), "request": request, "response": message(text),
            "provenance": provenance}  # fmt: skip


def test_half_a_line_left_by_a_crash_is_dropped_with_a_warning_and_then_overwritten(tmp_path: Path) -> None:
    tape = tmp_path / "t.jsonl"
    Tape(tape).add(entry(1))
    with open(tape, "a") as file:
        file.write(dump(entry(2))[:100])
    with pytest.warns(UserWarning, match="half a line"):
        assert len(read(tape)) == 1
    with pytest.warns(UserWarning, match="half a line"):
        Tape(tape).add(entry(3))
    assert [e["request"]["body"]["max_tokens"] for e in read(tape)] == [1, 3]


def test_a_malformed_line_and_two_replies_for_one_request_are_errors_that_name_the_line(tmp_path: Path) -> None:
    tape = tmp_path / "t.jsonl"
    tape.write_text(dump(entry(1)) + "\n" + dump(entry(1, "another")) + "\n")
    with pytest.raises(ValueError, match=r"t\.jsonl, line 2: two different replies"):
        read(tape)
    tape.write_text('{"key": 3}\n')
    with pytest.raises(ValueError, match=r"line 1: not a recording"):
        read(tape)


def test_tidying_sorts_and_is_stable(tmp_path: Path) -> None:
    tape, seen = tmp_path / "t.jsonl", set()
    for order in ((3, 1, 2), (2, 3, 1)):
        tape.write_text("".join(dump(entry(n)) + "\n" for n in order))
        assert tidy(tape) == (3, 0)
        seen.add(tape.read_bytes())
    assert len(seen) == 1 and len(read(tape)) == 3


def test_the_key_depends_on_the_request_and_not_on_the_order_of_its_fields() -> None:
    shuffled = dict(reversed(HELLO.items()))
    assert key("POST", "/v1/messages", HELLO) == key("post", "/v1/messages", shuffled)
    others = [key("post", "/v1/messages", {**HELLO, "model": "x"}), key("post", "/v1/x", HELLO),
              key("post", "/v1/messages", HELLO, 1)]  # fmt: skip
    assert len({key("post", "/v1/messages", HELLO), *others}) == 4


RECORDER = """
from mechlib.agents.llm import client
async def main():
    ask = client(sys.argv[1], "record", base_url=sys.argv[2])
    for number in range(1, 10_000):
        reply = await ask.messages.create(model="test-model", max_tokens=number,
                                          messages=[{"role": "user", "content": "hello"}])
        print(number, flush=True)
"""


def test_kill_nine_in_the_middle_of_recording_loses_nothing_acknowledged(
    tmp_path: Path, server: Server, times: Callable[[int, int], int]
) -> None:
    tape, wanted = tmp_path / "t.jsonl", times(20, 200)
    step = max(100 // wanted, 1)
    trials = kill_nine(RECORDER, (tape, server.url), (3 + step * trial for trial in range(wanted)))
    for trial, acknowledged in enumerate(trials):
        kept = {e["request"]["body"]["max_tokens"] for e in _read_after_crash(tape)}
        assert len(acknowledged) >= 3 + step * trial and set(acknowledged) <= kept
    assert trial == wanted - 1


def _read_after_crash(tape: Path) -> list[dict[str, Any]]:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return read(tape)


def test_rosters_load_and_a_wrong_one_says_what_there_is(tmp_path: Path) -> None:
    for name in ("open", "claude"):
        roster = Roster.load(name)
        assert len(roster.agents) == 3 and len({agent.model for agent in roster.agents}) == 3
        assert roster.grader is not None
        assert roster.price(roster.agents[0].model, 1_000_000, 0) == roster.models[roster.agents[0].model].price[0]
    with pytest.raises(FileNotFoundError, match="claude, documents, open"):
        Roster.load("nobody")
    bad = tmp_path / "bad.toml"
    bad.write_text('models = []\n[[agents]]\nname = "a"\nmodel = "m"\n')
    with pytest.raises(ValueError, match="does not define"):
        Roster.load(bad)
    for field in ("weights", "adapter"):
        bad.write_text(f'[[models]]\nid = "m"\n{field} = "nowhere"\n')
        with pytest.raises(ValueError, match=rf"model 'm' has {field} 'nowhere', which bad\.toml does not define"):
            Roster.load(bad)


def test_the_reminder_stands_under_every_prompt() -> None:
    agent = Agent("a", "m", system="s", examples=(("q", "r"),), reminder="short!")
    contents = [turn["content"] for turn in agent.request("question")["messages"]]
    assert contents == ["q\nshort!", "r", "question\nshort!"]


class Local:
    """A local server, as it describes itself, and the roster that expects it there."""

    def __init__(self, folder: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
        self.weights, self.adapter = folder / "w.gguf", folder / "a.gguf"
        self.weights.write_bytes(b"weights")
        self.adapter.write_bytes(b"adapter")
        self.loaded = [{"id": 0, "path": str(self.adapter), "scale": 1.0}]
        hashes = [hashlib.sha256(data).hexdigest() for data in (b"weights", b"adapter")]
        self.roster = folder / "r.toml"
        self.roster.write_text(
            f'[weights.w]\nfile = "w.gguf"\nsha256 = "{hashes[0]}"\n'
            f'[adapters.a]\nfile = "a.gguf"\nsha256 = "{hashes[1]}"\n'
            + "".join(f'[[models]]\nid = "{name}"\nweights = "w"\nport = {server.server_address[1]}\n{more}\n'
                      for name, more in (("test-model", ""), ("trained", 'adapter = "a"')))
        )  # fmt: skip

        def do_GET(handler: Handler) -> None:
            told = {"/props": {"model_path": str(self.weights)}, "/lora-adapters": self.loaded}[handler.path]
            data = json.dumps(told).encode()
            handler.send_response(200)
            handler.send_header("content-length", str(len(data)))
            handler.end_headers()
            handler.wfile.write(data)

        monkeypatch.setattr(Handler, "do_GET", do_GET, raising=False)
        monkeypatch.setattr("mechlib.agents.cassette.metadata.version", lambda name: "1.2")


@pytest.fixture
def local(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Local:
    return Local(tmp_path, server, monkeypatch)


@pytest.mark.parametrize("mode", ["record", "live"])
def test_a_local_model_is_called_on_its_own_port_without_the_key(
    tmp_path: Path, server: Server, local: Local, mode: Mode
) -> None:
    local.loaded = []
    ask = client(tmp_path / "t.jsonl", mode, local.roster, api_key="sk-ant-mine", base_url="http://127.0.0.1:1")
    run(lambda: ask.messages.create(**HELLO))
    assert "sk-ant-mine" not in str(server.hits[0]["headers"])


def test_a_recording_names_weights_and_adapter_by_the_hash_of_the_files_that_are_served(
    tmp_path: Path, local: Local
) -> None:
    tape = tmp_path / "t.jsonl"
    run(lambda: client(tape, "record", local.roster).messages.create(**{**HELLO, "model": "trained"}))
    told = read(tape)[0]["provenance"]
    assert told["weights"] == hashlib.sha256(b"weights").hexdigest() and told["server"] == "llama.cpp (xllamacpp 1.2)"
    assert told["adapter"] == hashlib.sha256(b"adapter").hexdigest()


@pytest.mark.parametrize("wrong", [
    "other weights", "no weights", "other adapter", "no adapter", "an adapter too many", "nothing said"])
def test_what_is_served_is_held_against_the_roster_before_anything_is_asked(
    tmp_path: Path, server: Server, local: Local, wrong: str
) -> None:
    said = r"port \d+ serves .*, which by SHA-256 is not .* restart `mechlib serve`"
    if wrong == "other weights":
        local.weights.write_bytes(b"another under the same name")
    if wrong == "no weights":
        local.weights.unlink()
        said = "cannot be known by its hash"
    if wrong == "other adapter":
        local.adapter.write_bytes(b"trained on")
    if wrong == "no adapter":
        local.loaded[0]["scale"] = 0.0
    if wrong == "nothing said":
        local.loaded = ["another server"]  # type: ignore[list-item]
        said = "does not say which files it serves"
    name = "test-model" if wrong == "an adapter too many" else "trained"
    with pytest.raises(ValueError, match=said):
        run(lambda: client(tmp_path / "t.jsonl", "record", local.roster).messages.create(**{**HELLO, "model": name}))
    assert server.hits == [] and not (tmp_path / "t.jsonl").exists()


def test_the_use_of_each_recording_is_logged_for_the_check(
    tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MECHLIB_USAGE", str(tmp_path))
    ask = record(tmp_path / "t.jsonl", server)

    async def work() -> None:
        await ask.messages.create(**HELLO)
        await ask.messages.create(**HELLO)

    run(work)
    logs = list(tmp_path.glob("t-*.txt"))
    assert [log.read_text().split() for log in logs] == [[key("post", "/v1/messages", HELLO)]]
