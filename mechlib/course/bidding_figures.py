"""Bids beside values, drawn: a reply without a bid is a cross below the scale, never a bid of 0."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike

from mechlib.course import plots
from mechlib.mechanism import Floats

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["bids_beside_values"]


def bids_beside_values(
    panels: Mapping[str, tuple[Sequence[int], ArrayLike]],
    models: Sequence[str],
    equilibria: Mapping[str, Callable[[Floats], ArrayLike]],
) -> Figure:
    """Draw every model's bids against its values, a panel a game, with the game's own equilibrium as a line.

    Parameters
    ----------
    panels : mapping
        By title: the values (k,), and the bids (models, k), NaN where a reply holds none.
    models : sequence of str
    equilibria : mapping
        By the same titles: from values between 0 and 1 to the best bid there. The values are in credits, of 100.
    """
    figure, grid = plots.figure(columns=len(panels), width=min(9.0, 5.2 + 1.7 * len(panels)), height=3.8)
    axes_of = np.atleast_1d(grid)
    scale = np.linspace(0, 1, 101)
    for axes, (title, (values, bids)) in zip(axes_of, panels.items(), strict=True):
        v = np.asarray(values, float)
        for j, (name, row) in enumerate(zip(models, np.asarray(bids, float), strict=True)):
            colour, silent = plots.COLOURS[j], np.isnan(row)
            shift = 0.8 * (j - (len(models) - 1) / 2)  # so that equal bids do not hide each other
            axes.scatter(v, row + shift, s=20, color=colour, marker=plots.MARKERS[j], label=name)
            axes.scatter(v[silent], np.full(silent.sum(), -12.0 - 4 * j), s=20, color=colour, marker="x")
        axes.plot(100 * scale, 100 * np.asarray(equilibria[title](scale)), color=plots.INK, label="equilibrium")
        axes.axhline(-7, color=plots.INK, linewidth=0.6)
        axes.set(title=title, xlabel="value", ylim=(-16 - 4 * len(models), 105))
        axes.set_yticks([-12, *range(0, 101, 20)], ["no bid", *range(0, 101, 20)])
    axes_of[0].set_ylabel("bid")
    axes_of[0].legend(fontsize=9, labelcolor=plots.INK)
    return figure
