"""Sharing what a team made: Shapley values, difference rewards, and the plain splits.

A game is a table `v` of 2**n values (bit i of the index says whether player i is in; axes of a batch may stand before
it), or a function from a boolean array of coalitions, shape (batch, n), to their values, shape (batch,). Rewards are
positive TO the player. A table that does not hold 2**n values, a function that does not return one a coalition, and
numbers out of range are ValueErrors.
"""

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import LARGEST, Bools, Floats, counted, generator, numbers

Game = ArrayLike | Callable[[Bools], ArrayLike]

_ROW_BITS = 14  # a row of 2**14 doubles stays in the cache while it is read twice
_ASKED_BITS = 13  # and a function is asked for half as many at a time


class Estimate(NamedTuple):
    """Sampled values and their standard errors, each of shape (n,)."""

    values: Floats
    errors: Floats


def coalitions(n: int) -> Bools:
    """All coalitions of n players, (2**n, n), in the order of the table: row s has player i if bit i of s is set."""
    return np.asarray(np.arange(1 << n)[:, None] >> np.arange(n) & 1, dtype=bool)


def _players(n: int) -> int:
    return counted("n", n, 1, 40)


def _table(v: ArrayLike, n: int) -> Floats:
    table = numbers("v", v)
    if n > 40 or table.shape[-1:] != (1 << n,):
        raise ValueError(f"v has shape {table.shape}; for {n} players the table of its values has shape (2**{n},)")
    return table


def _values(v: Game, members: Bools) -> Floats:
    """The values of coalitions given as booleans (batch, n)."""
    n = members.shape[1]
    if not callable(v):
        return np.asarray(_table(v, n)[..., members @ (1 << np.arange(n))])
    try:
        values = numbers("what v returns", v(members))
    except Exception as error:  # the caller's own code may raise anything
        raise ValueError(f"v fails on coalitions given as booleans (batch, {n}): {error!r}") from error
    if values.shape != (len(members),):
        raise ValueError(f"v returned shape {values.shape} for {len(members)} coalitions; return one value each")
    return values


def _row(v: Game, n: int, bits: int) -> Callable[[int], Floats]:
    """The table, 2**bits values at a time, so that a function is never asked for all of it at once."""
    if callable(v):
        low, high = coalitions(bits), coalitions(n - bits)
        return lambda k: _values(v, np.hstack([low, np.broadcast_to(high[k], (len(low), n - bits))]))
    table = _table(v, n)
    rows = table.reshape(*table.shape[:-1], -1, 1 << bits)
    return lambda k: np.asarray(rows[..., k, :])


def shapley(v: Game, n: int) -> Floats:
    """Shapley values: each player's marginal contribution, averaged over all orders of arrival (Shapley 1953).

    The one rule that is efficient (values sum to v(all) - v(none)), symmetric, gives a null player 0, and adds up over
    games. Weighted sums over the coalitions WITH each player suffice; they come out of a fold that halves the weighted
    table once a player, about two passes in all (O(2**n), not n 2**n), streaming in rows that fit the cache.

    Parameters
    ----------
    v : array_like (..., 2**n) or callable
        The value of each coalition, bit i of the index saying whether player i is in; or a function from booleans
        (batch, n) to values (batch,). All finite.
    n : int
        The number of players, from 1 to 40.

    Returns
    -------
    array (..., n)
        The rewards TO the players.

    Raises
    ------
    ValueError
        If a value is not finite, or `v` does not fit `n`.
    """
    n = _players(n)
    bits = min(n, _ASKED_BITS if callable(v) else _ROW_BITS)
    # phi_i = sum over S with i of (w[s-1] + w[s]) v(S), less a constant that efficiency determines
    w = np.array([1.0 / (n * math.comb(n - 1, size)) for size in range(n)])
    both = np.concatenate([[0.0], w]) + np.concatenate([w, [0.0]])
    high_size, low_size = np.bitwise_count(np.arange(1 << (n - bits))), np.bitwise_count(np.arange(1 << bits))
    row = _row(v, n, bits)
    values = first = row(0)
    nothing = first[..., 0]
    # what is there without anybody drowns small differences
    drowning = np.where(np.abs(nothing) > np.ptp(first, axis=-1), nothing, 0.0)[..., None]
    drowns = bool(drowning.any())
    columns, row_sums = np.zeros(first.shape), np.empty((*first.shape[:-1], len(high_size)))
    for size in range(n - bits + 1):  # rows with as many high players have the same weights
        weights, total = both[size:].take(low_size), np.zeros(first.shape)
        for k in np.flatnonzero(high_size == size).tolist():
            values = row(k) if k else first
            above = values - drowning if drowns else values
            row_sums[..., k] = above @ weights
            total += above
        columns += weights * total
    if not np.isfinite(row_sums).all():
        raise ValueError("v is not finite for some coalition; give every coalition a finite value")
    with_player = np.concatenate([_fold(columns, bits), _fold(row_sums, n - bits)], axis=-1)
    everything = values[..., -1] - nothing
    return np.asarray(with_player + ((everything - with_player.sum(axis=-1)) / n)[..., None])


