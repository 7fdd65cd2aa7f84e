"""Settings: who plays a rule, what a type is, and what a report promises the agent that makes it.

- `Values`: a type is what one unit is worth (or, where the rule pays an `Award`, what it costs).
- `Beliefs`: a type is the chance of being right; what turns out is drawn accordingly.
- `Actions`: agents are told what to do, and effort is hidden; obeying is the truth.
- `Joint`: types are drawn together, so that an agent's own type tells it something about the others'.

Every use of a rule (`audit`, `audit_sampled`, `learn`, `scoreboard`) takes one of them. What an agent expects is nearly
always a line in its type, ``slope * type + base``: a quantity bought, or the difference that being right makes.
"""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import (
    LARGEST,
    Array,
    Award,
    Floats,
    Ints,
    Lifted,
    Outcome,
    Rule,
    arguments,
    checked,
    counted,
    flag,
    lift,
    numbers,
    real,
    transfers,
)

_MANY = 10_000  # agents
_ARRAYS = ("slope", "base", "allocation", "low", "high", "mean")


@dataclass(frozen=True)
class Lines:
    """What a batch of profiles comes to for every agent: ``slope * type + base``, each (batch, n).

    `allocation` (batch, n) is what the rule hands out, in expectation; `sign` says whether a unit is worth the type or
    costs it; `rewards` whether the money goes to the agents, as in an `Award`; `low`, `high` and `mean` (batch,) are
    the sum of payments by the agents, over all that may turn out, however unlikely.
    """

    slope: Floats
    base: Floats
    allocation: Floats
    low: Floats
    high: Floats
    mean: Floats
    sign: float = 1.0
    rewards: bool = False

    def __len__(self) -> int:
        """Return the number of profiles."""
        return len(self.base)

    def utility(self, agent: int, types: Array) -> Floats:
        """Return what an agent of each type (k,) has at each profile, (k, batch)."""
        return np.asarray(np.asarray(types)[:, None] * self.slope[:, agent] + self.base[:, agent], float)

    def own(self, agent: int, types: Array) -> Floats:
        """Return what an agent has at each profile, its type (batch,) there given."""
        return np.asarray(types * self.slope[:, agent] + self.base[:, agent], float)

    def largest(self, types: Array) -> float:
        """Return the largest number that utilities are made of, the types (batch, n) there given."""
        return max(biggest(types * self.slope), biggest(self.base))

    def __getitem__(self, rows: Any) -> Lines:
        """Return some of the profiles."""
        return dataclasses.replace(self, **{name: getattr(self, name)[rows] for name in _ARRAYS})

    def joined(self, more: Sequence[Lines]) -> Lines:
        """Return these profiles, and after them more."""
        parts = (self, *more)
        everything: dict[str, Any] = {name: np.concatenate([getattr(part, name) for part in parts]) for name in _ARRAYS}
        return dataclasses.replace(self, **everything)


@dataclass(frozen=True)
class Listed:
    """The results themselves, one a profile, and what one of them is worth to an agent: ``worth(i, type, result)``."""

    results: list[Any]
    worth: Callable[[int, Any, Any], float]

    def __len__(self) -> int:
        """Return the number of profiles."""
        return len(self.results)

    def utility(self, agent: int, types: Array) -> Floats:
        """Return what an agent of each type has at each profile, (k, batch)."""
        return np.array([[float(self.worth(agent, kind, result)) for result in self.results] for kind in types])

    def own(self, agent: int, types: Array) -> Floats:
        """Return what an agent has at each profile, its type (batch, ...) there given."""
        pairs = zip(types, self.results, strict=True)
        return np.array([float(self.worth(agent, kind, result)) for kind, result in pairs])

    def largest(self, types: Array) -> float:
        """Return the largest number that utilities are made of, the types (batch, n, ...) there given."""
        own = [self.own(agent, types[:, agent]) for agent in range(types.shape[1])]
        return max(map(biggest, [*own, *self._transfers()]))

    @property
    def mean(self) -> Floats:
        """The sum of payments by the agents at each profile; empty where the results hold none."""
        return np.array([0.0 - float(money.sum()) for money in self._transfers()])

    low = high = mean

    @property
    def rewards(self) -> bool:
        """Whether the money goes to the agents."""
        return bool(self.results) and hasattr(self.results[0], "rewards")

    def _transfers(self) -> list[Floats]:
        return [transfers(r) for r in self.results if hasattr(r, "payments") or hasattr(r, "rewards")]

    def __getitem__(self, rows: Any) -> Listed:
        """Return some of the profiles."""
        return Listed([self.results[k] for k in np.arange(len(self.results))[rows]], self.worth)

    def joined(self, more: Sequence[Listed]) -> Listed:
        """Return these profiles, and after them more."""
        return Listed([result for part in (self, *more) for result in part.results], self.worth)


