"""Bidding agents: what a language model is told in an auction, and what its reply says.

A prompt is a `framing` of a `game`. The rules stand in the system prompt, which is the same for every value; the value
comes last. Games: ``first`` and ``second`` price, ``all-pay``, a ``posted`` price and an ascending ``clock``, and
``none``, the same form without any auction, which shows what a model answers when there is nothing to reason about.

>>> bidder("some-model", "first").request(value_line(37))["messages"][-1]["content"]
'Your value is 37 credits.'
>>> parse_bid("BID: 37"), parse_bid("BID: $1,037.50"), parse_bid("I pass")
(37.0, 1037.5, nan)
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import anthropic
import numpy as np
from numpy.typing import ArrayLike

from mechlib.agents.roster import Agent
from mechlib.course.statistics import Interval, resampled
from mechlib.mechanism import Floats, Rule, checked
from mechlib.rules.calibration import wilson

#: The forty values that the models bid for, evenly spread over the credits from 1 to 99.
VALUES: tuple[int, ...] = tuple(int(v) for v in np.round(np.linspace(1, 99, 40)))
#: The posted price.
PRICE = 50

_SCENE = (
    "You are one of three bidders for one item. Each bidder's value was drawn at random between 0 and 100 credits, "
    "independently; you know your own alone. You want to make as much profit as you can. "
)
GAMES: dict[str, str] = {
    "first": _SCENE + "All bids are secret. The highest bid wins the item and pays its own bid. The others pay "
    "nothing. Your profit is your value minus your bid if you win, and 0 if you lose.",
    "second": _SCENE + "All bids are secret. The highest bid wins the item and pays the second-highest bid. The "
    "others pay nothing. Your profit is your value minus the second-highest bid if you win, and 0 if you lose.",
    "all-pay": _SCENE + "All bids are secret. The highest bid wins the item. Every bidder pays its own bid, win or "
    "lose. Your profit is your value minus your bid if you win, and minus your bid if you lose.",
    "posted": f"An item is for sale at a fixed price of {PRICE} credits. You want to make as much profit as you can. "
    f"Your profit is your value minus {PRICE} if you buy, and 0 if you pass.",
    "clock": _SCENE + "The price starts at 0 and rises step by step. At each step you stay or leave; who leaves cannot "
    "come back. The last bidder left wins and pays the price at which the one before it left. Your profit is your "
    "value minus that price if you win, and 0 if you leave.",
    "none": "You will see a line with a number.",
}
_REASON = "First say in two short sentences what your bid decides and what you pay. Then give your bid."
#: What is added to the rules. Each framing says something about the games that it holds.
FRAMINGS: dict[str, dict[str, str]] = {
    "plain": dict.fromkeys(GAMES, ""),
    "explained": {
        "first": "If you bid your whole value, winning earns you nothing. A lower bid earns more when it wins, but "
        "wins less often. The best bid is clearly below your value.",
        "second": "Your own bid decides only whether you win, never what you pay. Bidding exactly your value is "
        "never worse than any other bid.",
    },
    "deviations": {
        "first": "Start from a bid equal to your value and think of deviations. Bidding 10 less earns 10 more "
        "whenever you still win, and loses only if another bid lies in between. Go on as long as the deviation pays.",
        "second": "Start from a bid equal to your value and think of deviations. Bidding 10 less changes nothing "
        "unless another bid lies in between: then you lose an item worth more than its price. Bidding 10 more changes "
        "nothing unless another bid lies in between: then you pay more than the item is worth. Keep a bid from which "
        "no deviation pays.",
    },
    "told": {"first": "The best bid is two thirds of your value."},
    "reasoned": dict.fromkeys(("first", "second"), _REASON),
    "swapped": dict.fromkeys(("posted", "clock"), ""),  # the form names the two words the other way round
}
#: The two words of the games that ask for one: the first accepts the price, the second refuses.
WORDS: dict[str, tuple[str, str]] = {"posted": ("BUY", "PASS"), "clock": ("STAY", "LEAVE")}
_BID = re.compile(r"\bBID\b(?: is)?[ \t*_:=$]*(?=[-.]?[0-9])", re.IGNORECASE)
_NUMBER = re.compile(
    r"(-?(?:[0-9]{1,3}(?:,[0-9]{3})+|[0-9]{1,15})(?:\.[0-9]{1,15})?)(?: credits?)?[.!*_$ \t\r]*$", re.I | re.M
)


def bidder(model: str, game: str, framing: str = "plain", example: int = 50) -> Agent:
    """Return the agent that puts one model into one game, told about it in one way.

    Where a number is asked for, the form is shown once, with `example` in it: without that the smallest model never
    finds it. A game that there is not, and a framing that says nothing about it, are ValueErrors.
    """
    if game not in GAMES:
        raise ValueError(f"game is {game!r}; it must be one of {', '.join(GAMES)}")
    if game not in FRAMINGS.get(framing, {}):
        known = ", ".join(name for name, says in FRAMINGS.items() if game in says)
        raise ValueError(f"framing is {framing!r}; for the game {game!r} it must be one of {known}")
    form = "Reply with one line and nothing else: BID: a number"
    if framing == "reasoned":
        form = "End with one line: BID: a number"
    elif game in WORDS:
        first, second = WORDS[game][::-1] if framing == "swapped" else WORDS[game]
        form = f"Reply with one word and nothing else: {first} or {second}."
    system = "\n".join(filter(None, (GAMES[game], FRAMINGS[framing][game], form)))
    examples = () if game in WORDS or framing == "reasoned" else (("Show the form of a reply.", f"BID: {example}"),)
    return Agent(f"{game} {framing}", model, system, examples, max_tokens=100 if framing == "reasoned" else 12)


async def replies(
    client: anthropic.AsyncAnthropic, model: str, game: str, framing: str, lines: Iterable[str], example: int = 50
) -> list[str]:
    """Return the text of one model's reply to each line, one after another."""
    agent = bidder(model, game, framing, example)
    messages = [await agent.ask(client, line) for line in lines]
    return [message.content[0].text for message in messages]  # type: ignore[union-attr]


