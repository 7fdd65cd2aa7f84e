"""Choosing one agent for a task by what the agents say of themselves, so that saying the truth is best.

A report is a probability of being right, in [0, 1]; nan abstains and is never chosen. Arrays are (..., n), agents last,
ties to the lowest index. What an agent expects from being scored is linear in its belief: something if it is wrong,
and more if it is right. So a scored choice is an `Outcome`, and `mechlib.audit` takes it as it stands: the
"allocation" is what being right adds, the "payment" is what being wrong costs.

>>> from mechlib import audit, quadratic
>>> beliefs = [0.1, 0.3, 0.5, 0.7, 0.9]
>>> audit(scored(highest, quadratic), beliefs, n=2).is_dsic
False
>>> audit(scored(softened(0.1), quadratic, inverse=True), beliefs, n=2).is_dsic
True
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechlib.mechanism import Outcome
from mechlib.rules.scoring import Rule

Floats = NDArray[np.float64]
Choice = Callable[[ArrayLike], Floats]


def highest(reports: ArrayLike) -> Floats:
    """Return the chance that each agent is chosen when the highest report is: 1 for it, 0 for the others."""
    claims = np.asarray(reports, dtype=float)
    best = np.argmax(np.where(np.isnan(claims), -np.inf, claims), axis=-1)
    return np.asarray((np.arange(claims.shape[-1]) == best[..., None]) & ~np.isnan(claims), dtype=float)


def softened(floor: float) -> Choice:
    """Return a choice with full support: every speaker has a chance of at least `floor`, the highest has the rest.

    A `floor` outside (0, 1], or too high for as many as speak, is a ValueError.
    """
    if not 0 < floor <= 1:
        raise ValueError(f"floor is {floor}; it must lie in (0, 1], or an agent could never be scored")

    def choose(reports: ArrayLike) -> Floats:
        speaks = ~np.isnan(np.asarray(reports, dtype=float))
        spare = 1 - floor * speaks.sum(axis=-1, keepdims=True)
        if (spare < -1e-12).any():
            raise ValueError(f"floor is {floor}, but up to {speaks.sum(axis=-1).max()} agents speak; lower it")
        return np.asarray(np.where(speaks, floor + spare * highest(reports), 0.0))

    return choose


def scored(choose: Choice, rule: Rule, inverse: bool = False, benefit: float = 0.0) -> Callable[[ArrayLike], Outcome]:
    """Return the mechanism that chooses by the reports and pays the chosen agent alone, by a scoring rule.

    Parameters
    ----------
    choose : callable
        From reports (..., n) to the chance that each agent is chosen, (..., n).
    rule : rule(confidence, accuracy) -> score
        What the chosen agent is paid once its answer is marked right (1) or wrong (0).
    inverse : bool
        Divide the score by the chance that the agent was chosen. With a proper rule and full support this is a decision
        scoring rule (Othman & Sandholm 2010; Chen, Kash, Ruberry & Shnayder 2011): the chance cancels, and what a
        report expects no longer depends on whom it makes the choice fall on.
    benefit : float
        What being chosen is worth to an agent by itself: traffic, data, a reputation.

    Returns
    -------
    callable
        From reports (..., n) to the expected `Outcome`: an agent with belief p expects ``p * allocation - payment``.
    """

    def mechanism(reports: ArrayLike) -> Outcome:
        chance = choose(reports)
        weight = (chance > 0).astype(float) if inverse else chance
        right, wrong = (np.asarray(rule(reports, accuracy), dtype=float) for accuracy in (1.0, 0.0))
        return Outcome(weight * (right - wrong), -weight * wrong - benefit * chance)

    return mechanism


class Award(NamedTuple):
    """Who is chosen (..., n), as 1 and 0, and the best score among the others (...), at least 0: the slot's price."""

    chosen: Floats
    price: Floats


def score_auction(quality: ArrayLike, costs: ArrayLike) -> Award:
    """Choose the highest score, quality less cost, if it is positive; the slot's price is the best other score or 0.

    `quality` (..., n) is the expected worth of each agent's answer in the money of the `costs` (..., n) of a call; nan
    abstains. A second-score auction (Che 1993), which is VCG for one buyer: pay the chosen agent what its answer turned
    out to be worth, less the price. With belief p and cost c it then keeps ``p - c - price``, and by Vickrey's argument
    no other report of p or c does better. Whoever knows the qualities may pay ``quality - price`` at once: then only
    the costs are asked for, and the chosen agent is paid the highest cost at which it would still have been chosen.
    """
    score = np.asarray(quality, dtype=float) - np.asarray(costs, dtype=float)
    score = np.where(np.isnan(score), -np.inf, score)
    best = highest(score)
    price = np.where(best > 0, -np.inf, score).max(axis=-1)
    return Award(best * (score > 0), np.maximum(price, 0.0))
