"""Run a simulation over a grid of settings: here, on a pool of processes, or on a cluster, with equal results.

Every setting and repeat draws from its own generator, seeded by its place in the grid and by nothing else. So the
numbers do not depend on who computes what, or in which order.

>>> def noisy(rng, mean, spread):
...     return rng.normal(mean, spread)
>>> grid = {"mean": [0.0, 1.0], "spread": [0.1, 0.2, 0.3]}
>>> result = sweep(noisy, grid, seed=1, repeats=50)
>>> result.values.shape, result.mean.shape
((2, 3, 50), (2, 3))
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

Simulation = Callable[..., Any]


@dataclass(frozen=True)
class Sweep:
    """What a sweep found.

    `grid` holds the settings that were tried, by name; `values`, (settings of the first name, ..., repeats, ...), what
    the simulation returned: trailing axes are those of one result.
    """

    grid: Mapping[str, tuple[Any, ...]]
    values: NDArray[np.float64]

    @property
    def mean(self) -> NDArray[np.float64]:
        """The mean over the repeats."""
        return np.asarray(self.values.mean(axis=len(self.grid)))

    @property
    def standard_error(self) -> NDArray[np.float64]:
        """The standard error of the mean over the repeats; `nan` where there is only one."""
        axis = len(self.grid)
        repeats = self.values.shape[axis]
        if repeats == 1:
            return np.full(self.mean.shape, np.nan)
        return np.asarray(self.values.std(axis=axis, ddof=1) / math.sqrt(repeats))


def sweep(
    simulation: Simulation,
    grid: Mapping[str, Sequence[Any]],
    seed: int,
    repeats: int = 1,
    executor: Executor | None = None,
) -> Sweep:
    """Call ``simulation(rng, **settings)`` for every combination of settings, `repeats` times.

    Parameters
    ----------
    simulation : callable
        Takes a `numpy.random.Generator` and one keyword an entry of `grid`; returns a number or an array, of one shape
        throughout. For other processes it must be importable there: a function of a module, not of a notebook.
    grid : mapping of str to sequence
        The settings to try, by name.
    seed, repeats : int
        Of the whole sweep; independent runs of every setting, at least 1.
    executor : concurrent.futures.Executor, optional
        Who computes: a `ProcessPoolExecutor`, or ``dask.distributed.Client(...).get_executor()``. The default is to
        compute here, one after the other, as a browser must. One job holds all repeats of a setting.

    Returns
    -------
    Sweep
        Bit for bit the same for every executor, on machines with the same numpy.

    Raises
    ------
    ValueError
        If the grid or one of its settings is empty, `repeats` is below 1, or results differ in shape.
    Exception
        Whatever the simulation raises, with a note that names the settings; jobs not yet begun are cancelled.
    """
    axes = {name: tuple(choices) for name, choices in grid.items()}
    empty = [name for name, choices in axes.items() if not choices]
    if empty or not axes:
        raise ValueError(f"grid has no settings{' of ' + ', '.join(empty) if empty else ''}: give each name some")
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}: it must be at least 1")
    settings = [dict(zip(axes, point, strict=True)) for point in itertools.product(*axes.values())]
    spread = map if executor is None else executor.map
    rows = list(spread(partial(_job, simulation, seed, repeats), range(len(settings)), settings))
    shapes = {row.shape for row in rows}
    if len(shapes) > 1:
        raise ValueError(f"simulation returned results of different shapes {sorted(s[1:] for s in shapes)}: return one")
    return Sweep(axes, np.stack(rows).reshape(*map(len, axes.values()), *rows[0].shape))


def _job(simulation: Simulation, seed: int, repeats: int, number: int, settings: dict[str, Any]) -> NDArray[np.float64]:
    runs = []
    for repeat in range(repeats):
        rng = np.random.default_rng(np.random.SeedSequence(seed, spawn_key=(number, repeat)))
        try:
            runs.append(np.asarray(simulation(rng, **settings), dtype=float))
        except Exception as error:
            error.add_note(f"while sweeping, at {settings}, repeat {repeat}")
            raise
    return np.stack(runs)