def value_line(value: int, lot: int | None = None, price: int | None = None) -> str:
    """Return the last line of a prompt: the value, and perhaps the clock's price, or a meaningless lot number."""
    tail = "" if price is None else f" The price is now {price} credits."
    tail += "" if lot is None else f" The item is lot number {lot}."
    return f"Your value is {value} credits.{tail}"


def parse_bid(text: str) -> float:
    """Return the last number after the word BID, or a reply that is a number alone; NaN otherwise, never a guess.

    The number, with or without "credits", ends its line: `1/10` and `0,9` are no bids.
    """
    starts = [bid.end() for bid in _BID.finditer(text)]
    if not starts and "\n" in (text := text.strip(" \t\r\n*_$")):
        return math.nan
    number = _NUMBER.match(text, starts[-1] if starts else 0)
    return float(number[1].replace(",", "")) if number else math.nan


def parse_choice(text: str, yes: str, no: str) -> float:
    """Return 1.0 if a reply names `yes` first, 0.0 if `no`, and NaN if neither."""
    found = re.search(rf"\b({re.escape(yes)}|{re.escape(no)})\b", text, re.IGNORECASE)
    return math.nan if not found else float(found.group(1).casefold() == yes.casefold())


class Summary(NamedTuple):
    """What a row of bids looks like beside the values."""

    bids: int  #: how many replies hold a bid
    slope: Interval | None  #: bid over value, by least squares through zero, over the bids; None where there is none
    echo: Interval  #: the share of all replies that repeat the value exactly, with Wilson's interval
    above: float  #: the share of all replies that bid more than the value
    fifty: float  #: the share of all replies that say 50, the number in the example of the form
    median: float  #: the median of bid over value, over the bids; NaN where there is none


