"""Vickrey-Clarke-Groves: choose what is best for all, and charge each agent the harm its presence does to the rest."""

import functools
import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from mechlib.mechanism import Array, Bools, Floats, Ints, Outcome, checked, counted, real

Bid = tuple[int, frozenset[Hashable], float]
Items = int | Iterable[Hashable] | Mapping[Hashable, int]
_CELLS = 2 * 10**9  # of the knapsack's table
_MANY = 10**6  # agents, or items given by their number
_FEW = 8  # bids, of which all sets are tried


class Pivot(NamedTuple):
    """The chosen outcome, and the payments from the agents, shape (..., n); a batch has an array of outcomes."""
    outcome: int | Ints
    payments: Floats

    def worth(self, agent: int, values: ArrayLike) -> float:
        """Return what the outcome is worth to an agent that values the outcomes so, (outcomes,)."""
        return float(np.asarray(values)[self.outcome])


class Assignment(NamedTuple):
    """The item of each agent, shape (n,), -1 where it gets none, and the payments from the agents, shape (n,)."""
    item: Ints
    payments: Floats

    def worth(self, agent: int, values: ArrayLike) -> float:
        """Return what its item is worth to an agent that values the items so, (m,): 0 if it gets none."""
        item = int(self.item[agent])
        return float(np.asarray(values)[item]) if item >= 0 else 0.0


class BundleOutcome(NamedTuple):
    """The bundle of each agent, empty where it gets none, and the payments from the agents, shape (n,)."""
    bundles: tuple[frozenset[Hashable], ...]
    payments: Floats

    def worth(self, agent: int, value: float | Mapping[frozenset[Hashable], float]) -> float:
        """Return what its bundle is worth to an agent: its one value if it wins; or the best of what it can make of it.

        `value` is a number for an agent that wants one bundle, else a mapping from bundles to values.
        """
        if isinstance(value, Mapping):
            return max((float(v) for bundle, v in value.items() if bundle <= self.bundles[agent]), default=0.0)
        return float(value) if self.bundles[agent] else 0.0


