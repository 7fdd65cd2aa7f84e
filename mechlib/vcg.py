"""Vickrey-Clarke-Groves: choose what is best for all, and charge each agent the harm its presence does to the rest."""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from tqdm import tqdm

from mechlib.auctions import counted
from mechlib.outcome import Floats, Outcome, checked

if TYPE_CHECKING:
    from scipy.sparse import csc_array

Ints = NDArray[np.int64]
Bid = tuple[int, frozenset[Hashable], float]
Items = int | Iterable[Hashable] | Mapping[Hashable, int]


class Pivot(NamedTuple):
    """The chosen outcome, and the payments from the agents, shape (..., n); a batch has an array of outcomes."""

    outcome: int | Ints
    payments: Floats


class Assignment(NamedTuple):
    """The item of each agent, shape (n,), -1 where it gets none, and the payments from the agents, shape (n,)."""

    item: Ints
    payments: Floats


class BundleOutcome(NamedTuple):
    """The bundle of each agent, empty where it gets none, and the payments from the agents, shape (n,)."""

    bundles: tuple[frozenset[Hashable], ...]
    payments: Floats


def vcg(valuations: ArrayLike) -> Pivot:
    """Choose the outcome of the highest total value and charge Clarke's pivot (Vickrey 1961, Clarke 1971, Groves 1973).

    Agent i pays what the others could have had without it, less what they have with it: its externality.

    No payment is negative.
    Raises a ValueError if it has fewer than two axes, is empty, or holds NaN or infinity.

    Parameters
    ----------
    valuations : array_like, shape (..., n, outcomes)
        Reported value of each outcome to each agent; may be negative (a cost). Ties go to the lowest outcome.
    """
    array = checked("valuations", valuations, negative=True)
    if array.ndim < 2:
        raise ValueError(f"valuations must have shape (agents, outcomes); it has shape {array.shape}.")
    total = array.sum(axis=-2)
    chosen = total.argmax(axis=-1)
    others = total[..., None, :] - array
    theirs = np.take_along_axis(others, chosen[..., None, None], axis=-1)[..., 0]
    return Pivot(int(chosen) if array.ndim == 2 else chosen, others.max(axis=-1) - theirs)


def vcg_assignment(values: ArrayLike) -> Assignment:
    """Give at most one item to each agent; every payment comes from one solve and its dual.

    VCG payments are the lowest competitive prices (Leonard 1983; Demange, Gale & Sotomayor 1986), here longest
    paths from each item's best losing value, found by Bellman and Ford over the items whose price still rises.

    A tie between optima is resolved by the solver, the same way each time.
    Raises a ValueError if `values` does not have two axes, is empty, or holds NaN, infinity or a negative number.

    Parameters
    ----------
    values : array_like, shape (n, m)
        What each of m items is worth to each of n agents, at least 0.
    """
    from scipy.optimize import linear_sum_assignment

    array = checked("values", values, ndim=2)
    agents, items = linear_sum_assignment(array, maximize=True)
    losers = np.ones(len(array), bool)
    losers[agents] = False
    price = array[losers].max(axis=0) if losers.any() else np.zeros(array.shape[1])
    owner = np.full(array.shape[1], -1)
    owner[items] = agents
    price[owner < 0] = 0.0
    rising, slack = items, 1e-15 * array.max() * min(len(items), 64)
    for _ in range(len(items)):  # a longest path visits each item once, so rounding cannot make this run on
        before = price.copy()
        for start in range(0, len(rising), 48):
            some = rising[start : start + 48]
            outbid = (array[owner[some]] + (price[some] - array[owner[some], some])[:, None]).max(axis=0)
            np.copyto(price, outbid, where=outbid > price + slack)
        rising = np.flatnonzero((price > before) & (owner >= 0))
        if not len(rising):
            break
    item, payments = np.full(len(array), -1), np.zeros(len(array))
    item[agents] = items
    payments[agents] = np.minimum(price[items], array[agents, items])
    return Assignment(item, payments)


