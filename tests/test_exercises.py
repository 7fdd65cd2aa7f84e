"""The exercises: each is in its notebook, solved there, and its typical wrong answers are told what is wrong."""

import ast
import asyncio
import dis
import inspect
import re
import tomllib
from functools import cache
from pathlib import Path
from types import CodeType

import nbformat
import pytest

from mechlib.course.check import find, python, verdict

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
TABLES = sorted((NOTEBOOKS / "checks").glob("*.toml"))
EXERCISES = [name for path in TABLES for name in tomllib.loads(path.read_text(encoding="utf-8"))]


@pytest.fixture(autouse=True)
def in_notebooks(monkeypatch):
    monkeypatch.chdir(NOTEBOOKS)


@cache
def pages(chapter):
    """The cells of each page of a chapter: its notebook and those of its appendix."""
    paths = [*NOTEBOOKS.glob(f"{chapter}_*.ipynb"), *NOTEBOOKS.glob(f"appendix_{chapter}_*.ipynb")]
    return {path.stem: nbformat.read(path, as_version=4).cells for path in paths}


def page_of(name):
    """The name of the page that holds an exercise."""
    holds = f'check("{name}"'
    (found,) = [page for page, cells in pages(name[:2]).items() if any(holds in cell.source for cell in cells)]
    return found


def notebook(name):
    """The cells of the page that holds an exercise."""
    return pages(name[:2])[page_of(name)]


def solution(name):
    """The code and the reasons of an exercise's solution."""
    (cell,) = [cell for cell in notebook(name) if is_solution(cell) and f'check("{name}"' in cell.source]
    shape = r"<details.*?```python\n(.*?)\n```\n\n(.*)\n\n</details>"
    return re.fullmatch(shape, cell.source, re.DOTALL).groups()


def is_solution(cell):
    """Whether a cell is an exercise's solution."""
    return cell.cell_type == "markdown" and "solution" in cell.metadata.get("tags", [])


def printed(cell):
    """The text that a code cell printed."""
    return "".join(output.get("text", "") for output in cell.outputs if output.output_type == "stream")


def compiled(source):
    """Compile a cell as a notebook does: `await` may stand at its top level."""
    return compile(source, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)


def bound(code):
    """The names that a cell defines for those that follow; not the loop variables of its comprehensions."""
    return {step.argval for step in dis.get_instructions(code) if step.opname == "STORE_NAME"}


def used(code):
    """The names that a cell, and the functions in it, look up outside themselves."""
    found = {step.argval for step in dis.get_instructions(code) if step.opname in {"LOAD_NAME", "LOAD_GLOBAL"}}
    return found.union(*(used(part) for part in code.co_consts if isinstance(part, CodeType)))


def missing(cell):
    """The names that a cell, or a function in it, looks up and has not defined itself by then."""
    own, found = set(), set()
    for step in dis.get_instructions(cell):
        if step.opname == "STORE_NAME":
            own.add(step.argval)
        elif step.opname in {"LOAD_NAME", "LOAD_GLOBAL"} and step.argval not in own:
            found.add(step.argval)
    return found.union(*(used(part) - own for part in cell.co_consts if isinstance(part, CodeType)))


def needed(cells, wanted):
    """Those of the cells, in order, that define a name that is wanted, and what these miss in turn."""
    chosen = []
    for cell in reversed(cells):
        if bound(cell) & wanted:
            wanted = wanted - bound(cell) | missing(cell)
            chosen.insert(0, cell)
    return chosen


async def run(code, names):
    """Run a cell."""
    made = eval(code, names)
    if inspect.isawaitable(made):
        await made


@cache
def ready(page):
    """What a reader has when the exercises begin: the names of all cells of a page that its solutions need."""
    cells = pages(re.search(r"\d\d", page)[0])[page]
    asked = [name for name in EXERCISES if name[:2] in page and page_of(name) == page]
    before = [compiled(cell.source) for cell in cells if cell.cell_type == "code" and 'check("' not in cell.source]
    names = {}
    for cell in needed(before, set().union(*(used(compiled(solution(name)[0])) for name in asked))):
        asyncio.run(run(cell, names))
    return names


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("[0-9]*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_has_at_least_four_exercises(path):
    number = path.name.split("_")[0]
    assert len([name for name in EXERCISES if name.startswith(f"{number}-")]) >= 4


@pytest.mark.no_cover
@pytest.mark.parametrize("name", EXERCISES)
def test_every_wrong_answer_fails_with_its_message(name):
    exercise = find(name)
    assert len(exercise.wrong) >= 2
    for wrong in exercise.wrong:
        judged = verdict(exercise, python(wrong["answer"], exercise.names()))
        assert not judged.right, f"{wrong['answer']} passes"
        assert wrong["message"] in judged.message
        assert "not attempted" not in judged.message


@pytest.mark.parametrize("name", [name for name in EXERCISES if find(name).kind == "number"])
def test_a_number_that_nobody_foresaw_is_told_what_is_wrong_with_it_and_not_only_the_direction(name):
    exercise = find(name)
    expected = python(exercise.expected, exercise.names())
    said = [verdict(exercise, expected + step) for step in (-17.3, -1.01, -0.013, 0.0171, 1.02, 19.7)]
    wrong = [judged.message for judged in said if not judged.right]  # an exercise may take a range
    assert len(wrong) >= 3
    assert not [message for message in wrong if "too high" in message or "too low" in message]
    assert len(set(wrong)) >= 3, "it says the same of different mistakes"
    assert not [message for message in wrong if "of the form that is asked for" in message]


@pytest.mark.no_cover
@pytest.mark.parametrize("name", [name for name in EXERCISES if find(name).also])
def test_every_other_right_answer_passes(name):
    exercise = find(name)
    for answer in exercise.also:
        judged = verdict(exercise, python(answer, exercise.names()))
        assert judged.right, f"{answer}: {judged.message}"


@pytest.mark.parametrize("name", EXERCISES)
def test_every_exercise_has_a_stub_that_runs(name):
    stubs = [cell for cell in notebook(name) if cell.cell_type == "code" and f'check("{name}"' in cell.source]
    assert len(stubs) == 1 and f"{name}: Not attempted yet." in printed(stubs[0])


@pytest.mark.no_cover
@pytest.mark.parametrize("name", EXERCISES)
def test_every_solution_is_right_and_gives_its_reasons(name, capsys):
    code, reasons = solution(name)
    assert len(reasons.split()) >= 5
    asyncio.run(run(compiled(code), dict(ready(page_of(name)))))
    assert f"{name}: Right." in capsys.readouterr().out


def test_every_check_in_a_notebook_has_its_table():
    for path in NOTEBOOKS.glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            for part in cell.source.split('check("')[1:]:
                assert part.split('"')[0] in EXERCISES
