"""Rules by optimisation: the best rule on a grid that keeps what it promises, by a linear programme.

The auditor asks which lie breaks a rule. This asks for the rule that no lie breaks. At every profile of types the
programme chooses how likely each outcome is and what each agent is paid; truthfulness, participation and the budget
are linear in both (automated mechanism design: Conitzer & Sandholm 2002).

>>> from mechlib import Values, audit, design
>>> bidders = Values(range(5), 2)
>>> best = design(bidders, "revenue", {"dominant", "nobody loses"})
>>> round(best.value, 3), audit(best, bidders, tolerance=1e-6).is_dsic
(2.0, True)
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import Array, Award, Floats, Ints, Outcome, checked, numbers, real
from mechlib.settings import Beliefs, Joint, Setting, Values

Objective = Literal["revenue", "welfare", "right answers"]
Promise = Literal["dominant", "Bayes", "nobody loses", "nobody expects to lose", "no deficit", "balanced", "no fines"]
Terms = list[tuple[int, float]]  # variables by number, and what each is multiplied by
_MOST = 20_000  # profiles


@dataclass(frozen=True, repr=False, eq=False)
class _Designed:
    """What the programme chose at each profile of types. Where a lot decides, the allocation is the expected one."""

    grids: tuple[Array, ...]  #: the types that may be reported, one grid an agent
    value: float  #: what the objective comes to, on average over the prior
    chances: Floats  #: how likely each outcome is, (k_1, ..., k_n, outcomes)
    allocation: Floats  #: what each agent gets, (k_1, ..., k_n, n)
    rewards: Floats  #: what each is paid, (k_1, ..., k_n, n, 1), or for a wrong and for a right answer

    def __post_init__(self) -> None:
        object.__setattr__(self, "__name__", "the designed rule")

    def at(self, reports: ArrayLike) -> tuple[Ints, ...]:
        """Return where the reports stand on the grids; a ValueError is raised for one that is no type."""
        said = numbers("reports", reports)
        if said.ndim == 0 or said.shape[-1] != len(self.grids):
            raise ValueError(f"reports has shape {said.shape}: it must be (..., {len(self.grids)}), one an agent")
        return tuple(_places(f"reports[..., {i}]", said[..., i], grid) for i, grid in enumerate(self.grids))


class DesignedOutcome(_Designed):
    """A rule that was designed for values: from reports (..., n) to an `Outcome`. Reports must be types."""

    def __call__(self, reports: ArrayLike) -> Outcome:
        """Return who gets what, and who pays what."""
        at = self.at(reports)
        return Outcome(self.allocation[at], 0.0 - self.rewards[at][..., 0])


class DesignedAward(_Designed):
    """A rule that was designed for beliefs: from reports and what is found, (..., n), to an `Award`."""

    def __call__(self, reports: ArrayLike, found: ArrayLike) -> Award:
        """Return who is chosen, and who is paid what."""
        at = self.at(reports)
        right = checked("found", found, like=np.shape(reports)) > 0
        return Award(self.allocation[at], np.where(right, self.rewards[at][..., 1], self.rewards[at][..., 0]))


def design(
    setting: Setting, objective: Objective, promises: Collection[Promise], *, prior: Any = None,
    outcomes: ArrayLike | None = None, budget: float | None = None,
) -> DesignedOutcome | DesignedAward:
    """Return the rule that is best on average and keeps the promises, for the types on the setting's grids.

    Parameters
    ----------
    setting : Values, Beliefs or Joint
        Its types are what may be reported. In `Joint` they are drawn together.
    objective : {"revenue", "welfare", "right answers"}
        What is made as large as possible: the payments, less the rewards; or what the outcome is worth to the agents,
        which in `Beliefs` is the chance that a chosen answer is right.
    promises : collection of str
        - "dominant" or "Bayes": truth is best whatever the others report, or on average if they tell the truth;
        - "nobody loses" or "nobody expects to lose": an honest agent ends, or given its type expects to end, with at
          least nothing;
        - "no deficit" or "balanced": the payments sum to at least nothing, or to nothing, at every profile;
        - "no fines": nobody ever pays, so that every reward is at least 0.
    prior : array_like (k,) or (n, k), optional
        How likely each type is, for independent agents: by default all alike. None in `Joint`.
    outcomes : array_like (m, n), optional
        What can be done: how much each agent gets. By default one of them gets one unit, or nobody does. A trade of
        one unit from agent 1 to agent 0 is ``[[0, 0], [1, -1]]``.
    budget : float, optional
        The most that the rewards may sum to, less the payments, at any profile, whatever is found.

    Returns
    -------
    DesignedOutcome or DesignedAward
        The rule, and what the objective comes to (`value`).

    Raises
    ------
    ValueError
        If no rule keeps all the promises, the objective has no bound (say who takes part), there are more than
        20,000 profiles, or an argument does not fit the setting.
    """
    kept = _kept(promises)
    programme = _Programme(setting, prior, outcomes)
    if objective not in get_args(Objective):
        raise ValueError(f"objective is {objective!r:.80}: it must be one of {', '.join(get_args(Objective))}")
    if (objective == "right answers") != isinstance(setting, Beliefs) and objective != "revenue":
        raise ValueError(f"objective is {objective!r}: ask for right answers with Beliefs, for welfare with Values")
    if budget is not None:
        programme.keep_within(real("budget", budget))
    for promise in sorted(kept):
        if promise == "dominant":
            programme.make_truth_dominant()
        elif promise == "Bayes":
            programme.make_truth_an_equilibrium()
        elif promise == "nobody loses":
            programme.let_nobody_lose()
        elif promise == "nobody expects to lose":
            programme.let_nobody_expect_to_lose()
        elif promise == "no deficit":
            programme.keep_within(0.0)
        elif promise == "balanced":
            programme.balance()
    return programme.solve(objective, fines="no fines" not in kept)


def virtual_values(values: ArrayLike, prior: ArrayLike) -> Floats:
    """Return Myerson's virtual values on a grid: what serving each type adds to the best revenue.

    ``v_k - (v_{k+1} - v_k) * P(above v_k) / P(v_k)``: the value, less what all higher types then need not pay. Where
    they rise with the value (a regular prior), the best auction sells to the highest of them that is at least 0.

    Parameters
    ----------
    values : array_like (k,)
        Rising.
    prior : array_like (k,)
        How likely each is; positive.

    Returns
    -------
    array (k,)

    Raises
    ------
    ValueError
        If the values do not rise, or the prior is not one positive number each that sum to 1.
    """
    grid, chance = checked("values", values, ndim=1, negative=True), checked("prior", prior, ndim=1)
    if (np.diff(grid) <= 0).any():
        raise ValueError(f"values must rise; they were {grid.tolist()!s:.80}")
    if chance.shape != grid.shape or not (chance > 0).all() or abs(chance.sum() - 1) > 1e-9:
        raise ValueError(f"prior must be {len(grid)} positive numbers that sum to 1; it was {chance.tolist()!s:.80}")
    above = chance[::-1].cumsum()[::-1] - chance
    return np.asarray(grid - np.append(np.diff(grid), 0.0) * above / chance)


class _Programme:
    """The linear programme: a variable for the chance of each outcome and for each reward, at each profile."""

    def __init__(self, setting: Setting, prior: Any, outcomes: ArrayLike | None) -> None:
        if not isinstance(setting, Values | Beliefs) or any(grid.ndim > 1 or grid.dtype.kind not in "biuf"
                                                            for grid in setting.grids):
            raise ValueError(f"setting is {setting!r:.80}: design takes Values, Beliefs or Joint, with types that are "
                             "numbers")
        self.kinds = setting.honest
        self.grids = tuple(grid[:k] for grid, k in zip(setting.grids, self.kinds, strict=True))
        self.n, self.prize = len(self.grids), setting.prize if isinstance(setting, Beliefs) else None
        if np.prod([float(k) for k in self.kinds]) > _MOST:
            raise ValueError(f"setting has more than {_MOST:,} profiles of types: use coarser grids")
        self.profiles = [*itertools.product(*map(range, self.kinds))]
        self.chance = _likelihood(setting, prior, self.kinds)
        self.outcomes = np.vstack([np.zeros(self.n), np.eye(self.n)]) if outcomes is None else checked(
            "outcomes", outcomes, ndim=2, negative=True)
        if self.outcomes.shape[1] != self.n:
            raise ValueError(f"outcomes has shape {self.outcomes.shape}: it must be (m, {self.n}), one number an agent")
        self.states = 1 if self.prize is None else 2  # of what is found of an agent: nothing, or wrong and right
        self.rows, self.least, self.most = list[Terms](), list[float](), list[float]()
        for profile in self.profiles:
            self.require([(self.drawn(profile, o), 1.0) for o in range(len(self.outcomes))], 1.0, 1.0)

    def drawn(self, profile: tuple[int, ...], outcome: int) -> int:
        """Return the number of the variable that says how likely an outcome is."""
        return int(np.ravel_multi_index(profile, self.kinds)) * len(self.outcomes) + outcome

    def reward(self, profile: tuple[int, ...], agent: int, state: int) -> int:
        """Return the number of the variable that says what an agent is paid."""
        before = len(self.profiles) * len(self.outcomes)
        return before + (int(np.ravel_multi_index(profile, self.kinds)) * self.n + agent) * self.states + state

    def require(self, terms: Terms, least: float, most: float = np.inf) -> None:
        """Ask that a sum lies between two numbers."""
        self.rows.append(terms)
        self.least.append(least)
        self.most.append(most)

    def utility(self, agent: int, kind: int, profile: tuple[int, ...], times: float = 1.0) -> Terms:
        """Return what an agent of a type has if a profile is reported, in terms of the variables."""
        own = float(self.grids[agent][kind])
        unit, states = (own, [1.0]) if self.prize is None else (self.prize, [1.0 - own, own])
        got = [(self.drawn(profile, o), times * unit * get) for o, get in enumerate(self.outcomes[:, agent]) if get]
        return got + [(self.reward(profile, agent, s), times * odds) for s, odds in enumerate(states)]

    def others(self, agent: int, kind: int) -> Iterable[tuple[tuple[int, ...], float]]:
        """Yield the profiles in which an agent has a type, and how likely each is, given that."""
        given = np.take(self.chance[agent], kind, axis=agent)
        for profile in self.profiles:
            if profile[agent] == kind and (odds := float(given[profile[:agent] + profile[agent + 1 :]])) > 0:
                yield profile, odds

    def lies(self, agent: int, kind: int) -> Iterable[int]:
        """Yield the reports that an agent of a type could make instead."""
        return (lie for lie in range(self.kinds[agent]) if lie != kind)

    def make_truth_dominant(self) -> None:
        """Ask that truth is best for every agent at every profile."""
        for profile in self.profiles:
            for agent, kind in enumerate(profile):
                for lie in self.lies(agent, kind):
                    self.require(self.utility(agent, kind, profile)
                                 + self.utility(agent, kind, _with(profile, agent, lie), -1.0), 0.0)

    def make_truth_an_equilibrium(self) -> None:
        """Ask that truth is best on average, the others being truthful."""
        for agent, kinds in enumerate(self.kinds):
            for kind in range(kinds):
                for lie in self.lies(agent, kind):
                    gain = Terms()
                    for profile, odds in self.others(agent, kind):
                        gain += self.utility(agent, kind, profile, odds)
                        gain += self.utility(agent, kind, _with(profile, agent, lie), -odds)
                    self.require(gain, 0.0)

    def let_nobody_lose(self) -> None:
        """Ask that an honest agent has at least nothing at every profile."""
        for profile in self.profiles:
            for agent, kind in enumerate(profile):
                self.require(self.utility(agent, kind, profile), 0.0)

    def let_nobody_expect_to_lose(self) -> None:
        """Ask that an honest agent of each type has at least nothing on average."""
        for agent, kinds in enumerate(self.kinds):
            for kind in range(kinds):
                self.require([term for profile, odds in self.others(agent, kind)
                              for term in self.utility(agent, kind, profile, odds)], 0.0)

    def paid(self, profile: tuple[int, ...]) -> Iterable[Terms]:
        """Yield the sum of rewards at a profile, for all that may be found."""
        for found in itertools.product(range(self.states), repeat=self.n):
            yield [(self.reward(profile, agent, state), 1.0) for agent, state in enumerate(found)]

    def keep_within(self, budget: float) -> None:
        """Ask that the designer never pays out more than a budget."""
        for profile in self.profiles:
            for terms in self.paid(profile):
                self.require(terms, -np.inf, budget)

    def balance(self) -> None:
        """Ask that the agents pay each other, and nobody else."""
        for profile in self.profiles:
            for terms in self.paid(profile):
                self.require(terms, 0.0, 0.0)

    def aim(self, objective: Objective) -> Floats:
        """Return what each variable adds to the objective, on average over the types."""
        weight = np.zeros(self.reward(self.profiles[-1], self.n - 1, self.states - 1) + 1)
        for profile in self.profiles:
            odds = float(self.chance[-1][profile])
            types = [float(grid[kind]) for grid, kind in zip(self.grids, profile, strict=True)]
            if objective == "revenue":
                for agent, own in enumerate(types):
                    for state, likely in enumerate([1.0] if self.prize is None else [1.0 - own, own]):
                        weight[self.reward(profile, agent, state)] = -odds * likely
            else:
                for o, got in enumerate(self.outcomes):
                    weight[self.drawn(profile, o)] = odds * float(np.dot(types, got))
        return weight

    def solve(self, objective: Objective, fines: bool) -> DesignedOutcome | DesignedAward:
        """Solve the programme, and return the rule."""
        from scipy.optimize import linprog
        from scipy.sparse import coo_array
        weight = self.aim(objective)
        row = [k for k, terms in enumerate(self.rows) for _ in terms]
        column, factor = zip(*(term for terms in self.rows for term in terms), strict=True)
        matrix = coo_array((factor, (row, column)), shape=(len(self.rows), len(weight))).tocsr()
        least, most = np.array(self.least), np.array(self.most)
        exact, above, below = least == most, (least > -np.inf) & (least < most), (most < np.inf) & (least < most)
        chances = len(self.profiles) * len(self.outcomes)
        bounds = np.array([(0.0, 1.0)] * chances + [(-np.inf if fines else 0.0, np.inf)] * (len(weight) - chances))
        solved = linprog(
            -weight, A_ub=_stacked(-matrix[above], matrix[below]), b_ub=np.concatenate([-least[above], most[below]]),
            A_eq=matrix[exact], b_eq=least[exact], bounds=bounds, method="highs",
            options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10})
        if solved.status == 2:
            raise ValueError("promises: no rule keeps all of them here; ask for less, or allow an outcome that costs "
                             "nobody anything")
        if solved.x is None or solved.status == 3:
            raise ValueError("promises: the objective has no bound under them: say that nobody loses, or set a budget")
        return self.rule(solved.x, float(weight @ solved.x))

    def rule(self, x: Floats, value: float) -> DesignedOutcome | DesignedAward:
        """Return the rule that a solution describes."""
        chances = len(self.profiles) * len(self.outcomes)
        drawn = x[:chances].clip(0.0, 1.0).reshape(*self.kinds, -1)
        drawn = drawn / drawn.sum(axis=-1, keepdims=True)
        rewards = x[chances:].reshape(*self.kinds, self.n, self.states)
        kind = DesignedOutcome if self.prize is None else DesignedAward
        return kind(self.grids, value, drawn, drawn @ self.outcomes, rewards)


def _kept(promises: Collection[Promise]) -> set[str]:
    known = get_args(Promise)
    if isinstance(promises, str) or not isinstance(promises, Collection) or not all(p in known for p in promises):
        raise ValueError(f"promises is {promises!r:.120}: it must hold some of {', '.join(known)}")
    return set(promises)


def _with(profile: tuple[int, ...], agent: int, report: int) -> tuple[int, ...]:
    return (*profile[:agent], report, *profile[agent + 1 :])


def _stacked(*parts: Any) -> Any:
    from scipy.sparse import vstack
    return vstack(parts)


def _likelihood(setting: Setting, prior: Any, kinds: Sequence[int]) -> list[Floats]:
    """Return, for each agent, how likely the others' types are given its own, (k_1, ..., k_n); and the joint chances.

    Given a type that never occurs, independent others are as likely as ever; in `Joint` nothing is known of them.
    """
    if isinstance(setting, Joint):
        if prior is not None:
            raise ValueError("prior is given, but a Joint setting says itself how likely its types are")
        together = setting.likelihood()
        totals = [together.sum(axis=tuple(j for j in range(len(kinds)) if j != i), keepdims=True)
                  for i in range(len(kinds))]
        return [*(np.divide(together, total, out=np.zeros(together.shape), where=total > 0) for total in totals),
                together]
    rows = [np.full(k, 1.0 / k) for k in kinds] if prior is None else _rows(prior, kinds)
    given = [np.array(1.0)] * len(kinds)
    for i in range(len(kinds)):
        for j, row in enumerate(rows):
            given[i] = np.multiply.outer(given[i], np.ones(len(row)) if i == j else row)
    return [*given, given[0] * rows[0].reshape(-1, *[1] * (len(kinds) - 1))]


def _rows(prior: Any, kinds: Sequence[int]) -> list[Floats]:
    try:
        shared = np.ndim(prior[0]) == 0
    except (TypeError, LookupError) as error:
        raise ValueError(f"prior is {prior!r:.80}: pass chances, one row for all or a row an agent") from error
    rows = [checked("prior", row) for row in ([prior] * len(kinds) if shared else prior)]
    if [row.shape for row in rows] != [(k,) for k in kinds] or any(abs(row.sum() - 1) > 1e-9 for row in rows):
        raise ValueError(f"prior must hold {[*kinds]} chances that sum to 1, one row for all or a row an agent")
    return rows


def _places(name: str, said: Floats, grid: Array) -> Ints:
    order = np.argsort(grid)
    place = order[np.searchsorted(grid, said, sorter=order).clip(max=len(grid) - 1)]
    if not np.isclose(grid[place], said, rtol=0, atol=1e-12).all():
        raise ValueError(f"{name} must be among the types that the rule was designed for, {grid.tolist()!s:.80}")
    return np.asarray(place)
