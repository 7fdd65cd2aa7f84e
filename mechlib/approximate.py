"""Truthful rules for where VCG gives way: bundles too many to optimise over, and a hard budget."""

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from mechlib.outcome import Outcome, checked
from mechlib.vcg import Bid, BundleOutcome, Items, parsed


def greedy_bundles(bids: Sequence[Bid], items: Items) -> BundleOutcome:
    """Sell bundles greedily by value over root of size, at critical values (Lehmann, O'Callaghan & Shoham 2002).

    Truthful for agents who each want one known bundle, and within the root of the number of items of the optimum. A
    winner pays the least bid that still wins: set by the first bid in the order that it alone keeps out. Ties go to
    the lowest agent; a bid of 0 wins nothing. Parameters and errors are those of `vcg_combinatorial`; an agent that
    bids twice, or more than one copy of an item, is a ValueError too.
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


def budget_feasible(costs: ArrayLike, values: ArrayLike, budget: float) -> Outcome:
    """Hire within a hard budget: the cheapest per unit of value, for a share in proportion to value (Singer 2010).

    Truthful in costs, individually rational, and never over the budget. It is close to the best where no single agent
    is a large part of what the budget can buy; one such agent can block the rest.

    Costs (..., n) are reported; values (n,) or (..., n) are what agents are worth to the designer, in total their sum;
    `budget` is what may be spent. A ValueError is raised if any is negative, NaN, infinite, empty or mis-shaped. Who
    asks for more than the budget is left out. Ties go to the lowest index. Payments TO the agents are (..., n).
    """
    cost, worth = checked("costs", costs), checked("values", values)
    (money,), worth = checked("budget", [budget], ndim=1).tolist(), np.broadcast_to(worth, cost.shape)
    ratio = np.divide(cost, worth, out=np.full(cost.shape, np.inf), where=(worth > 0) & (cost <= money))
    order = np.argsort(ratio, axis=-1, kind="stable")
    rate = np.take_along_axis(ratio, order, axis=-1)
    total = np.cumsum(np.take_along_axis(worth, order, axis=-1), axis=-1)
    hired = np.multiply(rate, total, out=np.full_like(rate, np.inf), where=np.isfinite(rate)) <= money
    count = hired.sum(axis=-1, keepdims=True)
    last = np.take_along_axis(total, np.maximum(count - 1, 0), axis=-1)
    padded = np.append(rate, np.full_like(last, np.inf), axis=-1)
    share = np.minimum(np.divide(money, last, out=np.zeros_like(last), where=count > 0),
                       np.take_along_axis(padded, count, axis=-1))
    chosen = np.zeros(cost.shape)
    np.put_along_axis(chosen, order, hired.astype(float), axis=-1)
    return Outcome(chosen, np.where(chosen > 0, np.maximum(worth * share, cost), 0.0))
