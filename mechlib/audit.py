"""The auditor: takes any function from reports to an outcome and looks for the most profitable lie.

Truth is dominant if no agent, whatever its type and whatever the others report, gains by reporting anything else. On a
grid that can be looked up: tabulate the rule over all profiles, then compare along one axis for each agent.
"""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mechlib.audit_report import Audit, Witness
from mechlib.audit_rule import Array, Grid, Mechanism, Rule, Slab, Utility, collected, decisions, name_of, plain, take
from mechlib.audit_sample import audit_sampled, expected

__all__ = ["Audit", "Witness", "audit", "audit_bayes", "audit_sampled", "expected"]

Welfare = Callable[[Any, Any], Any]
EQUAL = 1e-12  # relative: gains closer than this are ties


def audit(
    mechanism: Mechanism, types: Any, reports: Any = None, n: int | None = None, utility: Utility | None = None,
    welfare: Welfare | None = None, feasible: Any = None, *, tolerance: float = 1e-9, cells: int = 2**20,
) -> Audit:
    """Check on a grid whether truth is dominant, and find the most profitable lie where it is not.

    Every agent, type, report and profile of the others' reports is tried. A verdict of truthfulness holds for the
    grid; a lie that was found is a lie anywhere.

    Raises a ValueError if a grid is empty or not finite, there are more than 10^9 profiles, or the rule cannot be used.

    Parameters
    ----------
    mechanism : callable
        From reports (n,), or (batch, n), to an `Outcome` or an (allocation, payments) pair of the same shape. Plain
        Python for one profile will do: whether it takes batches is found by trying. A random rule must return its
        expected outcome: see `expected`.
    types : array_like, shape (k,), or a sequence of n array_likes
        One grid of types that `n` agents share, or a grid for each agent, (k_i,) or, for types that are vectors,
        (k_i, d). Integers stay integers, so a type may be an index into a table of your own.
    reports : like `types`, optional
        Further reports that an agent may make besides its possible types.
    n : int, optional
        The number of agents, where they share one grid.
    utility : callable, optional
        ``utility(i, type, outcome)`` for rules that are not quasi-linear or return something else; by default
        ``type * allocation[i] - payments[i]``. If it also works on outcomes (batch, ...), it is used so.
    welfare : callable, optional
        ``welfare(types, outcome)`` for one profile; by default ``sum(types * allocation)``, if `utility` is not given.
    feasible : sequence, optional
        The allocations (m, n) (with `welfare`: the outcomes) that efficiency is measured against; by default those
        which the rule attains on the grid.
    tolerance : float
        Absolute: gains, losses and lost welfare up to this count as rounding.
    cells : int
        How many profiles are tabulated at a time; a larger grid is worked through in slabs, with equal results.

    Returns
    -------
    Audit
        Ties between lies go to the lowest agent, then to its first type, then to the first profile of the others.
    """
    grid = Grid.of(types, reports, n, cells)
    return _search(grid, Rule(mechanism, grid.probe(), utility), welfare, feasible, tolerance)


def audit_bayes(
    mechanism: Mechanism, types: Any, prior: Any, reports: Any = None, n: int | None = None,
    utility: Utility | None = None, welfare: Welfare | None = None, feasible: Any = None, *,
    tolerance: float = 1e-9, cells: int = 2**20,
) -> Audit:
    """Check whether truth is a Bayes-Nash equilibrium: best on average if the others are truthful.

    Parameters
    ----------
    prior : array_like, shape (n, k), or (k,) if the agents share a grid, or a sequence of n array_likes
        How likely each type of each agent is; agents are independent. Types of probability 0 are checked too.
    mechanism, types, reports, n, utility, welfare, feasible, tolerance, cells
        As in `audit`; its errors too, and one for a prior that does not fit, is negative or does not sum to 1.

    Returns
    -------
    Audit
        With expected (interim) gains, participation on average, and the expected revenue.
    """
    grid = Grid.of(types, reports, n, cells)
    rows = [prior] * grid.n if np.ndim(next(iter(prior), 0.0)) == 0 else prior
    if len(rows) != grid.n:
        raise ValueError(f"prior is for {len(rows)} agents and types for {grid.n}: pass one row an agent")
    chances = [np.asarray(row, float) for row in rows]
    for i, (p, count) in enumerate(zip(chances, grid.honest, strict=True)):
        if p.shape != (count,) or not (p >= 0).all() or abs(p.sum() - 1) > 1e-9:
            raise ValueError(f"agent {i}'s prior has shape {p.shape} and sums to {p.sum():g}: it must hold {count} "
                             "probabilities, none negative, that sum to 1")
    return _search(grid, Rule(mechanism, grid.probe(), utility), welfare, feasible, tolerance, chances)


