"""The grid of all report profiles, cut into slabs, and what a rule makes of each of them."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, cast

import numpy as np
from tqdm import tqdm

from mechlib.mechanism import Array, Lifted
from mechlib.settings import Lines, Listed, Setting

Slab = tuple[range, ...]  # for each agent, which of its reports

_CHUNK = 64  # profiles in one step of the progress bar: few, since a rule may take a second for each


def slabs(counts: list[int], cells: int, whole: tuple[int, ...] = (0,)) -> Iterator[Slab]:
    """Cut the first `counts` reports of each agent into slabs of `cells`, in order; agents in `whole` are never cut."""
    room, pieces = cells // math.prod(counts[i] for i in whole), list[list[range]]()
    for i, count in reversed([*enumerate(counts)]):
        step = count if i in whole else max(1, min(count, room))
        pieces.insert(0, [range(count)[k : k + step] for k in range(0, count, step)])
        room = room if i in whole else room // count
    return itertools.product(*pieces)


class Table:
    """What a rule makes of every profile of reports.

    A rule that takes batches is called anew for each slab of a large grid. One in plain Python is called once a
    profile, under a progress bar, and what it gave is kept.
    """

    def __init__(self, setting: Setting, play: Lifted, cells: int) -> None:
        self.grids, self.play = setting.grids, play
        self.sizes = [len(grid) for grid in setting.grids]
        if (size := math.prod(self.sizes)) > 10**9:
            raise ValueError(f"the grid has {size:.2g} profiles, over 1e+09: use a coarser one, or audit_sampled")
        self.all = None if play.batched and size > cells else self._play_all(size)

    def profiles(self, slab: Slab) -> Array:
        """Return the profiles of a slab, (batch, n, ...), the last agent's report changing fastest."""
        inside = np.indices([len(part) for part in slab]).reshape(len(slab), -1)
        return self._profiles([part.start + k for part, k in zip(slab, inside, strict=True)])

    def again(self, slab: Slab) -> Lines | Listed:
        """Play the rule at the profiles of a slab, whatever is kept."""
        return cast("Lines | Listed", self.play(self.profiles(slab)))

    def at(self, slab: Slab) -> Lines | Listed:
        """Return what the rule makes of the profiles of a slab."""
        if self.all is None:
            return self.again(slab)
        if [len(part) for part in slab] == self.sizes:
            return self.all
        starts = [np.arange(part.start, part.stop) for part in slab]
        return self.all[np.ravel_multi_index(np.ix_(*starts), self.sizes).ravel()]

    def _profiles(self, index: list[Array]) -> Array:
        return np.stack([grid[k] for grid, k in zip(self.grids, index, strict=True)], axis=1)

    def _play_all(self, size: int) -> Lines | Listed:
        if self.play.batched:
            return self.again(tuple(map(range, self.sizes)))
        parts = list[Any]()
        with tqdm(total=size, desc="playing the rule", unit="profile", delay=1.0, leave=False) as bar:
            for start in range(0, size, _CHUNK):
                chunk = np.arange(start, min(start + _CHUNK, size))
                parts.append(self.play(self._profiles([*np.unravel_index(chunk, self.sizes)])))
                bar.update(len(chunk))
        return cast("Lines | Listed", parts[0].joined(parts[1:]))
