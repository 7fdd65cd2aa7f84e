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
_LARGEST_SCORE = 300.0  # sums of its exponentials, and a few times as many, are still floats


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


class _Batch:
    """Replicas that learn: what their actions have earned in all, and the chance with which each is chosen next."""

    def __init__(self, actions: int, replicas: tuple[int, ...]) -> None:
        shape = _shape(replicas, actions)
        self._row = np.arange(math.prod(shape[:-1])).reshape(shape[:-1])  # where a replica stands in the tables
        self._totals: Array = np.zeros((self._row.size, actions))
        self._chances = softmax(self._totals)

    @property
    def totals(self) -> Array:
        """What each action would have earned so far, (..., k)."""
        return self._totals.reshape(*self._row.shape, -1).copy()

    @property
    def probabilities(self) -> Array:
        """The chance with which each action is chosen next, (..., k)."""
        return self._chances.reshape(*self._row.shape, -1).copy()

    def choose(self, rng: np.random.Generator, at: Any = ...) -> Indices:
        """Draw an action for each replica, (...)."""
        return _draw(self._chances.take(self._row[at], axis=0), rng)


class Hedge(_Batch):
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
        super().__init__(actions, replicas)

    @staticmethod
    def best_rate(actions: int, rounds: int) -> float:
        """Return the rate with the smallest regret bound over `rounds` rounds: ``sqrt(8 ln(k) / T)``."""
        return math.sqrt(8 * math.log(counted("actions", actions, most=_MANY)) / counted("rounds", rounds))

    def update(self, payoffs: ArrayLike, at: Any = ...) -> None:
        """Learn what every action would have earned in this round, (..., k) or (k,) for all replicas."""
        rows = self._row[at]
        totals = self._totals.take(rows, axis=0) + _payoffs(payoffs)
        self._totals[rows] = totals
        self._chances[rows] = softmax(self.rate * totals)


class Exp3(_Batch):
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
        super().__init__(actions, replicas)
        # exp(share * (total - base)): a round changes one weight of a replica, unless they grow too large for a float
        self._weights, self._base = np.ones(self._totals.shape), np.zeros(len(self._totals))

    def update(self, actions: ArrayLike, payoffs: ArrayLike, at: Any = ...) -> None:
        """Learn what the chosen actions (...) earned (...); an action that there is not is a ValueError."""
        count, chosen = self._totals.shape[-1], numbers("actions", actions)
        if not chosen.size or not (chosen.min() >= 0 and chosen.max() < count and (chosen == np.floor(chosen)).all()):
            raise ValueError(f"actions must be whole numbers from 0 to {count - 1}, but are {actions!r:.80}")
        share, rows, column = self.explore / count, np.atleast_1d(self._row[at]), chosen.astype(int)
        total = self._totals[rows, column] + _payoffs(payoffs) / self._chances[rows, column]
        self._totals[rows, column] = total
        score = share * (total - self._base[rows])
        if score.max() > _LARGEST_SCORE:
            high = rows[score > _LARGEST_SCORE]
            self._base[high] = self._totals[high].max(axis=-1)
            self._weights[high] = np.exp(share * (self._totals[high] - self._base[high][:, None]))
            score = share * (total - self._base[rows])
        self._weights[rows, column] = np.exp(score)
        weights = self._weights.take(rows, axis=0)
        self._chances[rows] = (1 - self.explore) / weights.sum(axis=-1, keepdims=True) * weights + share


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
