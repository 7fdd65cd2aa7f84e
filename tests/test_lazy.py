"""The SDK and scipy of the live pages, whose imports wait, have every name that they have elsewhere, and work."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "lite"))

from lazy import PACKAGES, SOURCES, lazy  # noqa: E402

NAMES = """
import importlib, pathlib, sys
import anthropic
root = pathlib.Path(anthropic.__file__).parent
loaded = len([name for name in sys.modules if name.startswith("anthropic")])
print(loaded)
packages = ["anthropic", *("anthropic." + ".".join(path.parent.relative_to(root).parts)
                           for kind in ("types", "resources") for path in sorted((root / kind).rglob("__init__.py")))]
known = sys.stdin.read().splitlines()
wanted = [line.split("\\t")[:2] for line in known] or [
    (package, name) for package in packages for name in sorted(vars(importlib.import_module(package)))
    if not name.startswith("_")]
for package, name in wanted:
    value = getattr(importlib.import_module(package), name)
    said = getattr(value, "__qualname__", None) or getattr(value, "__name__", None) or repr(value).split(" at 0x")[0]
    print(package, name, type(value).__name__, getattr(value, "__module__", ""), said, sep="\\t")
"""

REPLAY = """
import asyncio
from mechlib.agents.llm import Cassette, client
from mechlib.agents.sending import send
body = next(Cassette("pipeline").tape.entries())["request"]["body"]
llm = client("pipeline")
short, whole = asyncio.run(send(llm, body)), asyncio.run(llm.messages.create(**body))
assert short == whole and type(whole).__name__ == "Message", (short, whole)
async def streamed():
    return isinstance(llm.messages.stream, object) and llm.beta.messages.batches and llm.models.list
asyncio.run(streamed())
print(whole.content[0].text)
"""


@pytest.fixture(scope="module")
def waiting(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The SDK as the live pages have it, in a folder for ``PYTHONPATH``."""
    found = importlib.util.find_spec("anthropic")
    assert found and found.origin
    root, folder = Path(found.origin).parent.parent, tmp_path_factory.mktemp("sdk")
    sources = {str(path.relative_to(root)): path.read_text("utf-8") for path in (root / "anthropic").rglob("*.py")}
    for name in sources:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(lazy(name, sources), encoding="utf-8")
    return folder


def python(code: str, *paths: Path, given: str = "") -> list[str]:
    """Run code with folders before all others, and return the lines that it prints."""
    path = os.pathsep.join([*map(str, paths), str(ROOT)])
    done = subprocess.run([sys.executable, "-c", code], input=given, capture_output=True, text=True,
                          env={**os.environ, "PYTHONPATH": path}, cwd=ROOT)  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_every_name_is_there_and_is_the_same_and_most_modules_wait(waiting: Path) -> None:
    loaded, *eager = python(NAMES)
    fewer, *late = python(NAMES, waiting, given="\n".join(eager))
    assert len(eager) > 3000 and late == eager
    assert int(fewer) < 0.4 * int(loaded)


def test_a_name_that_the_sdk_does_not_have_is_an_attribute_error(waiting: Path) -> None:
    code = "import anthropic.types as t; print(hasattr(t, 'Nonsense'), hasattr(t, '__nonsense__'), t.Message.__name__)"
    assert python(code, waiting) == ["False False Message"]


def test_a_recording_is_replayed_through_it(waiting: Path) -> None:
    assert python(REPLAY, waiting) == python(REPLAY)


SOLVE = """
import sys
from scipy import optimize
from scipy.sparse import coo_array, csgraph
print(len([name for name in sys.modules if name.startswith("scipy")]))
for package in (optimize, csgraph):
    print(*sorted(package.__all__))
    for name in sorted(name for name in dir(package) if not name.startswith("_")):
        value = getattr(package, name)
        print(name, getattr(value, "__module__", ""), getattr(value, "__name__", ""))
print(optimize.linear_sum_assignment([[1, 2], [2, 1]])[1].tolist(), csgraph.dijkstra(coo_array([[0, 2], [0, 0]]))[0, 1])
print(optimize.linprog([1, 1], A_ub=[[-1, -1]], b_ub=[-1]).fun)
print(optimize.minimize(lambda x: (x - 1) ** 2, [0]).x.round(4))
print(optimize.milp([-1], integrality=[1], bounds=optimize.Bounds(0, 1.5)).x)
"""


def test_scipy_s_optimisers_wait_and_are_the_same(tmp_path: Path) -> None:
    found = importlib.util.find_spec("scipy")
    assert found and found.origin
    root = Path(found.origin).parent.parent
    sources = {str(path.relative_to(root)): path.read_text("utf-8") for path in (root / "scipy").rglob("*.py")
               if SOURCES.fullmatch(str(path.relative_to(root)))}  # fmt: skip
    changed = [name for name in sources if PACKAGES.fullmatch(name)]
    assert len(changed) == 2
    folders = {parent for name in changed for parent in Path(name).parents} - {Path()}
    for folder in folders:
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for folder in folders:
        for path in (root / folder).iterdir():
            if not (tmp_path / folder / path.name).exists() and str(folder / path.name) not in changed:
                (tmp_path / folder / path.name).symlink_to(path)
    for name in changed:
        (tmp_path / name).write_text(lazy(name, sources), encoding="utf-8")
    loaded, *eager = python(SOLVE)
    fewer, *late = python(SOLVE, tmp_path)
    assert len(eager) > 100 and late == eager
    assert int(fewer) < 0.75 * int(loaded)
