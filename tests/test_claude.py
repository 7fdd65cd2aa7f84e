"""The course on Claude: one switch, recordings of its own, the price first, and nothing that the real API refuses."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import nbformat
import pytest
from messages_api import Server, serving
from nbformat.v4 import new_code_cell, new_notebook

from mechlib.__main__ import main
from mechlib.agents import batches, notebooks
from mechlib.agents.llm import NotOffered, client
from mechlib.agents.recordings import read
from mechlib.agents.roster import Roster

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as running:
        yield running


@pytest.fixture
def course(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A project of its own, with what the package ships, and the local server in place of the API."""
    (tmp_path / "recordings").mkdir()
    (tmp_path / "notebooks").mkdir()
    monkeypatch.chdir(tmp_path)
    for name in ("MECHLIB_LLM", "MECHLIB_USAGE", "MECHLIB_ROSTER", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.url)
    monkeypatch.setenv("ANTHROPIC_API_KEY", "nobody's")
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setenv("MECHLIB_HOME", str(tmp_path))
    return tmp_path


def notebook(course: Path, *cells: str) -> Path:
    path = course / "notebooks" / "small.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(cell) for cell in cells]), path)
    return path


SMALL = [
    "from dataclasses import replace\nfrom mechlib import Roster, client, load_tasks\n"
    "from mechlib.agents.token_probabilities import log_probabilities\n"
    "from mechlib.agents.tasks import grading_prompt, parse_answer\n"
    "roster, answers, tasks = Roster.load('open'), client('answers'), load_tasks()[:3]",
    "said = [(await a.ask(answers, t.prompt)).content[0].text for a in roster.agents for t in tasks]\nprint(len(said))",
    "warm = [replace(agent, model=agent.model + '@t0.8') for agent in roster.agents]\n"
    "samples = [await agent.ask(client('samples'), tasks[0].prompt, 1) for agent in warm]",
    "odds = []\nfor a in roster.agents:\n"
    "    odds.append(await log_probabilities(client('probabilities'), a.model, [tasks[0].prompt], 'ABCD'))",
    "print(len(odds))",
    "prompts = [grading_prompt(tasks[0].prompt, parse_answer(text).answer) for text in said]\n"
    "marks = [(await roster.grader.ask(answers, prompt)).content[0].text for prompt in prompts]\nprint(marks[0])",
    "small = await replace(roster.grader, model='qwen2.5-coder-0.5b').ask(answers, 'x')",
]  # fmt: skip


def outputs(path: Path) -> list[str]:
    """Return what each code cell printed."""
    cells = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == "code"]
    return ["".join("".join(out.get("text", [])) for out in cell["outputs"]) for cell in cells]


