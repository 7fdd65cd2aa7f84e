"""Agents whose skill changes while a reputation decides whose answer ships: what forgetting is worth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def drifting(
    rng: np.random.Generator, discounts: Sequence[float], every: int, rounds: int = 400, lives: int = 50
) -> NDArray[np.float64]:
    """Return how often the work is right where two agents swap their skill now and then and a reputation decides.

    One agent is right nine times in ten and the other six; they swap with probability 1/`every` a round. Both answer
    and are graded; the answer shipped is that of the better reputation, the discounted mean of how right its answers
    were (as in `mechlib.Ledger.reputation`); ties go to the first agent.

    Parameters
    ----------
    rng : numpy.random.Generator
    discounts : sequence of float
        Each in (0, 1], where 1 is the plain mean, which never forgets. All of them watch the same agents, so what one
        is worth beside another is a paired difference.
    every : int
        The mean number of rounds between swaps.
    rounds, lives : int
        So many rounds, in so many independent copies side by side.

    Returns
    -------
    array (discounts,)
        The share of right answers.

    Raises
    ------
    ValueError
        If the first round's weight vanishes by the last: ``discount**rounds`` must be at least 1e-300.
    """
    for discount in discounts:
        if not 0 < discount <= 1 or discount**rounds < 1e-300:
            raise ValueError(f"discounts holds {discount}: take some up to 1 with discount**rounds at least 1e-300, or "
                             f"fewer rounds than {rounds}")
    drawn = 100 * rng.random((rounds, lives))  # one draw does for three: its two digits and the rest are independent
    digits = drawn.astype(np.uint8)
    good, bad = digits < 90, digits % 10 < 6
    swapped = np.logical_xor.accumulate(drawn - digits < 1 / every)
    ahead = good.view(np.int8) - bad.view(np.int8)  # of the good agent, which is the first until they swap
    better = np.where(swapped, -ahead, ahead)  # of the first agent over the second
    right, lead = [], np.zeros((rounds, lives))
    for discount in discounts:
        # both are graded in every round, so sums rank as means do; counted in units that shrink by the discount each
        # round, what was once added to a sum stays what it is
        np.cumsum(better[:-1] / discount ** np.arange(rounds - 1.0)[:, None], axis=0, out=lead[1:])
        right.append(np.count_nonzero(np.where((lead >= 0) != swapped, good, bad)))
    return np.array(right) / lead.size


def noticed(
    rng: np.random.Generator, discount: float, level: float = 0.6, change: int = 150, rounds: int = 300,
    lives: int = 400,
) -> NDArray[np.float64]:
    """Return after how many tasks a reputation sinks below `level` once its agent got worse, (lives,): inf for never.

    The agent is right nine times in ten, and from task `change` on four times in ten; the reputation is the discounted
    mean of that, as in `drifting`.
    """
    right = rng.random((rounds, lives)) < np.where(np.arange(rounds) < change, 0.9, 0.4)[:, None]
    low = _reputations(right, discount)[change:] < level
    return np.where(low.any(axis=0), low.argmax(axis=0) + 1.0, np.inf)


def false_alarms(
    rng: np.random.Generator, discount: float, level: float = 0.6, warm_up: int = 20, rounds: int = 150,
    lives: int = 400,
) -> NDArray[np.bool_]:
    """Return whose reputation sinks below `level` although the agent stays right nine times in ten, (lives,).

    The first `warm_up` tasks do not count: early on a mean is of few answers, however slowly it forgets.
    """
    low = _reputations(rng.random((rounds, lives)) < 0.9, discount) < level
    return np.asarray(low[warm_up:].any(axis=0))


def _reputations(right: NDArray[np.bool_], discount: float) -> NDArray[np.float64]:
    """Return the discounted mean of what was right up to each task, (rounds, lives)."""
    total, weight, means = np.zeros(right.shape[1]), 0.0, np.empty(right.shape)
    for task, hits in enumerate(right):
        total, weight = discount * total + hits, discount * weight + 1.0
        means[task] = total / weight
    return means
