"""Which rule is in force: the simple rule that explains most of a router's choices.

A rule is a preference, a number for each model that is higher for whom it would rather choose. Some have one parameter,
which is fitted. What a rule explains is measured on the half of the log to which it was not fitted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from mechlib.attacks.router_log import Log
from mechlib.mechanism import Array, Award, Floats
from mechlib.rules.calibration import wilson
from mechlib.rules.choice import highest

# From a parameter, scores and costs, both (..., models), to how much each model is preferred.
Preference = Callable[[float, Floats, Floats], Floats]
_CELLS = 2**24  # how many numbers may be compared while a parameter is fitted
_NEVER = 1e12


class Family(NamedTuple):
    """Rules that differ in one parameter: how they read, what they prefer, and which parameters are worth trying.

    `candidates` gives them (k,), and the ends (k + 1,) between which one is as good as another.
    """

    text: str
    prefer: Preference
    candidates: Callable[[Log], tuple[Floats, Floats]]
    needs_costs: bool = True


@dataclass(frozen=True, repr=False)
class Explained:
    """A rule, and how well it explains the choices.

    Attributes
    ----------
    family : Family
    parameter, low, high : float
        The fitted parameter, and between which ends as many choices are explained; NaN where the rule has none.
    share : float
        How many choices it explains where it was not fitted; a tie between k models counts as one in k.
    interval : tuple of float
        The share's, of 95%.
    """

    family: Family
    parameter: float
    low: float
    high: float
    share: float
    interval: tuple[float, float]
    models: tuple[str, ...]

    @property
    def name(self) -> str:
        """The rule in words."""
        if "{model}" in self.family.text:
            return self.family.text.format(model=self.models[int(self.parameter)])
        return self.family.text.format(digits(self.parameter))

    def choose(self, scores: Floats, costs: Floats) -> Floats:
        """Return whom the rule chooses, 1 or 0, (..., models); ties go to the first, silence is never chosen."""
        return highest(np.where(np.isnan(scores), np.nan, self.family.prefer(self.parameter, scores, costs)))

    def mechanism(self, prize: float) -> Callable[[Floats, Floats, Floats], Award]:
        """Return the rule as `audit` takes it: the chosen model is paid its cost, and `prize` on top."""
        def rule(reports: Floats, found: Floats, costs: Floats) -> Award:
            chosen = self.choose(reports, costs)
            return Award(chosen, chosen * (costs + prize))

        rule.__name__ = self.name
        return rule


def digits(number: float, signs: int = 3) -> str:
    """Return a number as people write it: three digits that count, and commas."""
    return f"{float(f'{number:.{signs}g}') + 0.0:,g}"


def _nothing(log: Log) -> tuple[Floats, Floats]:
    return np.array([np.nan]), np.full(2, np.nan)


def _each_model(log: Log) -> tuple[Floats, Floats]:
    return np.arange(len(log.models), dtype=float), np.full(len(log.models) + 1, np.nan)


def _worths(log: Log) -> tuple[Floats, Floats]:
    """Return what a right answer may be worth: between any two values at which a choice would turn from i to j."""
    pairs = [(i, j) for i in range(len(log.models)) for j in range(i)]
    with np.errstate(divide="ignore", invalid="ignore"):
        turns = np.concatenate([
            (log.costs[:, i] - log.costs[:, j]) / (log.scores[:, i] - log.scores[:, j]) for i, j in pairs])
    turns = np.unique(turns[np.isfinite(turns) & (turns > 0)])
    if not turns.size:
        return _nothing(log)
    ends = np.concatenate([[turns[0] / 4], turns, [turns[-1] * 4]])
    return np.sqrt(ends[:-1] * ends[1:]), ends


def _floors(log: Log) -> tuple[Floats, Floats]:
    scores = np.unique(log.scores[~np.isnan(log.scores)])
    return scores, np.append(0.0, scores)


def _ceilings(log: Log) -> tuple[Floats, Floats]:
    costs = np.unique(log.costs[~np.isnan(log.scores)])
    return costs, np.append(costs, 2 * costs[-1])


def _always(model: float, scores: Floats, costs: Floats) -> Floats:
    return np.asarray(np.arange(scores.shape[-1]) == model, float) + 0 * scores


FAMILIES = (
    Family("always {model}", _always, _each_model, needs_costs=False),
    Family("the highest score", lambda _, scores, costs: scores, _nothing, needs_costs=False),
    Family("the lowest cost", lambda _, scores, costs: -costs, _nothing),
    Family("the highest score less cost, where a right answer is worth {}",
           lambda worth, scores, costs: scores - costs / worth, _worths),
    Family("the lowest cost among scores of at least {}, else the highest score",
           lambda floor, scores, costs: np.where(scores >= floor, -costs, scores - _NEVER), _floors),
    Family("the highest score among costs of at most {}, else the lowest cost",
           lambda ceiling, scores, costs: np.where(costs <= ceiling, scores, -costs - _NEVER), _ceilings),
)


def explain(log: Log) -> list[Explained]:
    """Return what each family explains of a log's choices, the best first.

    A family that explains at most one in a hundred choices less than the best comes before it if it is a simpler one,
    which is to say, earlier in `FAMILIES`. Families that read costs are left out where not all costs are known.
    """
    families = [family for family in FAMILIES if log.priced or not family.needs_costs]
    found = [_explained(family, log) for family in families]
    best = max(rule.share for rule in found)
    return sorted(found, key=lambda rule: (rule.share < best - 0.01, -rule.share if rule.share < best - 0.01 else 0))


def _explained(family: Family, log: Log) -> Explained:
    candidates, ends = family.candidates(log)
    tried = np.unique(np.linspace(0, len(candidates) - 1, max(20, _CELLS // log.scores.size)).astype(int))
    candidates, below, above = candidates[tried], ends[tried], ends[tried + 1]
    hits = np.array([_hits(family.prefer(each, log.scores, log.costs), log) for each in candidates])
    half = np.arange(len(log)) % 2
    held_out = np.where(half == 0, hits[_middle(hits[:, half == 1])], hits[_middle(hits[:, half == 0])])
    at = _middle(hits)
    equal = hits.mean(axis=1) >= hits.mean(axis=1).max() - 1e-12
    low, high = (float(x) for x in wilson(held_out.sum(), len(log)))
    return Explained(family, float(candidates[at]), float(below[equal].min()), float(above[equal].max()),
                     float(held_out.mean()), (low, high), log.models)


def _hits(preference: Floats, log: Log) -> Floats:
    """Return for each choice 1 if the preference makes it, one in k if it is tied among k, else 0."""
    wanted = np.where(np.isnan(log.scores) | np.isnan(preference), -np.inf, preference)
    best = wanted >= wanted.max(axis=1, keepdims=True) - 1e-12
    return np.asarray(best[np.arange(len(log)), log.chosen] / best.sum(axis=1), float)


def _middle(hits: Array) -> int:
    """Return the middle one of the parameters that explain most, by number."""
    share = hits.mean(axis=1)
    best = np.flatnonzero(share >= share.max() - 1e-12)
    return int(best[len(best) // 2])
