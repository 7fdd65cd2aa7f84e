"""Markets that are too large to solve: how much of the best the greedy rule reaches."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csr_array

from mechlib.rules.greedy import greedy_bundles

__all__ = ["greedy_share"]


def greedy_share(rng: np.random.Generator, agents: int, items: int) -> float:
    """Return what share of the best total the greedy rule reaches at least, in a market drawn at random.

    Each agent wants one bundle of 1 to 8 items, or as many as there are; its worth is uniform, times the root of the
    bundle's size. The best total is bounded from above by a linear programme, in which bundles can be had in parts.

    Parameters
    ----------
    rng : numpy.random.Generator
    agents, items : int
    """
    sizes = rng.integers(1, min(8, items) + 1, agents)
    bundles = [frozenset(rng.choice(items, size, replace=False).tolist()) for size in sizes]
    worth = rng.random(agents) * np.sqrt(sizes)
    sold = greedy_bundles(list(zip(range(agents), bundles, worth.tolist(), strict=True)), items)
    reached = worth[[bool(bundle) for bundle in sold.bundles]].sum()
    column = np.repeat(np.arange(agents), sizes.astype(np.intp))  # of 32 bits in a browser
    row = np.concatenate([sorted(bundle) for bundle in bundles])
    holds = csr_array((np.ones(len(row)), (row, column)), shape=(items, agents))
    bound = -linprog(-worth, A_ub=holds, b_ub=np.ones(items), bounds=(0, 1), method="highs").fun
    return float(reached / bound)
