"""The auditor: takes any function from reports to an outcome and looks for the most profitable lie.

Truth is dominant if no agent, whatever its type and the others' reports, gains by reporting anything else. On a grid
that can be looked up: tabulate the rule over all profiles, then compare along one axis for each agent.
"""

import functools
import math
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from mechlib.attacks.profiles import Array, Function, Slab, batched, collected, grids, plain, slabs
from mechlib.attacks.report import Audit, Witness
from mechlib.mechanism import Floats, Outcome, checked


def audit(
    mechanism: Function, types: Any, reports: Any = None, n: int | None = None, utility: Function | None = None,
    welfare: Function | None = None, feasible: Any = None, *, prior: Any = None, tolerance: float = 1e-9,
    cells: int = 2**20,
) -> Audit:
    """Check on a grid whether truth is dominant, and find the most profitable lie where it is not.

    Every agent, type, report and profile of the others' reports is tried. A verdict of truthfulness holds for the
    grid; a lie that was found is a lie anywhere. Of equal lies, the witness is the one of the lowest agent, then of
    its first type, then against the first profile of the others. Raises a ValueError if a grid is empty or not finite,
    there are more than 10^9 profiles, or the rule cannot be used.

    Parameters
    ----------
    mechanism : callable
        From reports (n,), or (batch, n), to an `Outcome` or an (allocation, payments) pair of the same shape. Plain
        Python for one profile will do: whether it takes batches is found by trying. It must not be random.
    types : array_like, shape (k,), or a sequence of n array_likes
        One grid of types that `n` agents share, or a grid for each agent, (k_i,) or, for types that are vectors,
        (k_i, d). Integers stay integers, so a type may be an index into a table of your own.
    reports, n, prior : like `types`, int, array_like, optional
        Further reports besides the possible types; the number of agents that share one grid; and see `audit_bayes`.
    utility, welfare : callable, optional
        ``utility(i, type, outcome)`` says what one outcome is worth to agent i, by default ``type * allocation[i] -
        payments[i]``: for rules that are not quasi-linear or return something else. ``welfare(types, outcome)`` is by
        default ``sum(types * allocation)``, if `utility` is not given.
    feasible : sequence, optional
        What efficiency is measured against: allocations (m, n), or outcomes with `welfare`; or those the rule attains.
    tolerance, cells : float, int
        Gains, losses and lost welfare up to this count as rounding; and how many numbers are held at a time.
    """
    columns, honest = grids(types, reports, n)
    sizes, chances = [len(column) for column in columns], None if prior is None else _chances(prior, honest)
    some = [np.random.default_rng(i).choice(column, 4 + (len(sizes) == 4)) for i, column in enumerate(columns)]
    rule = batched(mechanism, utility, np.stack(some, axis=1))

    @functools.lru_cache(maxsize=1)
    def table(slab: Slab) -> tuple[Array, Any]:
        index = np.indices([len(part) for part in slab]).reshape(len(slab), -1)
        rows = np.stack([c[part.start + k] for c, part, k in zip(columns, slab, index, strict=True)], axis=1)
        return rows, rule(rows)

    found, worst, lies = list[tuple[int, int, Witness]](), math.inf, 0
    for i, count in enumerate(honest):
        for worths, rows, place in _worths(columns, honest, table, utility, cells, chances, i):
            truth, most = worths[range(count), range(count)], worths.max(axis=1)
            if np.isnan(most).any():
                raise ValueError(f"agent {i} has a utility of NaN: neither the rule nor the utility may give NaN")
            gain = np.subtract(most, truth, out=np.zeros(most.shape), where=most != truth)  # infinite either way: none
            worst, lies = min(worst, float(truth.min())), lies + worths.size - gain.size
            t, o = divmod(_first_best(gain.ravel()), gain.shape[1])
            if gain[t, o] > tolerance:
                lie = plain(columns[i][_first_best(worths[t, :, o])])
                found.append((i, t, Witness(i, tuple(map(plain, rows[place[t, o]])), lie, float(gain[t, o]))))
    ranked = [lie for _, _, lie in sorted(found, key=lambda entry: entry[:2])]

    low, high, mean = math.inf, -math.inf, 0.0
    for slab in slabs(honest, cells):
        paid = collected(table(slab)[1])
        low, high = float(paid.min(initial=low)), float(paid.max(initial=high))
        mean += float(paid @ _chance(chances, slab)) if chances and len(paid) else 0.0
    return Audit(
        getattr(mechanism, "__name__", "a rule"), "Bayes" if chances else "dominant", len(sizes), math.prod(sizes),
        lies, ranked[_first_best(np.array([lie.gain for lie in ranked]))] if ranked else None, tolerance, worst,
        "of type" if utility else "worth", (low, high) if low <= high else None,
        mean if chances and low <= high else None,
        *_shortfall(honest, sizes, table, cells, utility, welfare, feasible),
    )


