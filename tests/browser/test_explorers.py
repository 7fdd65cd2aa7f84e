"""The explorers of the static pages, moved as a reader moves them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from conftest import SITE

PAGES = [
    path.name for path in sorted(SITE.glob("*.html")) if "data-mechlib-explorer" in path.read_text(encoding="utf-8")
]


@pytest.mark.parametrize("width", [1280, 390])
def test_every_explorer_answers_to_keys_slider_and_drag_without_a_kernel(drive: Callable[..., Any], width: int) -> None:
    assert PAGES, "no page of the book has an explorer"
    moved = drive("explorers.mjs", pages=PAGES, width=width)
    assert sum("visit" in explorer for explorer in moved) == len(PAGES), "one explorer a page comes and goes"
    for explorer in moved:
        where = (explorer["path"], explorer["title"], width)
        assert explorer["keyed"] and explorer["slid"], where
        assert explorer["reset"], where
        assert explorer["dragged"] in (True, None), where
        right, window, overflow = explorer["edges"]
        assert right <= window and overflow <= 0, where
        assert explorer["problems"] == [], where
        if "visit" in explorer:
            assert explorer["visit"]["outside"] == 0 < explorer["visit"]["inside"], where


def test_each_core_chapter_has_an_explorer() -> None:
    chapters = {path.name for path in SITE.glob("0[0-5]_*.html")}
    assert chapters <= set(PAGES)