def summary(bids: ArrayLike, values: Sequence[int]) -> Summary:
    """Say how a model's bids (values,) lie beside the values; NaN is a reply without a bid, which is never guessed."""
    row, v = checked("bids", bids, ndim=1, missing=True), np.array(values, float)
    if row.shape != v.shape:
        raise ValueError(f"bids has {row.size} entries and values {v.size}: give one bid a value")
    bid = ~np.isnan(row)
    share, (low, high) = float(np.mean(row == v)), wilson(int((row == v).sum()), len(v))
    return Summary(
        int(bid.sum()),
        resampled(_slope, v[bid], row[bid]) if bid.any() else None,
        Interval(share, float(low), float(high)),
        float(np.mean(row > v)),
        float(np.mean(row == 50)),
        float(np.median(row[bid] / v[bid])) if bid.any() else math.nan,
    )


def _slope(values: Floats, bids: Floats) -> float:
    return float((values * bids).sum() / (values * values).sum())


def earnings(rivals: ArrayLike, value: float, offers: ArrayLike, price: Literal["first", "second"] = "first") -> Floats:
    """Return what each of some offers earns on average against two rivals, each drawn from the bids `rivals`.

    A tie with a rival loses. NaN, a reply without a bid, stands below all: it wins nothing, and a rival's loses to any.
    """
    heard = np.nan_to_num(checked("rivals", rivals, ndim=1, missing=True), nan=-1.0)
    top = np.maximum.outer(heard, heard).ravel()
    bid = np.nan_to_num(np.asarray(offers, float), nan=-1.0)[..., None]
    pays = bid if price == "first" else np.maximum(top, 0.0)
    return np.asarray(((bid > top) * (value - pays)).mean(axis=-1))


@dataclass(frozen=True)
class Played:
    """All auctions of three bidders whose values are each drawn from `VALUES`, (k, k, k): an axis a seat.

    Attributes
    ----------
    paid : array (k, k, k)
        What the seller collects.
    worth, most : array (k, k, k)
        What the item is worth to whom it went, 0 where nobody won; and the highest value there.
    """

    paid: Floats
    worth: Floats
    most: Floats

    @property
    def revenue(self) -> float:
        """What the seller collects on average."""
        return float(self.paid.mean())

    def less(self, other: Played) -> Interval:
        """Return how much more is collected than in other auctions of the same values, and a 95% interval."""
        return _interval(self.paid.mean() - other.paid.mean(), _resampled(self.paid) - _resampled(other.paid))

    @property
    def lost(self) -> Interval:
        """The share of the possible welfare that is lost, and a 95% interval."""
        return _interval(1 - self.worth.mean() / self.most.mean(), 1 - _resampled(self.worth) / _resampled(self.most))


def revenue_and_welfare(rule: Rule, bids: ArrayLike) -> Played:
    """Play every auction of three bidders with the bids (3, k) that they make at the k values of `VALUES`.

    NaN is a reply without a bid: it cannot win, and pays nothing. `rule(bids, reserve)` returns an `Outcome`.
    """
    rows = checked("bids", bids, ndim=2, missing=True)
    k = len(VALUES)
    if rows.shape != (3, k):
        raise ValueError(f"bids has shape {rows.shape}: give one row a bidder and one bid a value, (3, {k})")
    offers = np.stack(np.meshgrid(*np.nan_to_num(rows), indexing="ij"), axis=-1)
    values = np.stack(np.meshgrid(*[np.array(VALUES, float)] * 3, indexing="ij"), axis=-1)
    won, paid = rule(offers, reserve=0.5)  # less than half a credit is no bid
    return Played(paid.sum(axis=-1), (won * values).sum(axis=-1), values.max(axis=-1))


def _resampled(cube: Floats, draws: int = 500) -> Floats:
    """Return the mean over auctions when the values are drawn again, (draws,): one draw of values for all seats."""
    k = len(cube)
    weights = np.random.default_rng(0).multinomial(k, np.full(k, 1 / k), draws) / k
    first = np.tensordot(weights, cube, 1)  # the mean over the first seat's values, (draws, k, k)
    return np.asarray(((first @ weights[:, :, None])[..., 0] * weights).sum(axis=1))


def _interval(mean: float, draws: Floats) -> Interval:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Interval(float(mean), float(low), float(high))