def biggest(numbers: ArrayLike) -> float:
    """Return the largest finite absolute value among numbers, 0 if there is none."""
    sizes = np.abs(np.asarray(numbers, float))
    return float(sizes[np.isfinite(sizes)].max(initial=0.0))


class Setting:
    """What all settings share: `grids`, what each agent may report, its possible types first; and how many those are.

    Attributes
    ----------
    grids : tuple of arrays (k_i, ...)
    honest : tuple of int
    uncertain : bool
        Whether something turns out only after the reports are made.
    """

    grids: tuple[Array, ...]
    honest: tuple[int, ...]
    uncertain: ClassVar[bool] = False

    def play(self, rule: Rule) -> Lifted:
        """Return what turns profiles of reports (batch, n, ...) into `Lines`, or into `Listed` results."""
        raise NotImplementedError

    def of(self, agent: int, kind: Any) -> str:
        """Say which type an agent has: "worth 3"."""
        return f"of type {show(kind)}"

    def by(self, agent: int, report: Any) -> str:
        """Say what an agent does by a report: "reporting 2"."""
        return f"reporting {show(report)}"

    def when(self, reports: Sequence[tuple[int, Any]]) -> str:
        """Say what the others do, given as pairs of agent and report: "when the other reports 3"."""
        said = [show(report) for _, report in reports]
        if len(said) == 1:
            return f"when the other reports {said[0]}"
        return f"when the others report ({', '.join(said[:8] + ['…'] * (len(said) > 8))})"

    def turn_out(self, rng: np.random.Generator, types: Array) -> Ints:
        """Draw what turns out, 0 or 1, for each agent (batch, n): nothing, where a setting leaves nothing to chance."""
        return np.zeros(types.shape[:2], int)

    def ex_post(self, rule: Rule) -> Lifted:
        """Return what turns reports and what turned out, both (batch, n), into `Lines` or `Listed` results."""
        play = self.play(rule)
        return Lifted(lambda reports, found: play(reports), play.batched)

    def draw(self, rng: np.random.Generator, size: int) -> Array:
        """Draw type profiles (size, n, ...): every type of an agent is as likely."""
        return np.stack([rng.choice(grid[:k], size) for grid, k in zip(self.grids, self.honest, strict=True)], axis=1)

    def draw_reports(self, rng: np.random.Generator, size: int) -> Array:
        """Draw profiles of reports (size, n, ...), types or not."""
        return np.stack([rng.choice(grid, size) for grid in self.grids], axis=1)

    def some(self) -> Array:
        """Return a few profiles to try a rule on, never as many as there are agents."""
        size = 5 + (len(self.grids) == 5)
        return self.draw_reports(np.random.default_rng(0), size)


