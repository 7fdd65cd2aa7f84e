"""Markets that are too large to solve: how much of the best the greedy rule reaches."""

from __future__ import annotations

import numpy as np

from mechlib.rules.greedy import greedy_bundles

__all__ = ["greedy_share"]


def greedy_share(rng: np.random.Generator, agents: int, items: int) -> float:
    """Return what share of the best total the greedy rule reaches at least, in a market drawn at random.

    Each agent wants one bundle of 1 to 8 items, or as many as there are; its worth is uniform, times the root of the
    bundle's size. The best total is bounded from above by a linear programme, in which bundles can be had in parts: by
    duality, by the least sum of prices of the items at which every bundle costs what it is worth, or more.

    Parameters
    ----------
    rng : numpy.random.Generator
    agents, items : int
    """
    from scipy.optimize import LinearConstraint, milp
    from scipy.sparse import csr_array
    sizes = rng.integers(1, min(8, items) + 1, agents)
    orders = rng.permuted(np.tile(np.arange(items), (agents, 1)), axis=1)
    bundles = [frozenset(order[:size]) for order, size in zip(orders.tolist(), sizes.tolist(), strict=True)]
    worth = rng.random(agents) * np.sqrt(sizes)
    sold = greedy_bundles(list(zip(range(agents), bundles, worth.tolist(), strict=True)), items)
    reached = worth[[bool(bundle) for bundle in sold.bundles]].sum()
    held = [item for bundle in bundles for item in sorted(bundle)]
    holds = csr_array((np.ones(len(held)), held, np.cumsum([0, *sizes])), shape=(agents, items))
    bound = milp(np.ones(items), constraints=LinearConstraint(holds, lb=worth)).fun  # no price need be whole
    return float(reached / bound)
