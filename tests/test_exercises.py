"""The exercises: each is in its notebook, solved there, and its typical wrong answers are told what is wrong."""

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


def cells(number):
    """The code cells of a notebook: (tags, source, text it printed)."""
    (path,) = NOTEBOOKS.glob(f"{number}_*.ipynb")
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            text = "".join(output.get("text", "") for output in cell.outputs if output.output_type == "stream")
            yield cell.metadata.get("tags", []), cell.source, text


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


@pytest.mark.parametrize("name", [name for name in EXERCISES if find(name).also])
def test_every_other_right_answer_passes(name):
    exercise = find(name)
    for answer in exercise.also:
        judged = verdict(exercise, python(answer, exercise.names()))
        assert judged.right, f"{answer}: {judged.message}"


@pytest.mark.parametrize("name", EXERCISES)
def test_every_exercise_has_a_stub_that_runs_and_a_solution_that_is_right(name):
    found = list(cells(name.split("-")[0]))
    call = f'check("{name}"'
    stubs = [text for tags, source, text in found if call in source and "solution" not in tags]
    solutions = [text for tags, source, text in found if call in source and "solution" in tags]
    assert len(stubs) == 1 and f"{name}: Not attempted yet." in stubs[0]
    assert len(solutions) == 1 and f"{name}: Right." in solutions[0]


def test_every_check_in_a_notebook_has_its_table():
    for path in NOTEBOOKS.glob("[0-9]*.ipynb"):
        for _, source, _ in cells(path.name.split("_")[0]):
            for part in source.split('check("')[1:]:
                assert part.split('"')[0] in EXERCISES
