"""What an agent, or the members of a group, earn by each of their reports: the numbers that audits compare.

A situation is one profile of the others' reports. Under a prior there is only one: the others are truthful.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from mechlib.attacks.profiles import Slab, Table, slabs
from mechlib.attacks.report import plain
from mechlib.mechanism import Floats, numbers
from mechlib.settings import Joint, Lines, Listed, Setting

Group = tuple[int, ...]  # of agents, in order
# How likely a slab of the others' profiles is, (types of the group or 1, others), given the types of a group.
Weights = Callable[[Group, Slab], Floats]


def situations(
    setting: Setting, at: Callable[[Slab], Lines | Listed], weights: Weights | None, cells: int, group: Group
) -> Iterator[tuple[Slab, list[Floats]]]:
    """Yield profiles, and what each member of a group earns in the situations among them.

    That is an array a member, (types, reports, others): for all types that the members may have together, and all that
    they may report together, the last member's changing fastest.
    """
    counts = [
        honest if weights and j not in group else len(grid)
        for j, (grid, honest) in enumerate(zip(setting.grids, setting.honest, strict=True))
    ]
    kinds, reports = (math.prod(sizes[i] for i in group) for sizes in (setting.honest, counts))
    expected = [np.zeros((kinds, reports, 1)) for _ in group]
    for slab in slabs(counts, cells // kinds, group):
        played = at(slab)
        if weights is None:
            yield slab, [earned(setting, played, agent, group, slab) for agent in group]
        else:
            for mean, agent in zip(expected, group, strict=True):
                by_profile = earned(setting, played, agent, group, slab) * weights(group, slab)[:, None, :]
                mean += by_profile.sum(axis=2, keepdims=True)
    if weights is not None:
        yield tuple(map(range, counts)), expected


def earned(setting: Setting, played: Lines | Listed, agent: int, group: Group, slab: Slab) -> Floats:
    """Return what a member of a group earns in the situations of a slab, (types, reports, others)."""
    types = setting.grids[agent][: setting.honest[agent]]
    by_agent = played.utility(agent, types).reshape(len(types), *map(len, slab))
    group_first = np.moveaxis(by_agent, [i + 1 for i in group], range(1, len(group) + 1))
    own = group_first.reshape(len(types), math.prod(len(slab[i]) for i in group), -1)
    # the types of the other members make no difference to what this one earns
    alike = [len(types) if i == agent else 1 for i in group]
    together = [setting.honest[i] for i in group]
    return np.broadcast_to(own.reshape(*alike, *own.shape[1:]), (*together, *own.shape[1:])).reshape(-1, *own.shape[1:])


def situation(slab: Slab, group: Group, other: int) -> Slab:
    """Return the profiles of one situation of a slab: every report of the group, one report of each of the others."""
    place = iter(np.unravel_index(other, [len(part) for j, part in enumerate(slab) if j not in group] or [1]))
    return tuple(part if j in group else part[(k := int(next(place))) : k + 1] for j, part in enumerate(slab))


def once_more(
    setting: Setting, table: Table, weights: Weights | None, cells: int, group: Group, slab: Slab
) -> list[Floats]:
    """Play the rule again at the profiles of one situation, and return what each member of a group earns there."""
    if weights is None:
        played = table.again(slab)
        return [earned(setting, played, agent, group, slab) for agent in group]
    ((_, by_member),) = situations(setting, table.again, weights, cells, group)
    return by_member


def refuse_random(setting: Setting, reports: Sequence[int], first: float, second: float, rounding: float) -> None:
    """Raise a ValueError if a lie gained one thing at first and another when it was played again.

    What is random in one place only was not seen when the rule was tried.
    """
    if not math.isclose(first, second, rel_tol=1e-9, abs_tol=rounding):
        said = [plain(grid[report]) for grid, report in zip(setting.grids, reports, strict=True)]
        raise ValueError(f"the rule gave two different results for the same reports, such as {said}: it is random. "
                         "Audit its mean over many draws, or draw from a generator with a fixed seed.")


def independent(prior: Any, honest: tuple[int, ...]) -> Weights:
    """Return how likely types are that are drawn independently, or raise a ValueError for a prior that does not fit."""
    if isinstance(prior, str | bytes) or not isinstance(prior, Sequence | np.ndarray) or not len(prior):
        raise ValueError(f"prior is {prior!r:.80}: it must hold how likely each type is, (k,), or a row an agent")
    alike = np.ndim(prior[0]) == 0
    rows = [numbers("prior", prior)] * len(honest) if alike else [numbers("prior", row) for row in prior]
    fits = [row.shape for row in rows] == [(count,) for count in honest]
    if not fits or any(not (row >= 0).all() or not abs(row.sum() - 1) <= 1e-9 for row in rows):
        raise ValueError(f"prior must hold a row an agent, of {[*honest]} probabilities, none negative, that sum to 1; "
                         f"it has rows of {[row.size for row in rows]} that sum to "
                         f"{[row.sum().round(6) for row in rows]}")

    def weights(group: Group, slab: Slab) -> Floats:
        parts = [row[part.start : part.stop] for row, part in zip(rows, slab, strict=True)]
        others = [part for j, part in enumerate(parts) if j not in group]
        return functools.reduce(np.multiply.outer, others, np.ones(())).reshape(1, -1)

    return weights


def jointly(setting: Joint) -> Weights:
    """Return how likely types are that are drawn together: the members of a group tell each other theirs."""
    likelihood = setting.likelihood()

    def weights(group: Group, slab: Slab) -> Floats:
        by_type = np.moveaxis(likelihood, group, range(len(group)))
        own = [range(setting.honest[i]) for i in group]
        others = [part for j, part in enumerate(slab) if j not in group]
        kinds = math.prod(map(len, own))
        among = by_type[np.ix_(*own, *others)].reshape(kinds, -1)
        total = by_type.reshape(kinds, -1).sum(axis=1, keepdims=True)
        return np.asarray(np.divide(among, total, out=np.zeros(among.shape), where=total > 0))

    return weights


def first_best(gains: Floats) -> int:
    """Return the first index of the highest entry, up to rounding: equal gains may differ in the last bit."""
    top = gains.max()
    return int((gains >= (top - 1e-12 * abs(top) if np.isfinite(top) else top)).argmax())
