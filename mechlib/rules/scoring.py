"""Scoring rules: what to pay for a stated confidence, and what each rule makes it best to say.

Every rule has the signature ``rule(confidence, accuracy) -> score``, with arrays of one shape (..., n) or shapes that
broadcast. `confidence` is the report, in [0, 1]; `accuracy` is what was found later, in [0, 1] (1: right, 0: wrong,
between: graded). A score is paid TO the agent: more is better. A `nan` confidence is an abstention; it scores 0
whatever its accuracy (`abstain_pays` sets another price). All rules but `second_report` score each entry alone. What
leaves [0, 1], or does not match in shape, is a ValueError.

>>> float(quadratic(0.8, 1)), float(absolute(0.8, 1))
(0.96, 0.8)
>>> is_proper(quadratic), is_proper(absolute), float(best_report(absolute, 0.51))
(True, False, 1.0)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import Bools, Floats, function
from mechlib.rules.calibration import unit

Rule = Callable[[Any, Any], Any]


def _reports(confidence: ArrayLike, accuracy: ArrayLike) -> tuple[Floats, Floats, Bools]:
    c, a = unit("confidence", confidence, nan=True), unit("accuracy", accuracy, nan=True)
    if c.shape != a.shape:
        try:
            c, a = np.broadcast_arrays(c, a)
        except ValueError:
            raise ValueError(f"confidence and accuracy have shapes {c.shape} and {a.shape}; give one of each an "
                             "agent") from None
    spoke = ~np.isnan(c)
    if spoke.all() and not np.isnan(a).any():
        return c, a, spoke
    return np.where(spoke, c, 0.0), unit("accuracy", np.where(spoke, a, 0.0)), spoke


def quadratic(confidence: ArrayLike, accuracy: ArrayLike) -> Floats:
    """Score `a - (c - a)**2`, within [-1, 1]: strictly proper; the best report is the mean accuracy (Brier 1950).

    An honest agent that is right with probability p expects p**2.

    Parameters
    ----------
    confidence, accuracy : array_like (..., n)
        What was said, NaN for an abstention, and what was found, both in [0, 1].

    Returns
    -------
    array (..., n)
        The scores, paid TO the agents: within [-1, 1].

    Raises
    ------
    ValueError
        If a number leaves [0, 1], or the shapes do not broadcast.
    """
    c, a, spoke = _reports(confidence, accuracy)
    return np.where(spoke, a - (c - a) ** 2, 0.0)


def logarithmic(confidence: ArrayLike, accuracy: ArrayLike) -> Floats:
    """Score `a ln c + (1 - a) ln(1 - c)`: strictly proper, never positive, and `-inf` for certainty that was wrong.

    Unbounded: keep reports off 0 and 1 before paying from a budget (Good 1952).

    Parameters
    ----------
    confidence, accuracy : array_like (..., n)
        What was said, NaN for an abstention, and what was found, both in [0, 1].

    Returns
    -------
    array (..., n)
        The scores, paid TO the agents: at most 0.

    Raises
    ------
    ValueError
        If a number leaves [0, 1], or the shapes do not broadcast.
    """
    c, a, spoke = _reports(confidence, accuracy)
    with np.errstate(divide="ignore", invalid="ignore"):
        right = np.where(a > 0, a * np.log(c), 0.0)
        wrong = np.where(a < 1, (1 - a) * np.log1p(-c), 0.0)
    return np.where(spoke, right + wrong, 0.0)


def spherical(confidence: ArrayLike, accuracy: ArrayLike) -> Floats:
    """Score `(a c + (1 - a)(1 - c)) / sqrt(c**2 + (1 - c)**2)`: strictly proper for right or wrong, within [0, 1].

    See Gneiting & Raftery (2007). For a graded accuracy the best report is still its mean.

    Parameters
    ----------
    confidence, accuracy : array_like (..., n)
        What was said, NaN for an abstention, and what was found, both in [0, 1].

    Returns
    -------
    array (..., n)
        The scores, paid TO the agents: within [0, 1].

    Raises
    ------
    ValueError
        If a number leaves [0, 1], or the shapes do not broadcast.
    """
    c, a, spoke = _reports(confidence, accuracy)
    return np.where(spoke, (a * c + (1 - a) * (1 - c)) / np.hypot(c, 1 - c), 0.0)


def absolute(confidence: ArrayLike, accuracy: ArrayLike) -> Floats:
    """Score `a - |c - a|`: popular and NOT proper; the best report is the median of the accuracy, not its mean.

    Right with probability p, it expects `c (2 p - 1)`: claim certainty above one half, nothing below it.

    Parameters
    ----------
    confidence, accuracy : array_like (..., n)
        What was said, NaN for an abstention, and what was found, both in [0, 1].

    Returns
    -------
    array (..., n)
        The scores, paid TO the agents: within [-1, 1].

    Raises
    ------
    ValueError
        If a number leaves [0, 1], or the shapes do not broadcast.
    """
    c, a, spoke = _reports(confidence, accuracy)
    return np.where(spoke, a - np.abs(c - a), 0.0)


def second_report(confidence: ArrayLike, accuracy: ArrayLike) -> Floats:
    """Choose the highest report and score it its realised accuracy less the best OTHER report; the others score 0.

    The last axis holds the agents, (..., n); ties go to the lowest index; `nan` abstains, and a lone speaker faces a
    rival report of 0. With belief p the winner expects p - c_2, so truth is dominant for agents that value only the
    payment. It is individually rational in expectation only: a winner that is wrong scores -c_2. Vickrey's (1961) idea,
    with the price set by the reports and the value by what turned out.

    Parameters
    ----------
    confidence, accuracy : array_like (..., n)
        What was said, NaN for an abstention, and what was found, both in [0, 1].

    Returns
    -------
    array (..., n)
        The scores, paid TO the agents: within [-1, 1], 0 for all but one.

    Raises
    ------
    ValueError
        If a number leaves [0, 1], the shapes do not broadcast, or there is no axis of agents.
    """
    c, a, spoke = _reports(confidence, accuracy)
    if c.ndim and not c.shape[-1]:
        raise ValueError("confidence and accuracy are empty; give one of each an agent")
    if c.ndim == 0:
        raise ValueError("confidence is a single number; second_report compares agents, so give an array (..., n)")
    c = np.where(spoke, c, -1.0)  # where nobody speaks, the first one "wins" an accuracy of 0 for a price of 0
    winner = np.arange(c.shape[-1]) == np.argmax(c, axis=-1)[..., None]
    rival = np.maximum(np.where(winner, -1.0, c).max(axis=-1, keepdims=True), 0.0)
    return np.where(winner, a - rival, 0.0)


def abstain_pays(rule: Rule, payment: float) -> Callable[[ArrayLike, ArrayLike], Floats]:
    """Return `rule` with a price on "I do not know": a `nan` confidence scores `payment`.

    Under `quadratic`, an honest agent then answers exactly when p**2 exceeds `payment`.

    Parameters
    ----------
    rule : rule(confidence, accuracy) -> score
    payment : float
        What an abstention is paid.

    Returns
    -------
    callable
        A scoring rule.
    """

    def priced(confidence: ArrayLike, accuracy: ArrayLike) -> Floats:
        silent = np.isnan(np.asarray(confidence, dtype=float))
        return np.where(silent, payment, rule(confidence, accuracy))

    return priced


def _evaluate(rule: Rule, c: Floats, a: Floats) -> Floats:
    """Call a rule on a batch of lone agents; fall back to one call an entry where it was written for numbers."""
    c, a = np.broadcast_arrays(c[..., None], a[..., None])
    function("rule", rule)
    try:
        scores = np.asarray(rule(c, a), dtype=float)
    except (TypeError, ValueError):
        scores = np.empty(0)
    except Exception as error:  # the author's own code may raise anything
        raise ValueError(f"rule fails on confidences and accuracies: {error!r}") from error
    if scores.shape != c.shape:
        try:
            scores = np.vectorize(rule, otypes=[float])(c, a)
        except Exception as error:
            raise ValueError(f"rule fails on a confidence and an accuracy: {error!r}") from error
    if np.isnan(scores).any():
        i = np.flatnonzero(np.isnan(scores))[0]
        raise ValueError(f"rule must return a number, but gave nan at confidence {c.flat[i]:g}, accuracy {a.flat[i]:g}")
    return scores[..., 0]


def expected_score(rule: Rule, confidence: ArrayLike, belief: ArrayLike, accuracies: ArrayLike | None = None) -> Floats:
    """Return what a report expects under a belief; an outcome of probability 0 counts 0, even if it scores -inf.

    Parameters
    ----------
    rule : rule(confidence, accuracy) -> score
    confidence : array (...), the report
    belief : array (...) or (..., m)
        The probability of being right; or, when `accuracies` is given, the probability of each of its m entries.
    accuracies : array (m,), optional
        The accuracies that can come out. The default is wrong (0) or right (1).

    Returns
    -------
    array (...)
        The broadcast of `confidence` and `belief`.

    Raises
    ------
    ValueError
        If a number leaves [0, 1], the beliefs over `accuracies` do not sum to 1, or the rule gives NaN.
    """
    values = unit("accuracies", [0.0, 1.0] if accuracies is None else accuracies)
    p = unit("belief", belief)
    if accuracies is None:
        p = np.stack([1 - p, p], axis=-1)
    elif p.shape[-1:] != values.shape or not np.allclose(p.sum(axis=-1), 1):
        raise ValueError(f"belief must be probabilities (..., {values.size}) that sum to 1, but has shape {p.shape}")
    scores = _evaluate(rule, unit("confidence", confidence)[..., None], values)
    with np.errstate(invalid="ignore"):
        return np.asarray(np.where(p > 0, p * scores, 0.0).sum(axis=-1))


def best_report(rule: Rule, belief: ArrayLike) -> Floats:
    """Return the report in [0, 1] with the highest expected score, to about 2e-6; ties go to the lowest report.

    Parameters
    ----------
    rule : rule(confidence, accuracy) -> score
    belief : array_like (...)
        The probability of being right.

    Returns
    -------
    array (...)

    Raises
    ------
    ValueError
        As in `expected_score`.
    """
    p, grid = unit("belief", belief)[..., None], np.linspace(0.0, 1.0, 1001)
    if not p.size:
        raise ValueError("belief is empty; give one chance or more")
    for step in (1e-3, 0.0):
        value = expected_score(rule, grid, p)
        first = np.argmax(value >= value.max(axis=-1, keepdims=True) - 1e-14, axis=-1)[..., None]
        best = np.take_along_axis(np.broadcast_to(grid, value.shape), first, axis=-1)
        grid = np.clip(best + step * np.linspace(-1.0, 1.0, 1001), 0.0, 1.0)
    return np.asarray(np.round(best[..., 0], 9))


class Lie(NamedTuple):
    """A belief, a false report that does at least as well as the truth, and its gain (0: a tie) in expected score."""

    belief: float
    report: float
    gain: float


def better_lie(rule: Rule) -> Lie | None:
    """Return the most profitable lie on a grid of beliefs and reports, or None when truth is strictly best throughout.

    Answers are right or wrong. Ties in the gain go to the lowest belief, then report.

    Parameters
    ----------
    rule : rule(confidence, accuracy) -> score

    Returns
    -------
    Lie or None

    Raises
    ------
    ValueError
        As in `expected_score`.
    """
    grid = np.linspace(0.0, 1.0, 101)
    value = expected_score(rule, grid, grid[:, None])  # row: belief, column: report
    with np.errstate(invalid="ignore"):
        gain = value - np.diagonal(value)[:, None]
    np.fill_diagonal(gain, -np.inf)
    belief, report = np.unravel_index(np.argmax(np.nan_to_num(gain, nan=0.0, neginf=-np.inf)), gain.shape)
    most = float(gain[belief, report])
    return None if most < -1e-12 else Lie(float(grid[belief]), float(grid[report]), max(0.0, most))


def is_proper(rule: Rule) -> bool:
    """Return whether truth is strictly the best report at every belief on the grid of `better_lie`.

    Parameters
    ----------
    rule : rule(confidence, accuracy) -> score

    Returns
    -------
    bool

    Raises
    ------
    ValueError
        As in `expected_score`.
    """
    return better_lie(rule) is None


def bounds(rule: Rule, agents: int = 2) -> tuple[float, float]:
    """Return the lowest and highest score any agent can get on a grid of reports and accuracies that includes the ends.

    What a fixed budget must be scaled by, before the round. The logarithmic rule's lower bound is -inf.

    Parameters
    ----------
    rule : rule(confidence, accuracy) -> score
    agents : int
        How many report together; the grid grows as 33 to this power.

    Returns
    -------
    lowest, highest : float
    """
    axes = np.meshgrid(*[np.linspace(0, 1, 11)] * agents, *[np.array([0.0, 0.5, 1.0])] * agents, indexing="ij")
    cells = np.stack([axis.ravel() for axis in axes], axis=-1)
    scores = np.asarray(rule(cells[:, :agents], cells[:, agents:]), dtype=float)
    return float(scores.min()), float(scores.max())
