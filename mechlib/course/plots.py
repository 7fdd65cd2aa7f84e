"""Figures with one look: readable on a white page and on a dark one, by colour-blind readers and by screen readers.

Every figure needs `alt`, a sentence that says what it shows. The image is displayed with the sentence as its text, so
what a notebook stores and compares is the sentence. A caption, which states the finding, is shown under the image and
compared as well. A function given `axes` draws there and displays nothing::

    figure, (left, right) = plots.figure(columns=2)
    plots.lines(x, {"honest": y}, axes=left)
    plots.bars({"honest": 1.0, "boastful": 0.8}, axes=right)
    plots.show(figure, "Two panels: earnings at each confidence, and on average.", "Figure 2.3. Honesty earns more.")
"""

from __future__ import annotations

import base64
import html
import io
import logging
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechlib.rules.calibration import Reliability

Floats = NDArray[np.float64]

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

# The first figure on a new machine takes a moment; that is no output of the cell that draws it.
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

# Okabe & Ito's colours (2008) that keep a contrast of 3:1 on white and on #121212, and the grey that does best on both.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#797979")
INK = "#797979"
DASHES: tuple[Any, ...] = ("-", (0, (5, 2)), (0, (1, 1.5)), (0, (5, 1.5, 1, 1.5)), (0, (8, 2)))
MARKERS = ("o", "s", "^", "D", "v")
LOOK: dict[str, Any] = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "axes.linewidth": 0.8,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": INK,
    "axes.titlesize": 11.5,
    "axes.titleweight": "bold",
    "axes.titley": 1.0,
    "axes.facecolor": "none",
    "figure.facecolor": "none",
    "font.family": "DejaVu Sans",
    "font.size": 11,
    "legend.frameon": False,
    "lines.linewidth": 2.2,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
}
DPI = 100


def figure(
    columns: int = 1, rows: int = 1, width: float | None = None, height: float | None = None, gap: float = 1 / 12
) -> tuple[Figure, Any]:
    """Return an empty figure and its axes: one `Axes`, or an array of them, (columns,), (rows,) or (rows, columns).

    Sizes are in inches of 100 pixels; by default 6.4 wide (8.6 with more columns) and 3.6 a row, and `gap` stays free
    between axes. The look stays on, so what is drawn on the axes by hand has it too.
    """
    import matplotlib as mpl
    from cycler import cycler
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from mechlib.course.margins import Margins

    look: Any = LOOK | {"axes.prop_cycle": cycler(color=COLOURS)}
    mpl.rcParams.update(look)
    size = (width or (6.4 if columns == 1 else 8.6), height or 3.6 * rows)
    drawn = Figure(figsize=size, dpi=DPI, layout=Margins(gap))
    FigureCanvasAgg(drawn)  # not through pyplot: nothing to close, nothing shown twice
    return drawn, drawn.subplots(rows, columns)


def png(drawn: Figure) -> bytes:
    """Return a figure as a PNG of twice its resolution.

    It has at most 256 colours, a third of the size: our figures have few, and a page has many figures. It is laid out
    and drawn once; `savefig` would do both twice. In a browser, where nothing is stored, it is compressed less.
    """
    from PIL import Image as Picture

    canvas: Any = drawn.canvas
    drawn.set_dpi(2 * DPI)
    canvas.draw()
    whole = Picture.fromarray(np.asarray(canvas.buffer_rgba()))
    few = whole.quantize(256, method=Picture.Quantize.FASTOCTREE, dither=Picture.Dither.NONE)
    drawn.set_dpi(DPI)
    buffer = io.BytesIO()
    few.save(buffer, "png", compress_level=4 if sys.platform == "emscripten" else 9)
    return buffer.getvalue()


