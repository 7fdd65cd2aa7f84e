"""Learning from payoffs: Hedge (sees every action's), Exp3 and UCB1 (see only the chosen one's), replicator dynamics.

Payoffs are positive TO the learner and lie in [0, 1]; rescale yours first. Each learner is a batch of `replicas` that
learn independently, so a population of agents, or many runs of one, is a single array operation.

>>> rng = np.random.default_rng(0)
>>> learner = Hedge(3, rate=0.5, replicas=(1000,))
>>> for _ in range(100):
...     actions = learner.choose(rng)
...     learner.update([0.2, 0.9, 0.4])
>>> learner.probabilities.shape, bool(learner.probabilities[:, 1].min() > 0.99)
((1000, 3), True)
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

Array = NDArray[np.float64]
Indices = NDArray[np.int64]


def _payoffs(name: str, value: ArrayLike) -> Array:
    array = np.asarray(value, dtype=float)
    if not ((array >= 0) & (array <= 1)).all():
        raise ValueError(f"{name} must lie in [0, 1], but run from {array.min()} to {array.max()}; rescale them first")
    return array


def _draw(probabilities: Array, rng: np.random.Generator) -> Indices:
    """Draw an index from each row (..., k) -> (...), by inverting its distribution function."""
    edges = np.cumsum(probabilities, axis=-1)
    return np.asarray((rng.random(edges.shape[:-1])[..., None] * edges[..., -1:] >= edges).sum(axis=-1))


def _softmax(scores: Array) -> Array:
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


class Hedge:
    """Weigh each action by exp(rate x its total payoff): multiplicative weights, with full information.

    Freund & Schapire (1997), "A decision-theoretic generalization of on-line learning and an application to boosting".
    After T rounds the expected regret against the best fixed action is at most ``ln(k) / rate + rate * T / 8``, so at
    most ``sqrt(T ln(k) / 2)`` at the rate `best_rate` (Cesa-Bianchi & Lugosi 2006, section 2.2), whatever the payoffs.

    Parameters
    ----------
    actions : int
        k, the number of actions.
    rate : float
        The learning rate, positive.
    replicas : tuple of int
        The shape (...) of the batch of learners.

    Attributes
    ----------
    totals : array (..., k)
        What each action would have earned so far.
    """

    def __init__(self, actions: int, rate: float, replicas: tuple[int, ...] = ()) -> None:
        if actions < 1 or rate <= 0:
            raise ValueError(f"actions and rate must be positive, but are {actions} and {rate}; see Hedge.best_rate")
        self.rate = rate
        self.totals: Array = np.zeros((*replicas, actions))

    @staticmethod
    def best_rate(actions: int, rounds: int) -> float:
        """Return the rate with the smallest regret bound over `rounds` rounds: ``sqrt(8 ln(k) / T)``."""
        return float(np.sqrt(8 * np.log(actions) / rounds))

    @property
    def probabilities(self) -> Array:
        """The chance of each action, (..., k)."""
        return _softmax(self.rate * self.totals)

    def choose(self, rng: np.random.Generator) -> Indices:
        """Draw an action for each replica, (...)."""
        return _draw(self.probabilities, rng)

    def update(self, payoffs: ArrayLike) -> None:
        """Learn what every action would have earned in this round, (..., k) or (k,) for all replicas."""
        self.totals += _payoffs("payoffs", payoffs)


class Exp3:
    """Hedge for a bandit: only the chosen action's payoff is seen, and weighted by the inverse of its chance.

    Auer, Cesa-Bianchi, Freund & Schapire (2002), "The nonstochastic multiarmed bandit problem". With
    exploration g, the expected shortfall from the best action's total G is at most ``(e - 1) g G + k ln(k) / g``
    (theorem 3.1).

    Parameters
    ----------
    actions, replicas
        As in `Hedge`.
    explore : float
        The share of choices made uniformly at random, in (0, 1].
    """

    def __init__(self, actions: int, explore: float, replicas: tuple[int, ...] = ()) -> None:
        if actions < 1 or not 0 < explore <= 1:
            raise ValueError(f"actions must be positive and explore in (0, 1], but are {actions} and {explore}")
        self.explore = explore
        self.totals: Array = np.zeros((*replicas, actions))

    @property
    def probabilities(self) -> Array:
        """The chance of each action, (..., k)."""
        share = self.explore / self.totals.shape[-1]
        return np.asarray((1 - self.explore) * _softmax(share * self.totals) + share)

    def choose(self, rng: np.random.Generator) -> Indices:
        """Draw an action for each replica, (...)."""
        return _draw(self.probabilities, rng)

    def update(self, actions: ArrayLike, payoffs: ArrayLike) -> None:
        """Learn what the chosen actions (...) earned (...)."""
        chosen = np.broadcast_to(actions, self.totals.shape[:-1])[..., None]
        chance = np.take_along_axis(self.probabilities, chosen, axis=-1)
        earned = np.broadcast_to(_payoffs("payoffs", payoffs), self.totals.shape[:-1])[..., None]
        total = np.take_along_axis(self.totals, chosen, axis=-1)
        np.put_along_axis(self.totals, chosen, total + earned / chance, axis=-1)


class UCB1:
    """Optimism: try each action once, then take the one with the highest ``mean + sqrt(2 ln(t) / times tried)``.

    Auer, Cesa-Bianchi & Fischer (2002), "Finite-time analysis of the multiarmed bandit problem", theorem 1. For payoffs
    that are drawn alike over time. Deterministic: ties go to the lowest action.

    Parameters
    ----------
    actions, replicas
        As in `Hedge`.

    Attributes
    ----------
    counts, means : array (..., k)
        How often each action was tried, and its mean payoff.
    """

    def __init__(self, actions: int, replicas: tuple[int, ...] = ()) -> None:
        if actions < 1:
            raise ValueError(f"actions must be positive, but is {actions}")
        self.counts: Array = np.zeros((*replicas, actions))
        self.means: Array = np.zeros((*replicas, actions))

    def choose(self, rng: np.random.Generator | None = None) -> Indices:
        """Return the action of each replica, (...); `rng` is not used."""
        rounds = np.maximum(self.counts.sum(axis=-1, keepdims=True), 1)
        with np.errstate(divide="ignore", invalid="ignore"):
            bonus = np.where(self.counts > 0, np.sqrt(2 * np.log(rounds) / self.counts), np.inf)
        return np.asarray(np.argmax(self.means + bonus, axis=-1))

    def update(self, actions: ArrayLike, payoffs: ArrayLike) -> None:
        """Learn what the chosen actions (...) earned (...)."""
        hit = np.arange(self.counts.shape[-1]) == np.asarray(actions)[..., None]
        self.counts += hit
        earned = _payoffs("payoffs", payoffs)[..., None]
        self.means += np.where(hit, (earned - self.means) / np.maximum(self.counts, 1), 0.0)


def regret(payoffs: ArrayLike, probabilities: ArrayLike) -> Array:
    """Return how much the best fixed action would have earned above the player, in expectation.

    `payoffs` and the player's `probabilities` are (T, ..., k), a row a round; the result is (...).
    """
    table, play = np.asarray(payoffs, dtype=float), np.asarray(probabilities, dtype=float)
    return np.asarray((table.sum(axis=0)).max(axis=-1) - (table * play).sum(axis=(0, -1)))


def replicator(
    fitness: ArrayLike | Callable[[Array], ArrayLike], start: ArrayLike, steps: int = 1000, step: float = 0.05
) -> Array:
    """Return the path of a population whose strategies grow with their fitness.

    Taylor & Jonker (1978), "Evolutionary stable strategies and game dynamics": ``x_i' = x_i (f_i(x) - mean f)``,
    followed in small steps ``x_i <- x_i exp(step * f_i) / sum``, which keep to the simplex and have the same fixed
    points.

    Parameters
    ----------
    fitness : array (k, k) or function
        The payoff of row against column, so that f(x) = fitness @ x; or f itself, from shares (..., k) to (..., k).
    start : array (..., k)
        Shares that sum to 1 on the last axis.
    steps, step : int, float
        How many steps, and how long each is in time.

    Returns
    -------
    array (steps + 1, ..., k), beginning with `start`.
    """
    shares = np.asarray(start, dtype=float)
    if (shares < 0).any() or not np.allclose(shares.sum(axis=-1), 1):
        raise ValueError(
            "start must hold shares that are not negative and sum to 1 on the last axis; divide by the sum"
        )
    grow: Callable[[Array], ArrayLike] = (
        fitness if callable(fitness) else lambda x: x @ np.asarray(fitness, dtype=float).T
    )
    path = np.empty((steps + 1, *shares.shape))
    path[0] = shares
    for t in range(steps):
        worth = np.asarray(grow(path[t]), dtype=float)
        grown = path[t] * np.exp(step * (worth - worth.max(axis=-1, keepdims=True)))
        path[t + 1] = grown / grown.sum(axis=-1, keepdims=True)
    return path
