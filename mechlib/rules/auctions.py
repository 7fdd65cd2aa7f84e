"""Sealed-bid auctions for one item, for several identical ones, and a price that nobody can move.

Bids and payments are (..., n), leading axes being independent auctions. Payments are made BY the agents.
"""

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import Bools, Floats, Outcome, checked, counted, numbers, real


def first_price(bids: ArrayLike, reserve: float = 0.0) -> Outcome:
    """Sell one item to the highest bidder, who pays its own bid. Not truthful: shading the bid pays.

    Parameters
    ----------
    bids : array_like (..., n)
        At least 0. Ties go to the lowest index.
    reserve : float
        The least bid that may win.

    Returns
    -------
    Outcome
        The allocation, 0 or 1, and the payments BY the agents, both (..., n).

    Raises
    ------
    ValueError
        If a bid or the reserve is NaN, infinite, negative, empty or mis-shaped.
    """
    array, won, _ = _sold(bids, 1, reserve)
    return Outcome(won, won * array)


def second_price(bids: ArrayLike, reserve: float = 0.0) -> Outcome:
    """Sell one item to the highest bidder at the second bid or the reserve (Vickrey 1961): truth is dominant.

    Parameters
    ----------
    bids, reserve
        As in `first_price`.

    Returns
    -------
    Outcome
        As in `first_price`.

    Raises
    ------
    ValueError
        As in `first_price`.
    """
    return vickrey(bids, 1, reserve)


def vickrey(bids: ArrayLike, units: int = 1, reserve: float = 0.0) -> Outcome:
    """Sell `units` identical items, one an agent, at the highest losing bid or the reserve (Vickrey 1961).

    With as many units as agents or more the price is the reserve. Truth is dominant.

    Parameters
    ----------
    bids : array_like (..., n)
        For one unit, at least 0. Ties go to the lowest index.
    units : int
        At least 1.
    reserve : float
        The least bid that may win.

    Returns
    -------
    Outcome
        As in `first_price`.

    Raises
    ------
    ValueError
        As in `first_price`, and if `units` is not a whole number of at least 1.
    """
    array, won, floor = _sold(bids, counted("units", units), reserve)
    highest_loser = array.shape[-1] - 1 - units  # its place among the bids, sorted upwards
    losing = np.partition(array, highest_loser, axis=-1)[..., highest_loser, None] if highest_loser >= 0 else 0.0
    return Outcome(won, won * np.maximum(losing, floor))


def all_pay(bids: ArrayLike) -> Outcome:
    """Give one item to the highest bidder, but EVERY bidder pays its own bid. Not truthful.

    Parameters
    ----------
    bids : array_like (..., n)
        At least 0. Ties go to the lowest index.

    Returns
    -------
    Outcome
        As in `first_price`.

    Raises
    ------
    ValueError
        As in `first_price`.
    """
    array, won, _ = _sold(bids, 1, 0.0)
    return Outcome(won, array.copy())


def posted_price(bids: ArrayLike, price: ArrayLike) -> Outcome:
    """Offer a copy to everybody at a price that no bid can move. Truth is dominant.

    Parameters
    ----------
    bids : array_like (..., n)
        Who bids at least the price buys.
    price : float or array_like (n,) or (..., n)
        One for all, or one an agent.

    Returns
    -------
    Outcome
        As in `first_price`.

    Raises
    ------
    ValueError
        As in `first_price`, and if the prices do not fit the bids.
    """
    array = checked("bids", bids)
    offer = checked("price", np.atleast_1d(numbers("price", price)), like=array.shape)
    buys = array >= offer
    return Outcome(buys.astype(float), np.where(buys, offer, 0.0))


def _sold(bids: ArrayLike, units: int, reserve: float) -> tuple[Floats, Floats, float]:
    """Return the bids, who wins a unit (1 or 0), and the reserve."""
    array = checked("bids", bids)
    floor = real("reserve", reserve, "[0, inf)")
    if units == 1:
        won = np.zeros_like(array)
        np.put_along_axis(won, array.argmax(-1)[..., None], 1.0, axis=-1)  # a tie goes to the lowest index
    else:
        won = _highest(array, min(units, array.shape[-1])).astype(float)
    return array, won * (array >= floor), floor


def _highest(bids: Floats, units: int) -> Bools:
    """Return which of the bids are the `units` highest; a tie goes to the lowest index."""
    lowest = bids.shape[-1] - units  # the place of the lowest that wins, sorted upwards: no other place need be right
    least = np.partition(bids, lowest, axis=-1)[..., lowest, None]
    above, tied = bids > least, bids == least
    room = units - above.sum(axis=-1, keepdims=True)
    return np.asarray(above | tied & (tied.cumsum(axis=-1) <= room))
