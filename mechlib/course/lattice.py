"""Evolution on a grid, where everybody plays with its neighbours and the most successful one near by is copied."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechlib.mechanism import checked

EMPTY = 2  #: the number of an empty cell in `worlds`


def lattice_step(strategies: ArrayLike, payoffs: ArrayLike) -> NDArray[np.int64]:
    """Play a round everywhere at once, then let every cell copy the best scorer among itself and its neighbours.

    The rule of Nowak & May (1992): each cell plays with its eight neighbours and with itself. A cell that is among the
    best keeps its strategy; other ties go to the first neighbour in reading order.

    Parameters
    ----------
    strategies : array_like of int, shape (..., rows, columns)
        What every cell plays, a number below k. The edges are joined: a torus. Leading axes are separate worlds.
    payoffs : array_like, shape (k, k)
        ``payoffs[mine, other]`` is what `mine` earns from one neighbour that plays `other`. Other shapes, and a
        strategy without a row, are ValueErrors.

    Returns
    -------
    ndarray of int, shape (..., rows, columns)
    """
    table, cells = checked("payoffs", payoffs, ndim=2, negative=True), np.asarray(strategies)
    if table.shape[0] != table.shape[1]:
        raise ValueError(f"payoffs has shape {table.shape}: it must be square, a row and a column a strategy")
    if cells.ndim < 2 or min(cells.shape[-2:]) < 3:
        raise ValueError(f"strategies has shape {cells.shape}: it must be (..., rows, columns), at least 3 by 3")
    if cells.dtype.kind not in "iub" or cells.min() < 0 or cells.max() >= len(table):
        raise ValueError(f"strategies must be whole numbers from 0 to {len(table) - 1}, the rows of payoffs")
    cells = cells.astype(np.int8 if len(table) < 128 else np.int64)  # the smaller, the faster
    played = range(int(cells.max()) + 1)
    near = [_around((cells == other).astype(np.int8)) for other in played[:-1]]
    near.append(9 - sum(near, start=np.zeros(cells.shape, np.int8)))  # in and around a cell there are nine
    score = np.zeros(cells.shape)
    for mine in played:
        earned = sum(table[mine, other] * near[other] for other in played if table[mine, other])
        score = np.where(cells == mine, earned, score)
    best = score, cells
    for axis in (-1, -2):  # along each row, then the rows: the first in reading order
        before, after = ([np.roll(part, shift, axis) for part in best] for shift in (1, -1))
        best = _better(_better(before, best), after)
    return np.where(score == best[0], cells, best[1]).astype(np.int64)


def _around(world: NDArray[np.int8]) -> NDArray[np.int8]:
    """Sum what stands in and around every cell."""
    for axis in (-1, -2):
        world = np.roll(world, 1, axis) + world + np.roll(world, -1, axis)
    return world


def _better(first: Sequence[NDArray[Any]], second: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], NDArray[Any]]:
    """Take in every cell the better of two pairs of a score and a strategy: the first where they tie."""
    ahead = second[0] > first[0]  # np.maximum takes longer than two of np.where
    return np.where(ahead, second[0], first[0]), np.where(ahead, second[1], first[1])


def worlds(
    rng: np.random.Generator, gain: float, *, fine: float = 0.0, caught: float = 0.0, freed: int = EMPTY,
    size: int = 30, steps: int = 80, copies: int = 100,
) -> NDArray[np.float64]:
    """Return how much of the grid cooperators hold in the end, (copies,): the mean over the last thirty steps.

    A tenth of the cells begins as defectors. Two cooperators earn 1 from each other, a defector earns `gain` from a
    cooperator, all else is 0; an empty cell earns a little less than nothing, so it copies whoever is near.

    Parameters
    ----------
    rng : numpy.random.Generator
    gain, fine : float
        What a defector earns from a cooperator, and what it loses each time that it plays.
    caught : float
        How often a defector is removed in a step.
    freed : int
        What is put in its place: `EMPTY`, or 0 for a new cooperator.
    size, steps, copies : int
        The side of a world, more than thirty steps, and so many worlds side by side.
    """
    game = np.array([[1, 0, 0], [gain - fine, -fine, 0], [-0.01, -0.01, -0.01]])
    cells = (rng.random((copies, size, size)) < 0.1).astype(np.int64)
    held = np.zeros(copies)
    for step in range(steps):
        cells = lattice_step(cells, game)
        if caught:
            cells = np.where((cells == 1) & (rng.random(cells.shape) < caught), freed, cells)
        if step >= steps - 30:
            held += (cells == 0).mean(axis=(1, 2)) / 30
    return held