def audit_bayes(mechanism: Function, types: Any, prior: Any, reports: Any = None, **options: Any) -> Audit:
    """Check whether truth is a Bayes-Nash equilibrium: best on average if the others are truthful.

    `prior` (n, k), or (k,) if the agents share a grid, or n arrays, says how likely each type of each agent is; agents
    are independent. Types of probability 0 are checked too. Gains and participation are then expected (interim) ones.
    Options and errors are those of `audit`, and a ValueError for a prior that does not fit or does not sum to 1.
    """
    return audit(mechanism, types, reports, prior=prior, **options)


def _worths(columns: list[Array], honest: list[int], table: Callable[[Slab], Any], utility: Function | None, cells: int,
            prior: Any, i: int) -> Iterator[tuple[Floats, Any, Array]]:
    """Yield agent i's utilities (types, reports, plays of the others), profiles, and which of them they belong to."""
    own, kinds, means = columns[i], columns[i][: honest[i]], np.zeros(1)
    counts = [len(own) if j == i else len(c) if prior is None else honest[j] for j, c in enumerate(columns)]
    for slab in slabs(counts, cells // len(kinds), i):
        rows, outcomes = table(slab)
        cube = (kinds[:, None] * outcomes.allocation[:, i] - outcomes.payments[:, i] if utility is None else
                np.array([[float(utility(i, kind, outcome)) for outcome in outcomes] for kind in kinds]))
        cube = np.moveaxis(cube.reshape(-1, *map(len, slab)), i + 1, 1).reshape(len(kinds), len(own), -1)
        place = np.moveaxis(np.arange(len(rows)).reshape(*map(len, slab)), i, 0).reshape(len(own), -1)
        if prior is None:
            yield cube, rows, place
        else:
            means = means + cube @ _chance(prior, slab, but=i)
    if prior is not None:
        yield means[..., None], [[t if j == i else None for j in range(len(honest))] for t in kinds], np.c_[:len(kinds)]


def _chances(prior: Any, honest: list[int]) -> list[Floats]:
    rows = [np.asarray(row, float) for row in ([prior] * len(honest) if np.ndim(prior[0]) == 0 else prior)]
    fits = [row.shape for row in rows] == [(count,) for count in honest]
    if not fits or any((row < 0).any() or abs(row.sum() - 1) > 1e-9 for row in rows):
        raise ValueError(f"prior must hold a row an agent, of {honest} probabilities, none negative, that sum to 1; it "
                         f"has rows of {[row.size for row in rows]} that sum to {[row.sum().round(6) for row in rows]}")
    return rows


def _chance(prior: list[Floats], slab: Slab, but: int = -1) -> Floats:
    """Return how likely each honest profile of a slab is, or each profile of the others `but` one."""
    chances = [p[part.start : part.stop] for j, (p, part) in enumerate(zip(prior, slab, strict=True)) if j != but]
    return functools.reduce(np.multiply.outer, chances, np.ones(())).ravel()


def _shortfall(honest: list[int], sizes: list[int], table: Callable[[Slab], Any], cells: int, utility: Any,
               welfare: Any, feasible: Any) -> tuple[float | None, str]:
    """Return the most welfare that honest profiles lose to the best alternative, and which those were; or None, why."""
    if welfare is None and utility is not None:
        return None, "to compare welfare pass welfare=lambda types, outcome: ..."
    which, options = "you call feasible", feasible
    if feasible is None:
        which, options = "the rule attains on this grid", [] if welfare else np.zeros((0, len(sizes)))
    elif welfare is None:
        options = checked("feasible", feasible, ndim=2, negative=True)
    for _, outcomes in () if feasible is not None else map(table, slabs(sizes, cells)):
        if welfare is None:
            rows = np.concatenate([options, outcomes.allocation])
            rows = rows[np.lexsort(rows.T)]
            options = rows[np.append(True, (rows[1:] != rows[:-1]).any(axis=1))]
        else:
            options += _listed(outcomes)
    if math.prod(sizes) * len(options) > (10**7 if welfare else 2 * 10**9):
        return None, f"too many alternatives to compare ({len(options):,} allocations): pass feasible="
    lost = 0.0
    for rows, outcomes in map(table, slabs(honest, cells)):
        if welfare is None:
            best = functools.reduce(np.maximum, (rows @ option for option in options))
            own = np.vecdot(rows, outcomes.allocation)
        else:
            best = np.array([max(float(welfare(kind, option)) for option in options) for kind in rows])
            own = np.array([float(welfare(*pair)) for pair in zip(rows, _listed(outcomes), strict=True)])
        if feasible is not None and (own - best).max() > 1e-9 * np.abs(own).max():
            raise ValueError("the rule hands out more than is feasible: for some types it is worth more than anything "
                             "that feasible= lists, which must be all that can be done")
        lost = max(lost, float((best - own).max()))
    return lost, f"among the {len(options):,} allocations that {which}"


def _listed(outcomes: Any) -> list[Any]:
    return [Outcome(*row) for row in zip(*outcomes, strict=True)] if isinstance(outcomes, Outcome) else outcomes


def _first_best(gains: Floats) -> int:
    # the first index of the highest entry, up to rounding: equal gains may differ in the last bit
    top = gains.max()
    return int((gains >= (top - 1e-12 * abs(top) if np.isfinite(top) else top)).argmax())
