"""Repeated games between two agents that remember the last round, with noise: matches and a tournament.

A strategy is five chances of working: in the first round, and after each of (worked, worked), (worked, skipped),
(skipped, worked), (skipped, skipped), its own move first. That is enough for the classics:

>>> STRATEGIES["tit for tat"]
(1, 1, 0, 1, 0)
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechlib.mechanism import checked, counted, generator, real

__all__ = ["STRATEGIES", "match", "tournament"]

Floats = NDArray[np.float64]
_DRAWS = 1_000_000  # of a tournament, at once

STRATEGIES: dict[str, tuple[float, ...]] = {
    "always work": (1, 1, 1, 1, 1),
    "always skip": (0, 0, 0, 0, 0),
    "tit for tat": (1, 1, 0, 1, 0),  # do what the other did
    "generous": (1, 1, 1 / 3, 1, 1 / 3),  # the same, but forgive a third of the time (Nowak & Sigmund 1992)
    "grim": (1, 1, 0, 0, 0),  # one skip, by anybody, is never forgiven
    "win-stay": (1, 1, 0, 0, 1),  # keep what paid, change what did not (Nowak & Sigmund 1993)
}


def match(
    first: Sequence[float], second: Sequence[float], payoffs: ArrayLike, rng: np.random.Generator, *,
    noise: float = 0.0, rounds: int = 200, matches: int = 100,
) -> Floats:
    """Return what two strategies earn a round against each other, (matches, 2).

    Parameters
    ----------
    first, second : five numbers
        Chances of working; see the module.
    payoffs : array_like (2, 2)
        What the row earns from the column; 0 is work, 1 is skip.
    rng : numpy.random.Generator
    noise : float
        How often a move comes out as its opposite, in [0, 1].
    rounds, matches : int
        The matches are independent.

    Raises
    ------
    ValueError
        If a strategy is not five chances, the payoffs are not 2 by 2, or a number is out of range.
    """
    plans, table = _plans({"first": first, "second": second}), _table(payoffs)
    return np.asarray(_play(plans[None], table, rng, noise, rounds, matches)[0])


def tournament(
    strategies: Mapping[str, Sequence[float]], payoffs: ArrayLike, rng: np.random.Generator, *,
    noise: float = 0.0, rounds: int = 200, matches: int = 100,
) -> Floats:
    """Return what each strategy earns a round against each, also against itself, (k, k, matches).

    Parameters and errors are those of `match`; every pair meets `matches` times.
    """
    plans = _plans({f"strategies[{name!r}]": plan for name, plan in strategies.items()})
    table = _table(payoffs)
    earned = np.zeros((len(plans), len(plans), counted("matches", matches)))
    pairs = list(itertools.combinations_with_replacement(range(len(plans)), 2))
    together = max(_DRAWS // (4 * counted("rounds", rounds) * matches), 1)
    for some in (pairs[k : k + together] for k in range(0, len(pairs), together)):
        for (i, j), both in zip(some, _play(plans[some], table, rng, noise, rounds, matches), strict=True):
            earned[i, j], earned[j, i] = both.T if i != j else (both[:, 0], both[:, 0])
    return earned


def _plans(strategies: Mapping[str, Sequence[float]]) -> Floats:
    """Return strategies by their names in an error as a table, (strategies, 5)."""
    parts = [checked(name, plan) for name, plan in strategies.items()]
    for name, part in zip(strategies, parts, strict=True):
        if part.shape != (5,) or (part > 1).any():
            raise ValueError(f"{name} is {part.tolist()}: a strategy is five chances of working")
    return np.array(parts).reshape(-1, 5)


def _table(payoffs: ArrayLike) -> Floats:
    table = checked("payoffs", payoffs, ndim=2, negative=True)
    if table.shape != (2, 2):
        raise ValueError(f"payoffs has shape {table.shape}: it must be (2, 2), the row's earnings for work and skip")
    return table


def _play(
    plans: Floats, table: Floats, rng: np.random.Generator, noise: float, rounds: int, matches: int
) -> Floats:
    """Return what pairs of plans, (pairs, 2, 5), earn a round, (pairs, matches, 2): played side by side."""
    generator("rng", rng)
    slip = real("noise", noise, "[0, 1]")
    draws = rng.random((len(plans), counted("rounds", rounds), 2, counted("matches", matches), 2))
    chance, pair, side = plans[:, None, :, 0], np.arange(len(plans))[:, None, None], np.arange(2)
    earned = np.zeros((len(plans), matches, 2))
    for draw in draws.swapaxes(0, 1):  # a round, in each pair and match
        skips = ((draw[:, 0] >= chance) ^ (draw[:, 1] < slip)).astype(int)
        state = 2 * skips + skips[..., ::-1]  # my own move first
        earned += table.ravel()[state]
        chance = plans[pair, side, 1 + state]
    return earned / rounds
