"""The exercises: each is in its notebook, solved there, and its typical wrong answers are told what is wrong."""

import ast
import asyncio
import inspect
import re
import tomllib
from pathlib import Path

import nbformat
import pytest

from mechlib.course.check import find, python, verdict

NOTEBOOKS = Path(__file__).parents[1] / "notebooks"
TABLES = sorted((NOTEBOOKS / "checks").glob("*.toml"))
EXERCISES = [name for path in TABLES for name in tomllib.loads(path.read_text(encoding="utf-8"))]


@pytest.fixture(autouse=True)
def in_notebooks(monkeypatch):
    monkeypatch.chdir(NOTEBOOKS)


def notebook(name):
    """The cells of the page that holds an exercise: its chapter, or a page of the chapter's appendix."""
    pages = [*NOTEBOOKS.glob(f"{name[:2]}_*.ipynb"), *NOTEBOOKS.glob(f"appendix_{name[:2]}_*.ipynb")]
    found = [nbformat.read(path, as_version=4).cells for path in pages]
    (page,) = [cells for cells in found if any(f'check("{name}"' in cell.source for cell in cells)]
    return page


def printed(cell):
    """The text that a code cell printed."""
    return "".join(output.get("text", "") for output in cell.outputs if output.output_type == "stream")


def bound(tree):
    """The names that a piece of code defines at its top level."""
    found = set()
    for node in tree.body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            found.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            found.update((name.asname or name.name).split(".")[0] for name in node.names)
        else:
            names = (part for part in ast.walk(node) if isinstance(part, ast.Name))
            found.update(part.id for part in names if isinstance(part.ctx, ast.Store))
    return found


def needed(sources, code):
    """Those of the sources, in order, that define what the code uses, and what these use in turn."""
    wanted, chosen = {part.id for part in ast.walk(ast.parse(code)) if isinstance(part, ast.Name)}, []
    for source in reversed(sources):
        tree = ast.parse(source)
        if bound(tree) & wanted:
            wanted |= {part.id for part in ast.walk(tree) if isinstance(part, ast.Name)}
            chosen.insert(0, source)
    return chosen


async def run(source, names):
    """Run a piece of code as a notebook does: `await` may stand at its top level."""
    made = eval(compile(source, "<cell>", "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT), names)
    if inspect.isawaitable(made):
        await made


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("[0-9]*.ipynb")), ids=lambda path: path.stem)
def test_every_notebook_has_at_least_four_exercises(path):
    number = path.name.split("_")[0]
    assert len([name for name in EXERCISES if name.startswith(f"{number}-")]) >= 4


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


@pytest.mark.parametrize("name", EXERCISES)
def test_every_solution_is_right_and_gives_its_reasons(name, capsys):
    found = notebook(name)
    (place,) = [
        place for place, cell in enumerate(found)
        if cell.cell_type == "markdown" and f'check("{name}"' in cell.source and "solution" in cell.metadata["tags"]
    ]
    shape = r"<details.*?```python\n(.*?)\n```\n\n(.*)\n\n</details>"
    code, reasons = re.fullmatch(shape, found[place].source, re.DOTALL).groups()
    assert len(reasons.split()) >= 5
    names = {}
    before = [cell.source for cell in found[:place] if cell.cell_type == "code" and 'check("' not in cell.source]
    for source in [*needed(before, code), code]:
        asyncio.run(run(source, names))
    assert f"{name}: Right." in capsys.readouterr().out


def test_every_check_in_a_notebook_has_its_table():
    for path in NOTEBOOKS.glob("*.ipynb"):
        for cell in nbformat.read(path, as_version=4).cells:
            for part in cell.source.split('check("')[1:]:
                assert part.split('"')[0] in EXERCISES