@dataclass(frozen=True, init=False)
class Values(Setting):
    """A type is what one unit is worth to its agent; under a rule that pays an `Award`, what one unit costs it.

    Parameters
    ----------
    types : array_like
        With `n`, one grid of types that all of them share: numbers (k,), words, or vectors (k, d). Without it, a grid
        an agent. Integers stay integers, so a type may be an index into a table of your own.
    n : int, optional
        How many agents share the grid.
    reports : like `types`, optional
        What may be reported besides the possible types.

    Raises
    ------
    ValueError
        If a grid is empty or not finite, or it is not clear whose it is.
    """

    grids: tuple[Array, ...] = field(repr=False)
    honest: tuple[int, ...]

    def __init__(self, types: Any, n: int | None = None, *, reports: Any = None) -> None:
        if n is not None:
            counted("n", n, most=_MANY)
        grids = _grids("types", types, n)
        object.__setattr__(self, "honest", tuple(map(len, grids)))
        more = [()] * len(grids) if reports is None else _grids("reports", reports, n)
        object.__setattr__(self, "grids", tuple(map(_joined, grids, more)))

    def play(self, rule: Rule) -> Lifted:
        """Return what each profile is worth to the agents; the rule is called with the reports alone."""
        return of_reports_alone(rule, self.some())

    def of(self, agent: int, kind: Any) -> str:
        """Say what the type is."""
        return f"worth {show(kind)}"


