"""Repeated games between two agents that remember the last round, with noise: matches and a tournament.

A strategy is five chances of working: in the first round, and after each of (worked, worked), (worked, skipped),
(skipped, worked), (skipped, skipped), its own move first. That is enough for the classics:

>>> STRATEGIES["tit for tat"]
(1, 1, 0, 1, 0)
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechlib.mechanism import checked, counted, generator, real

__all__ = ["STRATEGIES", "match", "tournament"]

Floats = NDArray[np.float64]

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
    table, slip = checked("payoffs", payoffs, ndim=2, negative=True), real("noise", noise, "[0, 1]")
    if table.shape != (2, 2):
        raise ValueError(f"payoffs has shape {table.shape}: it must be (2, 2), the row's earnings for work and skip")
    parts = [checked(name, plan) for name, plan in (("first", first), ("second", second))]
    if any(part.shape != (5,) or (part > 1).any() for part in parts):
        raise ValueError(f"a strategy is five chances of working; given were {list(first)} and {list(second)}")
    plans = np.stack(parts)
    generator("rng", rng)
    chance = np.tile(plans[:, 0], (counted("matches", matches), 1))
    earned = np.zeros((matches, 2))
    for _ in range(counted("rounds", rounds)):
        skips = (rng.random((matches, 2)) >= chance) ^ (rng.random((matches, 2)) < slip)
        mine, theirs = skips.astype(int), skips[:, ::-1].astype(int)
        earned += table[mine, theirs]
        chance = plans[np.arange(2), 1 + 2 * mine + theirs]
    return earned / rounds


def tournament(
    strategies: Mapping[str, Sequence[float]], payoffs: ArrayLike, rng: np.random.Generator, *,
    noise: float = 0.0, rounds: int = 200, matches: int = 100,
) -> Floats:
    """Return what each strategy earns a round against each, also against itself, (k, k, matches).

    Parameters and errors are those of `match`; every pair meets `matches` times.
    """
    plans = list(strategies.values())
    earned = np.zeros((len(plans), len(plans), matches))
    for i, one in enumerate(plans):
        for j, other in enumerate(plans[i:], start=i):
            both = match(one, other, payoffs, rng, noise=noise, rounds=rounds, matches=matches)
            earned[i, j], earned[j, i] = both.T if i != j else (both[:, 0], both[:, 0])
    return earned
