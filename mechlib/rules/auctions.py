"""Sealed-bid auctions for one item, for several identical ones, and a price that nobody can move."""

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import Floats, Outcome, checked, counted


def first_price(bids: ArrayLike, reserve: float = 0.0) -> Outcome:
    """Sell one item to the highest bidder, who pays the own bid. Not truthful: shading the bid pays.

    Bids (..., n) are at least 0, leading axes being independent auctions; ties go to the lowest index. The reserve is
    the least bid that may win. Allocation 0 or 1 and payments from the agents are (..., n). Raises a ValueError if a
    bid or the reserve is NaN, infinite, negative, empty or mis-shaped.
    """
    array, won, _ = _sold(bids, 1, reserve)
    return Outcome(won, won * array)


def second_price(bids: ArrayLike, reserve: float = 0.0) -> Outcome:
    """Sell one item to the highest bidder at the second bid or the reserve (Vickrey 1961): truth is dominant.

    Parameters, result and errors are those of `first_price`.
    """
    return vickrey(bids, 1, reserve)


def vickrey(bids: ArrayLike, units: int = 1, reserve: float = 0.0) -> Outcome:
    """Sell `units` identical items, one an agent, at the highest losing bid or the reserve (Vickrey 1961).

    With as many units as agents or more the price is the reserve. Bids are for one unit. Result and errors are those
    of `first_price`, and a ValueError if `units` is not a whole number of at least 1.
    """
    array, won, floor = _sold(bids, counted("units", units), reserve)
    rank = array.shape[-1] - 1 - units
    losing = np.partition(array, rank, axis=-1)[..., rank, None] if rank >= 0 else 0.0
    return Outcome(won, won * np.maximum(losing, floor))


def all_pay(bids: ArrayLike) -> Outcome:
    """Give one item to the highest bidder, but EVERY bidder pays the own bid. The rest is as in `first_price`."""
    array, won, _ = _sold(bids, 1, 0.0)
    return Outcome(won, array.copy())


def posted_price(bids: ArrayLike, price: ArrayLike) -> Outcome:
    """Offer a copy to everybody at a price, one for all or one an agent (..., n), that no bid can move.

    Who bids at least the price buys. Result and errors are those of `first_price`.
    """
    array = checked("bids", bids)
    offer = np.broadcast_to(checked("price", np.atleast_1d(price)), array.shape)
    return Outcome((array >= offer).astype(float), np.where(array >= offer, offer, 0.0))


def _sold(bids: ArrayLike, units: int, reserve: float) -> tuple[Floats, Floats, float]:
    array = checked("bids", bids)
    (floor,) = checked("reserve", [reserve], ndim=1).tolist()
    # argmax and a stable sort both give a tie to the lowest index
    best = array.argmax(-1)[..., None] if units == 1 else np.argsort(-array, axis=-1, kind="stable")[..., :units]
    won = np.zeros_like(array)
    np.put_along_axis(won, best, 1.0, axis=-1)
    return array, won * (array >= floor), floor