def vcg_knapsack(values: ArrayLike, sizes: ArrayLike, capacity: int) -> Outcome:
    """Fill a capacity with the most valuable set of jobs and charge Clarke's pivot.

    The optimum without i joins the best of the jobs before i to the best of those after it, so that one table and
    one running row give all payments: time and memory in O(n * capacity).

    Allocation 0 or 1 and payments from the agents are (..., n).
    Raises a ValueError if an argument is NaN, infinite, negative, not whole where it must be, empty or mis-shaped.

    Parameters
    ----------
    values : array_like, shape (..., n)
        Reported values, at least 0; leading axes are independent problems. Of equal optima, the one that takes the
        lowest indices.
    sizes : array_like of int, shape (n,)
        What each job takes of the capacity, at least 0; known to the designer, not reported.
    capacity : int
        At least 0.
    """
    array, room = checked("values", values), counted("capacity", capacity, 0)
    size = checked("sizes", sizes, ndim=1)
    if size.shape != array.shape[-1:] or (size % 1).any():
        raise ValueError(f"sizes must be {array.shape[-1]} whole numbers, one a job; it was {sizes!r}.")
    jobs, step = array.reshape(-1, len(size)).T, size.clip(max=room + 1).astype(int).tolist()

    def with_job(row: Floats, i: int, out: Floats) -> None:
        size = step[i]
        out[:size] = row[:size]
        fitted = out[size:]
        np.add(row[: room + 1 - size], jobs[i], out=fitted)
        np.maximum(fitted, row[size:], out=fitted)

    n, batch = jobs.shape
    after = np.empty((n + 1, room + 1, batch))
    after[n] = 0.0
    for i in reversed(range(n)):
        with_job(after[i + 1], i, after[i])
    won, paid = np.zeros((2, n, batch))
    left = np.arange(batch) + room * batch  # flat places in a row of the table
    before, spare = np.zeros((2, room + 1, batch))
    for i in range(n):
        rest, later = left - step[i] * batch, after[i + 1]  # a negative rest wraps round, and is then ignored
        taken = (rest >= 0) & (later.take(rest) + jobs[i] >= later.take(left))
        if taken.any():
            left = np.where(taken, rest, left)
            without = np.add(before, later[::-1], out=spare).max(axis=0)
            won[i], paid[i] = taken, taken * (without - (after[0, -1] - jobs[i])).clip(min=0)
        with_job(before, i, spare)
        before, spare = spare, before
    return Outcome(won.T.reshape(array.shape), paid.T.reshape(array.shape))


def vcg_combinatorial(bids: Sequence[Bid], items: Items, time_limit: float | None = None) -> BundleOutcome:
    """Sell bundles to exclusive-or bids: the best set of bids wins, and each winner pays Clarke's pivot.

    The linear relaxation is accepted where it is integral, else HiGHS branches; losers pay 0, so only winners are
    solved without. A progress bar comes up when this takes long, and it can be interrupted between two solves.

    Bundles and payments from the agents are indexed by agent. Of equal optima, the input fixes one.
    Raises a ValueError for no bids, no items, or a bid that is malformed, NaN, infinite, negative or not for sale.

    Parameters
    ----------
    bids : sequence of (agent, frozenset of items, value)
        An agent (numbered from 0) wins at most one of its bids. Whoever wants a set is as happy with a larger one.
    items : iterable of items, int, or mapping from item to supply
        What is for sale: one of each, or one of each of `range(items)`, or so many identical copies of each.
    time_limit : float, optional
        Seconds that one solve may take before a TimeoutError.
    """
    supply, agents, bundles, values = parsed(bids, items)
    matrix, limits = _program(supply, agents, bundles)
    taken = _best(values, matrix, limits, values > 0, time_limit)
    result = [frozenset[Hashable]()] * (int(agents.max()) + 1)
    payments = np.zeros(len(result))
    for k in tqdm(taken, desc="re-solving without each winner", delay=2.0, leave=False):
        result[agents[k]] = bundles[k]
        without = _best(values, matrix, limits, (agents != agents[k]) & (values > 0), time_limit)
        pivot = values[without].sum() - values[taken[taken != k]].sum()
        payments[agents[k]] = min(max(pivot, 0.0), values[k])
    return BundleOutcome(tuple(result), payments)


