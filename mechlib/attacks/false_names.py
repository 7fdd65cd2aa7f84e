"""False names: one agent that bids under several, as if it were as many (Yokoo, Sakurai & Matsubara 2004).

>>> from mechlib import vcg_combinatorial
>>> rival = [(0, frozenset("XY"), 2.0)]
>>> false_names(vcg_combinatorial, {frozenset("XY"): 1.5}, rival, "XY", [0, 1, 2]).sentence
'an agent that gets 0 under its own name gains 1.5 by bidding 2 for X and 2 for Y under 2 names'
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mechlib.mechanism import checked, counted, function
from mechlib.rules.vcg import parsed
from mechlib.settings import show

Bundle = frozenset[Hashable]
Bid = tuple[int, Bundle, float]


class FalseNames(NamedTuple):
    """The best that an agent does under several names, beside what it has by telling the truth under one."""

    honest: float  #: its utility under its own name, each bundle bid at its value
    gain: float  #: by how much the best bids under several names do better; 0 if none does
    bids: tuple[tuple[Bundle, float], ...]  #: these bids, one a name; none if nothing is gained
    sentence: str  #: the same in words


def false_names(
    rule: Callable[..., Any], values: Mapping[Bundle, float], rivals: Sequence[Bid], items: Iterable[Hashable],
    reports: Sequence[float], names: int = 2,
) -> FalseNames:
    """Return what an agent gains by bidding under up to so many names: every bundle and report is tried under each.

    Parameters
    ----------
    rule : callable
        ``rule(bids, items)``, as `vcg_combinatorial`, `greedy_bundles` and `item_prices`: bids are (agent, bundle,
        value), and the result has `bundles` and `payments`, one an agent.
    values : mapping of frozenset to float
        What each bundle is worth to the agent; what it gets is worth the most valuable of those within it.
    rivals : sequence of (agent, frozenset, float)
        The bids of the others, whose agents are numbered from 0. The agent, and then its names, are numbered after
        them.
    items : iterable
        What is for sale.
    reports : sequence of float
        What may be bid for a bundle.
    names : int
        How many names it may use at most.

    Returns
    -------
    FalseNames

    Raises
    ------
    ValueError
        If a value or a report is not a number of at least 0, or there are more than a million ways to bid.
    """
    function("rule", rule), counted("names", names)
    goods = [*items]
    said, worth = checked("reports", reports, ndim=1).tolist(), dict(values)
    checked("values", [*worth.values()], ndim=1)
    try:
        parsed([*rivals, (0, frozenset(goods), 0.0)], goods)
    except (TypeError, ValueError) as error:
        raise ValueError(f"rivals or items do not fit: {error}") from error
    mine = 1 + max((agent for agent, *_ in rivals), default=-1)
    bundles = [frozenset(some) for size in range(1, len(goods) + 1) for some in itertools.combinations(goods, size)]
    ways = [*itertools.product(bundles, said)]
    if len(ways) ** names > 10**6:
        raise ValueError(f"reports has {len(said)} entries and there are {len(goods)} items: under {names} names these "
                         "are more than a million ways to bid; use fewer")

    def utility(own: Sequence[Bid]) -> float:
        sold = rule([*rivals, *own], goods)
        agents = {agent for agent, *_ in own if agent < len(sold.bundles)}
        got = frozenset[Hashable]().union(*(sold.bundles[agent] for agent in agents))
        paid = sum(float(sold.payments[agent]) for agent in agents)
        return max((value for bundle, value in worth.items() if bundle <= got), default=0.0) - paid

    honest = utility([(mine, bundle, value) for bundle, value in worth.items()])
    best, bids = honest, tuple[tuple[Bundle, float], ...]()
    for used in range(1, names + 1):
        for tried in itertools.combinations_with_replacement(ways, used):
            if (has := utility([(mine + k, *bid) for k, bid in enumerate(tried)])) > best + 1e-9:
                best, bids = has, tuple(tried)
    words = f"an agent that gets {show(honest)} under its own name gains "
    if not bids:
        return FalseNames(honest, 0.0, (), words + f"nothing by bidding under up to {names}")
    each = " and ".join(f"{show(report)} for {''.join(sorted(map(str, bundle)))}" for bundle, report in bids)
    under = f"under {len(bids)} names" if len(bids) > 1 else "under its own name"
    return FalseNames(honest, best - honest, bids, f"{words}{show(best - honest)} by bidding {each} {under}")
