"""What all pages have in common: where the course is kept and served, its version and its date."""

from __future__ import annotations

import os
import re
import subprocess
import tomllib
from pathlib import Path
from typing import NamedTuple

BOOK = Path(__file__).resolve().parent
ROOT = BOOK.parent


class Site(NamedTuple):
    """The course as a web site.

    Attributes
    ----------
    repository : str
        Where its sources are kept.
    address : str
        Where its pages are served, with a slash at the end.
    github : str or None
        ``owner/name`` if the sources are kept on GitHub: Colab and Binder open them from there.
    """

    repository: str
    address: str
    github: str | None
    title: str
    description: str
    version: str
    date: str


def edition() -> Site:
    """Read ``site.toml``; where GitHub publishes the book, its own address comes first."""
    told = tomllib.loads((BOOK / "site.toml").read_text(encoding="utf-8"))
    published = os.environ.get("GITHUB_REPOSITORY")
    repository = (f"https://github.com/{published}" if published else told["repository"]).rstrip("/")
    found = re.fullmatch(r"https://github\.com/([^/]+)/([^/]+)", repository)
    address = f"https://{found[1].lower()}.github.io/{found[2]}/" if found else f"{repository}/"
    github = f"{found[1]}/{found[2]}" if found else None
    return Site(repository, address, github, told["title"], told["description"], version(), date())


def version() -> str:
    """Return the version of the package."""
    found = re.search(r'^__version__ = "([^"]+)"', (ROOT / "mechlib" / "__init__.py").read_text(encoding="utf-8"), re.M)
    if found is None:
        raise ValueError("mechlib/__init__.py states no __version__")
    return found[1]


def date() -> str:
    """Return the day of the last commit; without a repository, the day that the citation names."""
    done = subprocess.run(["git", "log", "-1", "--format=%cs"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode == 0 and done.stdout.strip():
        return done.stdout.strip()
    found = re.search(r"^date-released: *(\S+)", (ROOT / "CITATION.cff").read_text(encoding="utf-8"), re.M)
    return found[1] if found else ""
