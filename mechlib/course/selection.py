"""Selection among variants: a game measured on recorded replies, and the population that its payoffs select.

Every agent of a team can be run with one of several variants, say of its prompt. What a variant earns depends on the
rule and on what the others run, and both are measured: all replies of all variants to the same tasks are recorded.
That is an empirical game (Wellman, Tuyls & Greenwald 2025). Keep the variants that were paid best, round after round,
and the population moves by the replicator equation of the measured payoffs (Taylor & Jonker 1978).
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from mechlib.attacks.learners import replicator
from mechlib.attacks.replay import Recorded, replay
from mechlib.mechanism import Floats, Ints, Rule


@dataclass(frozen=True)
class Selected:
    """Where selection ends.

    Attributes
    ----------
    path : array (steps + 1, variants)
        The shares of the population, from the start on.
    right : array (steps + 1,)
        How often the answer that is passed on is right, along the path.
    """

    path: Floats
    right: Floats

    @property
    def end(self) -> Floats:
        """The shares at the end, (variants,)."""
        return np.asarray(self.path[-1])


@dataclass(frozen=True)
class Game:
    """What each variant earns beside each team of others, task by task.

    Attributes
    ----------
    variants : tuple of str
    payoffs : array (tasks, variants, teams)
        What an agent of each variant earns, on average over the seats that it can take, if the others are `teams`.
    right : array (tasks, variants, teams)
        How right the answer is that such a team passes on.
    teams : array (teams, agents - 1)
        The variants of the others, by number.
    """

    variants: tuple[str, ...]
    payoffs: Floats
    right: Floats
    teams: Ints

    def chances(self, shares: Floats) -> Floats:
        """Return how likely each team of others is in populations of shares (..., variants): (..., teams)."""
        return np.asarray(np.asarray(shares)[..., self.teams].prod(axis=-1))

    def fitness(self, shares: Floats) -> Floats:
        """Return what each variant earns on average in a population of such shares, (variants,)."""
        return np.asarray(self.payoffs.mean(axis=0) @ self.chances(shares))

    def rightness(self, shares: Floats) -> float:
        """Return how often a population's teams pass on a right answer."""
        return float(shares @ (self.right.mean(axis=0) @ self.chances(shares)))

    def select(self, start: ArrayLike | None = None, steps: int = 2000, step: float = 0.1) -> Selected:
        """Return the path of a population that keeps what is paid best, from even shares on, or from `start`."""
        count = len(self.variants)
        shares = np.full(count, 1 / count) if start is None else np.asarray(start, float)
        table = self.payoffs.mean(axis=0)  # once, and not at every step as `fitness` would
        path = replicator(lambda x: np.asarray(table @ self.chances(x)), shares, steps, step)
        right = self.chances(path) @ self.right.mean(axis=0).T
        return Selected(path, np.asarray((path * right).sum(axis=1)))

    def resampled(self, rng: np.random.Generator) -> Game:
        """Return the game on tasks drawn afresh from these, with replacement."""
        rows = rng.integers(len(self.payoffs), size=len(self.payoffs))
        return Game(self.variants, self.payoffs[rows], self.right[rows], self.teams)

    def error(self, draws: int = 200, seed: int = 0) -> float:
        """Return how far the measured payoffs may be off: in 95% of redrawn tasks none moves by more."""
        rng, table = np.random.default_rng(seed), self.payoffs.mean(axis=0)
        moved = [np.abs(self.resampled(rng).payoffs.mean(axis=0) - table).max() for _ in range(draws)]
        return float(np.quantile(moved, 0.95))

    def verdict(self, draws: int = 200, steps: int = 2000, seed: int = 0) -> Verdict:
        """Select on resampled tasks, many times: how sure is it who survives?"""
        rng, count = np.random.default_rng(seed), len(self.variants)
        games = [self.resampled(rng) for _ in range(draws)]
        tables = np.stack([game.payoffs.mean(axis=0) for game in games])
        start = np.full((draws, count), 1 / count)  # all populations side by side

        def fitness(shares: Floats) -> Floats:
            return np.asarray((tables @ self.chances(shares)[..., None])[..., 0])

        ends = replicator(fitness, start, steps, 0.1)[-1]
        right = [game.rightness(end) for game, end in zip(games, ends, strict=True)]
        best = int(self.select(steps=steps).end.argmax())
        low, high = np.quantile(right, [0.025, 0.975])
        won = float((ends.argmax(axis=1) == best).mean())
        return Verdict(self.variants[best], won, ends.mean(axis=0), (float(low), float(high)))


@dataclass(frozen=True)
class Verdict:
    """Who survives, in how many resamplings, the mean shares at the end, and a 95% interval of right answers there."""

    survivor: str
    certainty: float
    shares: Floats
    right: tuple[float, float]


def empirical_game(
    rule: Rule, variants: Sequence[str], reports: ArrayLike, found: ArrayLike, costs: ArrayLike | None = None,
    prize: float = 0.0,
) -> Game:
    """Measure what each variant earns under a rule, beside every team of others.

    Parameters
    ----------
    rule : callable
        As in `replay`: of reports, what is found, and costs.
    variants : sequence of str
    reports, found, costs : arrays (variants, tasks, agents)
        What each agent reported when it ran each variant (NaN: silence), how right it was, and what it spent.
    prize : float
        What being passed on is worth to an agent by itself.

    Raises
    ------
    ValueError
        If the arrays do not fit, or for what `replay` refuses.
    """
    said, right = np.asarray(reports, float), np.asarray(found, float)
    spent = np.zeros(said.shape) if costs is None else np.asarray(costs, float)
    if said.ndim != 3 or len(said) != len(variants) or not said.shape == right.shape == spent.shape:
        raise ValueError(f"reports, found and costs must be ({len(variants)} variants, tasks, agents); they are "
                         f"{said.shape}, {right.shape} and {spent.shape}")
    count, tasks, agents = said.shape
    seats = [*range(agents)]
    profiles = [*itertools.product(range(count), repeat=agents)]
    rows = [np.concatenate([t[list(profile), :, seats].T for profile in profiles]) for t in (said, right, spent)]
    played = replay(rule, Recorded(*rows))  # all profiles in one go: (profiles * tasks, agents)
    earned = (played.rewards + prize * played.allocation).reshape(*[count] * agents, tasks, agents)
    hit = played.right.reshape(*[count] * agents, tasks)
    teams = np.array([*itertools.product(range(count), repeat=agents - 1)]).reshape(-1, agents - 1)

    def by_task(table: Floats, seat: int) -> Floats:
        """Return (tasks, own variant, team of others) for the agent in one seat."""
        return np.moveaxis(np.moveaxis(table, seat, 0).reshape(count, -1, tasks), -1, 0)

    payoffs = np.mean([by_task(earned[..., seat], seat) for seat in seats], axis=0)
    return Game(tuple(variants), payoffs, np.mean([by_task(hit, seat) for seat in seats], axis=0), teams)
