"""What a mechanism is: a function from reports to who gets what and who pays what, and how one is called on batches.

``rule(reports)`` returns an `Outcome` or an `Award`; ``rule(reports, found)`` also reads what turned out later, and
``rule(reports, found, costs)`` what each agent spent. The name of the money says its direction: payments are made BY
the agents, rewards go TO them.

A richer result holds `payments` or `rewards` of one number an agent too, and has a method ``worth(agent, type)``: what
its allocation is worth to an agent of a type, before any money (a cost is negative).
"""

from __future__ import annotations

import inspect
import warnings
from collections.abc import Callable, Sequence
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Array = NDArray[Any]
Rule = Callable[..., Any]
#: Beyond it a sum of many numbers may run over.
LARGEST = 1e300


class Outcome(NamedTuple):
    """Who gets how much (1 for the item, 0 for nothing, a quantity, a chance) and what each agent pays, both (..., n).

    The agents buy: a type is what one unit is worth, and utility is value times allocation, less the payment.
    """

    allocation: Floats
    payments: Floats


class Award(NamedTuple):
    """Who is chosen, or how much each one does, and what each agent is paid for it, both (..., n).

    The agents sell or work: where a type is what one unit costs, utility is the reward less cost times allocation.
    """

    allocation: Floats
    rewards: Floats


def transfers(result: Any) -> Floats:
    """Return what each agent receives: its reward, or minus its payment.

    Parameters
    ----------
    result : Outcome, Award or whatever else has `payments` or `rewards`

    Returns
    -------
    array (..., n)

    Raises
    ------
    TypeError
        If it has neither.
    """
    if hasattr(result, "rewards"):
        return numbers("the result's rewards", result.rewards)
    if hasattr(result, "payments"):
        return -numbers("the result's payments", result.payments)
    raise TypeError(f"result is {result!r:.80}, which has neither payments nor rewards: return an Outcome or an Award")


def utility(types: ArrayLike, result: Outcome | Award) -> Floats:
    """Return each agent's quasi-linear utility: what the allocation is worth to it, and its transfer.

    Parameters
    ----------
    types : array_like (..., n)
        What one unit is worth under an `Outcome`, what it costs under an `Award`; broadcast against the result.
    result : Outcome or Award

    Returns
    -------
    array (..., n)

    Raises
    ------
    ValueError
        If a type is NaN or infinite, or the result is for another number of agents.
    """
    return np.asarray(_worth(types, result) + transfers(result), float)


def welfare(types: ArrayLike, result: Outcome | Award) -> Floats:
    """Return the sum of what the allocation is worth to the agents: transfers cancel.

    Parameters
    ----------
    types, result
        As in `utility`.

    Returns
    -------
    array (...)

    Raises
    ------
    ValueError
        As in `utility`.
    """
    return np.asarray(_worth(types, result).sum(axis=-1), float)


def revenue(result: Any) -> Floats:
    """Return what the designer collects: negative where more is paid to the agents than by them.

    Parameters
    ----------
    result
        As in `transfers`.

    Returns
    -------
    array (...)
    """
    return np.asarray(0.0 - transfers(result).sum(axis=-1), float)


def _worth(types: ArrayLike, result: Outcome | Award) -> Floats:
    if not hasattr(result, "allocation"):
        raise TypeError(f"result is {result!r:.80}, which has no allocation: pass an Outcome or an Award")
    array = checked("types", types, negative=True)
    allocation = checked("the result's allocation", result.allocation, negative=True)
    if not array.shape[-1] == allocation.shape[-1] == np.shape(transfers(result))[-1]:
        raise ValueError(f"types has {array.shape[-1]} agents and the result {allocation.shape[-1]}, paid "
                         f"{np.shape(transfers(result))}: pass one each.")
    checked("the result's transfers", np.nan_to_num(transfers(result), posinf=0.0, neginf=0.0), negative=True)
    return np.asarray(-array * allocation if isinstance(result, Award) else array * allocation, float)


