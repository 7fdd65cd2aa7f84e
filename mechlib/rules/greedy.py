"""A truthful rule for where VCG gives way: bundles too many to optimise over."""

from collections.abc import Hashable, Sequence

import numpy as np

from mechlib.rules.vcg import Bid, BundleOutcome, Items, parsed


def greedy_bundles(bids: Sequence[Bid], items: Items) -> BundleOutcome:
    """Sell bundles greedily by value over root of size, at critical values (Lehmann, O'Callaghan & Shoham 2002).

    Truthful for agents who each want one known bundle, and within the root of the number of items of the optimum. A
    winner pays the least bid that still wins: set by the first bid in the order that it alone keeps out. Ties go to
    the lowest agent; a bid of 0 wins nothing.

    Parameters
    ----------
    bids, items
        As in `vcg_combinatorial`, but one bid an agent and one copy of an item.

    Returns
    -------
    BundleOutcome
        The bundle of each agent, and payments BY the agents (n,).

    Raises
    ------
    ValueError
        As in `vcg_combinatorial`; and if an agent bids twice, or an item has several copies.
    """
    supply, agents, bundles, values = parsed(bids, items)
    if max(supply.values()) > 1 or len(set(agents)) < len(agents):
        raise ValueError("an agent bids more than once, or items holds copies: greedy_bundles is truthful for one "
                         "bundle an agent. Name every copy and keep each agent's best bid, or use vcg_combinatorial.")
    root = np.sqrt([len(bundle) for bundle in bundles])
    score = values / root
    owner: dict[Hashable, int] = {}
    won = [frozenset[Hashable]()] * (int(agents.max()) + 1)
    payments, priced = np.zeros(len(won)), set[int]()
    for k in np.lexsort((agents, -score)):
        holders = {owner[item] for item in bundles[k] if item in owner}
        if not holders and values[k] > 0:
            owner.update(dict.fromkeys(bundles[k], k))
            won[agents[k]] = bundles[k]
        elif len(holders) == 1 and not holders <= priced:
            priced |= holders
            winner = holders.pop()
            payments[agents[winner]] = min(score[k] * root[winner], values[winner])
    return BundleOutcome(tuple(won), payments)
