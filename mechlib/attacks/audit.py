"""The auditor: takes any rule and a setting, and looks for the most profitable lie.

Truth is dominant if no agent, whatever its type and whatever the others report, gains by any report but the truth. On a
grid that can be looked up: play the rule at every profile of reports, then compare along one axis for each agent.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple, get_args

import numpy as np

from mechlib.attacks.collusion import Gain, best_collusion
from mechlib.attacks.profiles import Slab, Table, slabs
from mechlib.attacks.report import Audit, Witness, plain, sentence, together
from mechlib.attacks.situations import (
    Weights,
    first_best,
    independent,
    jointly,
    once_more,
    refuse_random,
    situation,
    situations,
)
from mechlib.mechanism import Array, Floats, Rule, checked, counted, function, real
from mechlib.settings import Actions, Joint, Lines, Listed, Priced, Setting, Values, biggest, net


def audit(
    rule: Rule, setting: Any, *, n: int | None = None, reports: Any = None, utility: Callable[..., Any] | None = None,
    welfare: Callable[..., Any] | None = None, feasible: Any = None, tolerance: float | None = None, cells: int = 2**20,
    coalition: int = 1, gain: Gain = "sum",
) -> Audit:
    """Check on a grid whether truth is dominant, and find the most profitable lie where it is not.

    Every agent, type, report and profile of the others' reports is tried. A verdict of truthfulness holds for the
    grid; a lie that was found is a lie anywhere. Of equal lies, the witness is the one of the lowest agent, then of
    its first type, then against the first profile of the others; it is played again before it is reported. In a
    `Joint` setting truth is asked to be best on average, as in `audit_bayes`.

    Parameters
    ----------
    rule : callable
        From reports (n,), or (batch, n), to an `Outcome`, an `Award` or a richer result; in `Beliefs` from reports and
        what is found. Plain Python for one profile will do. It must not be random.
    setting : Setting or array_like
        `Values`, `Beliefs`, `Actions` or `Joint`; a bare grid, with `n` or `reports`, stands for `Values` of it.
    n, reports : int, array_like, optional
        Of a bare grid: how many agents share it, and what else they may report.
    utility : callable, optional
        ``utility(i, type, outcome)``: what one outcome is worth to agent i, money included, for results that do not
        say it themselves.
    welfare : callable, optional
        ``welfare(types, outcome)``, by default the sum of what the allocation is worth to the agents.
    feasible : sequence, optional
        What efficiency is measured against: allocations (m, n), or outcomes with `welfare`; or those the rule attains.
    tolerance : float, optional
        Gains, losses and lost welfare up to this much count as rounding. By default a billionth of the largest number
        that utilities are made of where an agent is honest or lies well; a fine for a report that nobody makes is none.
    cells : int
        How many numbers are held at a time.
    coalition : int
        Try joint lies of groups of up to so many agents too: 2 for all pairs.
    gain : {"sum", "some", "all"}
        When a group gains. By default, when the sum of its utilities rises: members that one owner runs share a purse,
        and side payments among the others are seen by nobody. "some" asks that somebody gains and nobody loses (a rule
        that no such group beats is group strategyproof, Moulin & Shenker 2001), "all" that everybody gains. The default
        is the hardest to pass: a rule that passes it passes the other two.

    Returns
    -------
    Audit

    Raises
    ------
    ValueError
        If a grid is empty, not finite or has more than 10^9 profiles, the tolerance is negative or NaN, or the rule
        fails, is random or cannot be read: with the reports on which it does; or `gain` is something else.
    """
    played = _settled(setting, n, reports, utility, welfare)
    weights = jointly(played) if isinstance(played, Joint) else None
    return _audit(rule, played, weights, welfare, feasible, tolerance, cells, coalition, gain)


def audit_bayes(
    rule: Rule, setting: Any, prior: Any = None, *, n: int | None = None, reports: Any = None,
    utility: Callable[..., Any] | None = None, welfare: Callable[..., Any] | None = None, feasible: Any = None,
    tolerance: float | None = None, cells: int = 2**20, coalition: int = 1, gain: Gain = "sum",
) -> Audit:
    """Check whether truth is a Bayes-Nash equilibrium: best on average if the others are truthful.

    `prior` (k,) says how likely each type is if the agents share a grid; (n, k), or n arrays, give each agent its own.
    Agents are independent; for types drawn together pass a `Joint` setting and no prior. Types of probability 0 are
    checked too. Gains and participation are then expected (interim) ones. The members of a coalition know each other's
    types. The rest is as in `audit`; a ValueError is raised for a prior that does not fit or does not sum to 1.
    """
    played = _settled(setting, n, reports, utility, welfare)
    if (prior is None) != isinstance(played, Joint):
        raise ValueError("prior says how likely each type is, for independent agents: pass one, or a Joint setting")
    weights = jointly(played) if isinstance(played, Joint) else independent(prior, played.honest)
    return _audit(rule, played, weights, welfare, feasible, tolerance, cells, coalition, gain)


def _audit(
    rule: Rule, setting: Setting, weights: Weights | None, welfare: Callable[..., Any] | None, feasible: Any,
    tolerance: float | None, cells: int, coalition: int, gain: Gain,
) -> Audit:
    tolerated(tolerance, 0.0)
    function("rule", rule), counted("cells", cells), counted("coalition", coalition)
    if gain not in get_args(Gain):
        raise ValueError(f"gain is {gain!r:.80}: it must be one of {', '.join(get_args(Gain))}")
    table = Table(setting, setting.play(rule), cells)
    comparisons, worst, largest = 0, math.inf, _largest(setting, table, cells)
    candidates = list[_Lie]()
    for agent in range(len(setting.grids)):
        for slab, (earned,) in situations(setting, table.at, weights, cells, (agent,)):
            if np.isnan(earned).any():
                raise ValueError(f"agent {agent} has a utility of NaN: neither the rule nor the utility may give NaN")
            types = range(len(earned))
            truth = earned[types, types]  # the truth of type k is report k
            best = earned.max(axis=1)
            gains = np.subtract(best, truth, out=np.zeros(best.shape), where=best != truth)  # infinite either way: none
            comparisons += earned.size - gains.size
            worst = min(worst, float(truth.min()))
            largest = max(largest, biggest(truth), biggest(best))
            kind, other = divmod(first_best(gains.ravel()), gains.shape[1])
            if gains[kind, other] > 0:
                report = first_best(earned[kind, :, other])
                place = slab if weights else situation(slab, (agent,), other)
                candidates.append(_Lie(agent, kind, report, place, float(gains[kind, other])))

    rounding = tolerated(tolerance, largest)
    lie = _most_profitable([lie for lie in candidates if lie.gain > rounding])
    witness = None
    if lie is not None:
        _play_again(lie, setting, table, weights, cells, 1e-9 * largest)
        witness = _witness(lie, setting, weights is not None)
    colluders, tried = best_collusion(setting, table, weights, cells, coalition, gain, rounding)
    budget, mean = _budget(setting, table, weights, cells)
    lost, compared_with = _shortfall(setting, table, cells, welfare, feasible)
    first = table.at(tuple(range(1) for _ in setting.grids))
    return Audit(
        rule=getattr(rule, "__name__", "a rule"),
        kind="Bayes" if weights else "dominant",
        agents=len(setting.grids),
        profiles=math.prod(map(len, setting.grids)),
        lies=comparisons + tried,
        witness=witness,
        sentence="" if witness is None else sentence(witness, setting, first.rewards),
        tolerance=rounding,
        rounds=tolerance is None,
        worst_utility=worst,
        sells=first.rewards,
        budget=budget,
        expected_revenue=mean if weights else None,
        welfare_lost=lost,
        compared_with=compared_with,
        coalition=coalition,
        gain=gain,
        collusion=colluders,
        together="" if colluders is None else together(colluders, setting, gain, first.rewards),
    )


class _Lie(NamedTuple):
    """An agent's type and its report, by number; the profiles among which they were compared; what the lie gains."""

    agent: int
    kind: int
    report: int
    slab: Slab
    gain: float


