"""Where files are looked for, and where they are never looked for."""

from pathlib import Path

import pytest

from mechlib.agents.folders import find, home, shipped
from mechlib.agents.roster import Roster
from mechlib.agents.tasks import load_tasks

ROOT = Path(__file__).resolve().parent.parent
ROSTER = '[[models]]\nid = "mine"\n'


def test_whoever_works_in_the_repository_works_on_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in (ROOT, ROOT / "notebooks", ROOT / "notebooks" / "checks"):
        monkeypatch.chdir(folder)
        assert home() == shipped() == ROOT


def test_a_project_elsewhere_is_the_working_directory_or_what_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "below").mkdir()
    (tmp_path / "recordings").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert home() == tmp_path / "below"
    monkeypatch.setenv("MECHLIB_HOME", str(tmp_path))
    assert home() == tmp_path
    monkeypatch.setenv("MECHLIB_HOME", str(tmp_path / "nowhere"))
    with pytest.raises(NotADirectoryError, match=r"MECHLIB_HOME is .*nowhere"):
        home()


def test_the_projects_own_file_comes_before_the_one_that_is_shipped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert find("rosters/open.toml") == ROOT / "rosters" / "open.toml"
    (tmp_path / "rosters").mkdir()
    (tmp_path / "rosters" / "open.toml").write_text(ROSTER)
    (tmp_path / "rosters" / "team.toml").write_text(ROSTER)
    assert find("rosters/open.toml") == tmp_path / "rosters" / "open.toml"
    assert set(Roster.load().models) == set(Roster.load("team").models) == {"mine"}
    with pytest.raises(FileNotFoundError, match=r"name one of claude, .*open, team, "):
        Roster.load("nobody")
    with pytest.raises(FileNotFoundError, match=r"no rosters/nobody.toml in .*, and mechlib ships none"):
        find("rosters/nobody.toml")


def test_nothing_of_a_folder_above_is_adopted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("recordings", "rosters", "data", "below"):
        (tmp_path / name).mkdir()
    (tmp_path / "rosters" / "open.toml").write_text(ROSTER)
    (tmp_path / "data" / "questions.jsonl").write_text("")
    monkeypatch.chdir(tmp_path / "below")
    assert "mine" not in Roster.load().models and len(load_tasks()) > 0
