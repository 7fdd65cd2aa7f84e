"""Grids of report profiles, worked through slab by slab, and what an audit collects on the way."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import product
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from mechlib.audit_report import Audit, Witness
from mechlib.audit_rule import Array, Batched, Floats, plain, sums

Columns = tuple[Array, ...]
LARGEST = 10**9
EQUAL = 1e-12  # relative: gains closer than this are ties


@dataclass(frozen=True)
class Grid:
    """What each agent may be, and what it may report: its types first, then any further reports."""

    types: Columns
    reports: Columns

    @staticmethod
    def of(types: Any, reports: Any, n: int | None) -> Grid:
        """Read the arguments of an audit; see `mechlib.audit.audit`."""
        kinds = _columns("types", types, n)
        extra = tuple(t[:0] for t in kinds) if reports is None else _columns("reports", reports, len(kinds))
        both = tuple(np.concatenate([t, r[rows(r, t) < 0]]) if len(r) else t for t, r in zip(kinds, extra, strict=True))
        grid = Grid(kinds, both)
        if grid.size > LARGEST:
            raise ValueError(
                f"the grid has {grid.size:.2g} profiles, more than {LARGEST:.0g}: use a coarser grid, or audit_sampled"
            )
        return grid

    @property
    def n(self) -> int:
        """The number of agents."""
        return len(self.types)

    @property
    def size(self) -> int:
        """The number of report profiles."""
        return math.prod(map(len, self.reports))

    @property
    def closed(self) -> bool:
        """Whether there is nothing to report but types."""
        return all(t is r for t, r in zip(self.types, self.reports, strict=True))

    def probe(self) -> Array:
        """Return a few different profiles, not n of them, to try a rule on."""
        rng = np.random.default_rng(0)
        picks = [np.r_[0, len(r) - 1, rng.integers(len(r), size=2 + (self.n == 4))] for r in self.reports]
        return np.stack([r[pick] for r, pick in zip(self.reports, picks, strict=True)], axis=1)


def rows(some: Array, among: Array) -> NDArray[np.intp]:
    """Return where each row of `some` stands in `among`; -1 where it does not."""
    equal = (some[:, None] == among[None]).reshape(len(some), len(among), -1).all(axis=2)
    return np.where(equal.any(axis=1), equal.argmax(axis=1), -1)


def passes(axes: Columns, cells: int, first: int = 0) -> Iterator[tuple[Iterator[Columns], list[int]]]:
    """Cut a product grid into slabs of about `cells` profiles, several times if need be.

    In a pass some agents' reports are held fixed and the others' run through their whole axes: those are the agents
    whose lies the pass can compare. Yields (slabs, agents) until every agent has been among them once.
    """
    left = [*range(first, len(axes)), *range(first)]
    while left:
        free: list[int] = []
        for i in left + [i for i in range(len(axes)) if i not in left]:
            if not free or math.prod(len(axes[j]) for j in [*free, i]) <= cells:
                free.append(i)
        pieces = [[axis] if i in free else np.split(axis, len(axis)) for i, axis in enumerate(axes)]
        yield product(*pieces), sorted(set(left) & set(free))
        left = [i for i in left if i not in free]


class Table:
    """The rule's outcomes on a slab; the last slab is remembered."""

    profiles: Array
    outcomes: Any

    def __init__(self, rule: Batched) -> None:
        self.rule = rule
        self.last: tuple[bytes, ...] = ()
        self.profiles, self.outcomes = np.empty(0), None

    def __call__(self, columns: Columns) -> Any:
        """Return the outcomes of the product of columns, the last agent's report running fastest."""
        key = tuple(column.tobytes() for column in columns)
        if key != self.last:
            self.outcomes = None  # frees the old slab before the new one is made
            self.profiles = profiles(columns)
            self.outcomes, self.last = self.rule(self.profiles), key
        return self.outcomes


def profiles(columns: Columns) -> Array:
    """Return the product grid of columns as profiles (cells, n, ...)."""
    index = np.indices([len(column) for column in columns]).reshape(len(columns), -1)
    return np.stack([column[i] for column, i in zip(columns, index, strict=True)], axis=1)