def _most_profitable(lies: Sequence[_Lie]) -> _Lie | None:
    ranked = sorted(lies, key=lambda lie: (lie.agent, lie.kind))  # stable: then in the order of the profiles
    return ranked[first_best(np.array([lie.gain for lie in ranked]))] if ranked else None


def _play_again(
    lie: _Lie, setting: Setting, table: Table, weights: Weights | None, cells: int, rounding: float
) -> None:
    reports = [lie.report if agent == lie.agent else part[0] for agent, part in enumerate(lie.slab)]
    (earned,) = once_more(setting, table, weights, cells, (lie.agent,), lie.slab)
    gain = float(earned[lie.kind, lie.report, 0] - earned[lie.kind, lie.kind, 0])
    refuse_random(setting, reports, lie.gain, gain, rounding)


def _witness(lie: _Lie, setting: Setting, bayes: bool) -> Witness:
    types = [None if bayes else plain(grid[part[0]]) for grid, part in zip(setting.grids, lie.slab, strict=True)]
    types[lie.agent] = plain(setting.grids[lie.agent][lie.kind])
    return Witness(lie.agent, tuple(types), plain(setting.grids[lie.agent][lie.report]), lie.gain)


def _largest(setting: Setting, table: Table, cells: int) -> float:
    """Return the largest number that the utilities of truthful profiles are made of: it scales what is rounding."""
    return max(table.at(slab).largest(table.profiles(slab)) for slab in slabs([*setting.honest], cells))


def _budget(
    setting: Setting, table: Table, weights: Weights | None, cells: int
) -> tuple[tuple[float, float] | None, float | None]:
    """Return the lowest and the highest sum of payments over truthful profiles, and its mean under a prior."""
    low, high, mean = math.inf, -math.inf, 0.0
    for slab in slabs([*setting.honest], cells):
        played = table.at(slab)
        if not len(played.mean):
            return None, None
        low, high = min(low, float(played.low.min())), max(high, float(played.high.max()))
        mean += float(played.mean @ weights((), slab)[0]) if weights else 0.0
    return (low, high), mean


