"""Calls any rule on many report profiles at once, however its author wrote it; used by `mechlib.audit`."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechlib.outcome import Outcome

Mechanism = Callable[..., Any]
Utility = Callable[[int, Any, Any], Any]
Welfare = Callable[[Any, Any], Any]
Array = NDArray[Any]
Floats = NDArray[np.float64]


class Batched:
    """A rule, and perhaps a utility function, as functions of a whole batch of profiles.

    The rule is tried on a small batch and on each of its profiles alone. Only if the two agree is it ever handed a
    batch; otherwise it is called profile by profile, with an array or, if it wants one, a list. Shapes decide nothing.

    Parameters
    ----------
    rule : callable
        Takes reports (n,) or (batch, n) and returns an `Outcome`, an (allocation, payments) pair or, if `utility` is
        given, anything.
    probe : ndarray, shape (batch, n, ...)
        Profiles to try it on; the batch must not be as long as n.
    utility : callable, optional
        ``utility(i, type, outcome)``; tried on many outcomes at once in the same way.

    Raises
    ------
    ValueError
        If the rule fails on a profile, returns something that needs a `utility`, or is random.
    """

    def __init__(self, rule: Mechanism, probe: Array, utility: Utility | None = None) -> None:
        self.rule, self.utility, self.n = rule, utility, probe.shape[1]
        self.slow: set[int] = set()
        forms: list[Mechanism] = [lambda row: rule(row.copy()), lambda row: rule(row.tolist()),
                                  lambda row: take(rule(row[None].copy()), 0)]
        errors: list[Exception] = []
        for form in forms:
            try:
                alone = [self.checked(form(row)) for row in probe]
                break
            except Exception as error:  # the reader's own code may raise anything
                errors.append(error)
        else:
            if isinstance(errors[0], _NotAnOutcome):
                raise errors[0]
            raise ValueError(f"the rule fails on the reports {probe[0].tolist()}: {errors[0]!r}") from errors[0]
        self.form = form
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                many = self.checked(rule(probe.copy()), len(probe))
                self.batch = all(same(take(many, b), one) for b, one in enumerate(alone))
        except Exception:  # a rule for a single profile fails on a batch in its own way
            self.batch = False
        if not self.batch and not all(same(self.checked(form(p)), one) for p, one in zip(probe, alone, strict=True)):
            raise ValueError(
                "the rule gave two different outcomes for the same reports: it is random. Audit its expectation: "
                "return expected allocations and payments, or wrap rule(reports, rng) in `expected`."
            )

    def __call__(self, profiles: Array) -> Any:
        """Return the outcomes of profiles (batch, n, ...): arrays with a leading batch axis, or a list."""
        if self.batch:
            outcomes = self.checked(self.rule(profiles.copy()), len(profiles))
        else:
            outcomes = stack([self.checked(self.form(row)) for row in profiles])
        if self.utility is None:
            bad = np.isnan(outcomes.allocation + outcomes.payments).any(axis=1)
            if bad.any():
                raise ValueError(f"the rule returns NaN for the reports {profiles[bad][0].tolist()}")
        return outcomes

    def checked(self, outcome: Any, batch: int | None = None) -> Any:
        """Turn a quasi-linear rule's result into an `Outcome` of the right shape; leave others alone."""
        if self.utility is not None:
            return outcome
        shape = (self.n,) if batch is None else (batch, self.n)
        try:
            allocation, payments = (np.asarray(part, float) for part in outcome)
        except (TypeError, ValueError):
            raise _NotAnOutcome(
                f"the rule returned {outcome!r:.80}: it must be an Outcome or a pair (allocation, payments); "
                "for anything else say what it is worth with utility=lambda i, type, outcome: ..."
            ) from None
        if allocation.shape != shape or payments.shape != shape:
            raise _NotAnOutcome(
                f"the rule returned an allocation of shape {allocation.shape} and payments of shape {payments.shape}; "
                f"both must be {shape}, one number for each of the {self.n} agents"
            )
        return Outcome(allocation, payments)

    def utilities(self, i: int, kinds: Array, outcomes: Any) -> Floats:
        """Return (types, cells): agent i's utility of every outcome for each of its types."""
        if self.utility is None:
            if kinds.ndim > 1:
                raise ValueError("types are vectors: say what an outcome is worth with utility=lambda i, type, o: ...")
            worth: Floats = np.multiply.outer(kinds, outcomes.allocation[:, i])
            worth -= outcomes.payments[:, i]
            return worth
        worth_of = self.utility

        def of(kind: Any) -> Floats:
            return evaluate(lambda outcome: worth_of(i, kind, outcome), outcomes, self.slow)

        return np.stack([of(kind) for kind in kinds])


