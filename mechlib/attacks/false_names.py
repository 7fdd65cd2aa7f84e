"""False names: one agent that reports under several, as if it were as many (Yokoo, Sakurai & Matsubara 2004).

>>> from mechlib import second_price, vcg_combinatorial
>>> mine, rival = {frozenset("XY"): 1.5}, [(0, frozenset("XY"), 2.0)]
>>> print(false_names(vcg_combinatorial, mine, rival, [0, 1, 2], items="XY").sentence)
an agent that gets 0 under its own name gains 1.5
by bidding 2 for X and 2 for Y under 2 names
>>> false_names(second_price, 3, [1, 2], reports=range(5)).gain
0.0
>>> mean = lambda votes: sum(votes) / len(votes)
>>> found = false_names(mean, 4, [1, 2], range(6), 3,
...                     utility=lambda own, mean, places: -abs(own - mean))
>>> found.reports, [round(best, 2) for best in found.best], round(found.fee, 2)
((5, 5, 5), [-1.33, -0.75, -0.4], 0.58)
"""

from __future__ import annotations

import itertools
import math
import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from mechlib.mechanism import checked, counted, function, real
from mechlib.rules.vcg import parsed
from mechlib.settings import net, show

Bundle = frozenset[Hashable]
Worth = Callable[[Any, Any, list[int]], Any]
Report = Any  #: a bid, a vote, a row of answers, the name of a strategy: whatever the rule takes one of from each name


class FalseNames(NamedTuple):
    """The best that an agent does under several names, beside what it has by telling the truth under one."""

    honest: float  #: its utility under its own name, when it reports its type
    gain: float  #: by how much the best reports under several names do better, fees paid; 0 if none does
    reports: tuple[Report, ...]  #: these reports, one a name; none if nothing is gained
    best: tuple[float, ...]  #: the most that it has under exactly 1, 2, ... names, before any fee
    sentence: str  #: the same in words

    @property
    def fee(self) -> float:
        """The least fee for every name after the first at which no more names than one are worth having."""
        one, *more = self.best
        return max([0.0, *((best - one) / names for names, best in enumerate(more, start=1))])


def false_names(
    rule: Callable[..., Any], kind: Any, rivals: Sequence[Report], reports: Sequence[Any], names: int = 2, *,
    items: Iterable[Hashable] | None = None, utility: Worth | None = None, fee: float = 0.0,
) -> FalseNames:
    """Return what an agent gains by taking up to so many names: every report is tried under each of them.

    Parameters
    ----------
    rule : callable
        ``rule(reports)``, of a list of any number of reports: the rivals', and then one for each name of the agent.
        With `items` it is ``rule(bids, items)``, as `vcg_combinatorial`, `greedy_bundles` and `item_prices`: bids are
        (agent, bundle, value), and the result has `bundles` and `payments`, one an agent.
    kind : object
        The agent's type, which is what it reports when it is honest. With `items` it is a mapping of frozenset to
        float: what each bundle is worth to it. What it gets is worth the most valuable of those within it.
    rivals : sequence
        The reports of the others. With `items`, their bids: agents are numbered from 0, and the names come after them.
    reports : sequence
        What may be reported under a name; with `items`, what may be bid for a bundle.
    names : int
        How many names it may use at most.
    items : iterable, optional
        What is for sale, if the reports are bids for bundles.
    utility : callable, optional
        ``utility(kind, result, places)``: what the rule's result is worth to the owner of the names at these places of
        the list, transfers included. By default the rule returns an `Outcome` or an `Award` of as many agents as there
        are reports, and what all names have is added up.
    fee : float
        What every name after the first costs.

    Returns
    -------
    FalseNames

    Raises
    ------
    ValueError
        If a number is none or out of range, the rule fails or returns what nobody can read, or there are more than a
        million ways to report.
    """
    function("rule", rule), counted("names", names, most=1000)
    price = real("fee", fee, "[0, inf)")
    if items is not None:
        return _bundles(rule, kind, rivals, reports, names, [*_several("items", items)], price)
    if utility is not None:
        function("utility", utility)
    others, said = [*_several("rivals", rivals)], [*_several("reports", reports)]

    def has(own: Sequence[Report]) -> float:
        result = _called(rule, others, kind, own)
        return _worth(kind, result, [*range(len(others), len(others) + len(own))], utility)

    return _searched(has, has([kind]), said, names, price, lambda tried: "reporting " + _listed(map(show, tried)))


