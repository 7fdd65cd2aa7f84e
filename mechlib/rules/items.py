"""A price on each item, which no bid moves: the rule that neither false names nor groups can beat."""

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from mechlib.mechanism import real
from mechlib.rules.vcg import Bid, BundleOutcome, Items, parsed


def item_prices(bids: Sequence[Bid], items: Items, prices: Mapping[Hashable, float]) -> BundleOutcome:
    """Sell each item at its price: the agents come in the order of their numbers, and take what is best for them.

    An agent takes the bid that leaves it most at these prices, among those whose items are still there, if it leaves
    anything. Truth is dominant, and a second name only comes later and pays the same prices. Nothing makes the prices
    the right ones: the rule is efficient by luck.

    Parameters
    ----------
    bids, items
        As in `vcg_combinatorial`.
    prices : mapping of item to float
        One of at least 0 for each item.

    Returns
    -------
    BundleOutcome
        The bundle of each agent, and payments BY the agents (n,).

    Raises
    ------
    ValueError
        If the bids do not fit the items, or an item has no price.
    TypeError
        If `prices` is no mapping.
    """
    left, agents, bundles, values = parsed(bids, items)
    if not isinstance(prices, Mapping):
        raise TypeError(f"prices is {prices!r:.80}: it must be a mapping of each item to its price")
    if missing := [item for item in left if item not in prices]:
        raise ValueError(f"prices must name every item; it lacks {missing!r:.80}")
    price = {item: real(f"prices[{item!r:.40}]", prices[item], "[0, inf)") for item in left}
    sold = [frozenset[Hashable]()] * (int(agents.max()) + 1)
    payments = np.zeros(len(sold))
    for agent in range(len(sold)):
        best = 0.0
        for k in np.flatnonzero(agents == agent):
            cost = sum(price[item] for item in bundles[k])
            if values[k] - cost > best and all(left[item] > 0 for item in bundles[k]):
                best, sold[agent], payments[agent] = float(values[k] - cost), bundles[k], cost
        left.subtract(sold[agent])
    return BundleOutcome(tuple(sold), payments)