def _shortfall(
    setting: Setting, table: Table, cells: int, welfare: Callable[..., Any] | None, feasible: Any
) -> tuple[float | None, str]:
    """Return the most welfare that truthful profiles lose to the best alternative, and which; or None, and why."""
    if isinstance(setting, Actions):
        return None, "nobody says what effort is worth"
    if isinstance(setting, Priced) and welfare is None:
        return None, "to compare welfare pass welfare=lambda types, outcome: ..."
    which = "the rule attains on this grid" if feasible is None else "you call feasible"
    everything = () if feasible is not None else (table.at(slab) for slab in slabs([*map(len, setting.grids)], cells))
    quantities = isinstance(table.at(tuple(range(1) for _ in setting.grids)), Lines)
    options: Any
    if quantities:
        options = np.zeros((0, len(setting.grids))) if feasible is None else checked(
            "feasible", feasible, ndim=2, negative=True)
        for played in everything:
            assert isinstance(played, Lines)
            options = _distinct(np.concatenate([options, played.allocation]))
    else:
        options = [] if feasible is None else list(feasible)
        for played in everything:
            assert isinstance(played, Listed)
            options += played.results
    if math.prod(map(len, setting.grids)) * len(options) > (2 * 10**9 if quantities else 10**7):
        return None, f"too many alternatives to compare ({len(options):,} allocations): pass feasible="
    lost = 0.0
    for slab in slabs([*setting.honest], cells):
        types, played = table.profiles(slab), table.at(slab)
        if isinstance(played, Lines):
            best = functools.reduce(np.maximum, (played.sign * (types @ option) for option in options))
            own = played.sign * np.vecdot(types, played.allocation)
        else:
            value = welfare or _welfare
            best = _best_of(setting, slab, options) if welfare is None else np.array(
                [max(float(welfare(kinds, option)) for option in options) for kinds in types])
            own = np.array([float(value(*pair)) for pair in zip(types, played.results, strict=True)])
        if feasible is not None and (own - best).max() > 1e-9 * np.abs(own).max():
            raise ValueError("the rule hands out more than is feasible: for some types it is worth more than anything "
                             "that feasible= lists, which must be all that can be done")
        lost = max(lost, float((best - own).max()))
    number = f"the {len(options):,} allocations" if quantities or feasible is not None else "all"
    return lost, f"among {number} that {which}"


def _best_of(setting: Setting, slab: Slab, options: Sequence[Any]) -> Floats:
    """Return the highest total worth that any of the results has at each profile of types of a slab."""
    total = np.zeros((1, len(options)))
    for agent, part in enumerate(slab):
        types = setting.grids[agent][part.start : part.stop]
        worth = np.array([[float(option.worth(agent, kind)) for option in options] for kind in types])
        total = (total[:, None] + worth).reshape(-1, len(options))
    return np.asarray(total.max(axis=1))


def _welfare(types: Array, result: Any) -> float:
    return float(sum(result.worth(i, kind) for i, kind in enumerate(types)))


def _distinct(rows: Floats) -> Floats:
    ordered = rows[np.lexsort(rows.T)]
    return np.asarray(ordered[np.append(True, (ordered[1:] != ordered[:-1]).any(axis=1))])


def _settled(setting: Any, n: int | None, reports: Any, utility: Any, welfare: Any) -> Setting:
    """Return the setting, or `Values` of a bare grid; priced by the caller's own utility if there is one."""
    for name, given in (("utility", utility), ("welfare", welfare)):
        if given is not None:
            function(name, given)
    if not isinstance(setting, Setting):
        if not isinstance(setting, Iterable) or isinstance(setting, str | bytes):
            raise TypeError(f"setting is {setting!r:.80}: it must be a Setting, such as Values(types, n), or a grid")
        nested = any(np.ndim(entry) > 0 for entry in setting)
        if nested and n is not None:
            raise ValueError("setting holds a list of lists, and n is given: write Values(types, n) if all agents "
                             "share these vectors as types, Values(grids) without n if each has a grid of its own")
        try:
            setting = Values(setting, n, reports=reports)
        except ValueError as error:
            raise ValueError(f"setting is no grid: {error}") from error
    elif n is not None or reports is not None:
        raise ValueError("n and reports belong to a bare grid; a setting has them: Values(grid, n, reports=...)")
    if utility is not None:
        return Priced(setting, utility)
    return Priced(setting, net) if welfare is not None else setting


def tolerated(tolerance: float | None, largest: float) -> float:
    """Return the tolerance asked for, or a billionth of the largest number; a negative or NaN one is a ValueError."""
    if tolerance is None:
        return 1e-9 * largest
    return real("tolerance", tolerance, "[0, inf]")