def _search(grid: Grid, rule: Rule, welfare: Welfare | None, feasible: Any, tolerance: float,
            prior: list[Array] | None = None) -> Audit:
    """Try every lie, then look at the honest profiles: what they collect, and whether they could do better."""
    best: dict[tuple[int, int], Witness] = {}
    worst, lies = math.inf, 0
    table = functools.lru_cache(maxsize=1)(lambda slab: rule(grid.profiles(slab)))
    for i in range(grid.n):
        for t, worth, slab in _utilities(grid, rule, table, prior, i):
            truth, most = worth[t], worth.max(axis=0)
            if np.isnan(most).any():
                raise ValueError(f"agent {i} has a utility of NaN: neither the rule nor the utility may give NaN")
            gain = np.subtract(most, truth, out=np.zeros(len(most)), where=most != truth)  # infinite either way: none
            worst, lies = min(worst, float(truth.min())), lies + worth.size - gain.size
            o = _first_best(gain)
            if gain[o] > tolerance and ((i, t) not in best or gain[o] > best[i, t].gain * (1 + EQUAL)):
                lie, types = grid.reports[i][_first_best(worth[:, o])], grid.types(i, t, o, slab)
                best[i, t] = Witness(i, types, plain(lie), float(gain[o]))
    top = max((found.gain for found in best.values()), default=0.0)
    witness = next((best[key] for key in sorted(best) if best[key].gain >= top * (1 - EQUAL)), None)

    options, compared_with = _alternatives(grid, rule, table, welfare, feasible)
    paid, mean, lost = [], 0.0, 0.0
    for slab in grid.slabs(grid.honest):
        outcomes = table(slab)
        sums = collected(outcomes)
        if sums is not None:
            paid += [float(sums.min()), float(sums.max())]
            mean += 0.0 if prior is None else float((sums * grid.weights(prior, slab)).sum())
        if options is not None:
            lost = max(lost, _lost(grid.profiles(slab), outcomes, options, welfare))
    regret, noun = (0.0 if witness is None else witness.gain), ("of type" if rule.utility else "worth")
    return Audit(
        name_of(rule.function), "Bayes" if prior else "dominant", grid.n, math.prod(grid.sizes), lies, regret, witness,
        tolerance, worst, None if options is None else lost, compared_with, (min(paid), max(paid)) if paid else None,
        mean if prior and paid else None, noun=noun,
    )


def _utilities(grid: Grid, rule: Rule, table: Callable[[Slab], Any], prior: list[Array] | None,
               i: int) -> Iterator[tuple[int, Array, Slab | None]]:
    """Yield, for each type of agent i, its utilities: a row for each report, a column for each play of the others.

    Under a prior there is one column, the mean over the others' types.
    """
    counts, order = list(grid.honest if prior else grid.sizes), sorted(range(grid.n), key=lambda j: j != i)
    counts[i] = grid.sizes[i]
    means = np.zeros((grid.honest[i], grid.sizes[i], 1))
    for slab in grid.slabs(counts, i):
        outcomes, shape = table(slab), [len(part) for part in slab]
        weights = None if prior is None else grid.weights(prior, slab, but=i)
        for t, kind in enumerate(grid.reports[i][: grid.honest[i]]):
            worth = rule.worth(i, kind, outcomes).reshape(shape).transpose(order).reshape(grid.sizes[i], -1)
            if weights is None:
                yield t, worth, slab
            else:
                means[t, :, 0] += (worth * weights).sum(axis=1)
    if not np.isfinite(means).all():
        raise ValueError(f"agent {i} has an expected utility that is NaN or infinite: it cannot be compared")
    if prior is not None:
        yield from ((t, worth, None) for t, worth in enumerate(means))


def _alternatives(grid: Grid, rule: Rule, table: Callable[[Slab], Any], welfare: Welfare | None,
                  feasible: Any) -> tuple[Any, str]:
    """Return what an honest profile's welfare is compared with, or None, and in words what that is."""
    if welfare is None and rule.utility is not None:
        return None, "to compare welfare pass welfare=lambda types, outcome: ..."
    options: Any = None if feasible is None else list(feasible)
    if feasible is None and welfare is None:
        options = np.zeros((0, grid.n))
        for slab in grid.slabs(grid.sizes):
            rows = np.concatenate([options, table(slab).allocation])
            rows = rows[np.lexsort(rows.T)]
            options = rows[np.r_[True, (rows[1:] != rows[:-1]).any(axis=1)]]
    elif feasible is None:
        found = [decisions(table(slab)) for slab in grid.slabs(grid.sizes)]
        options = list(functools.reduce(operator.or_, found).values())
    elif welfare is None:
        options = np.asarray(options, float)
        if options.ndim != 2 or options.shape[1] != grid.n or not len(options):
            raise ValueError(f"feasible has shape {options.shape}: it must list allocations, shape (m, {grid.n})")
    which = "the rule attains on this grid" if feasible is None else "you call feasible"
    if math.prod(grid.sizes) * len(options) > (2 * 10**9 if welfare is None else 10**7):
        return None, f"too many alternatives to compare ({len(options):,} allocations): pass feasible="
    return options, f"among the {len(options):,} allocations that {which}"


def _lost(types: Array, outcomes: Any, options: Any, welfare: Welfare | None) -> float:
    """Return the most by which the welfare of honest profiles falls short of the best option's."""
    if welfare is not None:
        return max(max(float(welfare(kind, option)) for option in options) - float(welfare(kind, take(outcomes, b)))
                   for b, kind in enumerate(types))
    parts = np.array_split(types, 1 + len(types) * len(options) // 2**22)
    best = np.concatenate([(options @ part.T).max(axis=0) for part in parts])
    return float((best - np.vecdot(types, outcomes.allocation)).max())


def _first_best(gains: Array) -> int:
    """Return the first index of the highest entry, up to rounding: equal gains may differ in the last bit."""
    top = gains.max()
    return int((gains >= (top - EQUAL * abs(top) if np.isfinite(top) else top)).argmax())
