"""The recordings say where they come from, hold no secret, and are what RECORDINGS.md says they are."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from mechlib.__main__ import main
from mechlib.agents.recordings import key, read
from mechlib.agents.roster import Roster

ROOT = Path(__file__).resolve().parent.parent
DOCUMENT = ROOT / "recordings" / "RECORDINGS.md"
TAPES = sorted((ROOT / "recordings").glob("*.jsonl"))
OPEN = Roster.load(ROOT / "rosters" / "open.toml")


@cache
def entries(tape: Path) -> list[dict[str, Any]]:
    """Return a cassette's calls."""
    return read(tape)


def rows(header: str, lines: list[list[Any]]) -> str:
    """Return a table in Markdown; numbers stand to the right."""
    names = header.split(" | ")
    rules = ["---:" if isinstance(cell, int) else "---" for cell in lines[0]]
    written = [[f"{cell:,}" if isinstance(cell, int) else cell for cell in line] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in [names, rules, *written])


def calls_table() -> str:
    """Count the calls of each cassette, by weights and by temperature."""
    lines: list[list[Any]] = []
    for tape in TAPES:
        told = [entry["provenance"] for entry in entries(tape)]
        by = Counter(each["weights"] for each in told)
        warm = sum(each.get("temperature", 0) > 0 for each in told)
        models = [by[weights["sha256"]] for weights in OPEN.weights.values()]
        lines.append([f"`{tape.stem}`", len(told), *models, len(told) - warm, warm])
    lines.append(["all", *(sum(line[k] for line in lines) for k in range(1, len(lines[0])))])
    return rows(" | ".join(["cassette", "calls", *OPEN.weights, "at 0", "at 0.8"]), lines)


def weights_table() -> str:
    """Name the weights as the roster does."""
    lines = [[f"`{name}`", each["upstream"], each["licence"], each["bytes"]] for name, each in OPEN.weights.items()]
    sums = "\n".join(f"- `{name}`: `{each['sha256']}`" for name, each in OPEN.weights.items())
    return f"{rows('weights | upstream, quantisation | licence | bytes', lines)}\n\nTheir SHA-256:\n\n{sums}"


def made_table() -> str:
    """Say which server and which SDK made the calls, and on which days."""
    told = [entry["provenance"] for tape in TAPES for entry in entries(tape)]
    by = Counter((each["server"], each["sdk"], each["date"][:10]) for each in told)
    return rows("server | client | day | calls", [[*made, count] for made, count in sorted(by.items())])


def reproduced_line() -> str:
    """Report what the last run of benchmarks/reproduce.py found."""
    found = json.loads((ROOT / "benchmarks" / "results.json").read_text())["reproduced"]
    return f"{found['what']}, on {found['date']}. {found['same_answer'].capitalize()}."


PARTS = {"calls": calls_table, "weights": weights_table, "made": made_table, "reproduced": reproduced_line}


def part(name: str) -> re.Pattern[str]:
    """Find a computed part of the document: what stands between its mark and the next end mark."""
    return re.compile(rf"(<!-- {name} -->\n)(.*?)(<!-- end -->)", re.DOTALL)


@pytest.mark.parametrize("name", PARTS)
def test_the_document_says_what_the_files_hold(name: str) -> None:
    found = part(name).search(DOCUMENT.read_text())
    assert found and found[2] == PARTS[name]() + "\n", "run `python tests/test_recordings.py`"


def test_every_cassette_is_described_and_its_notebook_asks_for_it() -> None:
    text = DOCUMENT.read_text()
    line = re.compile(
        r"^- \*\*(\w+)\*\*: .*?\(\.\./(notebooks/\w+\.ipynb|training/\w+\.py)\)", re.MULTILINE | re.DOTALL)
    described = dict(line.findall(text))
    assert set(described) == {tape.stem for tape in TAPES}, "describe it in RECORDINGS.md, or take the line out"
    for name, place in described.items():
        wanted = f'client("{name}"' if place.startswith("notebooks") else "documents_"
        notebook = (ROOT / place).read_text().replace('\\"', '"')
        modules = [path.read_text() for path in (ROOT / "mechlib" / "course").glob("*.py") if path.stem in notebook]
        assert any(wanted in text for text in (notebook, *modules)), f"{place} does not ask for {name}"


def test_there_are_a_thousand_calls() -> None:
    assert sum(len(entries(tape)) for tape in TAPES) >= 1000


@pytest.mark.parametrize("tape", TAPES, ids=lambda tape: tape.stem)
def test_every_call_names_the_weights_and_the_temperature_of_its_model(tape: Path) -> None:
    for entry in entries(tape):
        told, (name, _, adapter) = entry["provenance"], entry["request"]["body"]["model"].partition("+")
        model = OPEN.models[name]
        trained = json.loads((ROOT / f"training/results/{adapter}.json").read_text())["sha256"] if adapter else None
        assert told.get("adapter") == trained
        assert told["weights"] == OPEN.weights[str(model.weights)]["sha256"]
        assert told["temperature"] == model.temperature and told["seconds"] > 0
        assert told["server"].startswith("llama.cpp") and told["sdk"].startswith("anthropic ")
        assert re.fullmatch(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", told["date"])


@pytest.mark.parametrize("tape", TAPES, ids=lambda tape: tape.stem)
def test_a_call_is_its_request_and_its_reply_and_nothing_of_the_machine(tape: Path) -> None:
    for entry in entries(tape):
        request = entry["request"]
        assert set(entry) == {"key", "request", "response", "provenance"}
        assert set(request) == {"method", "path", "body", "sample"}
        assert entry["key"] == key(request["method"], request["path"], request["body"], request["sample"])
        assert "/" not in entry["response"]["model"], "leave only the file's name"


@pytest.mark.no_cover
def test_the_check_of_the_command_line_finds_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv("MECHLIB_USAGE", raising=False)
    assert main(["recordings", "check"]) == 0, capsys.readouterr().err


def test_what_is_drawn_at_temperature_zero_says_one_thing_only() -> None:
    """Equal requests at temperature 0 share a reply even where several cassettes hold them."""
    said: dict[str, Any] = {}
    for tape in TAPES:
        for entry in entries(tape):
            reply = entry["response"].get("content", entry["response"].get("choices"))
            if entry["provenance"]["temperature"] == 0:
                assert said.setdefault(entry["key"], reply) == reply, f"{tape.name}: {entry['key'][:12]}"


def write() -> None:
    """Put the computed parts into the document."""
    text = DOCUMENT.read_text()
    for name, compute in PARTS.items():
        found = part(name).search(text)
        assert found, f"RECORDINGS.md has lost its mark {name!r}"
        text = f"{text[: found.start(2)]}{compute()}\n{text[found.end(2) :]}"
    DOCUMENT.write_text(text)


if __name__ == "__main__":
    write()
