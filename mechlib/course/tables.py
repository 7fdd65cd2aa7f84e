"""Results as a table: in a notebook HTML with its caption, elsewhere the same in plain text.

>>> right = [(0.82, 0.77, 0.87), (0.5, 0.43, 0.57)]
>>> table({"agent": ["A", "B"], "right": right, "tasks": [200, 1200]}, "Who is right.")
Who is right.
agent           right  tasks
A      .82 [.77, .87]    200
B      .50 [.43, .57]  1,200
"""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from numbers import Integral, Real
from typing import Any

import numpy as np

__all__ = ["Table", "table"]


@dataclass(frozen=True, repr=False)
class Table:
    """Cells that are text already; a notebook shows them as a table that scrolls sideways where it is too wide."""

    columns: Mapping[str, Sequence[str]]  #: the cells by header
    right: frozenset[str]  #: the headers of the columns of numbers, which are aligned right
    caption: str = ""

    def __repr__(self) -> str:
        padded = []
        for header, cells in self.columns.items():
            width = max(map(len, (header, *cells)))
            side = ">" if header in self.right else "<"
            padded.append([f"{cell:{side}{width}}" for cell in (header, *cells)])
        lines = ["  ".join(row).rstrip() for row in zip(*padded, strict=True)]
        return "\n".join([self.caption, *lines] if self.caption else lines)

    def _repr_html_(self) -> str:
        side = {header: "right" if header in self.right else "left" for header in self.columns}
        style = {header: f"text-align:{side[header]};padding:.15em .6em" for header in self.columns}
        first = next(iter(self.columns))
        head = "".join(f'<th scope="col" style="{style[h]}">{html.escape(h)}</th>' for h in self.columns)
        body = ""
        for row in zip(*self.columns.values(), strict=True):
            body += "<tr>"
            for header, cell in zip(self.columns, row, strict=True):
                tag, scope = ("th", ' scope="row"') if header == first and first not in self.right else ("td", "")
                wrap = ";white-space:nowrap" if header in self.right else ""  # numbers stay whole, sentences may break
                body += f'<{tag}{scope} style="{style[header]}{wrap}">{html.escape(cell)}</{tag}>'
            body += "</tr>"
        top = f'<caption style="caption-side:top;text-align:left;color:inherit">{html.escape(self.caption)}</caption>'
        label = html.escape(self.caption or ", ".join(self.columns), quote=True)
        return (f'<div style="overflow-x:auto" tabindex="0" role="group" aria-label="{label}">'
                '<table style="font-variant-numeric:tabular-nums;color:inherit">'
                f"{top if self.caption else ''}<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table></div>")


def table(columns: Mapping[str, Sequence[Any]], caption: str = "", digits: int | Mapping[str, int] = 2) -> Table:
    """Return a table of results, ready to be displayed.

    Parameters
    ----------
    columns : mapping of headers to cells
        One sequence a header, all equally long; a unit belongs into the header ("tokens a task"). A cell is text, a
        number, a truth value, None or NaN (shown as a dash), or (value, low, high), such as an `Interval`, shown as
        ".82 [.77, .87]". Whole numbers are written in full, others rounded.
    caption : str
        The sentence above the table: what was measured, on what, or what it shows.
    digits : int or mapping of headers to int
        Digits after the point; by header, columns that are not named have two.

    Raises
    ------
    ValueError
        If there are no columns, they differ in length, or `digits` names another or is negative.
    TypeError
        If a cell is none of the above.
    """
    if not columns:
        raise ValueError("columns is empty; give a mapping of headers to cells")
    lengths = {header: len(cells) for header, cells in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"columns differ in length: {lengths}")
    if isinstance(digits, Mapping) and set(digits) - set(columns):
        raise ValueError(f"digits names {sorted(set(digits) - set(columns))}, but the columns are {list(columns)}")
    places = {header: digits.get(header, 2) if isinstance(digits, Mapping) else digits for header in columns}
    if min(places.values()) < 0:
        raise ValueError(f"digits is {digits}; it must be 0 or more")
    written = {header: [_cell(cell, places[header], header) for cell in cells] for header, cells in columns.items()}
    right = frozenset(h for h, cells in columns.items() if not any(isinstance(cell, str) for cell in cells))
    return Table(written, right, caption)


def _cell(cell: Any, digits: int, header: str) -> str:
    """Write one cell; a number below 1 has no zero before its point."""
    match cell:
        case str():
            return cell
        case None:
            return "–"
        case bool() | np.bool_():
            return "yes" if cell else "no"
        case (value, low, high):
            return f"{_number(value, digits, header)} [{_number(low, digits, header)}, {_number(high, digits, header)}]"
        case _:
            return _number(cell, digits, header)


def _number(number: Any, digits: int, header: str) -> str:
    if not isinstance(number, Real):
        raise TypeError(f"columns[{header!r}] holds {number!r}; a cell is text, a number or (value, low, high)")
    if isinstance(number, Integral):
        return f"{int(number):,}"
    if math.isnan(number):
        return "–"
    written = f"{round(float(number), digits) + 0.0:,.{digits}f}"  # never "-0.00"
    return written.replace("0.", ".", 1) if written.lstrip("-").startswith("0.") else written
