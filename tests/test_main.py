"""The command line: what it fetches, serves and records, and what it says of the recordings."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from mechlib.__main__ import main
from mechlib.agents import weights
from mechlib.agents.recordings import Tape, dump, key, read, tidy

ROOT = Path(__file__).resolve().parent.parent
ROSTER = """
[weights.tiny]
file = "tiny.gguf"
licence = "Apache-2.0"
bytes = 4
sha256 = "abc"
packages = ["tiny==1"]
[[models]]
id = "tiny"
weights = "tiny"
port = 1
"""


@pytest.fixture
def course(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty course: its folders, and nobody's settings."""
    for name in ("recordings", "rosters", "notebooks", "usage"):
        (tmp_path / name).mkdir()
    (tmp_path / "rosters" / "tiny.toml").write_text(ROSTER)
    monkeypatch.chdir(tmp_path)
    for name in ("MECHLIB_LLM", "MECHLIB_USAGE", "ANTHROPIC_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path


def entry(question: str, **changes: Any) -> dict[str, Any]:
    """A recorded call, sound in every way."""
    body = {"model": "tiny", "max_tokens": 8, "messages": [{"role": "user", "content": question}]}
    request = {"method": "post", "path": "/v1/messages", "body": body, "sample": 0}
    provenance = {"weights": "abc", "server": "s", "sdk": "anthropic 2", "date": "2026-01-01T00:00:00Z", "seconds": 0.5}
    sound = {"key": key("post", "/v1/messages", body), "request": request, "response": {}, "provenance": provenance}
    return {**sound, **changes}


def write(course: Path, *entries: dict[str, Any], name: str = "tape") -> Path:
    path = course / "recordings" / f"{name}.jsonl"
    path.write_text("".join(dump(each) + "\n" for each in entries))
    return path


def replayed(course: Path, *entries: dict[str, Any], name: str = "tape") -> None:
    (course / "usage" / f"{name}-17.txt").write_text("".join(each["key"] + "\n" for each in entries))


def check(capsys: pytest.CaptureFixture[str], *more: str) -> tuple[int, str]:
    status = main(["recordings", "check", *more])
    said = capsys.readouterr()
    return status, said.out + said.err


def test_sound_recordings_are_clean(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(course, entry("a"), entry("b"))
    status, said = check(capsys)
    assert status == 0 and "2 recorded calls in 1 cassettes, 0 problems (usage not known" in said


def test_an_edited_line_is_found(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    edited = entry("a")
    edited["request"] = entry("b")["request"]
    write(course, edited)
    status, said = check(capsys)
    assert status == 1 and f"tape.jsonl: {edited['key'][:12]} is not the key of its request" in said


@pytest.mark.parametrize("lost", ["weights", "server", "sdk", "date", "seconds"])
def test_a_recording_must_say_where_it_comes_from(course: Path, capsys: pytest.CaptureFixture[str], lost: str) -> None:
    told = entry("a")
    del told["provenance"][lost]
    write(course, told)
    status, said = check(capsys)
    assert status == 1 and f"does not say its {lost}" in said


@pytest.mark.parametrize(
    "place",
    [
        {"headers": {"accept": "*/*"}},
        {"extra": {"authorization": "none"}},
        {"extra": {"X-API-Key": "none"}},
        {"extra": {"api_key": "none"}},
        {"extra": {"cookie": "none"}},
        {"extra": "sk-" + "ant-api03-abc"},
        {"extra": "Bearer " + "0123456789abcdef0"},
    ],
)
def test_what_looks_like_a_header_or_a_key_is_found(
    course: Path, capsys: pytest.CaptureFixture[str], place: dict[str, Any]
) -> None:
    sound = entry("a")
    write(course, {**sound, "request": {**sound["request"], **place}})
    status, said = check(capsys)
    assert status == 1 and "looks like a header or a key" in said


def test_a_question_about_keys_is_not_a_key(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    questions = ["Which header carries the authorization?", 'What does "x-api-key" hold?', "What is a Bearer token?",
                 "Is a cookie an api_key: yes or no?", "Do Anthropic's keys begin with sk-ant-?"]  # fmt: skip
    write(course, *map(entry, questions))
    assert check(capsys)[0] == 0


def test_what_no_notebook_asks_for_and_what_is_missing_are_found(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(course, entry("used"), entry("unused"))
    replayed(course, entry("used"), entry("missing"))
    status, said = check(capsys, "--usage", "usage")
    assert status == 1 and "2 problems (also against what the notebooks asked for)" in said
    assert f"{entry('unused')['key'][:12]} is asked for by no notebook" in said
    assert f"{entry('missing')['key'][:12]} was asked for and is missing" in said


def test_several_processes_may_log_the_use_of_one_cassette(
    course: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    write(course, entry("a"), entry("b"), name="two-part")
    (course / "usage" / "two-part-1.txt").write_text(entry("a")["key"] + "\n")
    (course / "usage" / "two-part-2.txt").write_text(entry("b")["key"] + "\n")
    monkeypatch.setenv("MECHLIB_USAGE", str(course / "usage"))
    assert check(capsys)[0] == 0


def test_a_cassette_that_was_asked_for_and_does_not_exist_is_found(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    replayed(course, entry("a"), name="nowhere")
    status, said = check(capsys, "--usage", "usage")
    assert status == 1 and f"nowhere.jsonl: {entry('a')['key'][:12]} was asked for and is missing" in said


def test_a_line_that_is_no_recording_stops_the_check_by_name(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (course / "recordings" / "tape.jsonl").write_text("{}\n")
    status, said = check(capsys)
    assert status == 1 and "mechlib recordings: tape.jsonl, line 1: not a recording" in said


def test_prune_drops_what_no_notebook_asks_for_and_sorts_the_rest(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    tape = write(course, *(entry(name) for name in "abcd"))
    replayed(course, *(entry(name) for name in "dba"))
    assert main(["recordings", "prune", "--usage", "usage"]) == 0
    assert "tape.jsonl: kept 3, dropped 1" in capsys.readouterr().out
    assert [each["key"] for each in read(tape)] == sorted(entry(name)["key"] for name in "abd")
    assert check(capsys, "--usage", "usage")[0] == 0


def test_recordings_of_another_roster_are_checked_and_left_alone_by_those_who_do_not_read_them(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (course / "recordings" / "claude").mkdir()
    write(course, entry("a"))
    other = write(course, entry("a"), entry("b"), name="claude/tape")
    replayed(course, entry("a"))
    assert main(["recordings", "prune", "--usage", "usage"]) == 0 and len(read(other)) == 2
    assert "claude/tape.jsonl: no notebook reads it yet" in capsys.readouterr().out
    (course / "usage" / "claude").mkdir()
    replayed(course, entry("b"), name="claude/tape")
    assert main(["recordings", "prune", "--usage", "usage"]) == 0
    assert [each["key"] for each in read(other)] == [entry("b")["key"]]


def test_prune_drops_nothing_while_the_use_is_not_known(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    tape = write(course, entry("a"))
    assert main(["recordings", "prune"]) == 1
    assert "run `make notebooks`" in capsys.readouterr().err and len(read(tape)) == 1


def test_sorting_a_cassette_loses_nothing_that_others_append_meanwhile(tmp_path: Path) -> None:
    tape = tmp_path / "tape.jsonl"
    names = [[f"{writer}-{number}" for number in range(40)] for writer in range(4)]

    def work(mine: list[str]) -> None:
        for name in mine:
            Tape(tape).add(entry(name))

    writers = [threading.Thread(target=work, args=(mine,)) for mine in names]
    Tape(tape).add(entry("first"))
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        tidy(tape)
    wanted = {entry(name)["key"] for mine in (["first"], *names) for name in mine}
    assert {each["key"] for each in read(tape)} == wanted


def test_models_are_fetched_by_the_roster_and_a_failure_is_one_line(
    course: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(weights, "fetch", lambda entry: Path(entry["file"]))
    assert main(["models", "--roster", "tiny"]) == 0
    assert capsys.readouterr().out == "tiny: tiny.gguf, SHA-256 as the roster says (Apache-2.0)\n"

    def fail(weights: Any) -> Path:
        raise RuntimeError("no network")

    monkeypatch.setattr(weights, "fetch", fail)
    assert main(["models", "--roster", "tiny"]) == 1
    assert capsys.readouterr().err == "mechlib models: no network\n"
    assert main(["models", "--roster", "nobody"]) == 1
    assert "name one of claude, documents, open, tiny" in capsys.readouterr().err


def test_serve_takes_names(course: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, list[str]]] = []
    monkeypatch.setattr(weights, "serve", lambda roster, names: asked.append((roster.name, names)))
    assert main(["serve", "--roster", "tiny"]) == 0
    assert main(["serve", "--roster", "tiny", "tiny"]) == 0
    assert asked == [("tiny", []), ("tiny", ["tiny"])]


def test_a_router_is_audited_by_the_sample_or_by_a_log(course: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["router"]) == 0
    assert "Taken to be in force: the highest score less cost" in capsys.readouterr().out
    lines = [{"scores": {"a": 0.9, "b": 0.1 + k / 100}, "chosen": "a"} for k in range(9)]
    (course / "log.jsonl").write_text("\n".join(map(json.dumps, lines)))
    assert main(["router", "log.jsonl", "--worth", "2", "--prize", "3", "--html", "report.html"]) == 0
    assert "the report is in report.html" in capsys.readouterr().out
    assert "worth 2 (as you said), and being chosen 3 to" in (course / "report.html").read_text()
    assert main(["router", "nowhere.jsonl"]) == 1 and "nowhere.jsonl" in capsys.readouterr().err


def test_the_course_is_copied_into_a_folder_and_nothing_is_overwritten(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["course", "mine"]) == 0 and "open them with `jupyter lab mine`" in capsys.readouterr().out
    copied = {path.name: path.read_bytes() for path in (course / "mine").iterdir()}
    assert copied == {path.name: path.read_bytes() for path in (ROOT / "notebooks").glob("*.ipynb")} and copied
    first = min((course / "mine").iterdir())
    first.write_text("my work")
    assert main(["course", "mine"]) == 1 and "may hold your work" in capsys.readouterr().err
    assert first.read_text() == "my work"


def test_no_command_is_an_error_that_shows_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        main([])
    assert "recordings" in capsys.readouterr().err


class Handler(BaseHTTPRequestHandler):
    """A model that repeats the question."""

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        content = [{"type": "text", "text": body["messages"][-1]["content"]}]
        said = {"id": "m", "type": "message", "role": "assistant", "stop_reason": "end_turn", "stop_sequence": None,
                "model": "/somewhere/tiny.gguf", "content": content,
                "usage": {"input_tokens": 1, "output_tokens": 1}}  # fmt: skip
        self.reply(said)

    def do_GET(self) -> None:
        self.reply({"/props": {"model_path": "tiny.gguf"}, "/lora-adapters": []}[self.path])

    def reply(self, said: Any) -> None:
        data = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@pytest.fixture
def port() -> Iterator[int]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield server.server_address[1]
        server.shutdown()
        thread.join()


ASK = """from mechlib import Agent, client
ask = client("tape", roster="tiny")
print((await Agent("a", "tiny").ask(ask, "{question}")).content[0].text)"""


def notebook(course: Path, *cells: str) -> str:
    path = course / "notebooks" / "tiny.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), path)
    return str(path)


def test_record_runs_a_notebook_keeps_what_it_asks_and_leaves_the_notebook_alone(
    course: Path, port: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("MECHLIB_LLM", "replay")  # what `record` sets is taken back when the test is over
    (course / "notebooks" / "tiny.gguf").write_bytes(b"tiny")
    roster = ROSTER.replace("port = 1", f"port = {port}").replace('"abc"', f'"{sha256(b"tiny").hexdigest()}"')
    (course / "rosters" / "tiny.toml").write_text(roster)
    pretend = "from importlib import metadata\nmetadata.version = lambda name: '1'"  # xllamacpp need not be installed
    path = notebook(course, pretend, ASK.format(question="one"), ASK.format(question="two"), "1 / 0")
    before = Path(path).read_bytes()
    assert main(["record", path]) == 1
    assert "tiny.ipynb stopped; what was recorded is kept" in capsys.readouterr().err
    assert len(read(course / "recordings" / "tape.jsonl")) == 2
    path = notebook(course, pretend, ASK.format(question="one"), ASK.format(question="three"))
    assert main(["record", path]) == 0
    entries = read(course / "recordings" / "tape.jsonl")
    assert [each["key"] for each in entries] == sorted(each["key"] for each in entries) and len(entries) == 3
    assert {each["response"]["content"][0]["text"] for each in entries} == {"one", "two", "three"}
    assert {each["response"]["model"] for each in entries} == {"tiny.gguf"}
    assert before != Path(path).read_bytes() and "outputs" in Path(path).read_text()
    assert check(capsys)[0] == 0