@dataclass(frozen=True, init=False)
class Beliefs(Setting):
    """A type is the chance that the agent's answer is right; what is found later is drawn accordingly.

    The rule is ``rule(reports, found)``, or takes the reports alone, or the costs as well. An agent of belief p that
    reports c expects what the rule pays for c, over its own chance p, the others being right as often as they report.

    Parameters
    ----------
    grid : array_like (k,) or (n, k)
        Beliefs in [0, 1], which are also what can be reported: one grid for all, or a row an agent.
    n : int
    prize : float
        What being chosen is worth to an agent by itself: traffic, data, the next commission.
    silence : bool
        Whether an agent may also report NaN, which abstains: nothing of it is then found right.
    reports : like `grid`, optional
        Further reports.
    costs : array_like (n,), optional
        What each agent spends, for rules that read it; 0 by default.

    Raises
    ------
    ValueError
        If the grid is empty or leaves [0, 1], or the costs are not one an agent.
    """

    grids: tuple[Array, ...] = field(repr=False)
    honest: tuple[int, ...]
    prize: float = 0.0
    costs: tuple[float, ...] = ()
    uncertain: ClassVar[bool] = True

    def __init__(
        self, grid: ArrayLike, n: int, prize: float = 0.0, *, silence: bool = False, reports: Any = None,
        costs: ArrayLike | None = None,
    ) -> None:
        counted("n", n, most=_MANY), real("prize", prize), flag("silence", silence)
        beliefs = _grids("grid", *_shared("grid", grid, n))
        more = _grids("reports", *_shared("reports", reports, n)) if reports is not None else [np.empty(0)] * n
        for name, table in (("grid", beliefs), ("reports", more)):
            if any(((column < 0) | (column > 1)).any() for column in table):
                raise ValueError(f"{name} must hold chances between 0 and 1; it was {table[0].tolist()!s:.80}")
        if len(beliefs) != n or len(more) != n:
            raise ValueError(f"grid and reports must be one for all, or a row for each of the {n} agents")
        spent = np.zeros(n) if costs is None else checked("costs", costs, negative=True)
        if spent.shape != (n,):
            raise ValueError(f"costs must be {n} finite numbers, one an agent; they were {costs!r:.80}")
        quiet = np.array([math.nan] * silence)
        grids = tuple(np.append(_joined(a, b), quiet) for a, b in zip(beliefs, more, strict=True))
        values = (grids, tuple(map(len, beliefs)), float(prize), tuple(spent.tolist()))
        for name, value in zip(("grids", "honest", "prize", "costs"), values, strict=True):
            object.__setattr__(self, name, value)

    def turn_out(self, rng: np.random.Generator, types: Array) -> Ints:
        """Draw who is right, 0 or 1 (batch, n): each agent as often as it believes."""
        return (rng.random(types.shape) < types).astype(int)

    def ex_post(self, rule: Rule) -> Lifted:
        """Return what reports (batch, n) earn once it is found who was right (batch, n); silence is never right."""
        call = self._call(rule)

        def play(reports: Array, found: Array) -> Lines:
            award = call(reports, np.where(np.isnan(reports), 0.0, found), np.broadcast_to(self.costs, reports.shape))
            paid = 0.0 - transfers(award).sum(axis=1)
            base = transfers(award) + self.prize * award.allocation
            rewards = isinstance(award, Award)
            return Lines(np.zeros(base.shape), base, award.allocation, paid, paid, paid, rewards=rewards)

        return Lifted(play, call.batched)

    def _call(self, rule: Rule) -> Lifted:
        reports = self.some()
        found = np.random.default_rng(0).integers(0, 2, reports.shape) * ~np.isnan(reports)
        return rule_of_reports_and_found(rule, reports, found.astype(float), np.broadcast_to(self.costs, reports.shape))

    def play(self, rule: Rule) -> Lifted:
        """Return what each profile of reports promises the agents, in expectation over everything that may be found."""
        call = self._call(rule)

        def play(profiles: Array) -> Lines:
            chance = np.nan_to_num(profiles)  # silence is never right
            agents = range(profiles.shape[1])
            right, wrong, allocation = np.zeros((3, *profiles.shape))
            low, high, mean = np.full(len(profiles), np.inf), np.full(len(profiles), -np.inf), np.zeros(len(profiles))
            for pattern in itertools.product((0.0, 1.0), repeat=len(agents)):
                correct = np.where(np.isnan(profiles), 0.0, pattern)
                award = call(profiles, correct, np.broadcast_to(self.costs, profiles.shape))
                odds = np.where(np.asarray(pattern) > 0, chance, 1 - chance)
                worth = transfers(award) + self.prize * award.allocation
                paid = 0.0 - transfers(award).sum(axis=1)
                everybody = odds.prod(axis=1)
                for i in agents:
                    others = np.delete(odds, i, axis=1).prod(axis=1)
                    (right if pattern[i] else wrong)[:, i] += others * worth[:, i]
                allocation += everybody[:, None] * award.allocation
                mean += everybody * paid
                low, high = np.minimum(low, paid), np.maximum(high, paid)
            right = np.where(np.isnan(profiles), wrong, right)
            return Lines(right - wrong, wrong, allocation, low, high, mean, rewards=isinstance(award, Award))

        return Lifted(play, call.batched)

    def of(self, agent: int, kind: Any) -> str:
        """Say what the type is."""
        return f"believing {show(kind)}"

    def by(self, agent: int, report: Any) -> str:
        """Say what the report does."""
        return "staying silent" if math.isnan(report) else f"reporting {show(report)}"


