"""The terms of a round: a rule that was tried on a team of this size, and bounded, before anybody is asked anything.

A `Coordinator` takes any rule that `audit` takes with `Beliefs`. What could go wrong with it goes wrong here, on
reports that nobody made: it fails on silence, it hands out more than one answer, or its rewards have no bound.
"""

from __future__ import annotations

import functools
import itertools
import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import Award, Floats, Ints, Lifted, Outcome, Rule, arguments, transfers
from mechlib.settings import rule_of_reports_and_found

_FINE = [(report, found) for report in np.linspace(0, 1, 11) for found in (0.0, 0.5, 1.0)]
_COARSE = [(report, found) for report in (0.0, 0.5, 1.0) for found in (0.0, 1.0)] + [(math.nan, 0.0)]
_COSTS = (0.0, 1.0, 1e2, 1e4, 1e6)
_MANY = 2500


@dataclass(frozen=True)
class Terms:
    """What a rule promises a team.

    Attributes
    ----------
    rule : Lifted
        From batches of (reports, found, costs), (batch, n) each, to an `Outcome` or an `Award`.
    worst, best : float
        The least and the most that any agent was rewarded with, in all that was tried.
    by_found : bool
        Whether the choice moves with what is known of the answers, or with the reports and costs alone.
    by_cost : bool
        Whether the rule reads costs.
    """

    rule: Lifted
    worst: float
    best: float
    by_found: bool
    by_cost: bool = False

    def chances(self, reports: Floats, known: Floats, costs: Floats) -> Floats:
        """Return the chance that each answer is passed on, (n,), by what is known when one has to be."""
        return as_chances("the rule's allocation", self.rule(reports[None], known[None], costs[None]).allocation[0])

    def rewards(self, reports: Floats, found: Floats, costs: Floats) -> Floats:
        """Return what each agent is rewarded with, (n,), by what was found later."""
        return np.asarray(transfers(self.rule(reports[None], found[None], costs[None]))[0] + 0.0)

    def scale(self, money: float, agents: int) -> float:
        """Return what one unit of reward is paid, so that a team can never earn more than the money there is.

        The most that an agent can earn is its share of it; under a rule that only charges, the most it can be charged.
        """
        most = self.best if self.best > 0 else -self.worst
        return money / (most * agents) if most > 0 else 0.0


def terms(rule: Rule, agents: int, choice: bool = True) -> Terms:
    """Try a rule on a team of so many agents: all that they may report, silence too, and all that may be found.

    Where the combinations are too many, some are drawn, and each agent is set against others who are all alike. With
    `choice`, whose answer is passed on is the rule's allocation, which then has to be chances.

    Raises
    ------
    ValueError
        If it is a scoring rule and no mechanism, fails, is random, chooses more than one answer, or is not bounded.
    """
    reads = arguments(rule)
    if reads == 2:
        _refuse_scores(rule, agents)
    reports, found = _profiles(agents)
    nothing = np.zeros(reports.shape)
    rng = np.random.default_rng(0)
    some = rng.choice(len(reports), 6)
    call = rule_of_reports_and_found(rule, reports[some], found[some], nothing[some])
    tried = [call(reports, found, nothing)]
    if reads == 3:
        costs = rng.choice(_COSTS, reports.shape)
        tried += [call(reports, found, costs), call(reports, found, 100 * costs)]
    rewards = np.array([transfers(result) for result in tried])
    worst, best = float(rewards.min()), float(rewards[:2].max())
    if not np.isfinite(rewards).all():
        raise ValueError(f"the rule's rewards run from {rewards.min()} to {rewards.max()}; they must be bounded, or no "
                         "budget holds: cut them off where they run away")
    if rewards.max() > best + 1e-9 * abs(best):
        raise ValueError("the rule's rewards grow with the costs, without a bound: put a cap on the costs it repays")
    if choice:
        for result in tried:
            as_chances("the rule's allocation", result.allocation)
    otherwise = call(reports, np.where(np.isnan(reports), 0.0, 1 - found), nothing)
    by_found = not np.allclose(tried[0].allocation, otherwise.allocation)
    return Terms(call, worst, best, by_found, reads == 3)


