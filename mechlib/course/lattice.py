"""Evolution on a grid, where everybody plays with its neighbours and the most successful one near by is copied."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechlib.mechanism import checked


def lattice_step(strategies: ArrayLike, payoffs: ArrayLike) -> NDArray[np.int64]:
    """Play a round everywhere at once, then let every cell copy the best scorer among itself and its neighbours.

    The rule of Nowak & May (1992): each cell plays with its eight neighbours and with itself. A cell that is among the
    best keeps its strategy; other ties go to the first neighbour in reading order.

    Parameters
    ----------
    strategies : array_like of int, shape (rows, columns)
        What every cell plays, a number below k. The edges are joined: a torus.
    payoffs : array_like, shape (k, k)
        ``payoffs[mine, other]`` is what `mine` earns from one neighbour that plays `other`. Other shapes, and a
        strategy without a row, are ValueErrors.

    Returns
    -------
    ndarray of int, shape (rows, columns)
    """
    table, cells = checked("payoffs", payoffs, ndim=2, negative=True), np.asarray(strategies)
    if table.shape[0] != table.shape[1]:
        raise ValueError(f"payoffs has shape {table.shape}: it must be square, a row and a column a strategy")
    if cells.ndim != 2 or min(cells.shape) < 3:
        raise ValueError(f"strategies has shape {cells.shape}: it must be (rows, columns), at least 3 by 3")
    if cells.dtype.kind not in "iub" or cells.min() < 0 or cells.max() >= len(table):
        raise ValueError(f"strategies must be whole numbers from 0 to {len(table) - 1}, the rows of payoffs")
    near = _neighbourhood(cells.astype(np.int64))
    met = (near == np.arange(len(table))[:, None, None, None]).sum(axis=1)  # how many play each strategy
    score = np.einsum("rcs,src->rc", table[cells], met)
    rivals = _neighbourhood(score)
    copied = np.take_along_axis(near, rivals.argmax(axis=0)[None], axis=0)[0]
    return np.where(score == rivals.max(axis=0), cells, copied)


def _neighbourhood(world: NDArray[Any]) -> NDArray[Any]:
    """What stands around and in every cell, in reading order: (9, rows, columns)."""
    return np.stack([np.roll(world, (-i, -j), (0, 1)) for i in (-1, 0, 1) for j in (-1, 0, 1)])
