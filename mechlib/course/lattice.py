"""Evolution on a grid, where everybody plays with its neighbours and the most successful one near by is copied."""

from __future__ import annotations

import functools
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
        ``payoffs[mine, other]`` is what `mine` earns from one neighbour that plays `other`, for at most six strategies.
        Other shapes, and a strategy without a row, are ValueErrors.

    Returns
    -------
    ndarray of int, shape (..., rows, columns)
    """
    table, cells = checked("payoffs", payoffs, ndim=2, negative=True), np.asarray(strategies)
    if table.shape[0] != table.shape[1] or len(table) > 6:
        raise ValueError(f"payoffs has shape {table.shape}: it must be square, a row and a column for each of at most "
                         "six strategies")
    if cells.ndim < 2 or min(cells.shape[-2:]) < 3:
        raise ValueError(f"strategies has shape {cells.shape}: it must be (..., rows, columns), at least 3 by 3")
    if cells.dtype.kind not in "iub" or cells.min() < 0 or cells.max() >= len(table):
        raise ValueError(f"strategies must be whole numbers from 0 to {len(table) - 1}, the rows of payoffs")
    after = _game(tuple(map(tuple, table.tolist()))).step(np.moveaxis(cells, (-2, -1), (0, 1)))
    return np.moveaxis(after, (0, 1), (-2, -1)).astype(np.int64)


class _Game:
    """All that a cell can earn in a game, worked out once; a step looks it up. Grids are (rows, columns, ...).

    A cell's place in the tables says what it and its neighbours play: in base 9, how many of the eight play 1, play 2,
    and so on. For each place there is a key: the better the score, the higher, and no two strategies share one.
    """

    def __init__(self, payoffs: tuple[tuple[float, ...], ...]) -> None:
        k, table = len(payoffs), np.array(payoffs)
        strategies, digit = np.arange(k), 9 ** np.arange(k) // 9  # 0, 1, 9, 81: strategy 0 is the rest of the eight
        places = 8 * digit[-1] + 1
        near = np.arange(places) // np.maximum(digit, 1)[:, None] % 9
        near[0] = 8 - near[1:].sum(axis=0)
        score = np.zeros((k, places))
        for other in strategies:
            score += table[:, [other]] * (near[other] + (strategies == other)[:, None])
        score = np.where(near[0] < 0, score[:, :1], score)  # more than eight do not occur
        rank = np.unique(score, return_inverse=True)[1].reshape(score.shape)
        pairs, keys = np.unique(rank * k + strategies[:, None], return_inverse=True)
        number = np.uint8 if keys.size <= 256 else np.int64
        self._digit, self._own, self._keys, self._ranks, self._strategies = (
            np.pad(values, (0, max(256 - len(values), 0))).astype(number)
            for values in (digit, strategies * places - digit, keys.ravel(), pairs // k, pairs % k))
        self._ties = bool((np.diff(pairs // k) == 0).any())

    def step(self, cells: NDArray[Any]) -> NDArray[Any]:
        """Return what every cell plays next."""
        cells = cells.astype(self._keys.dtype)
        around = _look_up(self._digit, cells)
        for axis in (0, 1):
            around = np.roll(around, 1, axis) + around + np.roll(around, -1, axis)
        best = keys = _look_up(self._keys, around + _look_up(self._own, cells))
        for axis in (1, 0):  # along each row, then the rows: the first in reading order
            best = self._better(self._better(np.roll(best, 1, axis), best), np.roll(best, -1, axis))
        return _look_up(self._strategies, self._better(keys, best))

    def _better(self, first: NDArray[Any], second: NDArray[Any]) -> NDArray[Any]:
        """Take in every cell the key with the better score: the first where they tie."""
        if not self._ties:  # no two strategies ever score the same
            return np.asarray(np.maximum(first, second))
        ahead = _look_up(self._ranks, second) > _look_up(self._ranks, first)
        return np.asarray(np.where(ahead, second, first))


_game = functools.lru_cache(maxsize=8)(_Game)  # a game is played for many steps


def _look_up(table: NDArray[Any], places: NDArray[Any]) -> NDArray[Any]:
    """Return ``table[places]``. A table of 256 bytes translates bytes, which is five times as fast as to index."""
    if table.dtype != np.uint8:
        return np.asarray(table[places])
    return np.frombuffer(places.tobytes().translate(table.tobytes()), np.uint8).reshape(places.shape)


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
    game = _Game(((1, 0, 0), (gain - fine, -fine, 0), (-0.01, -0.01, -0.01)))
    cells, still = _worlds_last(rng.random((copies, size, size)) < 0.1).astype(np.uint8), False
    held = np.zeros(cells.shape, np.uint8)  # in how many of the last steps
    for step in range(steps):
        if not still:
            before, cells = cells, game.step(cells)
            if caught:
                found = _worlds_last(rng.random((copies, size, size)) < caught)
                cells = np.where((cells == 1) & found, np.uint8(freed), cells)
            still = cells.tobytes() == before.tobytes() and not (cells == 1).any()  # nor will it ever change
        if step >= steps - 30:
            held += cells == 0
    return np.asarray(held.mean(axis=(0, 1)) / 30)


def _worlds_last(cells: NDArray[Any]) -> NDArray[Any]:
    """Bring (worlds, rows, columns) into the order in which `_Game` is fast: a cell's copies side by side."""
    return np.ascontiguousarray(np.moveaxis(cells, 0, -1))