@dataclass(frozen=True, init=False)
class Actions(Setting):
    """Agents are told what to do, and nobody sees whether they do it: the truth is to obey.

    The rule is called with the numbers of the actions (n,), in the order of `costs`, and pays for them; the setting
    charges each agent the cost of what it did.

    Parameters
    ----------
    costs : mapping of str to float, or a sequence of n such
        The actions by name, and what each costs the agent that takes it.
    n : int, optional
        How many agents have the same actions.
    told : str or sequence of str, optional
        The action that each agent is told to take: by default the last one.

    Raises
    ------
    ValueError
        If an agent is told to do what is not among its actions, or a cost is not a finite number.
    """

    grids: tuple[Array, ...] = field(repr=False)
    honest: tuple[int, ...]
    actions: tuple[Mapping[str, float], ...]

    def __init__(
        self, costs: Mapping[str, float] | Sequence[Mapping[str, float]], n: int | None = None,
        told: str | Sequence[str] | None = None,
    ) -> None:
        if n is not None:
            counted("n", n, most=_MANY)
        several = isinstance(costs, Sequence) and all(isinstance(table, Mapping) for table in costs)
        tables = [dict(costs)] * (n or 0) if isinstance(costs, Mapping) else [*map(dict, costs)] if several else []
        if not tables or n not in (None, len(tables)):
            raise ValueError("costs must be one mapping of action names to costs with n=, or a sequence of n of them")
        for table in tables:
            if not table or not all(isinstance(action, str) for action in table):
                raise ValueError(f"costs must name actions for each agent, each at a cost; it was {costs!r:.100}")
            for action, cost in table.items():
                real(f"costs[{action!r:.40}]", cost)
        alike = told is None or isinstance(told, str)
        orders = [told] * len(tables) if alike else [*told] if isinstance(told, Sequence) else []
        if len(orders) != len(tables) or not all(order is None or isinstance(order, str) for order in orders):
            raise ValueError(f"told is {told!r:.80}: name one action for all, or one for each of {len(tables)} agents")
        grids = []
        for i, (table, order) in enumerate(zip(tables, orders, strict=True)):
            names = [*table]
            obey = names[-1] if order is None else order
            if obey not in table:
                raise ValueError(f"agent {i} is told to {obey!r:.80}, but its actions are {', '.join(names)}")
            grids.append(np.array([names.index(obey), *(k for k, name in enumerate(names) if name != obey)]))
        for name, value in (("grids", tuple(grids)), ("honest", (1,) * len(grids)), ("actions", tuple(tables))):
            object.__setattr__(self, name, value)

    def play(self, rule: Rule) -> Lifted:
        """Return what each profile of actions pays, less what it costs."""
        results = lift(rule, self.some())

        def play(profiles: Array) -> Lines:
            played = quasilinear(results(profiles))
            if isinstance(played, Listed):
                raise ValueError("with Actions the rule must return an Award or an Outcome, one number an agent")
            spent = [np.array([*table.values()])[profiles[:, i]] for i, table in enumerate(self.actions)]
            base = played.base - np.stack(spent, axis=1)
            return dataclasses.replace(played, slope=np.zeros(base.shape), base=base, sign=1.0)

        return Lifted(play, results.batched)

    def of(self, agent: int, kind: Any) -> str:
        """Say what the agent was told."""
        return f"told to {[*self.actions[agent]][kind]}"

    def by(self, agent: int, report: Any) -> str:
        """Say what the agent does instead."""
        return doing([*self.actions[agent]][report])

    def when(self, reports: Sequence[tuple[int, Any]]) -> str:
        """Say what the others do."""
        done = [[*self.actions[agent]][report] for agent, report in reports]
        if len(done) == 1:
            return f"when the other {does(done[0])}"
        if len(set(done)) == 1:
            return f"when the others {done[0]}"
        return f"when the others {', '.join(done[:-1])} and {done[-1]}"


