"""The revelation principle as a wrapper: the players' strategies move into the rule (Myerson 1979)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechlib.outcome import checked

Strategy = Callable[[Any], Any]


def direct(mechanism: Callable[..., Any], strategies: Strategy | Sequence[Strategy]) -> Callable[[ArrayLike], Any]:
    """Return the direct mechanism: it takes types, plays everybody's strategy, and runs the indirect mechanism.

    If the strategies are an equilibrium of the mechanism, truth is one of the direct mechanism, of the same kind:
    dominant for dominant, Bayes-Nash for Bayes-Nash (Gibbard 1973; Myerson 1979).

    Parameters
    ----------
    mechanism : callable
        From actions (..., n) to an outcome.
    strategies : callable, or a sequence of n callables
        From an agent's types (...,) to its actions (...,); a single one is everybody's.

    Returns
    -------
    callable
        From types (..., n) to the mechanism's outcome; a ValueError unless there are as many types as strategies.
    """

    def run(types: ArrayLike) -> Any:
        array = np.asarray(types)
        if callable(strategies):
            return mechanism(strategies(array))
        if array.shape[-1] != len(strategies):
            raise ValueError(f"{array.shape[-1]} agents, but {len(strategies)} strategies: pass one strategy each")
        return mechanism(np.stack([play(array[..., i]) for i, play in enumerate(strategies)], axis=-1))

    run.__name__ = f"direct {getattr(mechanism, '__name__', 'mechanism')}"
    return run


def first_price_equilibrium(n: int) -> Callable[[ArrayLike], NDArray[np.float64]]:
    """Return the symmetric equilibrium of the first-price auction for values uniform on [0, 1]: bid v (n - 1) / n.

    It takes values (...), in [0, 1], to bids of the same shape, for `n` bidders (Vickrey 1961). Raises a ValueError if
    `n` is less than 1, or, when called, a value is negative, NaN or infinite.
    """
    if n < 1:
        raise ValueError(f"n is {n}: there must be at least 1 bidder")

    def bid(values: ArrayLike) -> NDArray[np.float64]:
        array = checked("values", np.atleast_1d(values)).reshape(np.shape(values))
        return np.asarray(array * (n - 1) / n, float)

    return bid
