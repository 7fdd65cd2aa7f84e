"""Tables of results: what a cell looks like, in a notebook and in plain text."""

import html.parser
import math
from typing import Any

import numpy as np
import pytest

from mechlib.course.statistics import paired
from mechlib.course.tables import table


@pytest.mark.parametrize("cell, shown", [
    (0.826, ".83"), (-0.5, "-.50"), (-0.001, ".00"), (1.0, "1.00"), (10.25, "10.25"), (100.0, "100.00"),
    (1234.5, "1,234.50"), (7, "7"), (0, "0"), (12345, "12,345"), (np.float64(0.5), ".50"), (np.int64(3), "3"),
    ((0.82, 0.77, 0.87), ".82 [.77, .87]"), ((-0.1, -0.25, 0.05), "-.10 [-.25, .05]"),
    (tuple(np.array([1.0, 0, 2])), "1.00 [.00, 2.00]"), (True, "yes"), (np.False_, "no"), (None, "–"), (math.nan, "–"),
    ("0.5", "0.5"), (math.inf, "inf"),
])  # fmt: skip
def test_a_cell(cell: Any, shown: str) -> None:
    assert table({"x": [cell]}).columns["x"] == [shown]


def test_digits_are_those_of_all_columns_or_by_name() -> None:
    columns = {"a": [0.12345], "b": [0.12345]}
    assert table(columns, digits=3).columns == {"a": [".123"], "b": [".123"]}
    assert table(columns, digits={"b": 0}).columns == {"a": [".12"], "b": ["0"]}


def test_an_interval_of_the_course_is_a_cell() -> None:
    gap = paired([1.0, 1, 1], [0.0, 0, 0])
    assert table({"gap": [gap]}).columns["gap"] == ["1.00 [1.00, 1.00]"]


def test_numbers_stand_right_and_words_left_in_plain_text() -> None:
    shown = repr(table({"rule": ["a", "longer"], "right": [0.5, 10.0]}, "What was measured."))
    assert shown == "What was measured.\nrule    right\na         .50\nlonger  10.00"
    assert repr(table({"rule": ["a"]})) == "rule\na"


def test_a_column_with_one_word_is_a_column_of_words() -> None:
    assert table({"x": [0.5, "none"], "y": [0.5, None]}).right == {"y"}


class Page(html.parser.HTMLParser):
    """Collects the cells with their tags, and the tags that are still open."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.cells: list[tuple[str, str, str]] = []
        self.style = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.style = dict(attrs).get("style") or ""

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.cells.append((self.open[-1], data, self.style))


def test_a_notebook_shows_headers_row_headers_and_aligned_numbers_and_scrolls() -> None:
    text = table({"agent": ["A & <b>"], "right": [(0.8, 0.7, 0.9)]}, "A < B.")._repr_html_()
    page = Page(text)
    assert not page.open and "overflow-x:auto" in text and "<b>" not in text
    assert [(tag, words) for tag, words, _ in page.cells] == [
        ("caption", "A < B."), ("th", "agent"), ("th", "right"), ("th", "A & <b>"), ("td", ".80 [.70, .90]")]
    sides = ["left", "left", "right", "left", "right"]
    assert all(f"text-align:{side}" in style for (*_, style), side in zip(page.cells, sides, strict=True))
    assert "<caption" not in table({"x": [1]})._repr_html_()


@pytest.mark.parametrize("columns, digits, error, says", [
    ({}, 2, ValueError, "columns is empty"),
    ({"a": [1], "b": [1, 2]}, 2, ValueError, "columns differ in length: {'a': 1, 'b': 2}"),
    ({"a": [1]}, {"b": 1}, ValueError, r"digits names \['b'\], but the columns are \['a'\]"),
    ({"a": [1]}, -1, ValueError, "digits is -1"),
    ({"a": [(1.0, 2.0)]}, 2, TypeError, r"columns\['a'\] holds \(1.0, 2.0\)"),
    ({"a": [object()]}, 2, TypeError, "a cell is text, a number or"),
    ({"a": [(1.0, "low", 2.0)]}, 2, TypeError, "holds 'low'"),
])  # fmt: skip
def test_what_is_no_table_is_refused(columns: Any, digits: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        table(columns, digits=digits)