def vcg(valuations: ArrayLike) -> Pivot:
    """Choose the outcome of the highest total value and charge Clarke's pivot (Vickrey 1961, Clarke 1971, Groves 1973).

    Agent i pays what the others could have had without it, less what they have with it: its externality.

    Parameters
    ----------
    valuations : array_like (..., n, outcomes)
        The reported value of each outcome to each agent, a cost if negative. Ties go to the lowest outcome.

    Returns
    -------
    Pivot
        The outcome chosen, and payments BY the agents (..., n).

    Raises
    ------
    ValueError
        If the valuations are empty, NaN, infinite or of fewer than two axes.
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

    Parameters
    ----------
    values : array_like (n, m)
        What each of m items is worth to each of n agents, at least 0. A tie between optima is resolved by the solver,
        the same way each time.

    Returns
    -------
    Assignment
        The item of each agent, and payments BY the agents (n,).

    Raises
    ------
    ValueError
        If a value is negative, NaN or infinite, or the values are empty or mis-shaped.
    """
    from scipy.optimize import linear_sum_assignment
    array = checked("values", values, ndim=2)
    agents, items = linear_sum_assignment(array, maximize=True)
    price = np.delete(array, agents, axis=0).max(axis=0, initial=0.0)  # of the losers
    owner = np.full(array.shape[1], -1)
    owner[items] = agents
    rising, slack = items, 1e-15 * array.max() * min(len(items), 64)
    for _ in items:  # a longest path visits each item once, so rounding cannot make this run on
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
    one running row give all payments: time and memory in O(n * capacity), or n times the sum of sizes if that is less.
    Where values lie so far apart that a sum of them in floats would lose the small ones, they are added as whole
    numbers, exactly and more slowly.

    Parameters
    ----------
    values : array_like (..., n)
        What each job is reported to be worth, at least 0. Of equal optima, the lowest indices win.
    sizes : array_like of int (n,)
        What each job takes of the capacity: known, not reported.
    capacity : int
        At least 0.

    Returns
    -------
    Outcome
        Which jobs are done, 1 or 0, and payments BY the agents, both (..., n).

    Raises
    ------
    ValueError
        If a value is negative, NaN or infinite, or a size or the capacity is not a whole number of at least 0.
    """
    array, room, size = checked("values", values), counted("capacity", capacity, 0), checked("sizes", sizes, ndim=1)
    if size.shape != array.shape[-1:] or (size % 1).any():
        raise ValueError(f"sizes must be {array.shape[-1]} whole numbers, one a job; it was {sizes!r}.")
    room = min(room, int(size[size <= room].sum()))
    step = size.clip(max=room + 1).astype(int).tolist()
    jobs, unit = _addable(array.reshape(-1, len(size)).T)

    def with_job(row: Array, i: int, out: Array) -> None:
        """Write into `out` the most that can be made of each room (room + 1, batch), given that without job i."""
        out[: step[i]], fitted = row[: step[i]], out[step[i] :]
        np.add(row[: room + 1 - step[i]], jobs[i], out=fitted)
        np.maximum(fitted, row[step[i] :], out=fitted)

    n, batch = jobs.shape
    if (n + 1) * (room + 1) * batch > _CELLS:
        raise ValueError(f"capacity is {capacity!r:.80}: with these sizes that is a table of {n + 1} times {room + 1} "
                         "numbers for each market; count sizes and capacity in larger units")
    after = np.zeros((n + 1, room + 1, batch), jobs.dtype)  # [i, c]: the most that jobs i, i + 1, ... make of room c
    for i in reversed(range(n)):
        with_job(after[i + 1], i, after[i])
    won, paid = np.zeros((n, batch)), np.zeros((n, batch), jobs.dtype)
    left, column = np.full(batch, room), np.arange(batch)
    before, spare = np.zeros((2, room + 1, batch), jobs.dtype)
    for i in range(n):
        later, rest = after[i + 1], left - step[i]
        done = jobs[i] + later[np.maximum(rest, 0), column] >= later[left, column]
        won[i] = taken = done & (rest >= 0)
        if taken.any():
            without = np.add(before, later[::-1], out=spare).max(axis=0)
            others = after[0, -1] - jobs[i]
            paid[i] = taken * np.minimum(np.maximum(without - others, 0), jobs[i])
            left = np.where(taken, rest, left)
        with_job(before, i, spare)
        before, spare = spare, before
    return Outcome(won.T.reshape(array.shape), (paid / unit).astype(float).T.reshape(array.shape))


def _addable(values: Floats) -> tuple[Array, int]:
    """Return numbers whose sums keep the smallest of the values, and how many of them make 1.

    These are the values themselves, or, where the largest is more than 2**26 times the smallest, Python's integers.
    """
    positive = values[values > 0]
    if not positive.size or positive.max() <= 2**26 * positive.min():
        return values, 1
    ratios = [value.as_integer_ratio() for value in values.ravel().tolist()]  # denominators are powers of two
    unit = max(bottom for _, bottom in ratios)
    return np.array([top * (unit // bottom) for top, bottom in ratios], object).reshape(values.shape), unit


def vcg_combinatorial(bids: Sequence[Bid], items: Items, time_limit: float | None = None) -> BundleOutcome:
    """Sell bundles to exclusive-or bids: the best set of bids wins, and each winner pays Clarke's pivot.

    Of up to eight bids that compete with each other, all sets are tried. Of more, the linear relaxation is accepted
    where it is integral, else HiGHS branches. Losers pay 0, so only winners are solved without. A progress bar comes up
    when this takes long, and it can be interrupted between two solves.

    Parameters
    ----------
    bids : sequence of (agent, frozenset of items, value)
        An agent, numbered from 0, wins at most one of its bids, and is as happy with more than it wants.
    items : iterable, mapping or int
        What is for sale, an item once for each copy; or each item's supply; or a number, for one of each of
        ``range(items)``.
    time_limit : float, optional
        The seconds that one solve may take.

    Returns
    -------
    BundleOutcome
        The bundle of each agent, and payments BY the agents (n,).

    Raises
    ------
    ValueError
        If there is no bid, or one is malformed, NaN, infinite, negative or for what is not sold.
    TimeoutError
        If a solve takes longer than `time_limit`.
    """
    if time_limit is not None:
        real("time_limit", time_limit, "(0, inf]")
    supply, agents, bundles, values = parsed(bids, items)
    markets, best = _solver(supply, agents, bundles, values, time_limit)
    sold = [(market, best(market)) for market in markets]
    bundle_of = [frozenset[Hashable]()] * (int(agents.max()) + 1)
    payments = np.zeros(len(bundle_of))
    winners = [(k, market, taken) for market, taken in sold for k in taken]
    for k, market, taken in tqdm(winners, desc="re-solving without each winner", delay=2.0, leave=False):
        without = best(market[agents[market] != agents[k]])
        # only where the two sets differ: else small values would drown in the sum of large ones
        stay, come = {*taken.tolist()} - {k}, {*without.tolist()}
        gained, lost = values[[*come - stay]], values[[*stay - come]]
        bundle_of[agents[k]] = bundles[k]
        payments[agents[k]] = min(max(math.fsum([*gained, *-lost]), 0.0), values[k])
    return BundleOutcome(tuple(bundle_of), payments)


def parsed(bids: Sequence[Bid], items: Items) -> tuple[Counter[Hashable], Ints, list[frozenset[Hashable]], Floats]:
    """Check bids against what is sold, or raise a ValueError; return the supply, and the agents, bundles and values."""
    supply = _supply(items)
    sold = frozenset(supply)
    given: Any = bids
    if not isinstance(given, Sequence) or isinstance(given, str | bytes) or not len(given):
        raise ValueError(f"bids is {bids!r:.80}: pass one or more (agent, frozenset of items, value)")
    for k, bid in enumerate(bids):
        sound = isinstance(bid, (tuple, list)) and len(bid) == 3 and isinstance(bid[1], (frozenset, set))
        if not sound or not bid[1] or not bid[1] <= sold:
            raise ValueError(f"bids[{k}] is {bid!r:.120}: it must be (agent, frozenset of one or more items sold, "
                             "value).")
        if type(bid[0]) is not int or not 0 <= bid[0] <= _MANY:
            counted(f"bids[{k}]'s agent", bid[0], 0, _MANY)
    agents, bundles, values = zip(*bids, strict=True)
    return supply, np.array(agents, int), [*map(frozenset, bundles)], checked("the bids' values", values, ndim=1)


def _supply(items: Items) -> Counter[Hashable]:
    """Return how often each item is sold."""
    try:
        if isinstance(items, Integral):
            return Counter(range(counted("items", items, 1, _MANY)))
        named: Any = items
        supply: Counter[Hashable] = Counter(named)
        for item, copies in supply.items():
            counted(f"items[{item!r:.40}]", copies, 0)
        if not supply:
            raise TypeError
    except TypeError:
        raise ValueError(f"items must name one or more items to sell, with no supply below 0; it was {items!r:.80}."
                         ) from None
    return supply


def _solver(supply: Counter[Hashable], agents: Ints, bundles: list[frozenset[Hashable]], values: Floats,
            time_limit: float | None) -> tuple[list[Ints], Callable[[Ints], Ints]]:
    """Return the bids worth anything, by market, and what finds those that win among some bids of a market.

    Each item is sold as often as there is supply, and each agent wins one bid: each is a limit that some bids share,
    and is left out where it can never bind. Bids that no limit links, not even through others, are in different
    markets: solved on its own, a market of small values is not lost in the rounding of one of large values.
    """
    number = {item: k for k, item in enumerate(supply)}
    asked = [[*(number[item] for item in bundle), len(number) + agent]
             for agent, bundle in zip(agents.tolist(), bundles, strict=True)]
    limits = np.array([*supply.values(), *[1] * (int(agents.max()) + 1)], float)
    binding = np.bincount([limit for bid in asked for limit in bid], minlength=len(limits)) > limits
    row, room = (np.cumsum(binding) - 1).tolist(), limits[binding]
    takes = [[row[limit] for limit in bid if binding[limit]] for bid in asked]
    everything = functools.cache(lambda: _table(takes, len(room)))

    def best(bids: Ints) -> Ints:
        shared = sorted({limit for k in bids for limit in takes[k]})
        if not shared:
            return bids
        if len(bids) <= _FEW:
            uses = np.array([[limit in takes[k] for limit in shared] for k in bids], float)
            sets = _subsets(len(bids))
            fits = (sets @ uses <= room[shared]).all(axis=1)
            return np.asarray(bids[sets[np.where(fits, sets @ values[bids], -1.0).argmax()] > 0])
        return np.asarray(bids[_programmed(everything()[:, bids], room, values[bids], time_limit)])

    return _linked(takes, np.flatnonzero(values > 0)), best


def _linked(takes: list[list[int]], bids: Ints) -> list[Ints]:
    """Return groups of bids that share limits, be it through others."""
    sharing = dict[int, list[int]]()
    for k, limits in enumerate(takes):
        for limit in limits:
            sharing.setdefault(limit, []).append(k)
    market = [-1] * len(takes)
    for start in bids.tolist():
        reached = [start] if market[start] < 0 else []
        while reached:
            k = reached.pop()
            if market[k] < 0:
                market[k] = start
                for limit in takes[k]:
                    reached += sharing.pop(limit, [])
    of = np.array(market)[bids]
    return [bids[of == first] for first in np.unique(of)]


@functools.cache
def _subsets(n: int) -> Floats:
    """Return all sets of n things, (2**n, n), 1 for what is in it: large ones first, and so the more winners in a tie.
    """
    sets = (np.arange(2**n)[:, None] >> np.arange(n)) & 1
    return sets[np.argsort(-sets.sum(axis=1), kind="stable")].astype(float)


def _table(takes: list[list[int]], limits: int) -> Any:
    """Return how much of each limit each bid takes up, as a sparse matrix (limits, bids)."""
    from scipy.sparse import coo_array
    rows = [limit for bid in takes for limit in bid]
    columns = [k for k, bid in enumerate(takes) for _ in bid]
    return coo_array((np.ones(len(rows)), (rows, columns)), shape=(limits, len(takes))).tocsc()


def _programmed(uses: Any, room: Floats, values: Floats, time_limit: float | None) -> Bools:
    """Return which bids win, by a linear programme that is made a whole one where its solution is not."""
    from scipy.optimize import Bounds, LinearConstraint, milp
    # the solver's tolerances are absolute (1e-7): large numbers keep near-ties apart
    cost = values * (-1e6 / values.max())
    limit = {} if time_limit is None else {"time_limit": time_limit}
    for whole in (0, 1):
        solved = milp(cost, integrality=np.full(len(values), whole), bounds=Bounds(0, 1),
                      constraints=LinearConstraint(uses, ub=room), options={"mip_rel_gap": 0.0} | limit)
        if solved.x is None or solved.status == 1:
            raise TimeoutError(f"no optimum of {len(values)} bids in time_limit={time_limit} seconds: raise it, or "
                               "use greedy_bundles, whose prices need no optimum.")
        if np.abs(solved.x - solved.x.round()).max() < 1e-6:
            break
    return np.asarray(solved.x > 0.5)
