"""The package as its users get it: a wheel in an empty environment, a project outside the repository, no network."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import threading
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import metadata
from pathlib import Path
from typing import Any

import pytest
from messages_api import serving
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from sdk_uses import USES

import mechlib

ROOT = Path(mechlib.__file__).resolve().parent.parent
TRAP = '["02-a"]\nkind = "number"\nask = "it"\nsetup = "raise SystemExit(\'a table of a parent folder was run\')"\n'

RULES = '''
"""Six rules of the project's own, written as one would."""

import numpy as np

from mechlib import Award, Beliefs, Outcome, Values, audit, quadratic


def highest_pays_own(bids):
    won = np.eye(len(bids))[int(np.argmax(bids))]
    return Outcome(won, won * bids)


def highest_pays_second(bids):
    won = np.eye(len(bids))[int(np.argmax(bids))]
    return Outcome(won, won * np.sort(bids)[-2])


def lists_and_a_fee(bids):
    winner = bids.index(max(bids))
    return [int(i == winner) for i in range(len(bids))], [1 if i == winner else 0 for i in range(len(bids))]


def cheapest_is_paid_the_second_price(asks):
    won = np.eye(len(asks))[int(np.argmin(asks))]
    return Award(won, won * np.sort(asks)[1])


def everybody_is_scored(reports, found):
    return Award(reports >= np.max(reports), quadratic(reports, found))


def the_surest_takes_it_all(reports, found):
    first = np.eye(len(reports))[int(np.argmax(reports))]
    return Award(first, first * found)


values, beliefs = Values(range(4), 3), Beliefs([0.1, 0.5, 0.9], n=2)
for rule, setting in [(highest_pays_own, values), (highest_pays_second, values), (lists_and_a_fee, values),
                      (cheapest_is_paid_the_second_price, values), (everybody_is_scored, beliefs),
                      (the_surest_takes_it_all, beliefs)]:
    print(rule.__name__, audit(rule, setting).is_dsic)
'''
VERDICTS = {
    "highest_pays_own": False, "highest_pays_second": True, "lists_and_a_fee": False,
    "cheapest_is_paid_the_second_price": True, "everybody_is_scored": True, "the_surest_takes_it_all": False,
}  # fmt: skip

FILES = """
from pathlib import Path
from mechlib import Roster, check, load_tasks
from mechlib.agents.folders import find, home
print(len(load_tasks()), len(Roster.load("open").models), home() == Path.cwd())
print(find("benchmarks/results.json").parent.parent.name, find("data/handbook.jsonl").is_file())
check("02-a", None)
"""

SDK_USES = (Path(__file__).parent / "sdk_uses.py").read_text(encoding="utf-8")

TEAM = '''
import asyncio, sys

from mechlib import Agent, Award, Coordinator, EndpointAgent, FunctionAgent, PersonaAgent, client, load_tasks, quadratic
from mechlib.rules.choice import highest

messages, chat = sys.argv[1:]


def rule(reports, found):
    return Award(highest(reports), quadratic(reports, found))


async def ada(task):
    return "A", 0.9, 12


async def play(mode, **where):
    persona = PersonaAgent(Agent("cleo", "claude-opus-5", system="You reply in two lines."),
                           client("team", mode, api_key="none", **where))
    team = [FunctionAgent("ada", ada), EndpointAgent("bob", chat, "small"), persona]
    task = next(task for task in load_tasks() if task.key == "A")
    done = await Coordinator(team, rule, budget=3000).run(task)
    parts = [f"{s.agent} {s.answer} {s.confidence:.1f} {s.status}" for s in done.submissions]
    return "; ".join([*parts, f"paid {bool(done.payments.any())}"])


print(asyncio.run(play("record", base_url=messages)))
print(asyncio.run(play("replay")))
'''

TAPES = '''
import asyncio, hashlib, json, os, threading
from http.server import BaseHTTPRequestHandler, HTTPServer
from importlib import metadata
from pathlib import Path

from mechlib import Roster, client, load_tasks

REPLY = {"id": "m", "type": "message", "role": "assistant", "model": "t", "stop_reason": "end_turn",
         "stop_sequence": None, "content": [{"type": "text", "text": "hello"}],
         "usage": {"input_tokens": 1, "output_tokens": 1}}


