"""Margins of a figure: its axes get the room that titles, ticks and labels leave.

Matplotlib's constrained layout finds the same margins, but on the way it works out the ticks of an axis ten times and
measures every text four times. In a browser, where Python is slow, that took half of a figure's time. Here each is done
once, for grids of axes as the course draws them: ticks and labels left and below, a title on top, legends inside.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.layout_engine import LayoutEngine
from matplotlib.ticker import FixedFormatter, FixedLocator
from matplotlib.transforms import ScaledTranslation
from numpy.typing import NDArray

Floats = NDArray[np.float64]

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

FREE = 1 / 24  # inches that stay free between a figure's edges and its texts
USUAL = 0.3  # inches that the texts at a side take, until they are measured
SIDES = ("left", "right", "bottom", "top")
LEFT, RIGHT, BOTTOM, TOP = range(4)


class Margins(LayoutEngine):
    """Places axes, all of one size, as near to the edges and to each other as their texts allow, when they are drawn.

    `gap`, in inches, stays free between neighbours with their texts. Ticks, labels and legends stay from then on.
    """

    _adjust_compatible = True
    _colorbar_gridspec = True

    def __init__(self, gap: float = 2 * FREE) -> None:
        super().__init__()
        self.gap = gap

    def execute(self, fig: Figure) -> None:
        """Place the axes of a figure."""
        grid = [(axes, spec) for axes in fig.axes if (spec := axes.get_subplotspec())]
        reach = np.zeros((*grid[0][1].get_gridspec().get_geometry(), 4))  # inches beyond the axes, at each side
        cells = [(axes, reach[spec.rowspan.start, spec.colspan.start]) for axes, spec in grid]
        self._place(fig, reach + USUAL)  # how high axes are decides how many ticks have room at the side
        for axes, out in cells:
            if axes.axison:
                np.maximum(out, _axis(axes.yaxis), out=out)
        self._place(fig, reach + np.array([0, 0, USUAL, USUAL]))  # and the labels at the side, how many have room below
        for axes, out in cells:
            if axes.axison:
                np.maximum(out, _axis(axes.xaxis), out=out)
            np.maximum(out, _texts(axes), out=out)
        self._place(fig, reach)
        for axes, _ in cells:
            _legend(axes)

    def _place(self, fig: Figure, reach: Floats) -> None:
        width, height = fig.get_size_inches()
        left, right, wspace = self._shares(reach[..., LEFT].max(axis=0), reach[..., RIGHT].max(axis=0), width)
        top, bottom, hspace = self._shares(reach[..., TOP].max(axis=1), reach[..., BOTTOM].max(axis=1), height)
        fig.subplots_adjust(left=left, right=1 - right, wspace=wspace, top=1 - top, bottom=bottom, hspace=hspace)

    def _shares(self, before: Floats, after: Floats, whole: float) -> tuple[float, float, float]:
        """Return the margins at both ends as shares of the whole, and the gap between two axes as a share of one."""
        n, first, last = len(before), before[0] + FREE, after[-1] + FREE
        gap = self.gap + max(after[:-1] + before[1:], default=0)
        return first / whole, last / whole, gap * n / (whole - first - last - gap * (n - 1))


def _axis(axis: Any) -> Floats:
    """Fix the ticks of an axis, put its label outside of theirs, and return how far both reach beyond the axes."""
    axes, figure, renderer = axis.axes, axis.figure, axis.figure.canvas.get_renderer()
    _settle(axis)
    axis.set_label_coords(0.5, 0.5)  # in the middle of the axes, where it takes no room from the ticks
    reach = _beyond(axes, axis.get_tightbbox(renderer, for_layout_only=True) or axes.bbox)
    side = SIDES.index(axis.get_label_position())
    away = max(reach[side], 0) + axis.labelpad / 72
    where = ((0, 0.5), (1, 0.5), (0.5, 0), (0.5, 1))[side]
    x, y = ((-away, 0), (away, 0), (0, -away), (0, away))[side]
    axis.set_label_coords(*where, axes.transAxes + ScaledTranslation(x, y, figure.dpi_scale_trans))
    if axis.label.get_text():
        box = axis.label.get_window_extent(renderer)
        reach[side] = away + (box.width if side in (LEFT, RIGHT) else box.height) / figure.dpi
    return reach


def _settle(axis: Any) -> None:
    """Keep the ticks that an axis shows now, and their labels, instead of working them out whenever they are needed."""
    low, high = sorted(axis.get_view_interval())
    slack = 1e-9 * (high - low)
    places, form = axis.get_majorticklocs(), axis.get_major_formatter()
    labels = form.format_ticks(places)
    seen = [i for i, place in enumerate(places) if low - slack <= place <= high + slack]
    fixed = FixedFormatter([labels[i] for i in seen])
    fixed.set_offset_string(form.get_offset())
    axis.set_major_locator(FixedLocator([places[i] for i in seen]))
    axis.set_major_formatter(fixed)


def _texts(axes: Any) -> Floats:
    """Return how far what is written in the axes, and the title above, reach beyond them."""
    renderer = axes.figure.canvas.get_renderer()
    reach = np.zeros(4)
    if axes.get_title():
        reach[TOP] = _beyond(axes, axes.title.get_window_extent(renderer))[TOP]
    for text in axes.texts:
        if text.get_in_layout():
            np.maximum(reach, _beyond(axes, text.get_tightbbox(renderer)), out=reach)
    return reach


def _legend(axes: Any) -> None:
    """Keep the place of a legend, which otherwise is looked for, among all that is drawn, whenever it is needed."""
    if legend := axes.get_legend():
        corner = legend.get_window_extent(axes.figure.canvas.get_renderer()).min
        legend.set_loc(tuple(axes.transAxes.inverted().transform(corner)))


def _beyond(axes: Axes, box: Any) -> Floats:
    """Return how far a box reaches beyond the axes, in inches: left, right, below and above."""
    frame = axes.bbox
    pixels = (frame.x0 - box.x0, box.x1 - frame.x1, frame.y0 - box.y0, box.y1 - frame.y1)
    return np.nan_to_num(np.array(pixels) / axes.figure.dpi, posinf=0.0, neginf=0.0)
