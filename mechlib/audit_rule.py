"""Grids of report profiles, and any rule, however its author wrote it, called on many of them at once."""

from __future__ import annotations

import functools
import itertools
import math
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechlib.outcome import Outcome

Mechanism = Callable[..., Any]
Utility = Callable[[int, Any, Any], Any]
Array = NDArray[Any]
Slab = tuple[range, ...]  # for each agent, which of its reports


@dataclass(frozen=True)
class Grid:
    """What each agent may report: first its `honest` possible types, then anything else; `cells` at a time."""

    reports: tuple[Array, ...]
    honest: tuple[int, ...]
    cells: int

    @staticmethod
    def of(types: Any, reports: Any, n: int | None, cells: int) -> Grid:
        """Read the arguments of an audit; see `mechlib.audit.audit`."""
        kinds = _columns("types", types, n)
        extra = [kind[:0] for kind in kinds] if reports is None else _columns("reports", reports, len(kinds))
        new = [[r for r in more if not any(np.array_equal(r, t) for t in kind)]
               for kind, more in zip(kinds, extra, strict=True)]
        both = tuple(np.concatenate([kind, more]) if more else kind for kind, more in zip(kinds, new, strict=True))
        grid = Grid(both, tuple(map(len, kinds)), cells)
        if (size := math.prod(grid.sizes)) > 10**9:
            raise ValueError(f"the grid has {size:.2g} profiles, more than 1e+09: use a coarser grid, or audit_sampled")
        return grid

    @property
    def n(self) -> int:
        """The number of agents."""
        return len(self.reports)

    @property
    def sizes(self) -> tuple[int, ...]:
        """How many reports each agent has."""
        return tuple(map(len, self.reports))

    def probe(self) -> Array:
        """Return a few different profiles, not n of them, to try a rule on."""
        rng = np.random.default_rng(0)
        picks = [np.r_[0, len(r) - 1, rng.integers(len(r), size=2 + (self.n == 4))] for r in self.reports]
        return np.stack([r[pick] for r, pick in zip(self.reports, picks, strict=True)], axis=1)

    def slabs(self, counts: Sequence[int], whole: int = 0) -> Iterator[Slab]:
        """Cut the first `counts` reports of each agent into slabs, in order; agent `whole` has all of them in each."""
        room, pieces = self.cells // counts[whole], list[list[range]]()
        for i, count in reversed([*enumerate(counts)]):
            step = count if i == whole else max(1, min(count, room))
            pieces.insert(0, [range(k, min(k + step, count)) for k in range(0, count, step)])
            room = room if i == whole else room // count
        return itertools.product(*pieces)

    def profiles(self, slab: Slab) -> Array:
        """Return a slab's profiles (cells, n, ...), the last agent's report running fastest."""
        index = np.indices([len(part) for part in slab]).reshape(len(slab), -1)
        return np.stack([r[part.start + k] for r, part, k in zip(self.reports, slab, index, strict=True)], axis=1)

    def weights(self, prior: list[Array], slab: Slab, but: int = -1) -> Array:
        """Return how likely each honest profile of a slab is, or, each profile of the others but one."""
        chances = [p[part.start : part.stop] for j, (p, part) in enumerate(zip(prior, slab, strict=True)) if j != but]
        return functools.reduce(np.multiply.outer, chances, np.ones(())).ravel()

    def types(self, i: int, t: int, others: int, slab: Slab | None) -> tuple[Any, ...]:
        """Return agent i's type t and what the others play, by its place in a slab; None each if that is a mean."""
        play: list[Any] = [None] * self.n
        if slab is not None:
            places = np.unravel_index(others, [1 if j == i else len(part) for j, part in enumerate(slab)])
            play = [plain(r[part[k]]) for r, part, k in zip(self.reports, slab, places, strict=True)]
        play[i] = plain(self.reports[i][t])
        return tuple(play)