class Server(BaseHTTPRequestHandler):
    def do_POST(self):
        self.rfile.read(int(self.headers["content-length"]))
        self.answer(REPLY)

    def do_GET(self):
        self.answer({"/props": {"model_path": "tiny.gguf"}, "/lora-adapters": []}[self.path])

    def answer(self, said):
        data = json.dumps(said).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args):
        pass


installed = metadata.version
metadata.version = lambda name: "1" if name == "xllamacpp" else installed(name)
server = HTTPServer(("127.0.0.1", 0), Server)
threading.Thread(target=server.serve_forever, daemon=True).start()
Path("rosters").mkdir()
Path("tiny.gguf").write_bytes(b"weights")
Path("rosters/local.toml").write_text(f"""
[weights.tiny]
file = "tiny.gguf"
sha256 = "{hashlib.sha256(b"weights").hexdigest()}"
[[models]]
id = "tiny"
weights = "tiny"
port = {server.server_port}
""")


async def ask(mode):
    said = await client("mine", mode, roster="local").messages.create(
        model="tiny", max_tokens=8, messages=[{"role": "user", "content": "hi"}])
    return said.content[0].text


print(asyncio.run(ask("record")), Path("recordings/mine.jsonl").is_file())
server.shutdown()
server.server_close()
print(asyncio.run(ask("replay")))
agent, task = Roster.load("open").agents[0], load_tasks()[0]
print(asyncio.run(agent.ask(client("answers"), task.prompt)).content[0].text.startswith("ANSWER"))
'''

TYPED = '''
import numpy as np
from mechlib import Award, Beliefs, Coordinator, Ledger, Outcome, Values, audit, quadratic, replay, scoreboard
from mechlib.mechanism import Floats


def rule(reports: Floats, found: Floats) -> Award:
    return Award(np.asarray(reports == reports.max(), float), quadratic(reports, found))


def sale(bids: Floats) -> Outcome:
    won = np.asarray(bids == bids.max(), float)
    return Outcome(won, won * bids)


