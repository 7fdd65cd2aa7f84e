"""Every page of the book, in a real browser and by its links."""

from __future__ import annotations

from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from conftest import SITE

VIEWS = [
    {"width": 1280, "scheme": "light", "axe": True},
    {"width": 1280, "scheme": "dark", "axe": False},
    {"width": 390, "scheme": "light", "axe": False},
    {"width": 390, "scheme": "dark", "axe": True},
]
PAGES = sorted(path.name for path in SITE.glob("*.html"))


@pytest.fixture(scope="module")
def visits(drive: Callable[..., Any]) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = drive("pages.mjs", pages=PAGES, views=VIEWS)
    first = records[PAGES.index("index.html")]
    explorers = [record["firstExplorer"] for record in records if record["firstExplorer"] is not None]
    print(f"\n{len(PAGES)} pages; a first visit: {first['requests']} requests, {first['bytes'] / 1e6:.2f} MB")
    if explorers:
        print(f"first interactive explorer after {min(explorers):.0f} to {max(explorers):.0f} ms")
    return records


def test_no_page_has_an_error_or_asks_another_site(visits: list[dict[str, Any]]) -> None:
    assert {(visit["path"], problem) for visit in visits for problem in visit["problems"]} == set()


def test_no_page_has_a_serious_accessibility_violation(visits: list[dict[str, Any]]) -> None:
    found = [(v["path"], v["width"], v["scheme"], violation) for v in visits for violation in v["serious"]]
    assert found == []


def test_no_page_is_wider_than_a_phone(visits: list[dict[str, Any]]) -> None:
    assert [(v["path"], v["width"], v["overflow"]) for v in visits if v["overflow"] > 0] == []


def test_an_explorer_answers_within_two_seconds(visits: list[dict[str, Any]]) -> None:
    assert [(v["path"], v["firstExplorer"]) for v in visits if (v["firstExplorer"] or 0) > 2000] == []


class Links(HTMLParser):
    """What a page links to, and the anchors it offers."""

    def __init__(self, page: Path) -> None:
        super().__init__()
        self.targets: set[str] = set()
        self.anchors: set[str] = set()
        self.feed(page.read_text(encoding="utf-8"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Collect addresses and ids."""
        for name, value in attrs:
            if value and name in ("href", "src"):
                self.targets.add(value)
            elif value and (name == "id" or (name == "name" and tag == "a")):
                self.anchors.add(value)


def reachable(name: str, target: str, pages: dict[str, Links]) -> bool:
    """Say whether a link leads somewhere: to another site, a file, an anchor, or a notebook in the live pages."""
    parts = urlsplit(target)
    if parts.scheme or parts.netloc:
        return True
    path, anchor = unquote(parts.path) or name, unquote(parts.fragment)
    if path.startswith("lite/") and parts.query.startswith("path="):
        path = "lite/files/" + unquote(parts.query.removeprefix("path="))
    return (SITE / path).exists() and (not anchor or path not in pages or anchor in pages[path].anchors)


def test_every_internal_link_and_anchor_exists() -> None:
    pages = {name: Links(SITE / name) for name in PAGES}
    broken = {(name, t) for name, page in pages.items() for t in page.targets if not reachable(name, t, pages)}
    assert broken == set()


def test_the_site_stays_small() -> None:
    size = sum(path.stat().st_size for path in SITE.rglob("*") if path.is_file())
    print(f"\nthe site holds {size / 1e6:.0f} MB")
    assert size < 120e6
