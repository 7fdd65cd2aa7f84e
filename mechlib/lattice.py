"""Evolution on a grid, where everybody plays with its neighbours and the most successful one near by is copied."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechlib.outcome import checked

Cells = NDArray[np.int64]
_MOORE = [(0, 0)] + [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1) if i or j]


def lattice_scores(strategies: ArrayLike, payoffs: ArrayLike) -> NDArray[np.float64]:
    """Return what every cell earns in a round against itself and its eight neighbours, on a torus.

    Parameters and errors are those of `lattice_step`; the result has shape (rows, columns).
    """
    cells, table = _checked(strategies, payoffs)
    # a strategy's presence in each neighbourhood, one layer a strategy
    met = sum(np.roll(cells == np.arange(len(table))[:, None, None], shift, (1, 2)).astype(float) for shift in _MOORE)
    return np.asarray(np.einsum("rcs,src->rc", table[cells], met))


def lattice_step(strategies: ArrayLike, payoffs: ArrayLike) -> Cells:
    """Play a round everywhere at once, then let every cell copy the best scorer among itself and its neighbours.

    The rule of Nowak & May (1992), with the game that each cell also plays with itself. A cell that is among the best
    keeps its strategy; other ties go to the first neighbour in reading order.

    Parameters
    ----------
    strategies : array_like of int, shape (rows, columns)
        What every cell plays, a number below k. The edges are joined: a torus.
    payoffs : array_like, shape (k, k)
        ``payoffs[mine, other]`` is what `mine` earns from one neighbour that plays `other`.

    Returns
    -------
    ndarray of int, shape (rows, columns)

    Raises
    ------
    ValueError
        If the arrays do not have these shapes, or a strategy has no row in `payoffs`.
    """
    cells, table = _checked(strategies, payoffs)
    score = lattice_scores(cells, table)
    best, copied = score.copy(), cells.copy()
    for shift in _MOORE[1:]:
        rival = np.roll(score, (-shift[0], -shift[1]), (0, 1))
        better = rival > best
        best[better] = rival[better]
        copied[better] = np.roll(cells, (-shift[0], -shift[1]), (0, 1))[better]
    return copied


def _checked(strategies: ArrayLike, payoffs: ArrayLike) -> tuple[Cells, NDArray[np.float64]]:
    table, cells = checked("payoffs", payoffs, ndim=2, negative=True), np.asarray(strategies)
    if table.shape[0] != table.shape[1]:
        raise ValueError(f"payoffs has shape {table.shape}: it must be square, a row and a column a strategy")
    if cells.ndim != 2 or min(cells.shape) < 3:
        raise ValueError(f"strategies has shape {cells.shape}: it must be (rows, columns), at least 3 by 3")
    if cells.dtype.kind not in "iub" or cells.min() < 0 or cells.max() >= len(table):
        raise ValueError(f"strategies must be whole numbers from 0 to {len(table) - 1}, the rows of payoffs")
    return cells.astype(np.int64), table