@dataclass(frozen=True, init=False)
class Joint(Values):
    """Types that are drawn together: an agent's own type tells it something about the others'.

    Truth is then asked to be a Bayes-Nash equilibrium: best on average, given one's own type, if the others are
    truthful. Utility is that of `Values`; a rule that pays for reports alone hands out an allocation of 0.

    Parameters
    ----------
    profiles : array_like (m, n)
        The type profiles that can occur.
    chances : array_like (m,)
        How likely each is.

    Raises
    ------
    ValueError
        If the chances are not m numbers, none negative, that sum to 1.
    """

    profiles: Array = field(default_factory=lambda: np.empty(0))
    chances: Floats = field(default_factory=lambda: np.empty(0))

    def __init__(self, profiles: ArrayLike, chances: ArrayLike, *, reports: Any = None) -> None:
        (table, *_), odds = _grids("profiles", [profiles], None), numbers("chances", chances)
        if table.ndim != 2 or odds.shape != table.shape[:1] or not (odds >= 0).all() or not abs(odds.sum() - 1) <= 1e-9:
            raise ValueError(f"profiles must be (m, n) and chances (m,), none negative, summing to 1; they have shapes "
                             f"{table.shape} and {odds.shape}, and the sum is {odds.sum():g}")
        columns = [np.unique(column) for column in table.T]
        more = None if reports is None else [reports] * len(columns)
        super().__init__(columns, reports=more)
        object.__setattr__(self, "profiles", table)
        object.__setattr__(self, "chances", odds)

    def draw(self, rng: np.random.Generator, size: int) -> Array:
        """Draw type profiles (size, n) together."""
        return self.profiles[rng.choice(len(self.profiles), size, p=self.chances)]

    def of(self, agent: int, kind: Any) -> str:
        """Say what the agent saw."""
        return f"seeing {show(kind)}"

    def likelihood(self) -> Floats:
        """Return how likely each profile of the grids of types is, (k_1, ..., k_n)."""
        table = np.zeros(self.honest)
        places = [np.searchsorted(grid[:k], column) for grid, k, column in
                  zip(self.grids, self.honest, self.profiles.T, strict=True)]
        np.add.at(table, tuple(places), self.chances)
        return table


def of_reports_alone(rule: Rule, some: Array) -> Lifted:
    """Return what turns profiles of values into what a rule of reports alone makes of them; it is tried on `some`."""
    if (needed := arguments(rule)) > 1:
        raise ValueError(f"the rule asks for {needed} arguments, but with Values it gets the reports alone: where it "
                         "pays for what turns out, use Beliefs(grid, n)")
    results = lift(rule, some)

    def play(profiles: Array) -> Lines | Listed:
        played = quasilinear(results(profiles))
        if isinstance(played, Lines) and (profiles.ndim > 2 or profiles.dtype.kind not in "biuf"):
            raise ValueError("the types are vectors or words, and the rule returns quantities: say what they are worth "
                             "with utility=lambda i, type, outcome: ..., or return a result with worth(agent, type)")
        return played

    return Lifted(play, results.batched)


@dataclass(frozen=True)
class Priced(Setting):
    """A setting whose outcomes are worth what its author says: ``worth(i, type, result)``, transfers included."""

    setting: Setting
    worth: Callable[[int, Any, Any], float]

    def draw(self, rng: np.random.Generator, size: int) -> Array:
        """Draw type profiles as the setting does."""
        return self.setting.draw(rng, size)

    def some(self) -> Array:
        """Return a few profiles to try a rule on."""
        return self.setting.some()

    @property
    def grids(self) -> tuple[Array, ...]:  # type: ignore[override]
        """What each agent may report."""
        return self.setting.grids

    @property
    def honest(self) -> tuple[int, ...]:  # type: ignore[override]
        """How many of the reports are types."""
        return self.setting.honest

    def play(self, rule: Rule) -> Lifted:
        """Return the rule's results as they are."""
        results = lift(rule, self.some(), raw=True)
        return Lifted(lambda profiles: Listed(results(profiles), self.worth), batched=False)


def rule_of_reports_and_found(rule: Rule, reports: Array, found: Array, costs: Array) -> Lifted:
    """Return a rule for batches of (reports, found, costs), whichever of them it reads.

    All are (batch, n); those given here are some on which the rule is tried. A rule that returns a richer result is a
    ValueError.
    """
    needed = arguments(rule)
    lifted = lift(rule, *(reports, found, costs)[:needed])

    def call(*profiles: Array) -> Any:
        result = lifted(*profiles[:needed])
        if isinstance(result, list):
            raise ValueError("the rule must return an Award or an Outcome here: who is chosen, and one number an agent")
        return result

    return Lifted(call, lifted.batched)


