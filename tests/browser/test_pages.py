"""Every page of the book, in a real browser and by its links."""

from __future__ import annotations

import os
import re
import tomllib
import xml.etree.ElementTree as ElementTree
import zipfile
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest
from conftest import HERE, SITE

ROOT = HERE.parents[1]
VIEWS = [
    {"width": 1280, "scheme": "light", "axe": True, "weighed": True},
    {"width": 1440, "scheme": "dark", "axe": True},
    {"width": 390, "scheme": "light", "axe": True},
    {"width": 390, "scheme": "dark", "axe": True},
    {"width": 820, "scheme": "light", "axe": False},
    {"width": 1920, "scheme": "light", "axe": False},
]
PAGES = sorted(path.name for path in SITE.glob("*.html"))
if chosen := os.environ.get("MECHLIB_PAGES"):  # some pages alone, for who is at work on them
    PAGES = [name for name in PAGES if re.search(chosen, name)]
CHAPTERS = [name for name in PAGES if re.match(r"\d\d_", name)]


@pytest.fixture(scope="module")
def visits(drive: Callable[..., Any]) -> list[dict[str, Any]]:
    records: list[dict[str, Any]] = drive("pages.mjs", timeout=1800, pages=PAGES, views=VIEWS)
    weights = {record["path"]: record["bytes"] for record in records if record["bytes"] is not None}
    explorers = [record["firstExplorer"] for record in records if record["firstExplorer"] is not None]
    print(f"\n{len(PAGES)} pages; a first visit, packed:")
    print("\n".join(f"  {weights[name] / 1e3:5.0f} kB  {name}" for name in PAGES))
    if explorers:
        print(f"first interactive explorer after {min(explorers):.0f} to {max(explorers):.0f} ms")
    return records


def test_no_page_has_an_error_or_asks_another_site(visits: list[dict[str, Any]]) -> None:
    assert {(visit["path"], problem) for visit in visits for problem in visit["problems"]} == set()


def test_no_page_has_an_accessibility_violation(visits: list[dict[str, Any]]) -> None:
    found = [(v["path"], v["width"], v["scheme"], violation) for v in visits for violation in v["violations"]]
    assert found == []


def test_no_page_is_wider_than_its_window(visits: list[dict[str, Any]]) -> None:
    assert [(v["path"], v["width"], v["overflow"]) for v in visits if v["overflow"] > 0] == []


def test_nothing_is_cut_off_without_a_way_to_reach_it(visits: list[dict[str, Any]]) -> None:
    assert [(v["path"], v["width"], what) for v in visits for what in v["cut"]] == []


def test_nothing_is_left_that_only_a_builder_can_read(visits: list[dict[str, Any]]) -> None:
    assert [(v["path"], what) for v in visits for what in v["raw"]] == []


def test_a_first_visit_is_light(visits: list[dict[str, Any]]) -> None:
    weights = {v["path"]: v["bytes"] for v in visits if v["bytes"] is not None}
    assert weights.get("index.html", 0) < 0.5e6
    assert {name: weights[name] for name in CHAPTERS if weights[name] > 1e6} == {}


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


def head(name: str) -> str:
    return (SITE / name).read_text(encoding="utf-8").partition("</head>")[0]


@pytest.mark.parametrize("name", PAGES)
def test_each_page_says_what_it_is(name: str) -> None:
    text = head(name)
    assert text.count('<meta name="viewport"') == text.count("<title>") == text.count('<meta name="description"') == 1
    for wanted in ("og:title", "og:description", "og:image", "og:url"):
        assert text.count(f'<meta property="{wanted}" content="') == 1, wanted
    listed = 'rel="canonical"' in text
    assert listed != ('content="noindex"' in text)
    for icon in re.findall(r'href="(_static/icon-[^"]+|_static/favicon[^"]+)"', text):
        assert (SITE / icon).exists()
    body = (SITE / name).read_text(encoding="utf-8")
    assert re.search(r'class="edition">Version \d+\.\d+\.\d+, <time datetime="\d{4}-\d\d-\d\d">', body)


def test_the_map_of_the_site_lists_every_page_that_may_be_found() -> None:
    listed = [node.text for node in ElementTree.parse(SITE / "sitemap.xml").iter() if node.tag.endswith("loc")]
    canonical = [
        found[1] for name in PAGES if (found := re.search(r'rel="canonical" href="([^"]+)"', head(name))) is not None
    ]
    assert set(canonical) <= set(listed) and len(listed) == len(set(listed))
    assert "Sitemap: " in (SITE / "robots.txt").read_text(encoding="utf-8")


def test_the_archive_holds_the_notebooks_and_the_package() -> None:
    with zipfile.ZipFile(SITE / "mechlib-course.zip") as archive:
        names = archive.namelist()
        for path in (ROOT / "notebooks").glob("*.ipynb"):
            assert archive.read(f"mechlib-course/notebooks/{path.name}") == path.read_bytes()
    assert any(re.fullmatch(r"mechlib-course/mechlib-.*\.whl", name) for name in names)


def test_the_citation_names_the_repository() -> None:
    told = tomllib.loads((ROOT / "book" / "site.toml").read_text(encoding="utf-8"))
    assert f"repository-code: {told['repository']}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
