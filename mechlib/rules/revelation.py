"""The revelation principle as a wrapper: the players' strategies move into the rule (Myerson 1979)."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import Floats, checked, counted, function, numbers


def direct(mechanism: Callable[..., Any], strategies: Any) -> Callable[[ArrayLike], Any]:
    """Return the direct mechanism: it takes types (..., n), plays everybody's strategy, and runs the indirect one.

    If the strategies are an equilibrium of the mechanism, truth is one of the direct mechanism, of the same kind:
    dominant for dominant, Bayes-Nash for Bayes-Nash (Gibbard 1973; Myerson 1979).

    Parameters
    ----------
    mechanism : callable
        From actions (..., n) to a result.
    strategies : callable or sequence of n callables
        How an agent plays, from its types (...) to its actions (...): one function for everybody, or one an agent.

    Returns
    -------
    callable
        From types (..., n) to what the mechanism returns. It raises a ValueError for types of another number of agents
        than there are strategies.
    """

    function("mechanism", mechanism)
    if not callable(strategies) and not (isinstance(strategies, Sequence) and all(map(callable, strategies))):
        raise TypeError(f"strategies is {strategies!r:.80}: pass a function from types to actions, or one an agent")

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

    This is the symmetric equilibrium (Vickrey 1961).

    Parameters
    ----------
    n : int
        How many bidders there are, at least 1.

    Returns
    -------
    callable
        From values (...) to bids (...). It raises a ValueError for a value that is negative, NaN or infinite.

    Raises
    ------
    ValueError
        If `n` is no whole number of at least 1.
    """
    n = counted("n", n)

    def bids(values: ArrayLike) -> Floats:
        value = checked("values", np.atleast_1d(numbers("values", values))).reshape(np.shape(values))
        return np.asarray(value * (n - 1) / n)

    return bids
