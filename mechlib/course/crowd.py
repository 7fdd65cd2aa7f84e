"""Markets that are too large to solve: how much of the best the greedy rule reaches."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mechlib.mechanism import Floats, Ints
from mechlib.rules.greedy import greedy_bundles

__all__ = ["greedy_shares"]

_TOGETHER = 10  # markets in one programme: a call of the solver costs as much as the solving


def greedy_shares(seeds: Sequence[int], agents: int, items: int) -> Floats:
    """Return what share of the best total the greedy rule reaches at least, in each of some markets drawn at random.

    Each agent wants one bundle of 1 to 8 items, or as many as there are; its worth is uniform, times the root of the
    bundle's size. The best total is bounded from above by a linear programme, in which bundles can be had in parts: by
    duality, by the least sum of prices of the items at which every bundle costs what it is worth, or more.

    Parameters
    ----------
    seeds : sequence of int
        One a market.
    agents, items : int

    Returns
    -------
    array (markets,)
    """
    markets = [_market(np.random.default_rng(seed), agents, items) for seed in seeds]
    reached = [_reached(*market, items) for market in markets]
    bounds = [_bounds(markets[k : k + _TOGETHER], items) for k in range(0, len(markets), _TOGETHER)]
    return np.asarray(reached / np.concatenate(bounds))


def _market(rng: np.random.Generator, agents: int, items: int) -> tuple[Ints, Ints, Floats]:
    """Draw the size of each bundle, the items of one bundle after the other, and what each is worth."""
    sizes = rng.integers(1, min(8, items) + 1, agents)
    orders = rng.permuted(np.tile(np.arange(items), (agents, 1)), axis=1)
    return sizes, orders[np.arange(items) < sizes[:, None]], rng.random(agents) * np.sqrt(sizes)


def _reached(sizes: Ints, held: Ints, worth: Floats, items: int) -> float:
    """Return what the bundles that the greedy rule sells are worth in all."""
    ends, named = np.cumsum(sizes).tolist(), held.tolist()
    bundles = [frozenset(named[end - size : end]) for end, size in zip(ends, sizes.tolist(), strict=True)]
    sold = greedy_bundles(list(zip(range(len(sizes)), bundles, worth.tolist(), strict=True)), items)
    return float(worth[[bool(bundle) for bundle in sold.bundles]].sum())


def _bounds(markets: Sequence[tuple[Ints, Ints, Floats]], items: int) -> Floats:
    """Return the least sum of prices in each market; what one market's items cost is nothing to another."""
    from scipy.optimize import LinearConstraint, milp
    from scipy.sparse import csr_array
    sizes, held, worth = (np.concatenate(part) for part in zip(*markets, strict=True))
    items_in_all = items * len(markets)
    market = np.repeat(np.arange(len(markets)), [len(bundles) for _, bundles, _ in markets])
    holds = csr_array((np.ones(len(held)), held + items * market, np.cumsum([0, *sizes])), (len(sizes), items_in_all))
    prices = milp(np.ones(items_in_all), constraints=LinearConstraint(holds, lb=worth)).x  # none need be whole
    return np.asarray(prices.reshape(-1, items).sum(axis=1))
