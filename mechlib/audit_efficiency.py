"""Is a truthful profile's welfare the highest that the alternatives allow? Used by `mechlib.audit`."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from mechlib.audit_grid import Columns, Grid, Table, passes, rows
from mechlib.audit_rule import Array, Welfare, evaluate, len_of, stack, take

MOST = 2 * 10**9


def efficiency(
    table: Table, grid: Grid, welfare: Welfare | None, feasible: Any, cells: int
) -> tuple[float | None, str]:
    """Return the most welfare that truth misses, and in words what it was compared with.

    Parameters
    ----------
    table, grid
        The rule's outcomes, and where to look.
    welfare, feasible, cells
        As in `mechlib.audit.audit`.

    Returns
    -------
    (float or None, str)
        None where there is no welfare to compare, or too many alternatives to compare it with.
    """
    if welfare is None and table.rule.utility is not None:
        return None, "to compare welfare pass welfare=lambda types, outcome: ..."
    options = _attained(table, grid, welfare is None, cells) if feasible is None else _given(feasible, grid, welfare)
    count = len_of(options)
    which = f"among the {count:,} allocations that " + (
        "the rule attains on this grid" if feasible is None else "you call feasible"
    )
    if grid.size * count > (MOST if welfare is None else MOST // 100):
        return None, f"too many alternatives to compare ({count:,} allocations): pass feasible="
    lost, slow = 0.0, set[int]()
    for columns in next(passes(grid.reports, cells))[0]:
        honest = _honest(columns, grid)
        outcomes = table(columns)
        types = table.profiles
        if welfare is None:
            for some in np.array_split(honest, 1 + len(honest) * count // 2**22):
                best = (types[some] @ options.T).max(axis=1, initial=-np.inf)
                lost = max(lost, float((best - (types[some] * outcomes.allocation[some]).sum(axis=1)).max(initial=0)))
        else:
            for b in honest:
                def worth(outcome: Any, kind: Any = types[b]) -> Any:
                    return welfare(kind, outcome)
                lost = max(lost, float(evaluate(worth, options, slow).max() - worth(take(outcomes, b))))
    return lost, which


def _honest(columns: Columns, grid: Grid) -> Array:
    """Return the cells of a slab in which every report is a type."""
    if grid.closed:
        return np.arange(math.prod(map(len, columns)))
    truthful = [rows(c, t) >= 0 for c, t in zip(columns, grid.types, strict=True)]
    index = np.indices([len(c) for c in columns]).reshape(len(columns), -1)
    return np.flatnonzero(np.all([t[i] for t, i in zip(truthful, index, strict=True)], axis=0))


def _attained(table: Table, grid: Grid, plain: bool, cells: int) -> Any:
    """Return every allocation, or with a welfare function every outcome, that the rule attains."""
    found: list[Any] = []
    seen: set[Any] = set()
    for columns in next(passes(grid.reports, cells))[0]:
        outcomes = table(columns)
        if plain:
            found = [_distinct(np.concatenate([*found, outcomes.allocation]))]
            continue
        for b in range(len_of(outcomes)):
            outcome = take(outcomes, b)
            fields = outcome._asdict() if hasattr(outcome, "_asdict") else getattr(outcome, "__dict__", {"": outcome})
            parts = [part for field, part in fields.items() if field != "payments"]
            key = repr([part.tolist() if isinstance(part, np.ndarray) else part for part in parts])
            if key not in seen:
                seen.add(key)
                found.append(outcome)
    return found[0] if plain else stack(found)


def _given(feasible: Any, grid: Grid, welfare: Welfare | None) -> Any:
    if welfare is not None:
        return stack(list(feasible))
    options = np.asarray(feasible, float)
    if options.ndim != 2 or options.shape[1] != grid.n or not len(options):
        raise ValueError(f"feasible has shape {options.shape}: it must list allocations, shape (m, {grid.n})")
    return options


def _distinct(allocations: Array) -> Array:
    """Return the distinct rows: sorted by a random projection, which is much faster than row by row."""
    mark = allocations @ np.random.default_rng(0).random(allocations.shape[1])
    _, first, which = np.unique(mark, return_index=True, return_inverse=True)
    rows_found = allocations[first]
    return rows_found if np.array_equal(rows_found[which], allocations) else np.unique(allocations, axis=0)