def _fold(weighted: Floats, n: int) -> Floats:
    """For each of n players, the sum of a table over the coalitions that have the player."""
    sums = np.empty((*weighted.shape[:-1], n))
    for i in reversed(range(n)):
        half = weighted.shape[-1] // 2
        sums[..., i] = weighted[..., half:].sum(axis=-1)
        weighted = weighted[..., :half] + weighted[..., half:]
    return sums


def shapley_sampled(v: Game, n: int, permutations: int, rng: np.random.Generator) -> Estimate:
    """Estimate Shapley values from random orders of arrival (Castro, Gomez & Tejada 2009).

    Each order's marginal contributions sum to v(all) - v(none), and so do the estimates.

    Parameters
    ----------
    v, n
        As in `shapley`.
    permutations : int
        How many orders, at least 2. Each asks for n + 1 coalitions and holds n floats in memory.
    rng : numpy.random.Generator

    Returns
    -------
    Estimate
        The means and their standard errors.

    Raises
    ------
    ValueError
        If there are fewer than 2 orders, or `v` does not fit `n`.
    """
    n, rng = counted("n", n, 1, 10_000), generator("rng", rng)
    counted("permutations", permutations, 2, 10**8)  # a standard error needs two
    if not callable(v):
        v = _table(v, n)
        if v.ndim > 1:
            raise ValueError(f"v has shape {v.shape}; orders are drawn for one game at a time, a table (2**{n},)")
        if not (np.abs(v) <= LARGEST).all():  # also where no order that is drawn leads
            raise ValueError("v is not finite for some coalition; give every coalition a finite value")
    marginals, chunk = np.empty((permutations, n)), max(1, (1 << 20) // ((n + 1) * n))
    for done in range(0, permutations, chunk):
        order = rng.permuted(np.tile(np.arange(n), (min(chunk, permutations - done), 1)), axis=1)
        rank = np.argsort(order, axis=1)
        small = np.min_scalar_type(n)  # one byte a rank for up to 255 players: comparing is what takes long
        members = rank.astype(small)[:, None, :] < np.arange(n + 1, dtype=small)[:, None]
        values = _values(v, members.reshape(-1, n)).reshape(-1, n + 1)
        marginals[done : done + chunk] = np.take_along_axis(np.diff(values, axis=1), rank, axis=1)
    if not (np.abs(marginals) <= LARGEST).all():
        raise ValueError("v is not finite for some coalition; give every coalition a finite value")
    return Estimate(marginals.mean(axis=0), marginals.std(axis=0, ddof=1) / math.sqrt(permutations))


def difference_rewards(v: Game, n: int) -> Floats:
    """What the team would lose without each player: v(all) - v(all but i), shape (..., n).

    Clarke's pivot applied to credit (Wolpert & Tumer 2001): a player that raises its own reward raises the team's value
    by as much, so it is aligned. It is not budget-balanced: two perfect substitutes get (0, 0), complements more than
    there is to share.

    Parameters
    ----------
    v, n
        As in `shapley`.

    Returns
    -------
    array (..., n)
        The rewards TO the players.

    Raises
    ------
    ValueError
        If `v` does not fit `n`.
    """
    n = counted("n", n, 1, 10_000)
    values = _values(v, np.vstack([np.ones((1, n), dtype=bool), ~np.eye(n, dtype=bool)]))
    if not (np.abs(values) <= LARGEST).all():
        raise ValueError("v is not finite for some coalition; give every coalition a finite value")
    return np.asarray(values[..., :1] - values[..., 1:])


def equal_split(total: ArrayLike, n: int) -> Floats:
    """Share totals equally.

    Balanced, and blind to who did the work: each player keeps 1/n of what its effort adds (Holmstrom 1982).

    Parameters
    ----------
    total : array_like (...)
    n : int
        The number of players, from 1 to 40.

    Returns
    -------
    array (..., n)
        The rewards TO the players.
    """
    n = _players(n)
    return np.repeat(np.asarray(total, dtype=np.float64)[..., None] / n, n, axis=-1)


def proportional_split(total: ArrayLike, contributions: ArrayLike) -> Floats:
    """Share totals in proportion to claimed or measured contributions.

    Balanced, and only as honest as the measure: what is counted (words, tokens, steps) is what gets padded. Where all
    contributions are 0 the split is equal.

    Parameters
    ----------
    total : array_like (...)
    contributions : array_like (..., n)
        At least 0.

    Returns
    -------
    array (..., n)
        The rewards TO the players.

    Raises
    ------
    ValueError
        If a contribution is negative, NaN or infinite.
    """
    c = np.asarray(contributions, dtype=np.float64)
    if c.ndim == 0 or not np.isfinite(c).all() or (c < 0).any():
        raise ValueError("contributions must be finite, non-negative, one a player; measure them from 0 upwards")
    everyone = c.sum(axis=-1, keepdims=True)
    share = np.divide(c, everyone, out=np.full(c.shape, 1.0 / c.shape[-1]), where=everyone > 0)
    return np.asarray(np.asarray(total, dtype=np.float64)[..., None] * share)
