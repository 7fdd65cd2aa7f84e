"""The auditor: takes any rule and a setting, and looks for the most profitable lie.

Truth is dominant if no agent, whatever its type and whatever the others report, gains by any report but the truth. On a
grid that can be looked up: play the rule at every profile of reports, then compare along one axis for each agent.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from mechlib.attacks.profiles import Slab, Table, slabs
from mechlib.attacks.report import Audit, Witness, plain, sentence
from mechlib.mechanism import Array, Floats, Rule, checked, counted, function, numbers, real
from mechlib.settings import Actions, Joint, Lines, Listed, Priced, Setting, Values, biggest, net

# For each agent: how likely a slab of the others' profiles is, (types or 1, others), given each of its own types.
Weights = Callable[[int, Slab], Floats]


def audit(
    rule: Rule, setting: Any, *, n: int | None = None, reports: Any = None, utility: Callable[..., Any] | None = None,
    welfare: Callable[..., Any] | None = None, feasible: Any = None, tolerance: float | None = None, cells: int = 2**20,
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

    Returns
    -------
    Audit

    Raises
    ------
    ValueError
        If a grid is empty, not finite or has more than 10^9 profiles, the tolerance is negative or NaN, or the rule
        fails, is random or cannot be read: with the reports on which it does.
    """
    played = _settled(setting, n, reports, utility, welfare)
    weights = _joint_weights(played) if isinstance(played, Joint) else None
    return _audit(rule, played, weights, welfare, feasible, tolerance, cells)


def audit_bayes(
    rule: Rule, setting: Any, prior: Any = None, *, n: int | None = None, reports: Any = None,
    utility: Callable[..., Any] | None = None, welfare: Callable[..., Any] | None = None, feasible: Any = None,
    tolerance: float | None = None, cells: int = 2**20,
) -> Audit:
    """Check whether truth is a Bayes-Nash equilibrium: best on average if the others are truthful.

    `prior` (k,) says how likely each type is if the agents share a grid; (n, k), or n arrays, give each agent its own.
    Agents are independent; for types drawn together pass a `Joint` setting and no prior. Types of probability 0 are
    checked too. Gains and participation are then expected (interim) ones. The rest is as in `audit`; a ValueError is
    raised for a prior that does not fit or does not sum to 1.
    """
    played = _settled(setting, n, reports, utility, welfare)
    if (prior is None) != isinstance(played, Joint):
        raise ValueError("prior says how likely each type is, for independent agents: pass one, or a Joint setting")
    weights = _joint_weights(played) if isinstance(played, Joint) else _independent_weights(prior, played.honest)
    return _audit(rule, played, weights, welfare, feasible, tolerance, cells)


def _audit(
    rule: Rule, setting: Setting, weights: Weights | None, welfare: Callable[..., Any] | None, feasible: Any,
    tolerance: float | None, cells: int,
) -> Audit:
    tolerated(tolerance, 0.0)
    function("rule", rule), counted("cells", cells)
    table = Table(setting, setting.play(rule), cells)
    comparisons, worst, largest = 0, math.inf, _largest(setting, table, cells)
    candidates = list[_Lie]()
    for agent in range(len(setting.grids)):
        for slab, earned in _situations(setting, table.at, weights, cells, agent):
            if np.isnan(earned).any():
                raise ValueError(f"agent {agent} has a utility of NaN: neither the rule nor the utility may give NaN")
            types = range(len(earned))
            truth = earned[types, types]  # the truth of type k is report k
            best = earned.max(axis=1)
            gain = np.subtract(best, truth, out=np.zeros(best.shape), where=best != truth)  # infinite either way: none
            comparisons += earned.size - gain.size
            worst = min(worst, float(truth.min()))
            largest = max(largest, biggest(truth), biggest(best))
            kind, other = divmod(_first_best(gain.ravel()), gain.shape[1])
            if gain[kind, other] > 0:
                report = _first_best(earned[kind, :, other])
                place = slab if weights else _situation(slab, agent, other)
                candidates.append(_Lie(agent, kind, report, place, float(gain[kind, other])))

    rounding = tolerated(tolerance, largest)
    lie = _most_profitable([lie for lie in candidates if lie.gain > rounding])
    witness = None
    if lie is not None:
        _play_again(lie, setting, table, weights, cells, 1e-9 * largest)
        witness = _witness(lie, setting, weights is not None)
    budget, mean = _budget(setting, table, weights, cells)
    lost, compared_with = _shortfall(setting, table, cells, welfare, feasible)
    first = table.at(tuple(range(1) for _ in setting.grids))
    return Audit(
        rule=getattr(rule, "__name__", "a rule"),
        kind="Bayes" if weights else "dominant",
        agents=len(setting.grids),
        profiles=math.prod(map(len, setting.grids)),
        lies=comparisons,
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
    )


class _Lie(NamedTuple):
    """An agent's type and its report, by number; the profiles among which they were compared; what the lie gains."""

    agent: int
    kind: int
    report: int
    slab: Slab
    gain: float


