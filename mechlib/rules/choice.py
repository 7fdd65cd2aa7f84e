"""Who ships: functions from what agents report, or graders mark, to the chance that each answer is passed on.

A report is a probability of being right, in [0, 1]; NaN abstains and is never chosen. Arrays are (..., n), agents last.
The chances of those who speak sum to 1; where nobody speaks, all are 0. A choice and a scoring rule make a mechanism:

>>> from mechlib import Award, Beliefs, audit, quadratic
>>> def highest_is_scored(reports, found):
...     chosen = highest(reports)
...     return Award(chosen, chosen * quadratic(reports, found))
>>> beliefs = Beliefs([0.1, 0.3, 0.5, 0.7, 0.9], n=2)
>>> audit(highest_is_scored, beliefs).is_dsic
False
>>> audit(scored(softened(0.1), quadratic, inverse=True), beliefs).is_dsic
True
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import Award, Bools, Floats, checked, flag, function, numbers, real
from mechlib.rules.peer import ranked
from mechlib.rules.scoring import Rule

Choice = Callable[[ArrayLike], Floats]


def highest(reports: ArrayLike, ties: Literal["first", "lot"] = "first") -> Floats:
    """Choose the highest report.

    Parameters
    ----------
    reports : array_like (..., n)
        NaN abstains.
    ties : {"first", "lot"}
        Whether equal reports leave the choice to the lowest index, or to a lot, in which each has the same chance.

    Returns
    -------
    array (..., n)
        The chance that each agent is chosen: 1 for one and 0 for the others, or 1/k for each of k that tie.

    Raises
    ------
    ValueError
        If the reports are empty or not numbers, or `ties` is something else.
    """
    claims = checked("reports", reports, negative=True, missing=True)
    speaks = ~np.isnan(claims)
    said = np.where(speaks, claims, -np.inf)
    if ties == "lot":
        tied = speaks & (said == said.max(axis=-1, keepdims=True))
        return np.asarray(tied / np.maximum(tied.sum(axis=-1, keepdims=True), 1))
    if ties != "first":
        raise ValueError(f'ties must be "first" or "lot"; it is {ties!r}')
    best = np.argmax(said, axis=-1)
    return np.asarray((np.arange(claims.shape[-1]) == best[..., None]) & speaks, float)


def softened(floor: float) -> Choice:
    """Return a choice with full support: every speaker has a chance of at least `floor`, the highest has the rest.

    Parameters
    ----------
    floor : float
        In (0, 1].

    Returns
    -------
    callable
        From reports (..., n) to chances (..., n). It raises a ValueError where more agents speak than `1 / floor`.

    Raises
    ------
    ValueError
        If `floor` is outside (0, 1].
    """
    floor = real("floor", floor, "(0, 1]")  # or an agent could never be scored

    def choose(reports: ArrayLike) -> Floats:
        best = highest(reports)
        speaks = ~np.isnan(numbers("reports", reports))
        spare = 1 - floor * speaks.sum(axis=-1, keepdims=True)
        if (spare < -1e-12).any():
            raise ValueError(f"floor is {floor}, but up to {speaks.sum(axis=-1).max()} agents speak; lower it")
        return np.asarray(np.where(speaks, floor + spare * best, 0.0))

    choose.__name__ = f"softened({floor})"
    return choose


def best_mark(reports: ArrayLike, marks: ArrayLike) -> Floats:
    """Choose the answer with the best mean mark, after centring each grader's marks; ties share the chance equally.

    A grader's marks count by how far they lie from its own mean, so that a harsh grader does not decide by whom it
    happens to mark. An answer that nobody marked comes after all that somebody did.

    Parameters
    ----------
    reports : array_like (..., n)
        They only say who speaks: NaN abstains.
    marks : array_like (..., graders, n)
        NaN where a grader did not mark.

    Returns
    -------
    array (..., n)
        The chance that each agent is chosen.

    Raises
    ------
    ValueError
        If the marks are not one row a grader and one column an agent.
    """
    speaks, table = _speaking_and_marks(reports, marks)
    centred = table - _mean(table, axis=-1)
    mean = np.nan_to_num(_mean(centred, axis=-2)[..., 0, :], nan=-np.inf)
    best = np.where(speaks, mean, -np.inf).max(axis=-1, keepdims=True)
    tied = speaks & (mean >= best - 1e-9)
    return np.asarray(tied / np.maximum(tied.sum(axis=-1, keepdims=True), 1))


def impartial(reports: ArrayLike, marks: ArrayLike) -> Floats:
    """Choose by the agents' own marks of each other, so that no agent's marks change its own chance of being chosen.

    These are the chances of `select_impartially` with k = 1 (Alon, Fischer, Procaccia & Tennenholtz 2011), over all
    ways to deal the agents into two groups, one of which is drawn to hold the contest that the other one judges.
    Agents that abstain neither compete nor judge. Within a group, ties go to the lowest index.

    Parameters
    ----------
    reports : array_like (..., n)
        They only say who speaks: NaN abstains.
    marks : array_like (..., n, n)
        ``marks[grader, graded]``, NaN where missing; the diagonal is ignored.

    Returns
    -------
    array (..., n)
        The chance that each agent is chosen.

    Raises
    ------
    ValueError
        If the marks are not square, or more than 16 agents speak: then draw with `select_impartially`.
    """
    speaks, table = _speaking_and_marks(reports, marks)
    n = table.shape[-1]
    if table.shape[-2] != n:
        raise ValueError(f"marks has shape {table.shape}: agents mark each other here, so it must be (..., {n}, {n})")
    shape = np.broadcast_shapes(speaks.shape, table.shape[:-1])
    speaks, table = np.broadcast_to(speaks, shape), np.broadcast_to(table, (*shape, n))
    chance = np.zeros(shape)
    for place in np.ndindex(shape[:-1]):
        able = np.flatnonzero(speaks[place])
        chance[place][able] = _impartial_chances(table[place][np.ix_(able, able)])
    return chance


def _impartial_chances(marks: Floats) -> Floats:
    n = len(marks)
    if n > 16:
        raise ValueError(f"{n} agents can be dealt into two groups in too many ways: draw with select_impartially")
    if n < 2:
        return np.ones(n)
    chance = np.zeros(n)
    for size in (n // 2, n - n // 2):  # either group may be the one that competes
        contests = [*combinations(range(n), size)]
        for members in contests:
            graders = np.setdiff1d(range(n), members)
            chance[ranked(marks, graders, np.array(members))[0]] += 0.5 / len(contests)
    return chance


def _speaking_and_marks(reports: ArrayLike, marks: ArrayLike) -> tuple[Bools, Floats]:
    claims = checked("reports", reports, negative=True, missing=True)
    table = checked("marks", marks, negative=True, missing=True)
    if table.ndim < 2 or table.shape[-1] != claims.shape[-1]:
        raise ValueError(f"marks has shape {table.shape}, the reports {claims.shape}: it must be (..., graders, "
                         f"{claims.shape[-1]}), a column an agent")
    return ~np.isnan(claims), table


def _mean(marks: Floats, axis: int) -> Floats:
    """Return the mean of the marks that are there, NaN where none is; the axis stays, with length 1."""
    given = ~np.isnan(marks)
    count = given.sum(axis=axis, keepdims=True)
    total = np.where(given, marks, 0.0).sum(axis=axis, keepdims=True)
    return np.asarray(np.divide(total, count, out=np.full(total.shape, np.nan), where=count > 0))


def scored(choose: Choice, rule: Rule, inverse: bool = False) -> Callable[[ArrayLike, ArrayLike], Award]:
    """Return the mechanism that chooses by the reports and pays the chosen agent alone, by a scoring rule.

    Parameters
    ----------
    choose : callable
        From reports (..., n) to the chance that each agent is chosen, (..., n).
    rule : rule(confidence, accuracy) -> score
        What the chosen agent is paid once it is found whether its answer is right.
    inverse : bool
        Divide the score by the chance that the agent was chosen. With a proper rule and full support this is a decision
        scoring rule (Chen, Kash, Ruberry & Shnayder 2011; Othman & Sandholm 2010 treat rules that do not draw): the
        chance cancels, and what a report expects no longer depends on whom it makes the choice fall on.

    Returns
    -------
    callable
        ``mechanism(reports, found) -> Award``, all (..., n): the chances, and rewards TO the agents in expectation over
        who is chosen, given what is found. What being chosen is worth by itself is the setting's: `Beliefs` has a
        `prize`.
    """

    function("choose", choose), function("rule", rule), flag("inverse", inverse)

    def mechanism(reports: ArrayLike, found: ArrayLike) -> Award:
        chance = choose(reports)
        weight = (chance > 0).astype(float) if inverse else chance
        score = np.asarray(rule(reports, found), float)
        return Award(chance, np.multiply(weight, score, out=np.zeros(score.shape), where=weight > 0))  # no 0 times -inf

    names = (getattr(part, "__name__", "a rule") for part in (choose, rule))
    mechanism.__name__ = " scored by ".join(names) + " / chance" * inverse
    return mechanism


def score_auction(reports: ArrayLike, found: ArrayLike, costs: ArrayLike) -> Award:
    """Choose the highest score, report less cost, if it is positive; pay what its answer was worth, less the price.

    The price of the slot is the best score among the others, at least 0. This is a second-score auction (Che 1993), VCG
    for one buyer. An agent that bears cost c when it is chosen, and expects its answer to be worth p, keeps ``p - c -
    price``: by Vickrey's argument no other report of ``p - c`` does better, and nothing else of the two numbers counts.

    Parameters
    ----------
    reports : array_like (..., n)
        What each agent says its answer is worth, in the money of the costs; NaN abstains.
    found : array_like (..., n)
        What the answers turned out to be worth. Whoever knows the qualities passes them here too: then only the costs
        are asked for, and the chosen agent is paid the highest cost at which it would still have been chosen.
    costs : array_like (..., n)
        What a call of each agent costs; below 0 where being chosen is worth something by itself.

    Returns
    -------
    Award
        Who is chosen, 1 or 0, and rewards TO the agents: negative for a chosen agent whose answer was worth less than
        the slot, 0 for the others.

    Raises
    ------
    ValueError
        If an argument is not numbers, or the shapes do not fit.
    """
    quality = checked("reports", reports, negative=True, missing=True)
    score = quality - checked("costs", costs, negative=True, like=quality.shape)
    worth = checked("found", found, negative=True, missing=True, like=quality.shape)
    best = highest(score)
    price = np.where((score > 0) & (best == 0), score, 0.0).max(axis=-1, keepdims=True)
    chosen = best * (score > 0)
    return Award(chosen, np.where(chosen > 0, worth - price, 0.0))