def test_the_switch_puts_another_roster_in_the_place_of_the_open_one(
    course: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Roster.load().name == Roster.load("open").name == "open"
    monkeypatch.setenv("MECHLIB_ROSTER", "claude")
    assert Roster.load().name == Roster.load("open").name == "claude"
    assert Roster.load("documents").name == "documents" and Roster.load(ROOT / "rosters" / "open.toml").name == "open"


def test_a_dry_run_says_calls_tokens_and_cost_and_sends_nothing(
    course: Path, server: Server, capsys: pytest.CaptureFixture[str]
) -> None:
    path = notebook(course, *SMALL)
    assert main(["record", "--roster", "claude", "--dry-run", str(path)]) == 0
    said = capsys.readouterr().out
    assert server.hits == [] and list((course / "recordings").rglob("*.jsonl")) == []
    rows = {line.split()[0]: line.split()[1:] for line in said.splitlines() if line.startswith(("claude-", "all"))}
    assert rows["claude-haiku-4-5"][0] == "3" and rows["claude-sonnet-5"][0] == "3"
    assert rows["claude-opus-5"][0] == "4"  # the grader's, of stand-ins that are all alike
    tokens, cost = (float(cell.replace(",", "")) for cell in (rows["claude-opus-5"][1], rows["claude-opus-5"][3]))
    at_most = 3 * 48 + 12
    assert rows["claude-opus-5"][2] == str(at_most)
    assert cost == pytest.approx((5 * tokens + 25 * at_most) / 1e6, abs=0.01)
    assert rows["all"][0] == "10" and "1 of the calls rest on replies that are not there yet" in said


def test_what_claude_does_not_have_is_left_out_with_a_sentence_in_its_place_and_the_rest_replays(
    course: Path, server: Server, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = notebook(course, *SMALL)
    before = path.read_bytes()
    assert main(["record", "--roster", "claude", str(path), "--output", "executed"]) == 0
    assert server.refused == [] and path.read_bytes() == before
    assert sorted(each.name for each in (course / "recordings" / "claude").iterdir()) == ["answers.jsonl"]
    entries = read(course / "recordings" / "claude" / "answers.jsonl")
    assert 9 < len(entries) == len(server.hits) <= 18  # marks of equal answers are one call
    assert {entry["provenance"]["server"] for entry in entries} == {server.url.removeprefix("http://")}
    said = outputs(course / "executed" / "small.ipynb")
    assert said[1] == "9\n" and said[5].startswith("SCORE")
    assert said[2] == "claude-haiku-4-5 takes no temperature, so what rests on its samples is left out here.\n"
    assert said[3] == "claude-haiku-4-5 gives no token probabilities, so what rests on them is left out here.\n"
    assert said[4] == "This needs odds, which was left out above.\n"
    small = "qwen2.5-coder-0.5b"
    assert said[6] == f"The roster 'claude' has no model {small}, so what {small} does is left out here.\n"
    assert "executed, with 18 calls" in capsys.readouterr().out
    hits = len(server.hits)
    monkeypatch.setenv("MECHLIB_ROSTER", "claude")
    run = notebooks.execute(path, True, course / "none", "replayed")
    assert not run.failed and len(run.left_out) == 4 and len(server.hits) == hits
    with pytest.raises(NotOffered) as error:
        client("answers", sync=True).messages.create(
            model="claude-opus-5@t0.8", max_tokens=1, messages=[{"role": "user", "content": "x"}]
        )
    assert error.value._render_traceback_() == [f"NotOffered: {error.value}"], "in a notebook: a sentence, no traceback"


def test_large_recordings_go_by_batches_and_what_rests_on_replies_in_a_second_one(
    course: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = notebook(course, *SMALL)
    record = batches.record
    monkeypatch.setattr(batches, "record", lambda calls, llm: record(calls, llm, pause=0.01))
    assert main(["record", "--roster", "claude", "--batch", str(path)]) == 0
    said = capsys.readouterr().out
    assert "9 of 9 calls were recorded by batches" in said
    assert server.refused == [] and len(server.batches) == 2
    assert not any(path == "/v1/messages" for _, path, _, _ in server.hits), "all went by batches"
    entries = read(course / "recordings" / "claude" / "answers.jsonl")
    assert {entry["provenance"]["batch"] for entry in entries} == {"msgbatch_1", "msgbatch_2"}
    assert not any("stand-in" in json.dumps(entry) for entry in entries)
    assert main(["recordings", "check"]) == 0


def test_a_cell_that_fails_keeps_its_error_and_the_run_says_so(
    course: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = notebook(course, "x = 1 / 0", "print('on')")
    assert main(["record", "--roster", "claude", str(path)]) == 1
    assert "failed: cell 0: ZeroDivisionError: division by zero" in capsys.readouterr().err
    saved = course / ".cache" / "executed" / "claude" / "small.ipynb"
    assert outputs(saved)[1] == "on\n" and "ZeroDivisionError" in saved.read_text()


def test_chapter_five_runs_on_claude(course: Path, server: Server) -> None:
    """Whatever the chapter says: each call is one that the API takes, and no cell stops for want of one."""
    source: Any = nbformat.read(ROOT / "notebooks" / "05_coordinator.ipynb", as_version=4)
    path = course / "notebooks" / "05_coordinator.ipynb"
    nbformat.write(source, path)
    main(["record", "--roster", "claude", str(path), "--output", "executed"])
    assert server.refused == []
    recorded = {tape.stem: read(tape) for tape in (course / "recordings" / "claude").glob("*.jsonl")}
    assert list((course / "recordings").glob("*.jsonl")) == [] and len(recorded["answers"]) >= 300
    assert len(server.hits) == sum(map(len, recorded.values()))
    done: Any = nbformat.read(course / "executed" / path.name, as_version=4)
    errors = [out for cell in done.cells for out in cell.get("outputs", []) if out.output_type == "error"]
    allowed = {"AssertionError"}  # a number of the open models that made-up replies do not have
    assert {error.ename for error in errors} <= allowed, [(error.ename, error.evalue) for error in errors]
    text = "".join(out.get("text", "") for cell in done.cells for out in cell.get("outputs", []))
    assert "takes no temperature" in text or "token probabilities" in text


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"temperature": 0.5}, 400),
        ({"top_k": 4}, 400),
        ({"messages": [{"role": "user", "content": "x"}, {"role": "assistant", "content": "y"}]}, 400),
        ({"messages": []}, 400),
        ({"messages": [{"role": "assistant", "content": "y"}]}, 400),
        ({"messages": [{"role": "user", "content": " "}]}, 400),
        ({"model": "claude-none"}, 404),
        ({"logprobs": True}, 400),
        ({"max_tokens": "8"}, 400),
        ({"max_tokens": None}, 400),
        ({"stop_sequences": [" "]}, 400),
    ],
)
def test_the_local_server_refuses_what_the_real_one_refuses(server: Server, change: Any, status: int) -> None:
    body = {"model": "claude-opus-5", "max_tokens": 8, "messages": [{"role": "user", "content": "x"}], **change}
    if body["max_tokens"] is None:
        del body["max_tokens"]
    llm = anthropic.Anthropic(api_key="nobody's", base_url=server.url, max_retries=0)
    with pytest.raises(anthropic.APIStatusError) as error:
        llm.post("/v1/messages", body=body, cast_to=object)
    assert error.value.status_code == status and len(server.refused) == 1
    for headers in ({"anthropic-version": "2020-01-01"}, {"anthropic-beta": "none-2020-01-01"}):
        with pytest.raises(anthropic.BadRequestError):
            llm.post("/v1/messages", body={**body, **change}, cast_to=object, options={"headers": headers})
