"""Pooling what agents believe: averages, and a market that pays each agent for how far it moved the price.

A belief says how likely each of m outcomes is: arrays (..., n, m), n agents in the order in which they come.

>>> beliefs = [[0.9, 0.1], [0.6, 0.4]]
>>> linear_pool(beliefs).round(2).tolist(), log_pool(beliefs).round(2).tolist()
([0.75, 0.25], [0.79, 0.21])
>>> made = market(beliefs, found=0)
>>> made.prices.tolist(), made.rewards.round(2).tolist()
([[0.5, 0.5], [0.9, 0.1], [0.6, 0.4]], [0.59, -0.41])
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import Floats, checked, flag, numbers, real


class Market(NamedTuple):
    """The prices before and after each trade, (..., n + 1, m), and what each trader is paid, (..., n)."""

    prices: Floats
    rewards: Floats

    @property
    def price(self) -> Floats:
        """What the market believes at the end, (..., m)."""
        return np.asarray(self.prices[..., -1, :])


def linear_pool(beliefs: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return the weighted mean of the beliefs.

    Parameters
    ----------
    beliefs : array_like (..., n, m)
        Chances that sum to 1 over the last axis.
    weights : array_like (n,), optional
        What each agent counts; they are divided by their sum. By default all the same.

    Returns
    -------
    array (..., m)

    Raises
    ------
    ValueError
        If the beliefs are no chances, or the weights do not fit.
    """
    table = _beliefs(beliefs)
    return np.asarray((table * _weights(weights, table.shape[-2])[:, None]).sum(axis=-2))


def log_pool(beliefs: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return the weighted geometric mean of the beliefs, scaled to sum to 1.

    One agent that holds an outcome to be impossible decides. Learning something that all agree on before or after
    pooling comes to the same.

    Parameters
    ----------
    beliefs, weights
        As in `linear_pool`.

    Returns
    -------
    array (..., m)

    Raises
    ------
    ValueError
        As in `linear_pool`, or if the agents leave no outcome that all of them hold possible.
    """
    table = _beliefs(beliefs)
    with np.errstate(divide="ignore"):
        logs = np.log(table)
    weight = _weights(weights, table.shape[-2])[:, None]
    total = np.multiply(logs, weight, out=np.zeros(logs.shape), where=weight > 0).sum(axis=-2)
    return _scaled(total)


def market(
    beliefs: ArrayLike, found: ArrayLike, liquidity: float = 1.0, start: ArrayLike | None = None, reads: bool = False
) -> Market:
    """Let agents move the price in turn, and pay each the logarithmic score of its price less that of the one before.

    This is the logarithmic market scoring rule (Hanson 2003). An agent that comes once does best to move the price to
    what it believes having read it. The rewards sum to the score of the last price less that of the first, so that
    the designer loses at most ``liquidity * log(m)`` from an even start, however many agents come.

    Parameters
    ----------
    beliefs : array_like (..., n, m)
        What each agent believes, in the order of trading; positive.
    found : array_like of int (...)
        Which outcome came true.
    liquidity : float
        The scale of the rewards, b.
    start : array_like (m,), optional
        The first price: even, unless told.
    reads : bool
        Whether an agent reads the price before it trades. If not, it moves the price to its own belief. If so, it
        multiplies the price by how far its belief departs from the start: what Bayes' rule says if the agents' private
        information is independent, given the outcome.

    Returns
    -------
    Market

    Raises
    ------
    ValueError
        If the beliefs are no positive chances, the start does not fit, or an outcome is not among the m.
    """
    table = _beliefs(beliefs)
    m = table.shape[-1]
    first = np.full(m, 1 / m) if start is None else _beliefs(numbers("start", start)[None], "start")[0]
    scale, reading = real("liquidity", liquidity, "(0, inf)"), flag("reads", reads)
    if first.shape != (m,) or not (table > 0).all() or not (first > 0).all():
        raise ValueError(f"beliefs and start must be positive and about {m} outcomes each: a price of 0 that comes "
                         "true costs without bound")
    came = checked("found", np.asarray(found)[..., None])[..., 0]
    if came.shape != table.shape[:-2] or (came != came.round()).any() or (came >= m).any():
        raise ValueError(f"found must hold a number from 0 to {m - 1} for each market, {table.shape[:-2]}; it has "
                         f"shape {came.shape}")
    prices = [np.broadcast_to(first, (*came.shape, m))]
    for agent in range(table.shape[-2]):
        own = table[..., agent, :]
        prices.append(_scaled(np.log(prices[-1]) + np.log(own) - np.log(first)) if reading else own)
    path = np.stack(prices, axis=-2)
    right = np.take_along_axis(path, came.astype(int)[..., None, None], axis=-1)[..., 0]
    return Market(path, np.asarray(scale * np.diff(np.log(right), axis=-1)))


def _beliefs(beliefs: ArrayLike, name: str = "beliefs") -> Floats:
    table = checked(name, beliefs)
    if table.ndim < 2 or (abs(table.sum(axis=-1) - 1) > 1e-9).any():
        raise ValueError(f"{name} must be (..., agents, outcomes), each agent's summing to 1; it has shape "
                         f"{table.shape}")
    return table


def _weights(weights: ArrayLike | None, n: int) -> Floats:
    counts = np.ones(n) if weights is None else checked("weights", weights, ndim=1)
    if counts.shape != (n,) or counts.sum() == 0:
        raise ValueError(f"weights must be {n} numbers, one an agent, not all 0")
    return np.asarray(counts / counts.sum())


def _scaled(logs: Floats) -> Floats:
    top = logs.max(axis=-1, keepdims=True)
    if np.isneginf(top).any():
        raise ValueError("beliefs leave no outcome that all agents hold possible")
    chances = np.exp(logs - top)
    return np.asarray(chances / chances.sum(axis=-1, keepdims=True))