def evaluate(function: Callable[[Any], Any], outcomes: Any, slow: set[int]) -> Floats:
    """Evaluate a function on all outcomes at once if a few single calls agree, else one by one; `slow` remembers."""
    count = len_of(outcomes)
    if not slow and not isinstance(outcomes, list):
        try:
            fast = np.asarray(function(outcomes), float)
            some = np.unique(np.linspace(0, count - 1, 6).astype(int))
            if fast.shape == (count,) and same(fast[some], np.array([function(take(outcomes, b)) for b in some])):
                return fast
        except Exception:  # a function of one outcome fails on many in its own way
            pass
        slow.add(count)
    return np.array([float(function(take(outcomes, b))) for b in range(count)])


def name_of(rule: Mechanism) -> str:
    """Return what to call a rule: its name, or its wrapped function's."""
    name = getattr(getattr(rule, "func", rule), "__name__", type(rule).__name__)
    return "this rule" if name == "<lambda>" else str(name)


class _NotAnOutcome(ValueError):
    """The rule ran, but its result cannot be audited as it is."""


def take(outcomes: Any, b: int) -> Any:
    """Return outcome number b of a batch."""
    if isinstance(outcomes, tuple):
        return _like(outcomes, [field[b] for field in outcomes])
    return outcomes[b]


def stack(outcomes: list[Any]) -> Any:
    """Turn a list of outcomes into one batched outcome where they are arrays of one shape; else leave the list."""
    try:
        if isinstance(outcomes[0], tuple):
            fields = [np.stack(field) for field in zip(*outcomes, strict=True)]
            return outcomes if any(f.dtype == object for f in fields) else _like(outcomes[0], fields)
        array = np.stack(outcomes)
        return outcomes if array.dtype == object else array
    except (TypeError, ValueError):
        return outcomes


def plain(value: Any) -> Any:
    """Return a numpy scalar or row as plain Python, for people to read."""
    return tuple(value.tolist()) if getattr(value, "ndim", 0) else value.item() if hasattr(value, "item") else value


def sums(outcomes: Any) -> Floats | None:
    """Return the sum of the payments of every outcome, or None if there are none to sum."""
    if isinstance(outcomes, list):
        if not all(hasattr(outcome, "payments") for outcome in outcomes):
            return None
        return np.array([float(np.sum(outcome.payments)) for outcome in outcomes])
    payments = getattr(outcomes, "payments", None)
    return None if payments is None else np.asarray(payments, float).reshape(len(payments), -1).sum(axis=1)


def len_of(outcomes: Any) -> int:
    """Return how many outcomes a batch holds."""
    return len(outcomes[0]) if isinstance(outcomes, tuple) else len(outcomes)


def same(a: Any, b: Any) -> bool:
    """Return whether two outcomes are equal, field by field, up to rounding."""
    if isinstance(a, tuple | list) and isinstance(b, tuple | list):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
    if hasattr(a, "__dict__") and hasattr(b, "__dict__"):
        return type(a) is type(b) and same(list(vars(a).values()), list(vars(b).values()))
    try:
        x, y = np.asarray(a, float), np.asarray(b, float)
    except (TypeError, ValueError):
        return bool(np.all(a == b))
    if x.shape != y.shape:
        return False
    return bool((x == y).all()) or np.allclose(x, y, rtol=1e-9, atol=1e-12, equal_nan=True)


def _like(model: Any, fields: Sequence[Any]) -> Any:
    return model._make(fields) if hasattr(model, "_make") else tuple(fields)
