"""Rules for where VCG gives way: greedy winners, a hard budget, money to hand back, no prior to price by."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import ArrayLike

from mechlib.auctions import counted, vickrey
from mechlib.outcome import Outcome, checked
from mechlib.vcg import Bid, BundleOutcome, Items, parsed


def greedy_bundles(bids: Sequence[Bid], items: Items) -> BundleOutcome:
    """Sell bundles greedily by value over root of size, at critical values (Lehmann, O'Callaghan & Shoham 2002).

    Truthful for agents who each want one known bundle, and within the root of the number of items of the optimum. A
    winner pays the least bid that still wins: set by the first bid in the order that it alone keeps out.

    Result and errors are those of `vcg_combinatorial`, and a ValueError if an agent bids twice or a supply is not 1.

    Parameters
    ----------
    bids : sequence of (agent, frozenset of items, value)
        One bid an agent (numbered from 0). Ties go to the lowest agent; a bid of 0 wins nothing.
    items : iterable of items, or int
        What is for sale, one of each.
    """
    supply, agents, bundles, values = parsed(bids, items)
    if any(copies != 1 for copies in supply.values()):
        raise ValueError(f"items must have a supply of 1 each here; it was {supply!r}: name every copy.")
    if len(np.unique(agents)) < len(agents):
        twice = int(np.flatnonzero(np.bincount(agents.astype(np.intp)) > 1)[0])
        raise ValueError(f"agent {twice} bids more than once: greedy_bundles is truthful for one bundle an agent only.")
    root = np.sqrt([len(bundle) for bundle in bundles])
    score = values / root
    owner: dict[Hashable, int] = {}
    won = [frozenset[Hashable]()] * (int(agents.max()) + 1)
    price: dict[int, float] = {}
    for k in np.lexsort((agents, -score)):
        holders = {owner[item] for item in bundles[k] if item in owner}
        if not holders and values[k] > 0:
            owner.update(dict.fromkeys(bundles[k], k))
            won[agents[k]] = bundles[k]
        elif len(holders) == 1:
            price.setdefault(holders.pop(), score[k])
    payments = np.zeros(len(won))
    for k, critical in price.items():
        payments[agents[k]] = min(critical * root[k], values[k])
    return BundleOutcome(tuple(won), payments)


def budget_feasible(costs: ArrayLike, values: ArrayLike, budget: float) -> Outcome:
    """Hire within a hard budget: the cheapest per unit of value, for a share in proportion to value (Singer 2010).

    Truthful in costs, individually rational, and never over the budget. It is close to the best where no single agent
    is a large part of what the budget can buy; one such agent can block the rest.

    Allocation 0 or 1 and payments TO the agents are (..., n).
    Raises a ValueError if an argument is NaN, infinite, negative, empty or mis-shaped.

    Parameters
    ----------
    costs : array_like, shape (..., n)
        Reported costs, at least 0. Agents that ask for more than the budget are left out.
    values : array_like, shape (n,) or (..., n)
        What each is worth to the designer, at least 0; the total is their sum. Ties go to the lowest index.
    budget : float
        What may be spent, at least 0.
    """
    cost, worth = checked("costs", costs), checked("values", values)
    money = float(checked("budget", np.atleast_1d(budget), ndim=1)[0])
    if worth.shape[-1] != cost.shape[-1]:
        raise ValueError(f"values has {worth.shape[-1]} agents and costs {cost.shape[-1]}: pass one value an agent.")
    worth = np.broadcast_to(worth, cost.shape)
    ratio = np.full(cost.shape, np.inf)
    np.divide(cost, worth, out=ratio, where=(worth > 0) & (cost <= money))
    order = np.argsort(ratio, axis=-1, kind="stable")
    rate = np.take_along_axis(ratio, order, axis=-1)
    total = np.cumsum(np.take_along_axis(worth, order, axis=-1), axis=-1)
    hired = np.multiply(rate, total, out=np.full_like(rate, np.inf), where=np.isfinite(rate)) <= money
    count = hired.sum(axis=-1, keepdims=True)
    last = np.take_along_axis(total, np.maximum(count - 1, 0), axis=-1)
    padded = np.concatenate([rate, np.full((*rate.shape[:-1], 1), np.inf)], axis=-1)
    share = np.minimum(np.divide(money, last, out=np.zeros_like(last), where=count > 0),
                       np.take_along_axis(padded, count, axis=-1))
    chosen = np.zeros(cost.shape)
    np.put_along_axis(chosen, order, hired.astype(float), axis=-1)
    return Outcome(chosen, np.where(chosen > 0, np.maximum(worth * share, cost), 0.0))


def redistribution(bids: ArrayLike, units: int = 1) -> Outcome:
    """Hand Vickrey's revenue back without spoiling truth (Cavallo 2006).

    Each agent gets the n-th part of what the auction would have earned WITHOUT it, which no bid of its own can move.
    Never a deficit; what is not handed back shrinks with n. Perfect balance is out of reach with dominant strategies
    (Green & Laffont 1979).

    Result and errors are those of `vickrey`; a negative payment is a rebate.

    Parameters
    ----------
    bids, units : array_like of shape (..., n), int
        As for `vickrey`: non-negative bids for one unit each, and how many there are.
    """
    array, units = checked("bids", bids), counted("units", units)
    sold, n = vickrey(array, units), array.shape[-1]
    if n < units + 2:
        return sold
    ranked = -np.sort(-array, axis=-1)
    highest, next_one = ranked[..., units, None], ranked[..., units + 1, None]
    # without one of the units + 1 highest bidders the price falls to the bid below
    price = np.where(array >= highest, next_one, highest)
    return Outcome(sold.allocation, sold.payments - units * price / n)


def random_sampling(bids: ArrayLike, rng: np.random.Generator) -> Outcome:
    """Sell copies without a prior: the best price for each random half is offered to the other half.

    Truthful whatever the split (Goldberg, Hartline, Karlin, Saks & Wright 2006), as no bid moves its own price. The
    split is drawn once a call, before any bid is read, and shared by a batch: audit it with a freshly seeded `rng`.

    Allocation 0 or 1 and payments from the agents are (..., n). An empty half sets a price of 0.
    Raises a ValueError if the bids are NaN, infinite, negative, empty or mis-shaped.

    Parameters
    ----------
    bids : array_like, shape (..., n)
        Non-negative bids for one copy of something that can be copied freely.
    rng : numpy.random.Generator
        Draws the halves.
    """
    array = checked("bids", bids)
    half = rng.random(array.shape[-1]) < 0.5
    price = np.zeros(array.shape)
    for sample in (half, ~half):
        ranked = -np.sort(-array[..., sample], axis=-1)
        if ranked.shape[-1]:
            best = (ranked * np.arange(1, ranked.shape[-1] + 1)).argmax(axis=-1)[..., None]
            price[..., ~sample] = np.take_along_axis(ranked, best, axis=-1)
    bought = array >= price
    return Outcome(bought.astype(float), bought * price)
