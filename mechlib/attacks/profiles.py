"""Grids of report profiles, and any rule, however its author wrote it, called on many of them at once."""

import itertools
import math
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mechlib.mechanism import Floats, Outcome

Function = Callable[..., Any]
Array = NDArray[Any]
Slab = tuple[range, ...]  # for each agent, which of its reports


def grids(types: Any, reports: Any, n: int | None) -> tuple[list[Array], list[int]]:
    """Return what each agent may report, first its possible types, (k_i, ...), and how many those are."""
    columns = _columns("types", types, n)
    honest = [len(column) for column in columns]
    for i, more in enumerate(() if reports is None else _columns("reports", reports, len(columns))):
        new = [report for report in more if not any(np.array_equal(report, kind) for kind in columns[i])]
        columns[i] = np.concatenate([columns[i], new]) if new else columns[i]
    if (size := math.prod(map(len, columns))) > 10**9:
        raise ValueError(f"the grid has {size:.2g} profiles, over 1e+09: use a coarser one, or audit_sampled")
    return columns, honest


def _columns(name: str, value: Any, n: int | None) -> list[Array]:
    shared = all(np.ndim(entry) == 0 for entry in value)
    columns = [np.asarray(column) for column in ([value] * (n or 0) if shared else value)]
    sound = all(column.size and (column.dtype.kind != "f" or np.isfinite(column).all()) for column in columns)
    if not sound or len(columns) != (n or max(len(columns), 1)):
        raise ValueError(f"{name} is {value!r:.120}: pass a grid of one or more finite numbers, words or vectors for "
                         f"each of the {n or 'n'} agents, or one grid that they share, and say with n= how many do")
    return columns


def slabs(counts: list[int], cells: int, whole: int = 0) -> Iterator[Slab]:
    """Cut the first `counts` reports of each agent into slabs of `cells`, in order; agent `whole` is never cut."""
    room, pieces = cells // counts[whole], list[list[range]]()
    for i, count in reversed([*enumerate(counts)]):
        step = count if i == whole else max(1, min(count, room))
        pieces.insert(0, [range(count)[k : k + step] for k in range(0, count, step)])
        room = room if i == whole else room // count
    return itertools.product(*pieces)


def batched(rule: Function, utility: Function | None, some: Array) -> Callable[[Array], Any]:
    """Return the rule for profiles (batch, n, ...): to an `Outcome` (batch, n), or, with a utility, to a list.

    The rule is tried on `some` profiles, one by one and together; only if both agree is it ever handed a batch. One by
    one it is called with an array, a list if it wants one, or a batch of one. Shapes decide nothing. Raises a
    ValueError if the rule fails, is random, or returns what needs a `utility`.
    """
    failures = list[Exception]()
    for form in (lambda row: rule(row.copy()), lambda row: rule(row.tolist()),
                 lambda row: Outcome(*(part[0] for part in rule(row[None].copy())))):
        try:
            form(some[0])
            break
        except Exception as error:  # the reader's own code may raise anything
            failures.append(error)
    else:
        raise ValueError(f"the rule fails on the reports {some[0].tolist()}: {failures[0]!r}") from failures[0]

    def one_by_one(profiles: Array) -> Any:
        if utility is not None:
            return [form(row) for row in profiles]
        return Outcome(*np.array([_outcome(form(row), row) for row in profiles]).swapaxes(0, 1))

    alone, again = one_by_one(some), one_by_one(some)
    first, second = ([worth(utility, i, some[:, i], o) for i in range(some.shape[1])] for o in (alone, again))
    if not np.allclose(first, second, 1e-9, 1e-12, equal_nan=True):
        raise ValueError("the rule gave two different outcomes for the same reports: it is random. Audit its mean over "
                         "many draws, or draw from a generator with a fixed seed.")
    try:
        with warnings.catch_warnings(action="ignore"):
            fits = utility is None and np.allclose(_outcome(rule(some.copy()), some), alone, 1e-9, 1e-12)
    except Exception:  # a rule for a single profile fails on a batch in its own way
        fits = False
    return (lambda profiles: _outcome(rule(profiles.copy()), profiles)) if fits else one_by_one


def _outcome(parts: Any, profiles: Array) -> Outcome:
    try:
        allocation, payments = (np.asarray(part, float) for part in parts)
        if allocation.shape == payments.shape == profiles.shape and not np.isnan(allocation + payments).any():
            return Outcome(allocation, payments)
    except (TypeError, ValueError):
        pass
    raise ValueError(
        f"for the reports {profiles.tolist()!s:.80} the rule returned {parts!s:.120}: it must be an Outcome or a pair "
        f"(allocation, payments), both {profiles.shape}, one number an agent and never NaN. For anything else, or for "
        "types that are vectors, say what it is worth with utility=lambda i, type, outcome: ...")


def worth(utility: Function | None, i: int, kinds: Array, outcomes: Any) -> Floats:
    """Return agent i's utility of each outcome; `kinds` are its types, one an outcome."""
    if utility is None:
        return np.asarray(kinds * outcomes.allocation[:, i] - outcomes.payments[:, i], float)
    return np.array([float(utility(i, kind, outcome)) for kind, outcome in zip(kinds, outcomes, strict=True)])


def collected(outcomes: Any) -> Floats:
    """Return the sum of the payments of each outcome, or an empty array where there are none to sum."""
    if isinstance(outcomes, Outcome):
        return np.asarray(outcomes.payments.sum(axis=1))
    return np.array([np.sum(outcome.payments) for outcome in outcomes if hasattr(outcome, "payments")], float)


def plain(value: Any) -> Any:
    """Return a numpy scalar or row as plain Python, for people to read."""
    return tuple(value.tolist()) if getattr(value, "ndim", 0) else getattr(value, "item", lambda: value)()
