"""Learning from payoffs: Hedge (sees every action's), Exp3 (sees only the chosen one's), replicator dynamics.

Payoffs are positive TO the learner and lie in [0, 1]; rescale yours first. Each learner is a batch of `replicas` that
learn independently, so a population of agents, or many runs of one, is a single array operation. Where only some of
them play, `at` says which: an index into `replicas`, with no replica twice.

>>> rng = np.random.default_rng(0)
>>> learner = Hedge(3, rate=0.5, replicas=(1000,))
>>> for _ in range(100):
...     actions = learner.choose(rng)
...     learner.update([0.2, 0.9, 0.4])
>>> learner.probabilities.shape, bool(learner.probabilities[:, 1].min() > 0.99)
((1000, 3), True)
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechlib.mechanism import checked, counted, generator, numbers, real

Array = NDArray[np.float64]
Indices = NDArray[np.int64]
_MANY = 10**8


def _shape(replicas: Any, actions: int) -> tuple[int, ...]:
    counted("actions", actions, most=_MANY)
    if not isinstance(replicas, tuple | list):
        raise TypeError(f"replicas is {replicas!r:.80}: it must be a shape, such as (1000,)")
    shape = tuple(counted(f"replicas[{k}]", size, 0, _MANY) for k, size in enumerate(replicas))
    if math.prod(shape) * actions > _MANY:
        raise ValueError(f"replicas is {replicas!r:.80}: with {actions} actions that is more than {_MANY:,} numbers")
    return (*shape, actions)


def _payoffs(value: ArrayLike) -> Array:
    array = numbers("payoffs", value)
    if not array.size or not (array.min() >= 0 and array.max() <= 1):  # nor where one is NaN
        ends = f"run from {array.min()} to {array.max()}" if array.size else "are empty"
        raise ValueError(f"payoffs must lie in [0, 1], but {ends}; rescale them first")
    return array


def _draw(probabilities: Array, rng: np.random.Generator) -> Indices:
    """Draw an index from each row (..., k) -> (...), by inverting its distribution function."""
    generator("rng", rng)
    edges = np.cumsum(probabilities, axis=-1)
    return np.asarray((rng.random(edges.shape[:-1])[..., None] * edges[..., -1:] < edges).argmax(axis=-1))


def softmax(scores: Array) -> Array:
    """Return weights in proportion to exp(scores), (..., k), that sum to 1: Hedge at the rate 1."""
    weights = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(weights / weights.sum(axis=-1, keepdims=True))


class Hedge:
    """Weigh each action by exp(rate x its total payoff): multiplicative weights, with full information.

    Whatever the payoffs (Freund & Schapire 1997), the expected regret against the best fixed action of T rounds is at
    most ``ln(k) / rate + rate * T / 8``: at most ``sqrt(T ln(k) / 2)`` at the rate `best_rate` (Cesa-Bianchi & Lugosi
    2006, section 2.2).

    Parameters
    ----------
    actions, rate, replicas : int, float, tuple of int
        k; the learning rate, positive; the shape (...) of the batch of learners.

    Attributes
    ----------
    totals, probabilities : array (..., k)
        What each action would have earned so far, and the chance with which it is chosen next.
    """

    def __init__(self, actions: int, rate: float, replicas: tuple[int, ...] = ()) -> None:
        self.rate = real("rate", rate, "(0, inf)")
        self.totals: Array = np.zeros(_shape(replicas, actions))
        self.probabilities = softmax(self.totals)

    @staticmethod
    def best_rate(actions: int, rounds: int) -> float:
        """Return the rate with the smallest regret bound over `rounds` rounds: ``sqrt(8 ln(k) / T)``."""
        return math.sqrt(8 * math.log(counted("actions", actions, most=_MANY)) / counted("rounds", rounds))

    def choose(self, rng: np.random.Generator, at: Any = ...) -> Indices:
        """Draw an action for each replica, (...)."""
        return _draw(self.probabilities[at], rng)

    def update(self, payoffs: ArrayLike, at: Any = ...) -> None:
        """Learn what every action would have earned in this round, (..., k) or (k,) for all replicas."""
        totals = self.totals[at] + _payoffs(payoffs)
        self.totals[at] = totals
        self.probabilities = self.probabilities.copy()  # who kept the last ones keeps them
        self.probabilities[at] = softmax(self.rate * totals)


class Exp3:
    """Hedge for a bandit: only the chosen action's payoff is seen, and weighted by the inverse of its chance.

    With exploration g, the expected shortfall from the best action's total G is at most ``(e - 1) g G + k ln(k) / g``
    (Auer, Cesa-Bianchi, Freund & Schapire 2002, theorem 3.1).

    Parameters
    ----------
    actions, replicas
        As in `Hedge`.
    explore : float
        The share of choices made uniformly at random, in (0, 1].
    """

    def __init__(self, actions: int, explore: float, replicas: tuple[int, ...] = ()) -> None:
        self.explore = real("explore", explore, "(0, 1]")
        self.totals: Array = np.zeros(_shape(replicas, actions))
        self.probabilities = softmax(self.totals)

    def choose(self, rng: np.random.Generator, at: Any = ...) -> Indices:
        """Draw an action for each replica, (...)."""
        return _draw(self.probabilities[at], rng)

    def update(self, actions: ArrayLike, payoffs: ArrayLike, at: Any = ...) -> None:
        """Learn what the chosen actions (...) earned (...); an action that there is not is a ValueError."""
        count, chosen = self.totals.shape[-1], numbers("actions", actions)
        if not chosen.size or not (chosen.min() >= 0 and chosen.max() < count and (chosen == np.floor(chosen)).all()):
            raise ValueError(f"actions must be whole numbers from 0 to {count - 1}, but are {actions!r:.80}")
        totals = np.array(self.totals[at])
        each = *np.indices(totals.shape[:-1], sparse=True), chosen.astype(int)
        totals[each] += _payoffs(payoffs) / self.probabilities[at][each]
        self.totals[at] = totals
        share = self.explore / count
        self.probabilities = self.probabilities.copy()
        self.probabilities[at] = (1 - self.explore) * softmax(share * totals) + share


def replicator(
    fitness: ArrayLike | Callable[[Array], ArrayLike], start: ArrayLike, steps: int = 1000, step: float = 0.05
) -> Array:
    """Return the path of a population whose strategies grow with their fitness.

    ``x_i' = x_i (f_i(x) - mean f)`` (Taylor & Jonker 1978), in small steps ``x_i <- x_i exp(step * f_i) / sum``, which
    keep to the simplex and have the same fixed points. Where the equation goes round for ever, as in rock, paper and
    scissors, the steps spiral outwards, slower the smaller they are: integrate such games instead.

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
    array (steps + 1, ..., k), beginning with `start`
    """
    shares, step = numbers("start", start), real("step", step, "(0, inf)")
    if not shares.ndim or not (shares >= 0).all() or not np.allclose(shares.sum(axis=-1), 1):
        raise ValueError("start must hold shares, not negative, that sum to 1 on the last axis; divide by the sum")
    grows = _checked(fitness) if callable(fitness) else _linear(fitness, shares.shape[-1])
    path = np.empty((counted("steps", steps, 0, _MANY // shares.size) + 1, *shares.shape))
    path[0] = shares
    for t in range(steps):
        worth = grows(path[t])
        grown = path[t] * np.exp(step * (worth - worth.max(axis=-1, keepdims=True)))
        path[t + 1] = grown / grown.sum(axis=-1, keepdims=True)
    return path


def _linear(fitness: ArrayLike, k: int) -> Callable[[Array], Array]:
    """Return the fitness of a population matched at random, from the payoffs of row against column."""
    table = checked("fitness", fitness, ndim=2, negative=True)
    if table.shape != (k, k):
        raise ValueError(f"fitness has shape {table.shape}: for {k} strategies it must be ({k}, {k})")
    return lambda shares: shares @ table.T


def _checked(fitness: Callable[[Array], ArrayLike]) -> Callable[[Array], Array]:
    """Return a fitness that says what is wrong with what it returns."""

    def worth(shares: Array) -> Array:
        try:
            found = numbers("what fitness returns", fitness(shares))
        except Exception as error:  # the caller's own code may raise anything
            raise ValueError(f"fitness fails on the shares {shares.tolist()!s:.120}: {error!r}") from error
        if found.shape != shares.shape or not np.isfinite(found).all():
            raise ValueError(f"fitness returned {found!s:.80} for the shares {shares.tolist()!s:.80}: it must be a "
                             "finite number a strategy")
        return found

    return worth
