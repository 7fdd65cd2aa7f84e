"""Who gets the work: planners that give each task to one agent, over many orders of the same recorded tasks.

What each agent would have been found to be worth on each task is known from recordings, so a planner can be run on any
order of them. One order shows one path, and a path can be luck; `dispatch` runs hundreds at once.
"""

from __future__ import annotations

from typing import Literal, NamedTuple, get_args

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import Floats, Ints

__all__ = ["Dispatched", "Planner", "dispatch"]

Planner = Literal["lot", "leader", "bandit", "reputation"]


class Dispatched(NamedTuple):
    """Who worked on the tasks of each order, and how right it was, both (orders, tasks)."""

    worker: Ints
    right: Floats

    @property
    def share(self) -> Floats:
        """How many answers were right in each order, as a share, (orders,)."""
        return np.asarray(self.right.mean(axis=1))


def dispatch(
    planner: Planner, found: ArrayLike, worth: ArrayLike | None = None, *, orders: int = 200,
    discount: float = 0.95, exploration: float = 0.1, newcomer: float = 1.0, seed: int = 0,
) -> Dispatched:
    """Give each task of many random orders to one agent.

    Parameters
    ----------
    planner : {"lot", "leader", "bandit", "reputation"}
        A lot ignores the past. The leader is who was right most often so far, where all answer every task and it is
        found who was right. The bandit sees only who worked, and draws by its belief in each agent (Thompson 1933:
        uniform prior, right or wrong). Reputation is the coordinator's: a discounted mean of what is known of an
        agent's work, and now and then anybody. Ties go to a lot.
    found : array_like (tasks, n)
        How right each agent is on each task, in [0, 1].
    worth : array_like (tasks, n), optional
        What a reputation is the mean of; by default what is found.
    orders : int
    discount, exploration, newcomer : float
        Of reputation: what a result weighs after the next one, how often anybody gets a task, and the reputation of
        an agent without any.
    seed : int

    Raises
    ------
    ValueError
        If the planner is unknown, or the tables are not (tasks, n), one as large as the other.
    """
    if planner not in get_args(Planner):
        raise ValueError(f"planner is {planner!r}; it must be one of {get_args(Planner)}")
    hits = np.asarray(found, float)
    values = hits if worth is None else np.asarray(worth, float)
    if hits.ndim != 2 or not hits.size or values.shape != hits.shape:
        raise ValueError(f"found has shape {hits.shape} and worth {values.shape}; both must be (tasks, agents)")
    tasks, n = hits.shape
    rng = np.random.default_rng(seed)
    order = rng.permuted(np.tile(np.arange(tasks), (orders, 1)), axis=1)
    total, weight = np.zeros((2, orders, n))
    worker, each = np.zeros(order.shape, int), np.arange(orders)
    fade = discount if planner == "reputation" else 1.0
    for t, task in enumerate(order.T):
        if planner == "bandit":
            trust = rng.beta(total + 1, weight - total + 1)
        elif planner == "lot":
            trust = np.zeros((orders, n))
        else:
            trust = np.divide(total, weight, out=np.full((orders, n), float(newcomer)), where=weight > 0)
        k = (trust + 1e-9 * rng.random((orders, n))).argmax(axis=1)
        if planner == "reputation":
            k = np.where(rng.random(orders) < exploration, rng.integers(n, size=orders), k)
        worker[:, t] = k
        if planner == "leader":
            total, weight = total + values[task], weight + 1
        else:
            total[each, k] = fade * total[each, k] + values[task, k]
            weight[each, k] = fade * weight[each, k] + 1
    return Dispatched(worker, hits[order, worker])
