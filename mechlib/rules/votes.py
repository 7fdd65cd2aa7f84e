"""Votes: functions from what several names say to what is decided, for names of which one agent may have several.

Whoever votes under a second name counts twice. Two ways out are here: a weight that stays what it is when it is split
over names, and a rule that a further name cannot move, or not for what the name costs. Arrays are (..., n), names last.

>>> float(weighted_median([1, 2, 5])), float(weighted_median([1, 2, 5, 5, 5]))
(2.0, 5.0)
>>> float(weighted_median([1, 2, 5, 5, 5], weights=[1, 1, 1 / 3, 1 / 3, 1 / 3]))
2.0
>>> [float(target_rule(votes, target=3)) for votes in ([1, 2, 5], [1, 2, 5, 5, 5])]
[3.0, 3.0]
"""

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import Floats, checked, real


def weighted_median(reports: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return the lower median: the least report with which at least half of the weight says that or less.

    With equal weights and an even number of reports it is the lower of the two in the middle, not their mean: a mean
    could be moved by exaggerating. For voters who like a result less the farther it is from their own, truth is
    dominant (Moulin 1980).

    Parameters
    ----------
    reports : array_like (..., n)
        Points on a line.
    weights : array_like (n,) or (..., n), optional
        What each name counts: by default all the same. A voter who splits a weight over several names moves nothing.

    Returns
    -------
    array (...)

    Raises
    ------
    ValueError
        If an argument is no numbers, a weight is negative, or no weight is above 0.
    """
    said = checked("reports", reports, negative=True)
    weight = _weights(weights, said)
    order = np.argsort(said, axis=-1, kind="stable")
    below = np.cumsum(np.take_along_axis(weight, order, axis=-1), axis=-1)
    place = np.argmax(below >= below[..., -1:] / 2 - 1e-12 * below[..., -1:], axis=-1)
    return np.asarray(np.take_along_axis(np.take_along_axis(said, order, axis=-1), place[..., None], axis=-1)[..., 0])


def majority(votes: ArrayLike, weights: ArrayLike | None = None) -> Floats:
    """Return the chance that the answer is yes: 1 if more weight is for it than against it, 1/2 if as much is.

    Parameters
    ----------
    votes : array_like (..., n)
        1 for yes, 0 for no.
    weights : array_like (n,) or (..., n), optional
        As in `weighted_median`.

    Returns
    -------
    array (...)

    Raises
    ------
    ValueError
        If a vote is neither 0 nor 1, or as in `weighted_median`.
    """
    said = _votes(votes)
    weight = _weights(weights, said)
    lead = (weight * (2 * said - 1)).sum(axis=-1)
    level = np.abs(lead) <= 1e-12 * weight.sum(axis=-1)
    return np.asarray(np.where(level, 0.5, lead > 0), float)


def target_rule(reports: ArrayLike, target: float) -> Floats:
    """Return the target, or what is nearest to it between the least and the greatest report.

    It is the median of n reports and n - 1 votes for the target that the rule casts itself. Of the rules on a line that
    draw no lots, only these are safe from further names, anonymous, and never at a point that is worse for all than
    another (Todo, Iwasaki & Yokoo 2011). The price: one voter at the target outvotes everybody.

    Parameters
    ----------
    reports : array_like (..., n)
        Points on a line.
    target : float
        What is done unless all are on one side of it. Infinity takes the greatest report, minus infinity the least.

    Returns
    -------
    array (...)

    Raises
    ------
    ValueError
        If the reports are no numbers, or the target is not one.
    """
    said, aim = checked("reports", reports, negative=True), real("target", target, "[-inf, inf]")
    return np.asarray(np.clip(aim, said.min(axis=-1), said.max(axis=-1)), float)


def priced_majority(votes: ArrayLike, price: float) -> Floats:
    """Return the chance that the answer is yes: 1/2, and the price of a name more for every vote that it leads by.

    A further vote moves the chance by at most `price`, in units of what winning is worth to the voter. So where a
    further name costs that much nobody gains by one, and among rules for two answers that treat both alike and let
    nobody gain by staying away, none follows the majority more closely (Wagman & Conitzer 2008). Where all agree, that
    is done. At price 0 nothing else is left (Conitzer 2008): all agree, or a coin is thrown.

    Parameters
    ----------
    votes : array_like (..., n)
        1 for yes, 0 for no.
    price : float
        What a further name costs, as a share of what winning is worth; at least 0.

    Returns
    -------
    array (...)

    Raises
    ------
    ValueError
        If a vote is neither 0 nor 1, or the price is no number of at least 0.
    """
    said, step = _votes(votes), real("price", price, "[0, inf)")
    chance = np.clip(0.5 + step * (2 * said - 1).sum(axis=-1), 0.0, 1.0)
    agreed = said.min(axis=-1) == said.max(axis=-1)
    return np.asarray(np.where(agreed, said[..., 0], chance), float)


def _votes(votes: ArrayLike) -> Floats:
    said = checked("votes", votes)
    if not np.isin(said, (0.0, 1.0)).all():
        raise ValueError(f"votes contains {said[~np.isin(said, (0.0, 1.0))][0]:g}; a vote is 1 for yes or 0 for no")
    return said


def _weights(weights: ArrayLike | None, said: Floats) -> Floats:
    weight = np.ones(said.shape) if weights is None else checked("weights", weights, like=said.shape)
    if not (weight.max(axis=-1) > 0).all():
        raise ValueError("weights are all 0; one name at least must count for something")
    return weight