@dataclass
class Tally:
    """What has been found so far."""

    grid: Grid
    tolerance: float
    best: tuple[Any, ...] = (0.0,)
    witness: Witness | None = None
    worst: float = math.inf
    lies: int = 0
    budget: tuple[float, float] | None = None
    mean: float = field(default=0.0)

    def add_budget(self, outcomes: Any, columns: Columns) -> Floats | None:
        """Note the sum of payments at the slab's truthful profiles, and return it as a grid."""
        paid = sums(outcomes)
        if paid is None:
            return None
        honest: Floats = paid.reshape([len(c) for c in columns])
        if not self.grid.closed:
            truthful = (np.flatnonzero(rows(c, t) >= 0) for c, t in zip(columns, self.grid.types, strict=True))
            honest = honest[np.ix_(*truthful)]
        if honest.size:
            low, high = float(honest.min()), float(honest.max())
            self.budget = (low, high) if self.budget is None else (min(low, self.budget[0]), max(high, self.budget[1]))
        return honest

    def add_lies(self, rule: Batched, i: int, outcomes: Any, columns: Columns) -> None:
        """Compare agent i's truth with its lies against everything that the others report in this slab."""
        types, shape = self.grid.types[i], [len(c) for c in columns]
        step = max(1, 2**18 // math.prod(shape))
        for start in range(0, len(types), step):
            some = types[start : start + step]
            worth = rule.utilities(i, some, outcomes).reshape(len(some), *shape)
            worth = np.moveaxis(worth, i + 1, 1).reshape(len(some), shape[i], -1)
            truth = worth[np.arange(len(some)), start + np.arange(len(some))]
            with np.errstate(invalid="ignore"):
                gain = worth.max(axis=1) - truth
            top = gain.max()
            if np.isnan(top):  # NaN is an error; infinite on both sides is no gain
                if np.isnan(worth).any():
                    raise ValueError(f"agent {i} has a utility of NaN: neither the rule nor the utility may give NaN")
                gain = np.where(np.isnan(gain), 0.0, gain)
                top = gain.max()
            self.worst = min(self.worst, float(truth.min()))
            self.lies += worth.size - truth.size
            if top > self.tolerance and top >= self.best[0] * (1 - EQUAL):
                t, o = np.unravel_index(_first_best(gain), gain.shape)
                index = np.unravel_index(o, [*shape[:i], 1, *shape[i + 1 :]])
                others = [c[k] for c, k in zip(columns, index, strict=True)]
                place = [int(rows(np.asarray(v)[None], r)[0]) for v, r in zip(others, self.grid.reports, strict=True)]
                others[i] = some[t]
                lie = columns[i][_first_best(worth[t, :, o])]
                self.offer(i, start + int(t), [p for j, p in enumerate(place) if j != i], others, lie, float(top))

    def add_interim(self, i: int, gains: Floats) -> None:
        """Compare agent i's truth with its lies on average: expected utilities (types, reports)."""
        truth = gains[np.arange(len(gains)), np.arange(len(gains))]
        self.worst = min(self.worst, float(truth.min()))
        self.lies += gains.size - truth.size
        if not np.isfinite(gains).all():
            raise ValueError(f"agent {i} has an expected utility that is NaN or infinite: it cannot be compared")
        gain = gains.max(axis=1) - truth
        t = _first_best(gain)
        if gain[t] > self.tolerance:
            types = [self.grid.types[i][t] if j == i else None for j in range(self.grid.n)]
            self.offer(i, t, [], types, self.grid.reports[i][_first_best(gains[t])], float(gain[t]))

    def offer(self, i: int, t: int, place: Sequence[int], types: Iterable[Any], lie: Any, gain: float) -> None:
        """Keep a lie if it gains more, or as much and comes first."""
        rank = (gain, -i, -t, *(-p for p in place))
        near = self.witness is not None and math.isclose(gain, self.best[0], rel_tol=EQUAL)
        if self.witness is None or (rank[1:] > self.best[1:] if near else rank > self.best):
            self.best, self.witness = rank, Witness(i, tuple(map(plain, types)), plain(lie), gain)

    def result(self, rule: str, kind: Literal["dominant", "Bayes"], welfare: tuple[float | None, str],
               revenue: float | None = None, noun: str = "worth") -> Audit:
        """Return the verdict."""
        regret = self.witness.gain if self.witness else 0.0
        return Audit(rule, kind, self.grid.n, self.grid.size, self.lies, regret, self.witness, self.tolerance,
                     self.worst, *welfare, self.budget, revenue, noun=noun)


def prior_of(prior: Any, types: Columns) -> tuple[Floats, ...]:
    """Read a prior: one probability vector an agent, or one that all share."""
    try:
        shared = np.ndim(prior) == 1
    except ValueError:
        shared = False
    if not shared and len(prior) != len(types):
        raise ValueError(f"prior is for {len(prior)} agents and types for {len(types)}: pass one row an agent")
    chances = tuple(np.asarray(prior if shared else prior[i], float) for i in range(len(types)))
    for i, (p, kinds) in enumerate(zip(chances, types, strict=True)):
        if p.shape != (len(kinds),) or not (p >= 0).all() or abs(p.sum() - 1) > 1e-9:
            raise ValueError(
                f"agent {i}'s prior has shape {p.shape} and sums to {p.sum():g}: it must hold {len(kinds)} "
                "probabilities, none negative, that sum to 1"
            )
    return chances


def _columns(name: str, value: Any, n: int | None) -> Columns:
    try:
        whole = np.asarray(value)
    except ValueError:
        whole = np.empty(0, object)  # ragged: a grid an agent
    if whole.ndim == 1 and whole.dtype != object:
        if n is None:
            raise ValueError(
                f"{name} is one grid of {len(whole)}: say with n= how many agents share it, or pass a grid an agent"
            )
        columns = [whole] * n
    else:
        columns = [np.asarray(column) for column in value]
    if (n is not None and len(columns) != n) or not columns:
        raise ValueError(f"{name} holds {len(columns)} grids, but there are {n} agents: pass one an agent")
    for i, column in enumerate(columns):
        if column.ndim == 0 or not column.size:
            raise ValueError(f"{name} of agent {i} has shape {column.shape}: it must list at least one")
        if column.dtype.kind == "f" and not np.isfinite(column).all():
            raise ValueError(f"{name} of agent {i} holds {column[~np.isfinite(column)][0]}: every one must be finite")
    return tuple(columns)


def _first_best(gains: Floats) -> int:
    """Return the first index of the highest entry, up to rounding: equal gains may differ in the last bit."""
    top = gains.max()
    return int((gains >= top - EQUAL * abs(top)).argmax()) if np.isfinite(top) else int(gains.argmax())