def parsed(bids: Sequence[Bid], items: Items) -> tuple[dict[Hashable, int], Ints, list[frozenset[Hashable]], Floats]:
    """Check bids against what is sold, or raise a ValueError; return the supply, and the agents, bundles and values."""
    listed = list(range(counted("items", items)) if isinstance(items, int) else items)
    supply = dict(items) if isinstance(items, Mapping) else dict.fromkeys(listed, 1)
    if not supply or len(supply) != len(listed):
        raise ValueError(f"items must name at least one item, each once; it was {items!r}. Copies go into a mapping.")
    for item, copies in supply.items():
        counted(f"items[{item!r}]", copies, 0)
    agents, bundles, values = [], [], []
    for k, bid in enumerate(bids):
        try:
            agent, bundle, value = bid
        except (TypeError, ValueError):
            raise ValueError(f"bids[{k}] is {bid!r}: it must be (agent, frozenset of items, value).") from None
        if not isinstance(bundle, (frozenset, set)) or not bundle or not supply.keys() >= bundle:
            raise ValueError(f"bids[{k}] asks for {bundle!r}: it must be a frozenset of one or more of the items sold.")
        agents.append(counted(f"bids[{k}]'s agent", agent, 0))
        bundles.append(frozenset(bundle))
        values.append(value)
    return supply, np.array(agents, int), bundles, checked("the bids' values", values, ndim=1)


def _program(supply: dict[Hashable, int], agents: Ints, bundles: list[frozenset[Hashable]]) -> tuple[csc_array, Floats]:
    """Return a row for each item and each agent that can bind, a column for each bid, and the rows' limits."""
    from scipy.sparse import csr_array

    row = {item: k for k, item in enumerate(supply)}
    rows = [k for a, bundle in zip(agents, bundles, strict=True) for k in (*(row[x] for x in bundle), len(row) + a)]
    columns = np.repeat(np.arange(len(bundles)), [len(bundle) + 1 for bundle in bundles])
    limits = np.array([*supply.values(), *[1] * (int(agents.max()) + 1)], float)
    binding = np.bincount(rows, minlength=len(limits)) > limits
    matrix = csr_array((np.ones(len(rows)), (rows, columns)), shape=(len(limits), len(bundles)))
    return matrix[binding].tocsc(), limits[binding]


def _best(values: Floats, matrix: csc_array, limits: Floats, allowed: NDArray[np.bool_],
          time_limit: float | None) -> Ints:
    """Return the bids that win."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    column = np.flatnonzero(allowed)
    if not len(column) or not len(limits):
        return column
    # the solver's tolerances are absolute (1e-7): large numbers keep near-ties apart
    cost = values[column] * (-1e6 / values[column].max())
    options = {"mip_rel_gap": 0.0} | ({"time_limit": time_limit} if time_limit else {})
    for whole in (0, 1):
        solved = milp(cost, integrality=np.full(len(column), whole), bounds=Bounds(0, 1), options=options,
                      constraints=LinearConstraint(matrix[:, column], ub=limits))
        if solved.x is None or solved.status == 1:
            raise TimeoutError(f"no optimum of {len(column)} bids in time_limit={time_limit} seconds: raise it, or use "
                               "greedy_bundles, whose prices need no optimum.")
        if np.abs(solved.x - solved.x.round()).max() < 1e-6:
            break
    return np.asarray(column[solved.x > 0.5])
