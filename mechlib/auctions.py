"""Sealed-bid auctions for one item, for several identical ones, and a price that nobody can move."""

from __future__ import annotations

from operator import index

import numpy as np
from numpy.typing import ArrayLike

from mechlib.outcome import Floats, Outcome, checked


def first_price(bids: ArrayLike, reserve: ArrayLike = 0.0) -> Outcome:
    """Sell one item to the highest bidder, who pays the own bid. Not truthful: shading the bid pays.

    Allocation 0 or 1 and payments from the agents are (..., n).
    Raises a ValueError if a bid or the reserve is NaN, infinite, negative, empty or mis-shaped.

    Parameters
    ----------
    bids : array_like, shape (..., n)
        Non-negative bids; leading axes are independent auctions. Ties go to the lowest index.
    reserve : float or array_like, shape (...)
        The least bid that may win.
    """
    array, floor = _bids_and_floor(bids, reserve)
    won = _winners(array, 1, floor)
    return Outcome(won, won * array)


def second_price(bids: ArrayLike, reserve: ArrayLike = 0.0) -> Outcome:
    """Sell one item to the highest bidder at the second bid or the reserve (Vickrey 1961): truth is dominant.

    Parameters, result and errors are those of `first_price`.
    """
    return vickrey(bids, 1, reserve)


def vickrey(bids: ArrayLike, units: int = 1, reserve: ArrayLike = 0.0) -> Outcome:
    """Sell `units` identical items, one an agent, at the highest losing bid or the reserve (Vickrey 1961).

    Result and errors are those of `first_price`, and one for `units` that is not a whole number of at least 1.

    Parameters
    ----------
    bids, reserve : array_like of shape (..., n), float or array_like of shape (...)
        As in `first_price`; a bid is for one unit.
    units : int
        How many there are, at least 1; more than n is allowed, and then the price is the reserve.
    """
    array, floor = _bids_and_floor(bids, reserve)
    units, n = counted("units", units), array.shape[-1]
    rank = n - 1 - units
    losing = np.partition(array, rank, axis=-1)[..., rank, None] if rank >= 0 else np.zeros_like(floor)
    won = _winners(array, units, floor)
    return Outcome(won, won * np.maximum(losing, floor))


def all_pay(bids: ArrayLike) -> Outcome:
    """Give one item to the highest bidder and charge EVERY bidder the own bid, as effort in a contest is spent.

    Parameters, result and errors are those of `first_price`.
    """
    array = checked("bids", bids)
    return Outcome(_winners(array, 1, np.zeros(1)), array.copy())


def posted_price(bids: ArrayLike, price: ArrayLike, units: int | None = None) -> Outcome:
    """Offer the item at a fixed price, in the order of the index; who bids at least the price buys.

    Result and errors are those of `first_price`.

    Parameters
    ----------
    bids : array_like, shape (..., n)
        Non-negative bids.
    price : float or array_like that broadcasts to bids
        The take-it-or-leave-it price, one for all or one an agent. Truthful, as no bid can move it.
    units : int, optional
        How many can be sold; by default as many as are asked for (copying a document costs nothing).
    """
    array, offer = checked("bids", bids), checked("price", np.atleast_1d(np.asarray(price)))
    try:
        buys = array >= np.broadcast_to(offer, array.shape)
    except ValueError:
        raise ValueError(f"price has shape {offer.shape}: pass one number, or one an agent {array.shape}.") from None
    if units is not None:
        buys &= np.cumsum(buys, axis=-1) <= counted("units", units)
    return Outcome(buys.astype(float), buys * offer)


def counted(name: str, number: int, least: int = 1) -> int:
    """Return a count as an int, or raise a ValueError unless it is a whole number of at least `least`."""
    try:
        count = index(number)
    except TypeError:
        raise ValueError(f"{name} is {number!r}: it must be a whole number (an int) of at least {least}.") from None
    if count < least:
        raise ValueError(f"{name} is {number}: it must be at least {least}.")
    return count


def _bids_and_floor(bids: ArrayLike, reserve: ArrayLike) -> tuple[Floats, Floats]:
    array, floor = checked("bids", bids), checked("reserve", np.atleast_1d(np.asarray(reserve)))
    floor = floor if np.ndim(reserve) == 0 else floor[..., None]
    try:
        np.broadcast_to(floor, (*array.shape[:-1], 1))
    except ValueError:
        raise ValueError(f"reserve has shape {np.shape(reserve)}: pass one number, or one an auction, shape "
                         f"{array.shape[:-1]}.") from None
    return array, floor


def _winners(bids: Floats, units: int, floor: Floats) -> Floats:
    # argmax and a stable sort both give a tie to the lowest index
    best = bids.argmax(-1)[..., None] if units == 1 else np.argsort(-bids, axis=-1, kind="stable")[..., :units]
    won = np.zeros_like(bids)
    np.put_along_axis(won, best, 1.0, axis=-1)
    return np.asarray(won * (bids >= floor), float)