def _bundles(
    rule: Callable[..., Any], values: Any, rivals: Sequence[Any], reports: Any, names: int, goods: list[Hashable],
    fee: float,
) -> FalseNames:
    """Return the same for bids on bundles, of which an honest agent hands in several under one name."""
    if not isinstance(values, Mapping):
        raise ValueError(f"kind is {values!r:.80}: with items it must say what bundles are worth, by frozenset")
    said, worth = checked("reports", reports, ndim=1).tolist(), dict(values)
    checked("kind", [*worth.values()], ndim=1)
    try:
        parsed([*rivals, (0, frozenset(goods), 0.0)], goods)
        parsed([(0, bundle, value) for bundle, value in worth.items()], goods)
    except (TypeError, ValueError) as error:
        raise ValueError(f"kind, rivals or items do not fit: {error}") from error
    mine = 1 + max((agent for agent, *_ in rivals), default=-1)
    bundles = [frozenset(some) for size in range(1, len(goods) + 1) for some in itertools.combinations(goods, size)]

    def utility(own: Sequence[tuple[int, Bundle, float]]) -> float:
        sold = rule([*rivals, *own], goods)
        agents = {agent for agent, *_ in own if agent < len(sold.bundles)}
        got = frozenset[Hashable]().union(*(sold.bundles[agent] for agent in agents))
        paid = sum(float(sold.payments[agent]) for agent in agents)
        return max((value for bundle, value in worth.items() if bundle <= got), default=0.0) - paid

    def has(own: Sequence[tuple[Bundle, float]]) -> float:
        return utility([(mine + k, *bid) for k, bid in enumerate(own)])

    def words(tried: Sequence[tuple[Bundle, float]]) -> str:
        return "bidding " + _listed(f"{show(bid)} for {''.join(sorted(map(str, bundle)))}" for bundle, bid in tried)

    honest = utility([(mine, bundle, value) for bundle, value in worth.items()])
    return _searched(has, honest, [*itertools.product(bundles, said)], names, fee, words)


def _searched(
    has: Callable[[Sequence[Report]], float], own: float, said: Sequence[Report], names: int,
    fee: float, words: Callable[[Sequence[Report]], str],
) -> FalseNames:
    """Try everything that may be said under 1, 2, ... names, and say what does best."""
    if names * math.log(len(said)) > math.log(10**6):
        raise ValueError(f"reports allow {len(said)} ways to report under one name: under {names} names they are more "
                         "than a million; use fewer")
    most, tried = own, tuple[Report, ...]()
    best = [own]  # under one name the truth counts too
    for used in range(1, names + 1):
        if used > 1:
            best.append(-math.inf)
        for some in itertools.product(said, repeat=used):
            got = has(some)
            best[-1] = max(best[-1], got)
            if got - fee * (used - 1) > most + 1e-9:
                most, tried = got - fee * (used - 1), some
    start = f"an agent that gets {show(own)} under its own name gains "
    if not tried:
        return FalseNames(own, 0.0, (), tuple(best), f"{start}nothing under up to {names}")
    under = f"under {len(tried)} names" if len(tried) > 1 else "under its own name"
    return FalseNames(own, most - own, tried, tuple(best), f"{start}{show(most - own)} by {words(tried)} {under}")


def _several(name: str, given: Any) -> Iterable[Any]:
    """Return what holds several things, or raise a ValueError."""
    if isinstance(given, bytes) or not isinstance(given, Iterable) or (isinstance(given, str) and name != "items"):
        raise ValueError(f"{name} is {given!r:.80}: give several, in a list")
    several = [*given]
    if not several and name != "rivals":
        raise ValueError(f"{name} is empty: give one at least")
    return several


def _called(rule: Callable[..., Any], rivals: list[Report], kind: Any, own: Sequence[Report]) -> Any:
    """Return what the rule makes of all reports."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return rule([*rivals, *own])
    except Exception as error:  # the author's own code may raise anything
        raise ValueError(f"rule fails where the rivals report {rivals!r:.80} and the agent, of kind {kind!r:.80}, "
                         f"reports {[*own]!r:.80}: {error!r}") from error


def _worth(kind: Any, result: Any, places: list[int], utility: Worth | None) -> float:
    """Return what a result is worth to the owner of some names."""
    if utility is not None:
        try:
            worth = utility(kind, result, places)
        except Exception as error:
            raise ValueError(f"utility fails on the result {result!r:.120}: {error!r}") from error
        return real("utility(kind, result, places)", worth)
    try:
        return real("what it is worth", sum(net(place, kind, result) for place in places))
    except Exception as error:
        raise ValueError(f"kind or the rule's result {result!r:.80} cannot be read: {error}. Without utility= the type "
                         "is what one unit is worth, and the rule returns an Outcome or an Award") from error


def _listed(parts: Iterable[str]) -> str:
    """Return parts as they are listed in a sentence, equal ones once: "5 twice and 3"."""
    counts = dict[str, int]()
    for part in parts:
        counts[part] = counts.get(part, 0) + 1
    often = {1: "", 2: " twice"}
    return " and ".join(part + often.get(count, f" {count} times") for part, count in counts.items())