def quasilinear(results: Any) -> Lines | Listed:
    """Return what results are worth to agents whose type is a value (an `Outcome`) or a cost (an `Award`) a unit."""
    if isinstance(results, list):
        return Listed(results, net)
    paid = 0.0 - transfers(results).sum(axis=-1)
    sign = -1.0 if isinstance(results, Award) else 1.0
    base, rewards = transfers(results), isinstance(results, Award)
    return Lines(sign * results.allocation, base, results.allocation, paid, paid, paid, sign, rewards)


def net(agent: int, kind: Any, result: Any) -> float:
    """Return what one result is worth to an agent of a type, transfers included."""
    if isinstance(result, (Outcome, Award)):
        sign = -1.0 if isinstance(result, Award) else 1.0
        return float(sign * kind * result.allocation[agent] + transfers(result)[agent])
    return float(result.worth(agent, kind) + transfers(result)[agent])


def _grids(name: str, value: Any, n: int | None) -> list[Array]:
    try:
        if isinstance(value, str | bytes):
            raise TypeError("it is text")
        columns = [np.asarray(value)] * n if n else [np.asarray(column) for column in value]
        columns = [numbers(name, value if n else c) if c.dtype.kind in "cfO" else c for c in columns]
        for masked in [value] if n else value:
            if np.ma.is_masked(masked):
                raise TypeError("some of its entries are masked")
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} is {value!r:.120}: {error}. With n= pass one grid that all share; without it, a grid "
                         "for each agent") from error
    sound = all(c.ndim and c.size and c.dtype.kind in "biufU" and (c.dtype.kind != "f" or (abs(c) <= LARGEST).all())
                for c in columns)
    if not columns or not sound:
        raise ValueError(f"{name} is {value!r:.120}: pass a grid of one or more finite numbers, words or vectors for "
                         f"each of the {n or 'n'} agents, or one grid that they share, and say with n= how many do")
    return columns


def _shared(name: str, grid: ArrayLike, n: int) -> tuple[Floats, int | None]:
    """Return a grid of numbers, and how many agents share it: None for a row an agent."""
    table = numbers(name, grid)
    return table, None if table.ndim == 2 else n


def _joined(types: Array, more: Any) -> Array:
    """Return the types, and after them what else may be reported."""
    new = [report for report in more if not any(np.array_equal(report, kind) for kind in types)]
    return np.concatenate([types, new]) if new else types


def show(value: Any) -> str:
    """Write a number, or a list of them, in at most four digits."""
    if isinstance(value, list | tuple):
        return "(" + ", ".join(map(show, value)) + ")"
    if isinstance(value, float | int) and not isinstance(value, bool):
        if math.isnan(value):
            return "silence"
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return str(value)


def doing(action: str) -> str:
    """Return the action of doing something: "shirk" becomes "shirking", and "say bad" "saying bad"."""
    first, *rest = action.split(" ")
    if not first.isalpha():
        return f"doing '{action}'"
    if rest:
        return " ".join([doing(first), *rest])
    if action.endswith("ie"):
        return f"{action[:-2]}ying"
    if action.endswith("e") and not action.endswith("ee") and action != "be":
        return f"{action[:-1]}ing"
    one_syllable = [letter in "aeiou" for letter in action[-3:]] == [False, True, False] and sum(
        letter in "aeiouy" for letter in action) == 1
    return f"{action}{action[-1]}ing" if one_syllable and action[-1] not in "wx" else f"{action}ing"


def does(action: str) -> str:
    """Return what somebody else does: "shirk" becomes "shirks", and "say bad" "says bad"."""
    first, *rest = action.split(" ")
    if not first.isalpha():
        return f"does '{action}'"
    if rest:
        return " ".join([does(first), *rest])
    if action.endswith("y") and action[-2:-1] not in (*"aeiou", ""):
        return f"{action[:-1]}ies"
    return f"{action}es" if action.endswith(("s", "sh", "ch", "x", "o")) else f"{action}s"