class Image:
    """A finished figure as a PNG of twice the resolution, with `alt` as its text; displays itself in a notebook."""

    def __init__(self, drawn: Figure, alt: str) -> None:
        if not alt.strip():
            raise ValueError("alt is empty; say in a sentence what the figure shows")
        self.png, self.alt = png(drawn), " ".join(alt.split())
        self.width, self.height = (round(side * DPI) for side in drawn.get_size_inches())

    def __repr__(self) -> str:
        return self.alt

    def _repr_mimebundle_(self, **_: Any) -> tuple[dict[str, str], dict[str, Any]]:
        data = {"image/png": base64.b64encode(self.png).decode(), "text/plain": self.alt}
        return data, {"image/png": {"alt": self.alt, "width": self.width, "height": self.height}}


class Caption:
    """The sentence under a figure: its number, and what the figure finds."""

    def __init__(self, text: str) -> None:
        self.text = " ".join(text.split())

    def __repr__(self) -> str:
        return self.text

    def _repr_html_(self) -> str:
        number = next(iter(re.findall(r"^Figure A?[\d.]*\d\.", self.text)), "")
        finding = self.text.removeprefix(number)
        bold = f"<strong>{number}</strong>" if number else ""
        return f'<p class="caption">{bold}{html.escape(finding)}</p>'


def show(drawn: Figure, alt: str, caption: str = "") -> None:
    """Display a figure with `alt`, the sentence that says what it shows, over its caption; return None.

    A caption starts with the figure's number and states the finding: "Figure 2.3. Honesty earns more.".
    """
    from IPython.display import display

    display(Image(drawn, alt))  # type: ignore[no-untyped-call]
    if caption:
        display(Caption(caption))  # type: ignore[no-untyped-call]


def _start(axes: Axes | None, **size: Any) -> tuple[Figure | None, Axes]:
    return figure(**size) if axes is None else (None, axes)


def _finish(
    drawn: Figure | None, axes: Axes, alt: str, caption: str, names: Sequence[str], labels: Mapping[str, Any]
) -> None:
    axes.set(**{name: value for name, value in labels.items() if value is not None})
    if sum(map(bool, names)) > 1:
        axes.legend(labelcolor=INK)
    if drawn is not None:
        show(drawn, alt, caption)


def lines(
    x: ArrayLike,
    series: Mapping[str, ArrayLike],
    *,
    bands: Mapping[str, tuple[ArrayLike, ArrayLike]] | None = None,
    marks: Mapping[str, tuple[float, float]] | None = None,
    alt: str = "",
    caption: str = "",
    axes: Axes | None = None,
    **labels: Any,
) -> None:
    """Draw lines over a shared `x` (k,), by name, each with an optional band (low, high) and an optional marked point.

    `labels` are settings of matplotlib's axes: `title`, `xlabel`, `ylabel`, `ylim`, `xscale` and so on.
    """
    drawn, axes = _start(axes)
    for i, (name, y) in enumerate(series.items()):
        colour = COLOURS[i % len(COLOURS)]
        axes.plot(x, y, color=colour, linestyle=DASHES[i % len(DASHES)], label=name)
        if bands and name in bands:
            axes.fill_between(x, *bands[name], color=colour, alpha=0.25, linewidth=0)
        if marks and name in marks:
            axes.plot(*marks[name], marker=MARKERS[i % len(MARKERS)], markersize=9, color=colour, linestyle="none")
    _finish(drawn, axes, alt, caption, list(series), labels)


def _form(values: Floats) -> str:
    """Return the format of the numbers on bars: the same decimals on all, unless they differ by far."""
    known = np.abs(values[np.isfinite(values)])
    if (known == known.round()).all():
        return ".0f"
    largest = known.max()
    return ".3f" if largest < 0.2 else ".2f" if largest < 10 else ".1f" if largest < 100 else ".3g"


