"""The auditor: takes any function from reports to an outcome and looks for the most profitable lie.

Truth is dominant if no agent, whatever its type and whatever the others report, gains by reporting anything else. On a
grid that can be looked up: tabulate the rule once over all profiles, then compare along one axis for each agent.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np

from mechlib.audit_efficiency import efficiency
from mechlib.audit_grid import Grid, Table, Tally, passes, prior_of, rows
from mechlib.audit_report import Audit, Witness
from mechlib.audit_rule import Batched, Mechanism, Utility, Welfare, name_of
from mechlib.audit_sample import audit_sampled
from mechlib.outcome import Outcome

__all__ = ["Audit", "Witness", "audit", "audit_bayes", "audit_sampled", "expected"]


def audit(
    mechanism: Mechanism, types: Any, reports: Any = None, n: int | None = None, utility: Utility | None = None,
    welfare: Welfare | None = None, feasible: Any = None, *, tolerance: float = 1e-9, cells: int = 2**20,
) -> Audit:
    """Check on a grid whether truth is dominant, and find the most profitable lie where it is not.

    Every agent, type, report and profile of the others' reports is tried. A verdict of truthfulness holds for the
    grid; a lie that was found is a lie anywhere.

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
        How many profiles are held in memory at a time; a larger grid is worked through in slabs, with equal results.

    Returns
    -------
    Audit
        Ties between lies go to the lowest agent, then to its first type, then to the first profile of the others.

    Raises
    ------
    ValueError
        If a grid is empty or not finite, there are more than 10^9 profiles, or the rule cannot be audited.
    """
    grid = Grid.of(types, reports, n)
    rule = Batched(mechanism, grid.probe(), utility)
    table, noun = Table(rule), "worth" if utility is None else "of type"
    tally = Tally(grid, tolerance)
    for number, (slabs, agents) in enumerate(passes(grid.reports, cells)):
        for columns in slabs:
            outcomes = table(columns)
            if number == 0:
                tally.add_budget(outcomes, columns)
            for i in agents:
                tally.add_lies(rule, i, outcomes, columns)
    return tally.result(name_of(mechanism), "dominant", efficiency(table, grid, welfare, feasible, cells), noun=noun)


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
        As in `audit`.

    Returns
    -------
    Audit
        With expected (interim) gains, participation on average, and the expected revenue.

    Raises
    ------
    ValueError
        As in `audit`, and if a prior does not fit its grid, is negative or does not sum to 1.
    """
    grid = Grid.of(types, reports, n)
    chances = prior_of(prior, grid.types)
    rule = Batched(mechanism, grid.probe(), utility)
    table, noun = Table(rule), "worth" if utility is None else "of type"
    tally = Tally(grid, tolerance)
    for i in range(grid.n):
        axes = tuple(grid.reports[j] if j == i else grid.types[j] for j in range(grid.n))
        gains = np.zeros((len(grid.types[i]), len(grid.reports[i])))
        for columns in next(passes(axes, cells, first=i))[0]:
            outcomes = table(columns)
            weights = [np.ones(len(c)) if j == i else chances[j][rows(c, grid.types[j])] for j, c in enumerate(columns)]
            weight = functools.reduce(np.multiply.outer, weights)
            for t in range(len(gains)):
                worth = weight * rule.utilities(i, grid.types[i][t : t + 1], outcomes).reshape(weight.shape)
                gains[t] += worth.sum(axis=tuple(j for j in range(grid.n) if j != i))
            if i == 0:
                honest = tally.add_budget(outcomes, columns)
                if honest is not None:
                    share = weight[: len(grid.types[0])] * chances[0].reshape(-1, *[1] * (grid.n - 1))
                    tally.mean += float((share * honest).sum())
        tally.add_interim(i, gains)
    revenue = None if tally.budget is None else tally.mean
    return tally.result(name_of(mechanism), "Bayes", efficiency(table, grid, welfare, feasible, cells), revenue, noun)


def expected(mechanism: Callable[..., Any], draws: int, seed: int = 0) -> Mechanism:
    """Turn a random rule into one that returns its average outcome, fit for an audit.

    Every profile meets the same `draws` tosses of the coins, so that a rule which is truthful for each toss stays
    exactly so. For a rule that is truthful only in expectation the average is an estimate: judge a small gain by
    repeating with more draws, or return the exact expectation yourself.

    Parameters
    ----------
    mechanism : callable
        ``mechanism(reports, rng)`` for reports (n,) and a `numpy.random.Generator`, to an `Outcome` or a pair.
    draws : int
        How many tosses to average over; at least 1.
    seed : int
        Where the tosses start.

    Returns
    -------
    callable
        From reports (n,) to the average `Outcome`.

    Raises
    ------
    ValueError
        If `draws` is less than 1.
    """
    if draws < 1:
        raise ValueError(f"draws is {draws}: it must be at least 1")

    @functools.wraps(mechanism)
    def average(reports: Any) -> Outcome:
        tosses = [mechanism(reports, np.random.default_rng([seed, toss])) for toss in range(draws)]
        allocation, payments = (np.mean([toss[part] for toss in tosses], axis=0) for part in (0, 1))
        return Outcome(allocation, payments)

    return average
