"""The revelation principle as a wrapper: the players' strategies move into the rule (Myerson 1979)."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import Floats, checked, counted


def direct(mechanism: Callable[..., Any], strategies: Any) -> Callable[[ArrayLike], Any]:
    """Return the direct mechanism: it takes types (..., n), plays everybody's strategy, and runs the indirect one.

    If the strategies are an equilibrium of the mechanism, truth is one of the direct mechanism, of the same kind:
    dominant for dominant, Bayes-Nash for Bayes-Nash (Gibbard 1973; Myerson 1979).

    `mechanism` goes from actions (..., n) to an outcome. `strategies` is one function for everybody, or n of them, from
    an agent's types (...) to its actions (...). Types for another number of agents raise a ValueError.
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


def first_price_equilibrium(n: int) -> Callable[[ArrayLike], Floats]:
    """Return how `n` bidders bid in the first-price auction if values are uniform on [0, 1]: v (n - 1) / n.

    The strategy takes values (...) to bids (...): the symmetric equilibrium (Vickrey 1961). A ValueError is raised if
    `n` is no whole number of at least 1, or a value is negative, NaN or infinite.
    """
    n = counted("n", n)
    return lambda values: np.asarray(checked("values", np.atleast_1d(values)).reshape(np.shape(values)) * (n - 1) / n)
