"""Groups that lie together: of all joint lies, the one that pays a group most.

Truth may be dominant for each agent alone and still not for two of them. How much a group gains depends on whether its
members can pay each other:

- "sum": they can, so the sum of their utilities counts (Chen & Micali 2012);
- "some": they cannot, and a group lies where nobody in it loses and somebody gains. A rule that no such group beats is
  group strategyproof (Moulin & Shenker 2001);
- "all": only where every member gains: weak group strategyproofness.

A group that gains by "all" gains by "some", and one that gains by "some" gains by "sum".
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

import numpy as np

from mechlib.attacks.profiles import Slab, Table
from mechlib.attacks.report import Collusion, plain
from mechlib.attacks.situations import Group, Weights, first_best, once_more, refuse_random, situation, situations
from mechlib.mechanism import Floats, Ints
from mechlib.settings import Setting

Gain = Literal["sum", "some", "all"]


class _Lie(NamedTuple):
    """A group, its joint type and joint report, by number; where they were compared; what each gains, and all do."""

    group: Group
    kind: int
    report: int
    slab: Slab
    gains: tuple[float, ...]
    gain: float


def best_collusion(
    setting: Setting, table: Table, weights: Weights | None, cells: int, coalition: int, gain: Gain, rounding: float
) -> tuple[Collusion | None, int]:
    """Return the joint lie that gains most, of groups of two up to `coalition` agents, and how many were tried.

    Of equal ones it is that of the smallest group, then of its first types, then against the first profile of the
    others. Gains up to `rounding` are none. Without weights the others may report anything; with weights they tell the
    truth, and the members know each other's types.
    """
    agents, tried, best = len(setting.grids), 0, list[_Lie]()
    for size in range(2, min(coalition, agents) + 1):
        for group in itertools.combinations(range(agents), size):
            lies = list[_Lie]()
            for slab, earned in situations(setting, table.at, weights, cells, group):
                gains = [_gains(own, _truths(setting, group)) for own in earned]
                together = joined(gains, gain, rounding)
                tried += together.size - together.shape[0] * together.shape[2]
                kind, other = divmod(first_best(together.max(axis=1).ravel()), together.shape[2])
                report = first_best(together[kind, :, other])
                if together[kind, report, other] > rounding:
                    place = slab if weights else situation(slab, group, other)
                    each = tuple(float(own[kind, report, other]) for own in gains)
                    lies.append(_Lie(group, kind, report, place, each, float(together[kind, report, other])))
            ranked = best + sorted(lies, key=lambda lie: lie.kind)  # stable: then in the order of the profiles
            best = [ranked[first_best(np.array([lie.gain for lie in ranked]))]] if ranked else []
    if not best:
        return None, tried
    _play_again(best[0], setting, table, weights, cells, rounding)
    return _witness(best[0], setting, weights is not None), tried


def joined(gains: Sequence[Floats], gain: Gain, rounding: float) -> Floats:
    """Return what a group gains, given what each member does."""
    with np.errstate(invalid="ignore"):
        total = np.sum(gains, axis=0)
    total = np.where(np.isnan(total), -np.inf, total)  # one gains without bound, and another loses so
    if gain == "sum":
        return np.asarray(total)
    least = np.min(gains, axis=0)
    return np.asarray(least if gain == "all" else np.where(least >= -rounding, total, -np.inf))


def _truths(setting: Setting, group: Group) -> Ints:
    """Return the number of the joint report that is the truth, for each joint type of a group."""
    kinds = np.indices([setting.honest[i] for i in group]).reshape(len(group), -1)  # the truth of type k is report k
    return np.asarray(np.ravel_multi_index(tuple(kinds), tuple(_sizes(setting, group))))


def _sizes(setting: Setting, group: Group) -> list[int]:
    return [len(setting.grids[i]) for i in group]


def _gains(earned: Floats, truths: Ints) -> Floats:
    """Return what a member gains by each joint report, (types, reports, others)."""
    truth = earned[np.arange(len(truths)), truths][:, None]
    return np.subtract(earned, truth, out=np.zeros(earned.shape), where=earned != truth)  # infinite either way: none


def _said(lie: _Lie, setting: Setting) -> list[int]:
    """Return the number of what each agent reports when a group lies."""
    reports = [part[0] for part in lie.slab]
    for agent, report in zip(lie.group, np.unravel_index(lie.report, _sizes(setting, lie.group)), strict=True):
        reports[agent] = int(report)
    return reports


def _play_again(
    lie: _Lie, setting: Setting, table: Table, weights: Weights | None, cells: int, rounding: float
) -> None:
    earned = once_more(setting, table, weights, cells, lie.group, lie.slab)
    for gain, own in zip(lie.gains, earned, strict=True):
        again = float(_gains(own, _truths(setting, lie.group))[lie.kind, lie.report, 0])
        refuse_random(setting, _said(lie, setting), gain, again, rounding)


def _witness(lie: _Lie, setting: Setting, bayes: bool) -> Collusion:
    said = [plain(grid[report]) for grid, report in zip(setting.grids, _said(lie, setting), strict=True)]
    types: list[Any] = [None] * len(said) if bayes else [*said]
    kinds = np.unravel_index(lie.kind, [setting.honest[i] for i in lie.group])
    for agent, kind in zip(lie.group, kinds, strict=True):
        types[agent] = plain(setting.grids[agent][kind])
    return Collusion(lie.group, tuple(types), tuple(said[agent] for agent in lie.group), lie.gains, lie.gain)
