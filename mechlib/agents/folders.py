"""Where files lie: what the package ships, and what the project at work adds to it.

A file is looked for in two places and nowhere else: in the project's folder, then among what the package ships. No
parent of the working directory is searched, and nothing is written but into the project's folder.
"""

from __future__ import annotations

import os
from pathlib import Path

_PACKAGE = Path(__file__).resolve().parents[1]


def shipped() -> Path:
    """Return the folder of the files that come with the package: those inside the wheel, or the repository."""
    inside = _PACKAGE / "_data"
    return inside if inside.is_dir() else _PACKAGE.parent


def home() -> Path:
    """Return the project's folder, where recordings and weights are kept.

    It is ``MECHLIB_HOME`` if that is set, the repository for whoever works inside it, else the working directory.

    Raises
    ------
    NotADirectoryError
        If ``MECHLIB_HOME`` is set, and no folder.
    """
    here = Path.cwd()
    if named := os.environ.get("MECHLIB_HOME"):
        if not Path(named).is_dir():
            raise NotADirectoryError(f"MECHLIB_HOME is {named!r}, which is no folder: make it, or unset the variable")
        return Path(named).resolve()
    return shipped() if shipped() in (here, *here.parents) else here


def find(name: str) -> Path:
    """Return a file by its name, such as ``data/questions.jsonl``: the project's own, else the one that is shipped.

    Raises
    ------
    FileNotFoundError
        If neither is there.
    """
    for folder in (home(), shipped()):
        if (folder / name).is_file():
            return folder / name
    raise FileNotFoundError(f"there is no {name} in {home()}, and mechlib ships none")