verdict: bool | None = audit(rule, Beliefs([0.1, 0.9], n=2)).is_dsic
gain: float = audit(sale, Values(range(3), 2)).regret
right: Floats = replay(rule, ([[0.1, 0.9]], [[0, 1]])).right
broken: bool = scoreboard({"rule": rule}, Beliefs([0.1, 0.9], n=2)).held("rule")
'''
MISTYPED = "from mechlib import Ledger, audit\nnumber: str = audit(len, [1], n=2).regret\nLedger().close('one')\n"


def place(folder: Path, extra: str) -> None:
    """Link what the wheel declares that it needs, and nothing else, from this environment into a folder."""
    folder.mkdir()
    wanted, seen = [Requirement(f"mechlib[{extra}]" if extra else "mechlib")], set[tuple[str, str]]()
    while wanted:
        need = wanted.pop()
        name = canonicalize_name(need.name)
        for chosen in need.extras | {""}:
            if (name, chosen) in seen:
                continue
            seen.add((name, chosen))
            found = metadata.distribution(name)
            required = requirements() if name == "mechlib" else found.requires or []
            wanted += [r for r in map(Requirement, required) if not r.marker or r.marker.evaluate({"extra": chosen})]
        if name != "mechlib":
            for top in {file.parts[0] for file in found.files or () if not file.parts[0].startswith(".")}:
                if not (folder / top).exists():
                    (folder / top).symlink_to(Path(str(found.locate_file(top))))


def requirements() -> list[str]:
    """Return what pyproject.toml says is needed, extras included, as a wheel's metadata says it."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = list(project["dependencies"])
    for extra, needs in project["optional-dependencies"].items():
        lines += [f'{need}; extra == "{extra}"' for need in needs]
    return lines


class Chat(BaseHTTPRequestHandler):
    """A server of chat completions that gives everybody the same answer."""

    def do_POST(self) -> None:
        """Answer a call."""
        self.rfile.read(int(self.headers["content-length"]))
        said = {"role": "assistant", "content": "ANSWER: B\nCONFIDENCE: 0.7"}
        reply = {"choices": [{"message": said}], "usage": {"prompt_tokens": 9, "completion_tokens": 8}}
        data = json.dumps(reply).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        """Say nothing."""


@contextmanager
def chat() -> Iterator[str]:
    """Serve chat completions, and say where."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Chat)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/v1"
    server.shutdown()
    server.server_close()


class Installed:
    """An environment with the wheel in it, and a project folder outside the repository."""

    def __init__(self, folder: Path, wheel: Path, extra: str) -> None:
        self.python = folder / "env" / "bin" / "python"
        venv.EnvBuilder(with_pip=False, symlinks=True).create(folder / "env")
        command = [sys.executable, "-m", "pip", "--python", str(self.python), "--disable-pip-version-check", "install",
                   "--quiet", "--no-index", "--no-deps", "--no-compile", str(wheel)]  # fmt: skip
        subprocess.run(command, check=True)
        (self.site,) = (folder / "env" / "lib").glob("python*/site-packages")
        place(folder / "needs", extra)
        (self.site / "needs.pth").write_text(f"{folder / 'needs'}\n")
        self.project = folder / "above" / "project"
        for above in (self.project.parent / "checks", self.project.parent / "notebooks" / "checks", self.project):
            above.mkdir(parents=True)
            if above != self.project:
                (above / "02.toml").write_text(TRAP)

    def __call__(self, *command: str, status: int = 0) -> str:
        """Run a command of the environment in the project, and return what it printed; of a failure, the complaint."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "MECHLIB", "COV"))}
        alone = {**kept, "PYTHONDONTWRITEBYTECODE": "1", "ANTHROPIC_API_KEY": ""}
        program = str(self.python.with_name(command[0]))
        done = subprocess.run([program, *command[1:]], cwd=self.project, env=alone, capture_output=True, text=True)
        assert done.returncode == status, done.stdout + done.stderr
        return done.stderr if status else done.stdout  # a slow machine shows progress on the other one

    def written(self) -> dict[str, int]:
        """Return every file of the environment, and when it was written."""
        files = (path for path in self.python.parents[1].rglob("*") if path.is_file())
        return {str(path): path.stat().st_mtime_ns for path in files}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Iterator[Installed]:
    """An environment without extras; after all tests, nothing was written into it."""
    yield from untouched(Installed(tmp_path_factory.mktemp("bare"), wheel, ""))


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory, wheel: Path) -> Iterator[Installed]:
    """An environment with the extra `llm`."""
    yield from untouched(Installed(tmp_path_factory.mktemp("llm"), wheel, "llm"))


def untouched(installed: Installed) -> Iterator[Installed]:
    before = installed.written()
    yield installed
    assert installed.written() == before, "something wrote into the environment"


def test_what_the_course_reads_is_in_the_wheel_and_no_folder_above_is_read(bare: Installed) -> None:
    tasks, models, ours, folder, handbook, *said = bare("python", "-c", FILES).split(maxsplit=5)
    assert int(tasks) > 100 and int(models) == 6 and (ours, folder, handbook) == ("True", "_data", "True")
    assert said[0].startswith("02-a: Not attempted yet.")


def test_everything_that_notebooks_read_is_shipped(bare: Installed) -> None:
    data = bare.site / "mechlib" / "_data"
    patterns = ["notebooks/*.ipynb", "notebooks/checks/*.toml", "rosters/*.toml", "data/*.jsonl", "recordings/*.jsonl"]
    for pattern in patterns:
        here, there = ({path.name: path.read_bytes() for path in base.glob(pattern)} for base in (ROOT, data))
        assert here == there and here
    assert (bare.site / "mechlib" / "py.typed").is_file()


def test_six_rules_of_the_projects_own_are_audited(bare: Installed) -> None:
    (bare.project / "rules.py").write_text(RULES)
    said = dict(line.split() for line in bare("python", "rules.py").splitlines())
    assert said == {name: str(verdict) for name, verdict in VERDICTS.items()}


def test_the_command_is_installed_and_works_on_the_project(bare: Installed) -> None:
    assert bare("mechlib", "--version") == f"mechlib {mechlib.__version__}\n"
    assert bare("python", "-c", "import mechlib; print(mechlib.__version__)").strip() == mechlib.__version__
    assert "0 recorded calls in 0 cassettes" in bare("mechlib", "recordings", "check")
    assert "name one of claude, documents, open" in bare("mechlib", "models", "--roster", "nobody", status=1)


def test_a_router_is_audited_by_the_command_and_by_the_template(bare: Installed) -> None:
    sample = bare("mechlib", "router")
    assert "Taken to be in force: the highest score less cost" in sample and "What to log next?" in sample
    template = (ROOT / "examples" / "audit_router.py").read_text(encoding="utf-8")
    (bare.project / "mine.py").write_text(template)
    (bare.project / "log.jsonl").write_bytes((ROOT / "data" / "router.jsonl").read_bytes())
    assert bare("python", "mine.py", "log.jsonl").startswith(sample.rstrip())
    assert (bare.project / "router.html").read_text(encoding="utf-8").startswith("<!doctype html>")


def test_the_lines_in_the_readme_work(bare: Installed) -> None:
    """Of the learner's three and the engineer's three, all but those that fetch packages or open JupyterLab."""
    blocks = re.findall(r"^```bash\n(.*?)^```", (ROOT / "README.md").read_text(encoding="utf-8"), re.M | re.S)
    learner, engineer = (block.splitlines() for block in blocks[:2])
    assert len(learner) == len(engineer) == 3 and learner[0][:11] == engineer[0][:11] == "pip install"
    folder = bare.project / "copied"
    line = shlex.split(learner[1].replace("~/mechlib-course", str(folder)), comments=True)
    assert f"`jupyter lab {folder}`" in bare(*line) and learner[2].startswith("jupyter lab ~/mechlib-course")
    assert len(list(folder.glob("*.ipynb"))) == len(list((ROOT / "notebooks").glob("*.ipynb")))
    for line in engineer[1:]:
        said = bare(*shlex.split(line, comments=True))
    assert "NO: agent 0, worth 4, gains 4 by reporting 0" in said


def test_without_the_sdk_what_needs_it_says_how_to_get_it(bare: Installed) -> None:
    said = bare("python", "-c", "from mechlib import client", status=1)
    assert 'client needs the Anthropic SDK: pip install "mechlib[llm]"' in said


def test_each_use_of_the_sdk_is_recorded_and_replayed_by_both_clients(llm: Installed) -> None:
    with serving() as server:
        said = llm("python", "-c", SDK_USES, server.url)
    assert dict(line.split() for line in said.splitlines()) == {
        f"{use.__name__}-{kind}": "True" for use in USES for kind in ("async", "sync")}
    tapes = {path.name for path in (llm.project / "recordings").glob("*-*.jsonl")}
    assert len(tapes) == 2 * len(USES)


def test_a_coordinator_runs_on_a_function_an_endpoint_and_a_persona(llm: Installed) -> None:
    with serving() as server, chat() as address:
        said = llm("python", "-c", TEAM, server.url, address)
    first, second = said.splitlines()
    assert first == second and first.startswith("ada A 0.9 answered; bob B 0.7 answered; cleo ")
    assert first.endswith("answered; paid True")


def test_a_call_is_recorded_in_the_project_and_replayed_and_so_are_those_that_are_shipped(llm: Installed) -> None:
    assert llm("python", "-c", TAPES).split() == ["hello", "True", "hello", "True"]


def typed(installed: Installed, text: str) -> Any:
    (installed.project / "typed.py").write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--python-executable", str(installed.python), "--cache-dir",
               str(installed.project.parent / "mypy"), "typed.py"]  # fmt: skip
    kept = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "MYPYPATH")}
    return subprocess.run(command, cwd=installed.project, env=kept, capture_output=True, text=True)


def test_a_project_that_uses_the_package_is_type_checked_strictly(bare: Installed) -> None:
    right, wrong = typed(bare, TYPED), typed(bare, MISTYPED)
    assert right.returncode == 0, right.stdout + right.stderr
    assert wrong.stdout.count("error:") == 2, wrong.stdout
