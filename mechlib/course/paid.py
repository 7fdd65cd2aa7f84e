"""What chapter 6 selects and trains by: six rules, and what each pays at every profile of stated digits.

An agent states one of ten digits, ``0.0`` to ``0.9``. The rules are the functions that `audit`, `learn`, `replay` and
`Coordinator` take; ``training/`` climbs what the same functions pay.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechlib.mechanism import Award, Outcome, transfers
from mechlib.rules.choice import highest
from mechlib.rules.scoring import absolute, abstain_pays, second_report
from mechlib.rules.scoring import quadratic as brier
from mechlib.settings import rule_of_reports_and_found

__all__ = ["DIGITS", "FINE", "PRIZE", "RULES", "SILENCE", "Paid", "metric", "payoffs", "popular", "priced", "quadratic",
           "silence", "stating"]

Array = NDArray[np.float64]
PRIZE = 0.3  # what shipping is worth by itself, under slot and priced
SILENCE = 0.25  # what saying nothing is paid, under silence
FINE = 0.1  # what a report that cannot be read costs
DIGITS = np.arange(10) / 10


def metric(reports: Array, found: Array) -> Award:
    """Pay the stated number: what the first pipeline of the course rewards."""
    return Award(highest(reports), np.nan_to_num(reports))


def popular(reports: Array, found: Array) -> Award:
    """Pay `a - |c - a|`."""
    return Award(highest(reports), absolute(reports, found))


def quadratic(reports: Array, found: Array) -> Award:
    """Pay `a - (c - a)**2`: the reward of RLCR (Damani et al., arXiv 2507.16806)."""
    return Award(highest(reports), brier(reports, found))


def silence(reports: Array, found: Array) -> Award:
    """Pay the quadratic score, and a fixed price for saying nothing: worth it below a chance of one half."""
    return Award(highest(reports), abstain_pays(brier, SILENCE)(reports, found))


def priced(reports: Array, found: Array) -> Award:
    """Charge whoever ships the best other report and what shipping is worth: the mend of `slot`."""
    chosen = highest(reports)
    return Award(chosen, second_report(reports, found) - PRIZE * chosen)


@dataclass(frozen=True)
class Paid:
    """A rule, what shipping is worth by itself, and whether a stated 0.0 is read as silence."""

    rule: Callable[..., Award | Outcome]
    prize: float = 0.0
    zero_is_silence: bool = False


RULES = {
    "metric": Paid(metric),
    "popular": Paid(popular),
    "quadratic": Paid(quadratic),
    "silence": Paid(silence, zero_is_silence=True),
    "slot": Paid(quadratic, prize=PRIZE),
    "priced": Paid(priced, prize=PRIZE),
}


@functools.cache
def payoffs(paid: Paid) -> Array:
    """Return what each agent earns, shape (2, 2, 2, 11, 11, 11, 3): by who is right, then by what each of them states.

    The first ten reports are the digits of ``0.d``, the last is a malformed one. The rule reads it as silence (as 0 if
    it knows no silence), and it earns what that does, but never more than nothing, less a fine. Without the fine it
    earns what a stated 0 earns under most rules, and some of the agents that know nothing drift to it.
    """
    stated = np.append(DIGITS, np.nan)
    if paid.zero_is_silence:
        stated[0] = np.nan
    right = np.array([0.0, 1.0])
    *found, a, b, c = np.meshgrid(right, right, right, *[np.arange(11)] * 3, indexing="ij")
    said = np.stack([a, b, c], axis=-1)
    truths = np.stack(found, axis=-1).reshape(-1, 3)
    try:
        award = _awarded(paid.rule, stated[said].reshape(-1, 3), truths)
    except ValueError:
        award = _awarded(paid.rule, np.nan_to_num(stated)[said].reshape(-1, 3), truths)
    earned = (transfers(award) + paid.prize * np.asarray(award.allocation)).reshape(said.shape)
    return np.where(said == 10, np.minimum(earned, 0.0) - FINE, earned)


def _awarded(rule: Callable[..., Award | Outcome], reports: Array, found: Array) -> Any:
    profiles = (reports, found, np.zeros_like(reports))
    some = [table[::97] for table in profiles]  # on which it is tried whether the rule takes all at once
    return rule_of_reports_and_found(rule, *some)(*profiles)


def stating(paid: Paid, teams: Sequence[Sequence[int]], right: ArrayLike, policy: ArrayLike) -> Array:
    """Return what stating each digit earns an agent that knows what kind of document it holds, (kinds, 11).

    Parameters
    ----------
    paid : Paid
    teams : sequence of (3,) int
        The kinds of the three documents, a task a row.
    right : (kinds,)
        How often an answer from each kind is right.
    policy : (kinds, 11)
        How the others state: the chance of each digit, and of a report that cannot be read, by their own kind.
    """
    table, p, said = payoffs(paid), np.asarray(right, float), np.asarray(policy, float)
    earned, seats = np.zeros((len(p), 11)), np.zeros(len(p))
    for team, count in zip(*np.unique(np.asarray(teams), axis=0, return_counts=True), strict=True):
        a, b, c = (np.array([1 - p[kind], p[kind]]) for kind in team)
        mean = np.einsum("abcijks,a,b,c->ijks", table, a, b, c)
        x, y, z = said[team]
        for seat, sums in enumerate(("ijk,j,k->i", "ijk,i,k->j", "ijk,i,j->k")):
            others = [(y, z), (x, z), (x, y)][seat]
            earned[team[seat]] += count * np.einsum(sums, mean[..., seat], *others)
            seats[team[seat]] += count
    return np.asarray(earned / seats[:, None])
