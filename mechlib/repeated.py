"""Simulated agents that learn by playing a mechanism over and over: what they come to bid, and to report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechlib.learn import Exp3, Hedge

Floats = NDArray[np.float64]
Kind = Literal["hedge", "bandit"]
EXPLORE = 0.1


class Bidding(NamedTuple):
    """How bidding went, in equal windows of time: both arrays are (windows, lives).

    Attributes
    ----------
    shading : ndarray
        The bid as a share of the value that a learner plays on average, the mean of a life's bidders.
    revenue : ndarray
        What the auction earned a round.
    """

    shading: Floats
    revenue: Floats


class Reporting(NamedTuple):
    """What learners came to report at each belief, over the second half of their lives: (k,) and (lives, k)."""

    beliefs: Floats
    reports: Floats


def learner(kind: Kind, actions: int, rounds: int, replicas: tuple[int, ...]) -> Hedge | Exp3:
    """Return Hedge at its best rate for this many rounds, or Exp3 that explores a tenth of the time.

    Raises
    ------
    ValueError
        If `kind` is neither "hedge" nor "bandit".
    """
    if kind == "hedge":
        return Hedge(actions, Hedge.best_rate(actions, max(rounds, 1)), replicas)
    if kind == "bandit":
        return Exp3(actions, EXPLORE, replicas)
    raise ValueError(f"kind is {kind!r}: it must be 'hedge' (sees what every bid would have earned) or 'bandit'")


def repeated_auction(
    rng: np.random.Generator,
    price: Literal["first", "second"] = "first",
    kind: Kind = "hedge",
    bidders: int = 2,
    rounds: int = 2000,
    lives: int = 20,
    windows: int = 10,
) -> Bidding:
    """Let bidders learn what share of their value to bid; values are drawn afresh every round, uniform on [0, 1].

    The choice is among 0, .05, ..., 1. Hedge learns from what each share would have earned against the bids that were
    made; a bandit from its own profit alone. Equilibrium: (n - 1)/n in first price, 1 in second price (Vickrey 1961).

    Parameters
    ----------
    rng : numpy.random.Generator
    price, kind : str
    bidders, rounds, lives, windows : int
        `lives` independent copies of the whole market run side by side; `rounds` is a multiple of `windows`.

    Raises
    ------
    ValueError
        If a name is unknown, there are fewer than two bidders, or the rounds do not divide into windows.
    """
    if price not in ("first", "second"):
        raise ValueError(f"price is {price!r}: it must be 'first' or 'second'")
    if bidders < 2 or rounds % windows:
        raise ValueError(f"bidders is {bidders} and rounds {rounds}: take 2 or more, and a multiple of {windows}")
    shares = np.linspace(0.0, 1.0, 21)
    players = learner(kind, len(shares), rounds, (lives, bidders))
    shading, revenue = np.zeros((windows, lives)), np.zeros((windows, lives))
    for now in range(rounds):
        value, chosen = rng.random((lives, bidders)), players.choose(rng)
        bid = shares[chosen] * value
        ranked = np.sort(bid, axis=1)
        rival = np.where(bid == ranked[:, -1:], ranked[:, -2:-1], ranked[:, -1:])  # the best bid of the others
        if isinstance(players, Hedge):
            tried = shares * value[..., None]
            cost = tried if price == "first" else rival[..., None]
            profit = np.where(tried > rival[..., None], value[..., None] - cost, 0.0)
            players.update(np.clip(profit, 0.0, 1.0))
        else:
            cost = bid if price == "first" else rival
            players.update(chosen, np.clip(np.where(bid > rival, value - cost, 0.0), 0.0, 1.0))
        window = now * windows // rounds
        shading[window] += (players.probabilities @ shares).mean(axis=1)
        revenue[window] += ranked[:, -1] if price == "first" else ranked[:, -2]
    return Bidding(shading * windows / rounds, revenue * windows / rounds)


def final_shading(rng: np.random.Generator, **settings: Any) -> float:
    """Return the share of their value that one market's bidders came to bid, for a `mechlib.sweep.sweep`."""
    return float(repeated_auction(rng, lives=1, **settings).shading[-1, 0])


