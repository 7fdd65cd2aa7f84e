"""What a mechanism returns, and what it is worth: utility, welfare, revenue; and the check of what goes in."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

Floats = NDArray[np.float64]


class Outcome(NamedTuple):
    """Who gets how much, and who pays what.

    Attributes
    ----------
    allocation : ndarray of float, shape (..., n)
        What each agent gets: 1 for the item, 0 for nothing, a quantity, or a probability.
    payments : ndarray of float, shape (..., n)
        Money FROM each agent TO the designer in auctions; procurement rules pay TO the agents and say so.
    """

    allocation: Floats
    payments: Floats


def utility(values: ArrayLike, outcome: Outcome) -> Floats:
    """Return each agent's quasi-linear utility: value times allocation, less the payment.

    Raises a ValueError if `values` is NaN or infinite, or does not fit the outcome's shape (..., n), the result's too.

    Parameters
    ----------
    values : array_like, shape (..., n)
        The true value of one unit to each agent; broadcasts against the outcome. May be negative (a cost).
    outcome : Outcome
        What the mechanism decided.
    """
    return np.asarray(_worth(values, outcome) - outcome.payments, float)


def welfare(values: ArrayLike, outcome: Outcome) -> Floats:
    """Return the sum over the agents of value times allocation; payments only move money, so they cancel.

    Parameters and errors are those of `utility`; the result has shape (...).
    """
    return np.asarray(_worth(values, outcome).sum(axis=-1), float)


def revenue(outcome: Outcome) -> Floats:
    """Return what the designer collects, shape (...): the sum of payments; negative where it runs a deficit."""
    return np.asarray(np.asarray(outcome.payments, float).sum(axis=-1), float)


def _worth(values: ArrayLike, outcome: Outcome) -> Floats:
    array, allocation = checked("values", values, negative=True), np.asarray(outcome.allocation, float)
    if array.shape[-1] != allocation.shape[-1]:
        raise ValueError(f"values has {array.shape[-1]} agents and the outcome {allocation.shape[-1]}: pass one each.")
    return np.asarray(array * allocation, float)


def checked(name: str, values: ArrayLike, *, ndim: int | None = None, negative: bool = False) -> Floats:
    """Turn the argument called `name` into a float array (..., n), not copied if it is one, or say what is wrong.

    It must have `ndim` axes, by default any number from one up. Raises a ValueError if it is not numeric, is ragged,
    empty, of the wrong shape, NaN, infinite or (unless `negative` numbers are allowed) negative.
    """
    try:
        raw = np.asarray(values)
        if raw.dtype.kind in "cSUMm":
            raise TypeError(f"its numbers are of type {raw.dtype}")
        array = raw.astype(float, copy=False)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name} must be an array of real numbers, one an agent on the last axis, "
                         f"but {error}.") from error
    if array.ndim == 0 or (ndim is not None and array.ndim != ndim):
        wanted = f"{ndim} axes" if ndim else "at least one axis"
        raise ValueError(f"{name} must have {wanted}, the agents on the last one unless said otherwise; "
                         f"it has shape {array.shape}.")
    if array.size == 0:
        raise ValueError(f"{name} is empty, shape {array.shape}: a mechanism needs at least one agent.")
    if np.isfinite(array).all() and (negative or array.min() >= 0):
        return array
    for bad, what, cure in (
        (np.isnan(array), "NaN", "leave the agent out or give it a number"),
        (np.isinf(array), "infinite", "use a large finite number"),
        (array < 0 if not negative else np.zeros(1, bool), "negative", "it must be at least 0"),
    ):
        if bad.any():
            where = tuple(int(k) for k in np.argwhere(bad)[0])
            raise ValueError(f"{name}[{', '.join(map(str, where))}] is {array[where]}, which is {what}: {cure}.")
    return array