def arguments(rule: Rule) -> int:
    """Return how many of (reports, found, costs) a rule asks for: its positional parameters without a default.

    Raises
    ------
    ValueError
        If there are none, or more than three.
    """
    function("rule", rule)
    try:
        parameters = inspect.signature(rule).parameters.values()
    except (TypeError, ValueError):
        return 1  # a builtin that does not say
    needed = [p for p in parameters if p.default is p.empty and p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    if not needed and any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return 1
    if not 1 <= len(needed) <= 3:
        raise ValueError(f"a rule takes (reports), (reports, found) or (reports, found, costs); {rule!r:.80} needs "
                         f"{len(needed)} arguments")
    return len(needed)


def lift(rule: Rule, *some: Array, raw: bool = False) -> Lifted:
    """Return the rule for batches of profiles, however its author wrote it.

    Every argument of what is returned has a leading batch axis. The result is an `Outcome` or an `Award` of arrays
    (batch, n), or a list of richer results. Whether the rule takes batches is found out here, once, by comparing what
    it gives for `some` profiles together with what it gives for each alone; shapes decide nothing. Called on one
    profile, it gets arrays, or lists if it wants those, or a batch of one.

    Parameters
    ----------
    rule : callable
    *some : arrays (batch, n, ...)
        A few profiles of each argument, on which the rule is tried.
    raw : bool
        Take whatever the rule returns as it is, in a list.

    Returns
    -------
    Lifted
        Its attribute `batched` says whether the rule is called once a batch, or once a profile.

    Raises
    ------
    ValueError
        If the rule fails, is random, or returns what nobody can read: also later, naming the reports.
    """
    alone = _single(rule, some)
    n = some[0].shape[1]

    def one(*row: Array) -> Any:
        try:
            result = alone(*row)
        except Exception as error:  # the author's own code may raise anything
            raise ValueError(f"the rule fails on the reports {row[0].tolist()}: {error!r}") from error
        return result if raw else _read(result, (n,), row[0])

    def one_by_one(*profiles: Array) -> Any:
        results = [one(*row) for row in zip(*profiles, strict=True)]
        return results if raw or any(_is_rich(result) for result in results) else _stacked(results)

    first, second = one_by_one(*some), one_by_one(*some)
    if not raw and not _alike(first, second, some[0]):
        raise ValueError("the rule gave two different results for the same reports: it is random. Audit its mean over "
                         "many draws, or draw from a generator with a fixed seed.")
    together = None
    if not raw and not isinstance(first, list):
        try:
            with warnings.catch_warnings(action="ignore"):
                together = _read(rule(*(table.copy() for table in some)), some[0].shape[:2], some[0])
        except Exception:  # a rule for one profile fails on a batch in its own way
            together = None
    if together is None or type(together) is not type(first) or not _alike(first, together, some[0]):
        return Lifted(one_by_one, batched=False)

    def batch(*profiles: Array) -> Any:
        try:
            return _read(rule(*(table.copy() for table in profiles)), profiles[0].shape[:2], profiles[0])
        except Exception:
            return one_by_one(*profiles)  # which says on which reports it fails

    return Lifted(batch, batched=True)


class Lifted:
    """A function of batches, and whether the rule behind it is called once for each of them (`batched`)."""

    def __init__(self, call: Callable[..., Any], batched: bool) -> None:
        self.call, self.batched = call, batched

    def __call__(self, *profiles: Array) -> Any:
        return self.call(*profiles)


def _single(rule: Rule, some: Sequence[Array]) -> Rule:
    """Return how the rule wants one profile: as arrays, as lists, or as a batch of one."""
    def arrays(*row: Array) -> Any:
        return rule(*(part.copy() for part in row))

    def lists(*row: Array) -> Any:
        return rule(*(part.tolist() for part in row))

    def batch_of_one(*row: Array) -> Any:
        result = rule(*(part[None].copy() for part in row))
        kind = type(result) if isinstance(result, (Outcome, Award)) else Outcome
        return kind(*(part[0] for part in result))

    failures = list[Exception]()
    for form in (arrays, lists, batch_of_one):
        try:
            form(*(table[0] for table in some))
            return form
        except Exception as error:  # the author's own code may raise anything
            failures.append(error)
    raise ValueError(f"the rule fails on the reports {some[0][0].tolist()}: {failures[0]!r}") from failures[0]


def _read(result: Any, shape: tuple[int, ...], reports: Array) -> Any:
    """Return a result as an `Outcome` or an `Award` of floats, or as it is if it says itself what it is worth."""
    if _is_rich(result):
        if np.shape(transfers(result)) == shape[-1:]:
            return result
    else:
        try:
            first, second = (np.asarray(part, float) for part in result)
            if first.shape == second.shape == shape and not np.isnan(first + second).any():
                return (Award if isinstance(result, Award) else Outcome)(first, second)
        except (TypeError, ValueError):
            pass
    raise ValueError(
        f"for the reports {reports.tolist()!s:.80} the rule returned {result!s:.120}: it must be an Outcome, an Award "
        f"or a pair (allocation, payments), both {shape}, one number an agent and never NaN. For anything else, or for "
        "types that are vectors, say what it is worth with utility=lambda i, type, outcome: ...")


def _is_rich(result: Any) -> bool:
    return hasattr(result, "worth")


def _stacked(results: Sequence[Any]) -> Any:
    """Return Outcomes or Awards as one, with a batch axis; a rule may not change between the two."""
    (kind, *others) = {type(result) for result in results}
    if others:
        raise ValueError("the rule returns an Outcome for some reports and an Award for others: always return one")
    return kind(*np.array(results).swapaxes(0, 1))


def _alike(first: Any, second: Any, reports: Array) -> bool:
    """Whether two batches of results agree, up to rounding."""
    if not isinstance(first, list):
        return all(_close(one, two) for one, two in zip(first, second, strict=True))
    agents = range(reports.shape[1])
    return all(
        _close(transfers(one), transfers(two))
        and _close([one.worth(i, row[i]) for i in agents], [two.worth(i, row[i]) for i in agents])
        for one, two, row in zip(first, second, reports, strict=True)
    )


def _close(first: Any, second: Any) -> bool:
    array = np.asarray(first, float)
    if np.array_equal(array, second):
        return True
    scale = np.abs(array[np.isfinite(array)]).max(initial=0.0)
    return bool(np.allclose(first, second, rtol=1e-9, atol=1e-9 * scale))


def checked(
    name: str, values: ArrayLike, *, ndim: int | None = None, negative: bool = False, missing: bool = False,
    like: tuple[int, ...] | None = None,
) -> Floats:
    """Return the argument called `name` as floats (..., n), not copied if it is that, or raise a ValueError that helps.

    Parameters
    ----------
    name : str
        What the messages call it.
    values : array_like
        Finite numbers of at least 0.
    ndim : int, optional
        How many axes there must be.
    negative, missing : bool
        Whether numbers below 0 are allowed; and NaN, for what is not there.
    like : tuple of int, optional
        The shape that is broadcast to.
    """
    array = numbers(name, values)
    if not array.size or array.ndim == 0 or ndim not in (None, array.ndim):
        raise ValueError(f"{name} {'' if array.size else 'is empty, it '}must have {ndim or 'one or more'} axes, the "
                         f"agents on the last one unless said otherwise; it has shape {array.shape}.")
    least = 0.0 if not negative else -LARGEST
    if not (array.min() >= least and array.max() <= LARGEST):  # so that NaN is looked at too
        sound = (array >= least) & (array <= LARGEST) | (missing & np.isnan(array))
        if not sound.all():
            at = tuple(np.argwhere(~sound)[0].tolist())
            large = "infinite" if np.isinf(array[at]) else f"beyond {LARGEST:g}, where sums run over"
            what = "NaN" if np.isnan(array[at]) else large if abs(array[at]) > LARGEST else "negative"
            raise ValueError(f"{name}{list(at)} is {array[at]}, which is {what}: give a finite number"
                             f"{'' if negative else ' of at least 0'}, or leave the agent out.")
    if like is None or array.shape == like:
        return array
    try:
        return np.broadcast_to(array, like)
    except ValueError:
        raise ValueError(f"{name} has shape {array.shape}, which does not fit {like}: pass one for all, or one an "
                         "agent.") from None


def numbers(name: str, values: Any) -> Floats:
    """Return real numbers as floats of whatever shape, or raise a ValueError where the conversion would drop something.

    An array that masks entries, imaginary parts, dates, and numbers written as text are refused.
    """
    if type(values) is np.ndarray and values.dtype == float:
        return values
    try:
        if isinstance(values, np.ma.MaskedArray):
            if np.ma.is_masked(values):
                raise TypeError("some of its entries are masked; fill them in, or leave them out")
            values = values.data
        array = np.asarray(values)
        if array.dtype.kind not in "biufO":
            raise TypeError(f"its numbers are of type {array.dtype}")
        if array.dtype.kind == "O" and (odd := [x for x in array.ravel() if x is None or isinstance(x, str | bytes)]):
            raise TypeError(f"it holds {odd[0]!r:.80}")
        return array.astype(float, copy=False)
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{name} must be an array of real numbers, one an agent, but {error}.") from error


def counted(name: str, number: Any, least: int = 1, most: int | None = None) -> int:
    """Return a count as an int, or raise a ValueError unless it is a whole number from `least` up to `most`."""
    if isinstance(number, bool) or not isinstance(number, Integral) or number < least:
        raise ValueError(f"{name} is {number!r:.80}: it must be a whole number (an int) of at least {least}.")
    if most is not None and int(number) > most:
        raise ValueError(f"{name} is {number!r:.80}: it must be at most {most:,}, or there is too much to do.")
    return int(number)


def real(name: str, number: Any, within: str = "(-inf, inf)") -> float:
    """Return a real number as a float, or raise a ValueError unless it lies within an interval such as "(0, 1]"."""
    low, high = (float(end) for end in within[1:-1].split(","))
    try:
        if not isinstance(number, Real) and np.ndim(number) == 0 and isinstance(number, np.ndarray):
            number = number.item()
        if not isinstance(number, Real):
            raise TypeError
        value = float(number)
        inside = low < value < high or (value == low and within[0] == "[") or (value == high and within[-1] == "]")
        if not inside or LARGEST < abs(value) < np.inf:
            raise ValueError
    except (TypeError, ValueError, OverflowError):
        raise ValueError(f"{name} is {number!r:.80}: it must be one number in {within}.") from None
    return value


def function(name: str, given: Any) -> Any:
    """Return what can be called, or raise a TypeError."""
    if not callable(given):
        raise TypeError(f"{name} is {given!r:.80}: it must be a function.")
    return given


def generator(name: str, given: Any) -> np.random.Generator:
    """Return a generator of random numbers, or raise a TypeError."""
    if not isinstance(given, np.random.Generator):
        raise TypeError(f"{name} is {given!r:.80}: it must be a numpy.random.Generator, as default_rng(0) makes them.")
    return given


def flag(name: str, given: Any) -> bool:
    """Return a truth value, or raise a TypeError for what is neither True nor False."""
    if not isinstance(given, bool | np.bool_):
        raise TypeError(f"{name} is {given!r:.80}: it must be True or False.")
    return bool(given)
