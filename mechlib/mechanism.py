"""What a mechanism returns, and what it is worth: utility, welfare, revenue; and the check of what goes in."""

from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]


class Outcome(NamedTuple):
    """Who gets how much (1 for the item, 0 for nothing, a quantity, a probability) and who pays what, both (..., n).

    Payments go FROM each agent TO the designer in auctions; procurement rules pay TO the agents and say so.
    """
    allocation: Floats
    payments: Floats


def utility(values: ArrayLike, outcome: Outcome) -> Floats:
    """Return each agent's quasi-linear utility (..., n): value times allocation, less the payment.

    `values` (..., n), each agent's true value of one unit, or a cost if negative, broadcasts against the outcome. A
    ValueError is raised if it is NaN or infinite, or for another number of agents.
    """
    return np.asarray(_worth(values, outcome) - outcome.payments, float)


def welfare(values: ArrayLike, outcome: Outcome) -> Floats:
    """Return the sum of value times allocation, shape (...), from the arguments of `utility`: payments cancel."""
    return np.asarray(_worth(values, outcome).sum(axis=-1), float)


def revenue(outcome: Outcome) -> Floats:
    """Return what the designer collects, shape (...): the sum of payments; negative where it runs a deficit."""
    return np.asarray(np.sum(outcome.payments, axis=-1), float)


def _worth(values: ArrayLike, outcome: Outcome) -> Floats:
    array, allocation = checked("values", values, negative=True), np.asarray(outcome.allocation, float)
    if array.shape[-1] != allocation.shape[-1]:
        raise ValueError(f"values has {array.shape[-1]} agents and the outcome {allocation.shape[-1]}: pass one each.")
    return np.asarray(array * allocation, float)


def checked(name: str, values: ArrayLike, *, ndim: int | None = None, negative: bool = False) -> Floats:
    """Return the argument called `name` as floats (..., n), not copied if it is that, or raise a ValueError that helps.

    Numbers must be finite and, unless `negative` ones are allowed, at least 0; `ndim` fixes the number of axes.
    """
    try:
        array = np.asarray(values)
        if array.dtype.kind not in "biufO":
            raise TypeError(f"its numbers are of type {array.dtype}")
        array = array.astype(float, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of real numbers, one an agent, but {error}.") from error
    if not array.size or array.ndim == 0 or ndim not in (None, array.ndim):
        raise ValueError(f"{name} {'' if array.size else 'is empty, it '}must have {ndim or 'one or more'} axes, the "
                         f"agents on the last one unless said otherwise; it has shape {array.shape}.")
    if np.isfinite(array).all() and (negative or array.min() >= 0):
        return array
    at = tuple(np.argwhere(~(np.isfinite(array) & (negative | (array >= 0))))[0].tolist())
    what = "NaN" if np.isnan(array[at]) else "infinite" if np.isinf(array[at]) else "negative"
    raise ValueError(f"{name}{list(at)} is {array[at]}, which is {what}: give a finite number"
                     f"{'' if negative else ' of at least 0'}, or leave the agent out.")


def counted(name: str, number: Any, least: int = 1) -> int:
    """Return a count as an int, or raise a ValueError unless it is a whole number of at least `least`."""
    if not isinstance(number, Integral) or number < least:
        raise ValueError(f"{name} is {number!r}: it must be a whole number (an int) of at least {least}.")
    return int(number)