def _situations(
    setting: Setting, at: Callable[[Slab], Lines | Listed], weights: Weights | None, cells: int, agent: int
) -> Iterator[tuple[Slab, Floats]]:
    """Yield profiles, and what each type of an agent earns by each report in each situation among them.

    A situation is one profile of the others' reports; under a prior there is only one: the others are truthful.
    """
    counts = [
        honest if weights and j != agent else len(grid)
        for j, (grid, honest) in enumerate(zip(setting.grids, setting.honest, strict=True))
    ]
    expected = np.zeros((setting.honest[agent], len(setting.grids[agent]), 1))
    for slab in slabs(counts, cells // setting.honest[agent], agent):
        earned = _earned(setting, at(slab), agent, slab)
        if weights is None:
            yield slab, earned
        else:
            expected += (earned * weights(agent, slab)[:, None, :]).sum(axis=2, keepdims=True)
    if weights is not None:
        yield tuple(map(range, counts)), expected


def _earned(setting: Setting, played: Lines | Listed, agent: int, slab: Slab) -> Floats:
    """Return what each type of an agent earns by each of its reports against each profile of the others, in a slab."""
    types = setting.grids[agent][: setting.honest[agent]]
    by_agent = played.utility(agent, types).reshape(len(types), *map(len, slab))
    return np.moveaxis(by_agent, agent + 1, 1).reshape(len(types), len(slab[agent]), -1)


def _situation(slab: Slab, agent: int, other: int) -> Slab:
    """Return the profiles of one situation of a slab: every report of the agent, one report of each of the others."""
    place = iter(np.unravel_index(other, [len(part) for j, part in enumerate(slab) if j != agent] or [1]))
    return tuple(part if j == agent else part[(k := int(next(place))) : k + 1] for j, part in enumerate(slab))


def _most_profitable(lies: Sequence[_Lie]) -> _Lie | None:
    ranked = sorted(lies, key=lambda lie: (lie.agent, lie.kind))  # stable: then in the order of the profiles
    return ranked[_first_best(np.array([lie.gain for lie in ranked]))] if ranked else None


def _play_again(
    lie: _Lie, setting: Setting, table: Table, weights: Weights | None, cells: int, rounding: float
) -> None:
    """Play a lie and the truth once more: what is random in one place only was not seen when the rule was tried."""
    if weights is None:
        earned = _earned(setting, table.again(lie.slab), lie.agent, lie.slab)
    else:
        ((_, earned),) = _situations(setting, table.again, weights, cells, lie.agent)
    gain = float(earned[lie.kind, lie.report, 0] - earned[lie.kind, lie.kind, 0])
    if not math.isclose(gain, lie.gain, rel_tol=1e-9, abs_tol=rounding):
        reports = [plain(grid[part[0]]) for grid, part in zip(setting.grids, lie.slab, strict=True)]
        reports[lie.agent] = plain(setting.grids[lie.agent][lie.report])
        raise ValueError(f"the rule gave two different results for the same reports, such as {reports}: it is random. "
                         "Audit its mean over many draws, or draw from a generator with a fixed seed.")


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
        mean += float(played.mean @ weights(-1, slab)[0]) if weights else 0.0
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


def _independent_weights(prior: Any, honest: tuple[int, ...]) -> Weights:
    if isinstance(prior, str | bytes) or not isinstance(prior, Sequence | np.ndarray) or not len(prior):
        raise ValueError(f"prior is {prior!r:.80}: it must hold how likely each type is, (k,), or a row an agent")
    alike = np.ndim(prior[0]) == 0
    rows = [numbers("prior", prior)] * len(honest) if alike else [numbers("prior", row) for row in prior]
    fits = [row.shape for row in rows] == [(count,) for count in honest]
    if not fits or any(not (row >= 0).all() or not abs(row.sum() - 1) <= 1e-9 for row in rows):
        raise ValueError(f"prior must hold a row an agent, of {[*honest]} probabilities, none negative, that sum to 1; "
                         f"it has rows of {[row.size for row in rows]} that sum to "
                         f"{[row.sum().round(6) for row in rows]}")

    def weights(agent: int, slab: Slab) -> Floats:
        parts = [row[part.start : part.stop] for row, part in zip(rows, slab, strict=True)]
        others = [part for j, part in enumerate(parts) if j != agent]
        return functools.reduce(np.multiply.outer, others, np.ones(())).reshape(1, -1)

    return weights


def _joint_weights(setting: Joint) -> Weights:
    likelihood = setting.likelihood()

    def weights(agent: int, slab: Slab) -> Floats:
        if agent < 0:
            return likelihood[np.ix_(*slab)].reshape(1, -1)
        own = range(setting.honest[agent])
        by_type = np.moveaxis(likelihood, agent, 0)
        among = by_type[np.ix_(own, *(part for j, part in enumerate(slab) if j != agent))].reshape(len(own), -1)
        total = by_type.reshape(len(own), -1).sum(axis=1, keepdims=True)
        return np.asarray(np.divide(among, total, out=np.zeros(among.shape), where=total > 0))

    return weights


def _first_best(gains: Floats) -> int:
    # the first index of the highest entry, up to rounding: equal gains may differ in the last bit
    top = gains.max()
    return int((gains >= (top - 1e-12 * abs(top) if np.isfinite(top) else top)).argmax())
