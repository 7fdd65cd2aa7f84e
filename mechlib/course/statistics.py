"""The few statistics that an honest claim needs: over seeds, paired over tasks, and for several comparisons at once.

A run that draws at random is judged `over_seeds`; two rules or two models on the same tasks by the `paired`
difference, resampled by task; and where several comparisons are made, `holm` says which of them stand together.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechlib.rules.calibration import auc

Floats = NDArray[np.float64]

_DRAWS = 10_000
_CELLS = 2**18  # rows that are drawn at a time
_KEPT = 400  # rows, draws of which are kept: 32 MB


class Interval(NamedTuple):
    """An estimate and the ends of its 95% interval; printed as "0.42 (0.38 to 0.46)"."""

    mean: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self:.2f}"

    def __format__(self, spec: str) -> str:
        ends = [format(x, spec or ".2f") for x in self]
        mean, low, high = (end if end.strip("-0.%") else end.lstrip("-") for end in ends)  # never "-0.00"
        return f"{mean} ({low} to {high})"

    @property
    def excludes_zero(self) -> bool:
        """Whether the whole interval lies on one side of 0."""
        return self.low > 0 or self.high < 0


class Runs(NamedTuple):
    """What a run that draws at random came to: the mean with its interval, and where nine runs of ten lie."""

    mean: Interval
    usual: tuple[float, float]
    runs: int

    def __str__(self) -> str:
        low, high = self.usual
        return f"{self.mean.mean:.2f}, nine runs of ten between {low:.2f} and {high:.2f} ({self.runs} runs)"


def over_seeds(run: Callable[[int], float] | ArrayLike, seeds: int = 100) -> Runs:
    """Return what a run comes to over many seeds.

    Parameters
    ----------
    run : callable or array_like (seeds,)
        ``run(seed)`` returns one number; or the numbers themselves.
    seeds : int
        How many runs are made, from seed 0 on, if `run` is a function: at least 100 for a claim.

    Returns
    -------
    Runs
        The mean with its 95% interval (from its standard error), the 5th and 95th percentile, and the count.

    Raises
    ------
    ValueError
        If there are fewer than two runs, or one of them is not a finite number.
    """
    values = np.array([float(run(seed)) for seed in range(seeds)]) if callable(run) else _numbers("run", run)
    if len(values) < 2 or not np.isfinite(values).all():
        raise ValueError(f"run gave {len(values)} numbers, {np.isfinite(values).sum()} of them finite: give two")
    half = 1.96 * float(values.std(ddof=1)) / math.sqrt(len(values))
    mean = float(values.mean())
    low, high = np.quantile(values, [0.05, 0.95])
    return Runs(Interval(mean, mean - half, mean + half), (float(low), float(high)), len(values))


def resampled(
    statistic: Callable[..., Any], *columns: ArrayLike, clusters: ArrayLike | None = None, draws: int = 2000,
    seed: int = 0, at_once: bool = False,
) -> Interval:
    """Return a statistic of tasks and its 95% bootstrap interval (Efron 1979, percentiles).

    Parameters
    ----------
    statistic : callable
        ``statistic(*columns)`` of resampled rows returns a number; NaN draws are left out.
    *columns : arrays (tasks, ...)
        Rows that belong together: they are drawn together.
    clusters : array_like (tasks,), optional
        Rows with one label, say the three answers to one task, are drawn together too.
    draws, seed : int
    at_once : bool
        Whether `statistic` takes many draws together, arrays (draws, tasks, ...), and returns (draws,): that is faster.
        `numpy.mean` and `mechlib.auc` are taken so anyway.

    Raises
    ------
    ValueError
        If the columns differ in length or are empty, or there are clusters and `at_once`: such draws differ in length.
    """
    tables = [np.asarray(column) for column in columns]
    rows = _rows(tables, clusters)
    if at_once and clusters is not None:
        raise ValueError("at_once is True, but clusters may differ in size, and so may draws of them: leave one out")
    own = float(statistic(*(table[None] for table in tables))[0] if at_once else statistic(*tables))
    rng = np.random.default_rng(seed)
    known = next((taken for usual, taken in _AT_ONCE if usual is statistic), None) if clusters is None else None
    values: list[float] = []
    if together := statistic if at_once else known:
        while len(values) < draws:
            some = min(draws - len(values), max(_CELLS // len(rows), 1))
            drawn = rng.integers(len(rows), size=(some, len(rows)))
            values += np.asarray(together(*(table[drawn] for table in tables)), float).tolist()
    else:
        order, sizes = np.concatenate(rows), np.array([len(row) for row in rows])
        starts = sizes.cumsum() - sizes
        for _ in range(draws):
            drawn = rng.integers(len(rows), size=len(rows))
            if clusters is not None:  # else the number of a cluster is that of its one row
                size = sizes[drawn]
                drawn = order[np.repeat(starts[drawn] - (size.cumsum() - size), size) + np.arange(size.sum())]
            values.append(float(statistic(*(table[drawn] for table in tables))))
    low, high = np.nanquantile(values, [0.025, 0.975])
    return Interval(own, float(low), float(high))


def _means(table: NDArray[np.generic]) -> Floats:
    """Return the mean of each draw."""
    return np.asarray(table.reshape(len(table), -1).mean(axis=1), float)


def _aucs(confidence: Floats, correct: Floats) -> Floats:
    """Return the `auc` of each draw, NaN where all answers are right or all wrong: from counts by stated number."""
    c, y = confidence.reshape(len(confidence), -1), correct.reshape(len(correct), -1)
    stated, number = np.unique(c, return_inverse=True)
    place = number.reshape(c.shape) + len(stated) * np.arange(len(c))[:, None]
    counts = (np.bincount(place[kept & ~np.isnan(c)], minlength=len(c) * len(stated)) for kept in (y > 0.5, y <= 0.5))
    right, wrong = (count.reshape(len(c), -1).astype(float) for count in counts)
    below_and_upto = 2 * wrong.cumsum(axis=1) - wrong
    with np.errstate(invalid="ignore"):
        return np.asarray((right * below_and_upto).sum(axis=1) / right.sum(axis=1) / (2 * wrong.sum(axis=1)))


_AT_ONCE: list[tuple[Callable[..., Any], Callable[..., Any]]] = [(np.mean, _means), (auc, _aucs)]


def paired(first: ArrayLike, second: ArrayLike, clusters: ArrayLike | None = None, seed: int = 0) -> Interval:
    """Return the mean of ``first - second`` over tasks that both did, with its 95% bootstrap interval.

    Overlapping intervals of two means say little about their difference: on the same tasks, compare task by task.
    Parameters and errors are those of `resampled`.
    """
    difference = _numbers("first", first) - _numbers("second", second)
    rows = _rows([difference], clusters)
    often = _drawn(len(rows), seed)
    sums = np.array([difference[row].sum() for row in rows])
    means = (often @ sums) / (often @ np.array([float(len(row)) for row in rows]))
    low, high = np.quantile(means, [0.025, 0.975])
    return Interval(float(difference.mean()), float(low), float(high))


def sign_flip(first: ArrayLike, second: ArrayLike, seed: int = 0) -> float:
    """Return how often chance alone would part two paired columns as far: the p-value of a permutation test.

    If neither is better, each task's difference is as likely to have the other sign (Fisher 1935). Two-sided.
    """
    difference = _numbers("first", first) - _numbers("second", second)
    as_far = np.abs(_signs(len(difference), seed) @ difference) >= abs(difference.sum()) - 1e-12
    return float((as_far.sum() + 1) / (_DRAWS + 1))


# Comparisons of one chapter are on the same tasks, and so are the draws: the last ones are kept, unless they are large.


def _drawn(rows: int, seed: int) -> Floats:
    """Return how often each row is drawn, (draws, rows), as many as there are with replacement."""
    return _kept_drawn(rows, seed) if rows <= _KEPT else _kept_drawn.__wrapped__(rows, seed)


@functools.lru_cache(maxsize=1)
def _kept_drawn(rows: int, seed: int) -> Floats:
    drawn = np.random.default_rng(seed).integers(rows, size=(_DRAWS, rows))
    drawn += rows * np.arange(_DRAWS)[:, None]
    return np.bincount(drawn.ravel(), minlength=_DRAWS * rows).reshape(_DRAWS, rows).astype(float)


def _signs(rows: int, seed: int) -> Floats:
    """Return a sign for each row, (draws, rows), 1 or -1, each as likely."""
    return _kept_signs(rows, seed) if rows <= _KEPT else _kept_signs.__wrapped__(rows, seed)


@functools.lru_cache(maxsize=1)
def _kept_signs(rows: int, seed: int) -> Floats:
    return np.random.default_rng(seed).choice([-1.0, 1.0], size=(_DRAWS, rows))


def holm(p_values: Sequence[float], level: float = 0.05) -> list[bool]:
    """Return which of several comparisons stand together, with a chance of `level` that any is false (Holm 1979)."""
    p = _numbers("p_values", p_values)
    if ((p < 0) | (p > 1)).any():
        raise ValueError(f"p_values must lie in [0, 1]; they were {p.tolist()}")
    stands = [False] * len(p)
    for rank, k in enumerate(np.argsort(p, kind="stable")):
        if p[k] > level / (len(p) - rank):
            break
        stands[int(k)] = True
    return stands


def arms(intervals: ArrayLike) -> Floats:
    """Return how far intervals (k, 3), each a mean and its ends, reach below and above, (2, k): for `plots.bars`."""
    mean, low, high = np.asarray(intervals, float).T
    return np.array([mean - low, high - mean])


def _numbers(name: str, values: ArrayLike) -> Floats:
    array = np.asarray(values, float)
    if array.ndim != 1 or not array.size:
        raise ValueError(f"{name} must hold one number a task; it has shape {array.shape}")
    return array


def _rows(tables: Sequence[NDArray[np.generic]], clusters: ArrayLike | None) -> list[NDArray[np.int64]]:
    count = len(tables[0])
    if not count or any(len(table) != count for table in tables):
        raise ValueError(f"the columns have {[len(table) for table in tables]} rows: give one a task, and one at least")
    if clusters is None:
        return [np.array([k]) for k in range(count)]
    labels = np.asarray(clusters)
    if labels.shape != (count,):
        raise ValueError(f"clusters has shape {labels.shape}: give one label for each of the {count} rows")
    return [np.flatnonzero(labels == label) for label in np.unique(labels)]
