"""Simulated agents that learn by playing a mechanism over and over: what they come to bid, and to report."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechlib.attacks.learners import Exp3, Hedge

Floats = NDArray[np.float64]
Kind = Literal["hedge", "bandit"]


class Bidding(NamedTuple):
    """How bidding went, in ten equal windows of time: both arrays are (10, lives).

    `shading` is the bid as a share of the value, the mean of what a life's bidders play; `revenue` is the auction's, a
    round.
    """

    shading: Floats
    revenue: Floats


class Reporting(NamedTuple):
    """What learners came to report at each belief, over the second half of their lives: (k,) and (lives, k)."""

    beliefs: Floats
    reports: Floats


def _learner(kind: Kind, actions: int, rounds: int, replicas: tuple[int, ...]) -> Hedge | Exp3:
    """Hedge at its best rate for this many rounds, or Exp3 that explores a tenth of the time."""
    if kind == "hedge":
        return Hedge(actions, Hedge.best_rate(actions, max(rounds, 1)), replicas)
    if kind == "bandit":
        return Exp3(actions, 0.1, replicas)
    raise ValueError(f"kind is {kind!r}: it must be 'hedge' (sees what every bid would have earned) or 'bandit'")


def repeated_auction(
    rng: np.random.Generator,
    price: Literal["first", "second"] = "first",
    kind: Kind = "hedge",
    bidders: int = 2,
    rounds: int = 2000,
    lives: int = 20,
) -> Bidding:
    """Let bidders learn what share of their value to bid; values are drawn afresh every round, uniform on [0, 1].

    The choice is among 0, .05, ..., 1. Hedge learns from what each share would have earned against the bids that were
    made; a bandit from its own profit alone. Equilibrium: (n - 1)/n in first price, 1 in second price (Vickrey 1961).

    Parameters
    ----------
    rng : numpy.random.Generator
    price, kind : str
    bidders, rounds, lives : int
        At least two bidders, and a multiple of ten rounds; `lives` independent copies of the whole market run side by
        side. Other numbers, and unknown names, are ValueErrors.
    """
    if price not in ("first", "second"):
        raise ValueError(f"price is {price!r}: it must be 'first' or 'second'")
    if bidders < 2 or rounds % 10:
        raise ValueError(f"bidders is {bidders} and rounds {rounds}: take 2 or more, and a multiple of 10")
    shares = np.linspace(0.0, 1.0, 21)
    players = _learner(kind, len(shares), rounds, (lives, bidders))
    shading, revenue = np.zeros((10, lives)), np.zeros((10, lives))
    for now in range(rounds):
        value, chosen = rng.random((lives, bidders)), players.choose(rng)
        tried = shares * value[..., None]
        bid = np.take_along_axis(tried, chosen[..., None], axis=-1)
        ranked = np.sort(bid, axis=1)
        rival = np.where(bid == ranked[:, -1:], ranked[:, -2:-1], ranked[:, -1:])  # the best bid of the others
        cost = tried if price == "first" else rival
        profit = np.clip(np.where(tried > rival, value[..., None] - cost, 0.0), 0.0, 1.0)
        if isinstance(players, Hedge):
            players.update(profit)
        else:
            players.update(chosen, np.take_along_axis(profit, chosen[..., None], axis=-1)[..., 0])
        window = now * 10 // rounds
        shading[window] += (players.probabilities @ shares).mean(axis=1)
        revenue[window] += ranked[:, -1 if price == "first" else -2, 0]
    return Bidding(shading * 10 / rounds, revenue * 10 / rounds)


def repeated_reports(
    rng: np.random.Generator, rule: Callable[[Any, Any], Any], kind: Kind = "hedge", rounds: int = 2000, lives: int = 20
) -> Reporting:
    """Let three agents learn what confidence to report under a rule; an answer is right as often as its agent believes.

    Each round every agent draws a belief from .1, .3, .5, .7, .9, and it learns for each belief apart, among the
    reports 0, .1, ..., 1. Hedge learns from what every report would have scored, a bandit from its own score alone.

    Parameters
    ----------
    rng, kind, rounds, lives
        As in `repeated_auction`.
    rule : callable
        ``rule(confidence, accuracy)`` on arrays (..., 3); a score outside [-1, 1] is a ValueError.
    """
    agents, beliefs, grid = 3, np.linspace(0.1, 0.9, 5), np.linspace(0.0, 1.0, 11)
    players = _learner(kind, len(grid), rounds * 2 // len(beliefs), (lives, agents, len(beliefs)))
    said, met = np.zeros((lives, len(beliefs))), np.zeros((lives, len(beliefs)))
    life = np.arange(lives)[:, None]
    for now in range(rounds):
        drawn = rng.integers(len(beliefs), size=(lives, agents))
        right = (rng.random((lives, agents)) < beliefs[drawn]).astype(float)
        mine = (life, np.arange(agents), drawn)
        chosen = players.choose(rng)
        report = grid[chosen[mine]]
        if now >= rounds // 2:
            np.add.at(said, (life, drawn), players.probabilities[mine] @ grid)
            np.add.at(met, (life, drawn), 1.0)
        if isinstance(players, Hedge):
            # what every report of each agent scores beside the others' reports: (lives, agents, reports, agents)
            tried = np.where(np.eye(agents, dtype=bool)[:, None], grid[:, None], report[:, None, None])
            scores = np.asarray(rule(tried, np.broadcast_to(right[:, None, None], tried.shape)))
            news = np.zeros(players.totals.shape)
            news[mine] = (np.einsum("ligi->lig", scores) + 1) / 2
            players.update(news)
        else:
            earned = np.zeros(chosen.shape)  # a payoff of 0 teaches nothing about the beliefs that were not drawn
            earned[mine] = (np.asarray(rule(report, right)) + 1) / 2
            players.update(chosen, earned)
    return Reporting(beliefs, said / np.maximum(met, 1))


def drifting(rng: np.random.Generator, discount: float, every: int, rounds: int = 400, lives: int = 50) -> float:
    """Return how often the work is right where two agents swap their skill now and then and a reputation decides.

    One agent is right nine times in ten and the other six; they swap with probability 1/`every` a round. Both answer
    and are graded; the answer shipped is that of the better reputation, the discounted mean of past grades (as in
    `mechlib.Ledger.reputation`); ties go to the first agent.

    Parameters
    ----------
    rng, rounds, lives
        As in `repeated_auction`.
    discount, every : float, int
        In (0, 1], where 1 is the plain mean, which never forgets; the mean number of rounds between swaps.
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