def bars(
    values: Mapping[str, float] | Mapping[str, ArrayLike],
    groups: Sequence[str] = ("",),
    *,
    errors: Mapping[str, ArrayLike] | None = None,
    alt: str = "",
    caption: str = "",
    axes: Axes | None = None,
    **labels: Any,
) -> None:
    """Draw a bar a name; with `groups` (g,), `values` holds g numbers a name, and the bars stand in g groups.

    Colours tell names apart within a group; bars that stand alone, each over its name, have one colour.
    `errors`, by name: half-widths (g,), or (2, g) for distances below and above. Values are written on the bars' ends.
    """
    drawn, axes = _start(axes)
    table = {name: np.atleast_1d(np.asarray(value, dtype=float)) for name, value in values.items()}
    form = _form(np.concatenate(list(table.values())))
    errors, alone = errors or {}, len(groups) == 1
    width, size = 0.8 if alone else 0.8 / len(table), 11 if len(groups) * len(table) < 10 else 9
    for i, (name, heights) in enumerate(table.items()):
        spots = np.array([i]) if alone else np.arange(len(groups)) + (i - (len(table) - 1) / 2) * width
        half = np.asarray(errors.get(name, 0 * heights), dtype=float).reshape(-1, len(groups))
        colour = COLOURS[0 if alone else i % len(COLOURS)]
        look: Any = {"color": colour, "ecolor": INK, "capsize": 3, "label": "" if alone else name}
        axes.bar(spots, heights, width * 0.9, yerr=half[[0, -1]] if name in errors else None, **look)
        for x, y, low, high in zip(spots, heights, heights - half[0], heights + half[-1], strict=True):
            end, gap, va = (high, 3, "bottom") if y >= 0 else (low, -3, "top")
            style: Any = {"textcoords": "offset points", "ha": "center", "va": va, "fontsize": size}
            axes.annotate(f"{y:{form}}".replace("-", "−") if y else "0", (x, end), (0, gap), **style)
    ticks = list(table) if alone else groups
    axes.set_xticks(range(len(ticks)), ticks)
    axes.axhline(0, color=INK, linewidth=0.8)
    axes.margins(y=0.15)
    _finish(drawn, axes, alt, caption, [] if alone else list(table), labels)


def spread(
    runs: Mapping[str, ArrayLike], *, alt: str = "", caption: str = "", axes: Axes | None = None, **labels: Any
) -> None:
    """Draw a row a name: every run as a faint dot, and their mean as a line; one number alone is a diamond.

    The numbers stand beside the rows. A run's height within its row means nothing: it keeps dots apart.
    """
    drawn, axes = _start(axes, height=1.1 + 0.42 * len(runs))
    for row, values in enumerate(map(np.atleast_1d, runs.values())):
        colour = COLOURS[0] if len(values) > 1 else COLOURS[1]
        if len(values) > 1:
            heights = row + 0.6 * ((np.arange(len(values)) * 0.618034) % 1 - 0.5)  # the golden ratio scatters evenly
            axes.plot(values, heights, "o", color=colour, alpha=0.35, markersize=2.6, markeredgewidth=0)
            axes.plot([np.mean(values)] * 2, [row - 0.36, row + 0.36], color=INK, linewidth=2.2)
        else:
            axes.plot(values, [row], "D", color=colour, markersize=6.8, markeredgewidth=1)
        axes.annotate(f"{np.mean(values):.2f}", (1, row), (4, 0), xycoords=axes.get_yaxis_transform(),
                      textcoords="offset points", va="center", fontsize=9)
    axes.set_yticks(range(len(runs)), list(runs))
    axes.set_ylim(len(runs) - 0.5, -0.5)
    _finish(drawn, axes, alt, caption, [], labels)


def reliability_diagram(tables: Mapping[str, Reliability], *, alt: str, caption: str = "") -> None:
    """Draw stated confidence against the share that was right, with 95% intervals, an axes a name.

    The dashed line is calibration. A point's area grows with the answers in its bin, and their count is written above.
    """
    drawn, grid = figure(columns=len(tables), width=min(3.0 * max(len(tables), 1.4), 9.6), height=3.4)
    for i, (axes, (name, table)) in enumerate(zip(np.atleast_1d(grid), tables.items(), strict=True)):
        full = table.counts > 0
        x, y, counts, colour = table.confidence[full], table.accuracy[full], table.counts[full], COLOURS[i % 5]
        axes.plot([0, 1], [0, 1], color=INK, linestyle="--", linewidth=1)
        reach = np.abs([y - table.low[full], table.high[full] - y])
        axes.errorbar(x, y, reach, fmt="none", ecolor=colour, elinewidth=1.5)
        axes.scatter(x, y, s=20 + 180 * counts / counts.sum(), color=colour, marker=MARKERS[i % 5])
        for k, (spot, count) in enumerate(zip(x, counts, strict=True)):  # on two lines, where neighbours have room
            axes.text(spot, 1.1 + 0.08 * (k % 2), count, ha="center", va="center", fontsize=8)
        axes.set(xlim=(-0.05, 1.05), ylim=(-0.05, 1.25), title=name, xlabel="stated confidence")
        axes.set_yticks(np.linspace(0, 1, 6))
    np.atleast_1d(grid)[0].set_ylabel("share right")
    show(drawn, alt, caption)