def as_chances(name: str, values: ArrayLike, agents: int | None = None) -> Floats:
    """Return chances (..., n) as floats, or raise a ValueError: none may be negative, nor their sum above 1."""
    chances = np.asarray(values, float)
    if agents is not None and chances.shape != (agents,):
        raise ValueError(f"{name} has shape {chances.shape}; it must be the chances of {agents} answers, ({agents},)")
    if not ((chances >= 0).all() and (chances.sum(axis=-1) <= 1 + 1e-9).all()):
        raise ValueError(f"{name} must be chances that an answer is passed on: none negative or NaN, and at most 1 in "
                         "all; share a tie out, 1/k to each")
    return chances


def tied(reports: Floats, costs: Floats | None, rng: np.random.Generator) -> Ints:
    """Return an order of agents, (n,), in which those with equal reports (and costs, if given) have changed places.

    A rule that gives ties to the first agent, called on agents in this order, gives them to any, each as likely.
    """
    place = np.arange(len(reports))
    said = np.where(np.isnan(reports), -1.0, reports).tolist()
    alike: dict[tuple[float, float], list[int]] = {}
    for k, value in enumerate(zip(said, [0.0] * len(said) if costs is None else costs.tolist(), strict=True)):
        alike.setdefault(value, []).append(k)
    for _, group in sorted(alike.items()):
        if len(group) > 1:
            place[group] = rng.permutation(group)
    return place


def draw(chances: Floats, rng: np.random.Generator) -> int | None:
    """Return the number of one answer, drawn by its chance, or None: by what the chances fall short of 1.

    A certain choice is made without a draw.
    """
    if chances.max() > 1 - 1e-9:
        return int(np.argmax(chances))
    total = float(chances.sum())
    reached = np.cumsum(chances) / (total if total > 1 - 1e-9 else 1.0)
    number = int(np.searchsorted(reached, rng.random(), side="right"))
    return number if number < len(chances) else None


@functools.lru_cache(maxsize=8)
def _profiles(agents: int) -> tuple[Floats, Floats]:
    """Return reports and what is found, (rows, n) each, on which a rule is tried; nobody may write into them."""
    rng = np.random.default_rng(1)
    parts = [_combined(_COARSE, agents, rng), _combined(_FINE, agents, rng), _one_against_the_rest(agents)]
    table = np.concatenate(parts)
    table.flags.writeable = False
    return table[..., 0], table[..., 1]


def _combined(cells: list[tuple[float, float]], agents: int, rng: np.random.Generator) -> Floats:
    """Return every combination of cells, one an agent, or five hundred of them where they are too many."""
    numbers: ArrayLike = [*itertools.product(range(len(cells)), repeat=agents)] if len(cells) ** agents <= _MANY else (
        rng.integers(0, len(cells), (500, agents)))
    return np.asarray(np.array(cells)[np.asarray(numbers)])


def _one_against_the_rest(agents: int) -> Floats:
    """Return each agent in any cell, against others who are all in one and the same: that is where the ends lie."""
    pairs = [*itertools.product(_COARSE, repeat=2)]
    return np.array([[own if j == i else other for j in range(agents)] for i in range(agents) for own, other in pairs])


def _refuse_scores(rule: Rule, agents: int) -> None:
    """Raise a ValueError if a rule returns a number an agent, as scoring rules do, and no choice."""
    try:
        result = rule(np.linspace(0, 1, agents), np.ones(agents))
        scores = not isinstance(result, (Outcome, Award)) and np.shape(result) == (agents,)
    except Exception:  # the author's own code may raise anything; `lift` tells it better
        return
    if scores:
        name = getattr(rule, "__name__", "score")
        raise ValueError(f"{name} is a scoring rule: it says what a report scores, and not whose answer is passed on. "
                         f"Two lines make a mechanism of it:\n    def rule(reports, found):\n"
                         f"        return Award(highest(reports), {name}(reports, found))")