def repeated_reports(
    rng: np.random.Generator,
    rule: Callable[[Any, Any], Any],
    kind: Kind = "hedge",
    agents: int = 3,
    rounds: int = 2000,
    lives: int = 20,
) -> Reporting:
    """Let agents learn what confidence to report under a rule; an answer is right as often as its agent believes.

    Each round every agent draws a belief from .1, .3, .5, .7, .9, and it learns for each belief apart, among the
    reports 0, .1, ..., 1. Hedge learns from what every report would have scored, a bandit from its own score alone.

    Parameters
    ----------
    rng : numpy.random.Generator
    rule : callable
        ``rule(confidence, accuracy)`` on arrays (..., agents), with scores in [-1, 1].
    kind : str
    agents, rounds, lives : int

    Raises
    ------
    ValueError
        If `kind` is unknown, or a score leaves [-1, 1].
    """
    beliefs, grid = np.linspace(0.1, 0.9, 5), np.linspace(0.0, 1.0, 11)
    players = learner(kind, len(grid), rounds * 2 // len(beliefs), (lives, agents, len(beliefs)))
    said, met = np.zeros((lives, len(beliefs))), np.zeros((lives, len(beliefs)))
    life, seat = np.arange(lives)[:, None], np.arange(agents)
    for now in range(rounds):
        drawn = rng.integers(len(beliefs), size=(lives, agents))
        right = (rng.random((lives, agents)) < beliefs[drawn]).astype(float)
        mine = (life, seat, drawn)
        chosen = players.choose(rng)
        report = grid[chosen[mine]]
        if now >= rounds // 2:
            np.add.at(said, (np.broadcast_to(life, drawn.shape), drawn), players.probabilities[mine] @ grid)
            np.add.at(met, (np.broadcast_to(life, drawn.shape), drawn), 1.0)
        if isinstance(players, Hedge):
            news = np.zeros(players.totals.shape)
            for i in seat:
                tried = np.repeat(report[:, None], len(grid), axis=1)
                tried[..., i] = grid
                score = np.asarray(rule(tried, np.broadcast_to(right[:, None], tried.shape)))[..., i]
                news[life[:, 0], i, drawn[:, i]] = (score + 1) / 2
            players.update(news)
        else:
            before = players.totals.copy()
            earned = (np.asarray(rule(report, right)) + 1) / 2
            players.update(chosen, np.broadcast_to(earned[..., None], chosen.shape))
            now_drawn = players.totals[mine]
            players.totals = before  # only the belief that was drawn has learned something
            players.totals[mine] = now_drawn
    return Reporting(beliefs, said / np.maximum(met, 1))


def drifting(rng: np.random.Generator, discount: float, every: int, rounds: int = 400, lives: int = 50) -> float:
    """Return how often the work is right where two agents swap their skill now and then and a reputation decides.

    One agent is right nine times in ten and the other six; they swap with probability 1/`every` a round. Both answer
    and are graded; the answer shipped is that of the better reputation, the discounted mean of past grades (as in
    `mechlib.ledger.Ledger.reputation`); ties go to the first agent.

    Parameters
    ----------
    rng : numpy.random.Generator
    discount : float
        In (0, 1]; 1 is the plain mean, which never forgets.
    every : int
        The mean number of rounds between swaps.
    rounds, lives : int
    """
    skill = np.tile([0.9, 0.6], (lives, 1))
    total, delivered = np.zeros((lives, 2)), 0.0
    for _ in range(rounds):
        swap = rng.random(lives) < 1 / every
        skill[swap] = skill[swap, ::-1]
        right = (rng.random((lives, 2)) < skill).astype(float)
        delivered += float(right[np.arange(lives), total.argmax(axis=1)].mean())
        total = discount * total + right  # both are graded in every round, so the mean ranks as the sum does
    return delivered / rounds