def heat(
    table: ArrayLike,
    rows: Sequence[str],
    columns: Sequence[str],
    *,
    digits: int = 2,
    limits: tuple[float, float] | None = None,
    alt: str = "",
    caption: str = "",
    axes: Axes | None = None,
    **labels: Any,
) -> None:
    """Draw a table (rows, columns) as shaded cells with their numbers written in; nan cells stay empty.

    The shades run between `limits`, or from the table's least number to its greatest.
    """
    cells = np.asarray(table, dtype=float)
    drawn, axes = _start(axes, width=max(4.0, 1.5 + 0.9 * len(columns)), height=max(2.4, 1.2 + 0.5 * len(rows)))
    low, high = limits or (np.nanmin(cells), np.nanmax(cells))
    edges = [np.arange(n + 1) - 0.5 for n in cells.shape[::-1]]
    axes.pcolormesh(*edges, cells, cmap="cividis", vmin=low, vmax=high)  # imshow magnifies first, which takes longer
    axes.invert_yaxis()  # the first row is on top
    for (i, j), value in np.ndenumerate(cells):
        if not np.isnan(value):
            ink = "black" if value > (low + high) / 2 else "white"
            style: Any = {"ha": "center", "va": "center", "fontsize": 10, "in_layout": False}  # it stays in its cell
            axes.text(j, i, f"{value:.{digits}f}", color=ink, **style)
    axes.set_xticks(range(len(columns)), columns)
    axes.set_yticks(range(len(rows)), rows)
    axes.spines[:].set_visible(False)
    _finish(drawn, axes, alt, caption, [], labels)


def graph(
    edges: Sequence[tuple[Any, Any]],
    positions: Mapping[Any, tuple[float, float]],
    *,
    texts: Sequence[str] = (),
    path: Sequence[int] = (),
    alt: str = "",
    caption: str = "",
    axes: Axes | None = None,
    **labels: Any,
) -> None:
    """Draw a network of nodes at `positions` {node: (x, y)}; edges in `path` (indices into `edges`) stand out.

    `texts` are written on the edges, such as costs or "costs 3, is paid 5".
    """
    drawn, axes = _start(axes)
    for i, (tail, head) in enumerate(edges):
        (x0, y0), (x1, y1) = positions[tail], positions[head]
        colour, thick = (COLOURS[1], 3.5) if i in path else (INK, 1.2)
        axes.plot([x0, x1], [y0, y1], color=colour, linewidth=thick, zorder=1)
        if i < len(texts):  # above the line, on the side it leans away from
            lean = int(np.sign((x1 - x0) * (y1 - y0))) if x0 != x1 else -1
            side, middle = ("center", "right", "left")[lean], ((x0 + x1) / 2, (y0 + y1) / 2)
            style: Any = {"textcoords": "offset points", "ha": side, "va": "bottom", "fontsize": 10}
            axes.annotate(texts[i], middle, (-5 * lean, 4 * (x0 != x1)), color=colour, **style)
    spots = np.array(list(positions.values()))
    axes.scatter(spots[:, 0], spots[:, 1], s=520, color=COLOURS[0], zorder=2)
    for node, (x, y) in positions.items():
        axes.text(x, y, str(node), color="white", ha="center", va="center", fontweight="bold", zorder=3)
    axes.margins(0.12)
    axes.axis("off")
    _finish(drawn, axes, alt, caption, [], labels)