class Rule:
    """A rule, and perhaps a utility function, as functions of a whole batch of profiles.

    The rule is tried on a small batch and on each of its profiles alone. Only if the two agree is it ever handed a
    batch; otherwise it is called profile by profile, with an array or, if it wants one, a list. Shapes decide nothing.

    Raises a ValueError if the rule fails on a profile, returns something that needs a `utility`, or is random.

    Parameters
    ----------
    function, utility : callable
        As in `mechlib.audit.audit`; the utility is tried on many outcomes at once in the same way.
    probe : ndarray, shape (batch, n, ...)
        Profiles to try it on; the batch must not be as long as n.
    """

    def __init__(self, function: Mechanism, probe: Array, utility: Utility | None = None) -> None:
        if utility is None and probe.ndim > 2:
            raise ValueError("types are vectors: say what an outcome is worth with utility=lambda i, type, o: ...")
        self.function, self.utility, self.n, self.one_by_one = function, utility, probe.shape[1], False
        failure: Exception | None = None
        forms: list[Mechanism] = [lambda row: function(row.copy()), lambda row: function(row.tolist()),
                                  lambda row: take(function(row[None].copy()), 0)]
        for form in forms:
            try:
                alone = [form(row) for row in probe]
                break
            except Exception as error:  # the reader's own code may raise anything
                failure = failure or error
        else:
            raise ValueError(f"the rule fails on the reports {probe[0].tolist()}: {failure!r}") from failure
        self.form, alone = form, [self._checked(outcome, (self.n,)) for outcome in alone]
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                many = self._checked(function(probe.copy()), probe.shape[:2])
                self.batch = all(_same(take(many, b), one) for b, one in enumerate(alone))
        except Exception:  # a rule for a single profile fails on a batch in its own way
            self.batch = False
        again = alone if self.batch else [self._checked(form(row), (self.n,)) for row in probe]
        if not all(map(_same, again, alone)):
            raise ValueError("the rule gave two different outcomes for the same reports: it is random. Audit its "
                             "expectation: return it, or wrap rule(reports, rng) in `expected`.")

    def __call__(self, profiles: Array) -> Any:
        """Return the outcomes of profiles (batch, n, ...): arrays with a leading batch axis, or a list."""
        if self.batch:
            outcomes = self._checked(self.function(profiles.copy()), profiles.shape[:2])
        else:
            outcomes = [self._checked(self.form(row), (self.n,)) for row in profiles]
        if self.utility is None:
            if not self.batch:
                outcomes = Outcome(*map(np.array, zip(*outcomes, strict=True)))
            bad = np.isnan(outcomes.allocation + outcomes.payments).any(axis=1)
            if bad.any():
                raise ValueError(f"the rule returns NaN for the reports {profiles[bad][0].tolist()}")
        return outcomes

    def worth(self, i: int, kind: Any, outcomes: Any) -> Array:
        """Return agent i's utility of every outcome; `kind` is its type, or, by default utility, one an outcome."""
        if self.utility is None:
            return np.asarray(kind * outcomes.allocation[:, i] - outcomes.payments[:, i], float)
        count, utility = _count(outcomes), functools.partial(self.utility, i, kind)
        if not (self.one_by_one or isinstance(outcomes, list)):
            try:
                fast, some = np.asarray(utility(outcomes), float), np.linspace(0, count - 1, 6).astype(int)
                if fast.shape == (count,) and _same(fast[some], [utility(take(outcomes, b)) for b in some]):
                    return fast
            except Exception:  # a utility of one outcome fails on many in its own way
                pass
            self.one_by_one = True
        return np.array([float(utility(take(outcomes, b))) for b in range(count)])

    def _checked(self, outcome: Any, shape: tuple[int, ...]) -> Any:
        """Turn a quasi-linear rule's result into an `Outcome` of the right shape; leave others alone."""
        if self.utility is not None:
            return outcome
        try:
            allocation, payments = (np.asarray(part, float) for part in outcome)
        except (TypeError, ValueError):
            raise ValueError(f"the rule returned {outcome!r:.80}: it must be an Outcome or a pair (allocation, payments"
                             "); for anything else say what it is worth with utility=lambda i, type, o: ...") from None
        if not allocation.shape == payments.shape == shape:
            raise ValueError(f"the rule returned an allocation of shape {allocation.shape} and payments of shape "
                             f"{payments.shape}; both must be {shape}, one number for each of the {self.n} agents")
        return Outcome(allocation, payments)


def _columns(name: str, value: Any, n: int | None) -> list[Array]:
    try:
        whole = np.asarray(value)
    except ValueError:
        whole = np.empty(0, object)  # ragged: a grid an agent
    if whole.ndim == 1 and whole.dtype != object:
        if n is None:
            raise ValueError(f"{name} is one grid of {len(whole)}: say with n= how many agents share it")
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
    return columns


def plain(value: Any) -> Any:
    """Return a numpy scalar or row as plain Python, for people to read."""
    return tuple(value.tolist()) if getattr(value, "ndim", 0) else value.item() if hasattr(value, "item") else value


def name_of(rule: Mechanism) -> str:
    """Return what to call a rule: its name, or its wrapped function's."""
    name = getattr(getattr(rule, "func", rule), "__name__", type(rule).__name__)
    return "this rule" if name == "<lambda>" else str(name)


def take(outcomes: Any, b: int) -> Any:
    """Return outcome number b of a batch, field by field where it is a tuple."""
    if not isinstance(outcomes, tuple):
        return outcomes[b]
    fields = [field[b] for field in outcomes]
    return outcomes._make(fields) if hasattr(outcomes, "_make") else tuple(fields)


def collected(outcomes: Any) -> Array | None:
    """Return the sum of the payments of every outcome, or None where there are none to sum."""
    if isinstance(outcomes, list):
        paid = [np.sum(outcome.payments) for outcome in outcomes if hasattr(outcome, "payments")]
        return np.array(paid, float) if len(paid) == len(outcomes) else None
    payments = getattr(outcomes, "payments", None)
    return None if payments is None else np.asarray(payments, float).reshape(len(payments), -1).sum(axis=1)


def decisions(outcomes: Any) -> dict[str, Any]:
    """Return the outcomes that differ in what they decide, payments left out; each under a text of that."""
    found: dict[str, Any] = {}
    for outcome in (take(outcomes, b) for b in range(_count(outcomes))):
        fields = outcome._asdict() if hasattr(outcome, "_asdict") else getattr(outcome, "__dict__", {"": outcome})
        parts = [part for name, part in fields.items() if name != "payments"]
        found[repr([part.tolist() if isinstance(part, np.ndarray) else part for part in parts])] = outcome
    return found


def _count(outcomes: Any) -> int:
    return len(outcomes[0]) if isinstance(outcomes, tuple) else len(outcomes)


def _same(a: Any, b: Any) -> bool:
    """Return whether two outcomes are equal, field by field, up to rounding."""
    if hasattr(a, "__dict__") and type(a) is type(b):
        return _same(list(vars(a).values()), list(vars(b).values()))
    if isinstance(a, tuple | list):
        return len(a) == len(b) and all(map(_same, a, b))
    try:
        return np.array_equal(a, b) or (np.shape(a) == np.shape(b) and np.allclose(a, b, 1e-9, 1e-12, equal_nan=True))
    except TypeError:  # words, sets
        return bool(np.all(a == b))
