"""Buying the cheapest path through a network of agents, one an edge, and all VCG payments from two Dijkstras."""

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from tqdm import tqdm

from mechlib.mechanism import Floats, Ints, checked, counted, flag


class PathOutcome(NamedTuple):
    """The edges bought, indices into the input in path order, and what every edge is paid, (E,): 0 if not bought."""
    edges: Ints
    rewards: Floats

    def worth(self, agent: int, cost: float) -> float:
        """Return what selling costs an edge, as a negative number: 0 if it is not bought."""
        return -float(cost) if agent in self.edges else 0.0


def vcg_path(edges: ArrayLike, costs: ArrayLike, source: int, target: int, directed: bool = False) -> PathOutcome:
    """Buy the cheapest path; pay each edge on it what the path would cost without it, less what the others cost.

    Undirected: two Dijkstras and one pass over the edges give every replacement path (Malik, Mittal & Gupta 1989;
    Hershberger & Suri 2001). Directed: one Dijkstra more for each edge of the path. A bridge, which nothing can
    replace, is paid `inf`. Of equally cheap paths, the one returned is fixed by the input; of parallel edges, it is
    the cheapest with the lowest index.

    Parameters
    ----------
    edges : array_like of int (E, 2)
        The two ends of each edge, numbers from 0. Parallel edges and loops are allowed.
    costs : array_like (E,)
        What each edge reports that it costs, at least 0.
    source, target : int
        Where the path starts and ends.
    directed : bool
        Whether an edge leads only from its first end to its second.

    Returns
    -------
    PathOutcome
        The edges bought, and rewards TO all edges (E,), 0 to those not bought.

    Raises
    ------
    ValueError
        If something is NaN, infinite, negative, not whole, empty or mis-shaped, or no path leads to the target.
    """
    from scipy.sparse.csgraph import dijkstra
    flag("directed", directed)
    cost, pairs = checked("costs", costs, ndim=1), checked("edges", edges, ndim=2)
    ends = np.minimum(pairs, 2.0**53).astype(np.int64)
    if pairs.shape != (len(cost), 2) or (ends != pairs).any():
        raise ValueError(f"edges must be whole numbers, shape ({len(cost)}, 2), a row for each cost; it was {edges!r}.")
    for name, node in (("source", source), ("target", target)):
        if counted(name, node, 0, 2**63 - 1) not in ends:
            raise ValueError(f"{name} is {node}, which no edge touches: pick an end of an edge.")
    if ends.max() > 4 * len(cost):  # sparse labels: number the nodes afresh
        labels, ends = np.unique(ends, return_inverse=True)
        source, target = (int(node) for node in np.searchsorted(labels, [source, target]))
    ends, nodes = ends.astype(np.int32), int(ends.max()) + 1  # what scipy's searches work on
    graph = _graph(ends, cost, nodes, directed)
    from_source, before = dijkstra(graph, indices=source, return_predecessors=True)
    if not np.isfinite(from_source[target]):
        raise ValueError(f"no path leads from {source} to {target}: add edges, or buy something else.")
    stops = [target]
    while stops[-1] != source:
        stops.append(int(before[stops[-1]]))
    place = np.full(nodes, -2 * nodes, np.int32)  # on the path, from 0; other nodes are far off
    place[stops] = np.arange(len(stops))[::-1]
    step = place[ends[:, 1]] - place[ends[:, 0]]
    near = np.flatnonzero((step == 1) | ((step == -1) & (not directed)))
    first = place[ends[near]].min(axis=1)
    order = np.lexsort((near, cost[near], first))
    bought = near[order[np.searchsorted(first[order], np.arange(len(stops) - 1))]]
    if directed:
        without = np.full(len(bought), np.inf)
        for k, edge in enumerate(tqdm(bought, desc="re-routing around each edge", delay=2.0, leave=False)):
            rest = np.arange(len(cost)) != edge
            without[k] = dijkstra(_graph(ends[rest], cost[rest], nodes, True), indices=source)[target]
    else:
        to_target = dijkstra(graph, indices=target)
        without = _replacements(place, bought, ends, cost, from_source, to_target, before)
    rewards = np.zeros(len(cost))
    rewards[bought] = np.maximum(without - from_source[target] + cost[bought], cost[bought])
    return PathOutcome(bought, rewards)


def _graph(ends: Ints, cost: Floats, nodes: int, directed: bool) -> Any:
    from scipy.sparse import coo_array
    tail, head, length = ends[:, 0], ends[:, 1], cost
    if not directed:
        tail, head, length = np.append(tail, head), np.append(head, tail), np.append(cost, cost)
    graph = coo_array((length, (tail, head)), shape=(nodes, nodes)).tocsr()
    if graph.nnz < len(length):  # scipy adds parallel edges up: keep the cheapest of each instead
        order = np.lexsort((length, head, tail))
        key = tail[order].astype(np.int64) * nodes + head[order]
        order = order[np.append(True, key[1:] != key[:-1])]
        graph = coo_array((length[order], (tail[order], head[order])), shape=(nodes, nodes)).tocsr()
    return graph


def _replacements(place: Any, bought: Ints, ends: Ints, cost: Floats, from_source: Floats, to_target: Floats,
                  before: Ints) -> Floats:
    """Return the cost of the cheapest path without each edge bought: any other edge is a detour round a stretch."""
    leaves = np.where((before < 0) | (place >= 0), np.arange(len(before), dtype=before.dtype), before)
    while not np.array_equal(further := leaves.take(leaves), leaves):
        leaves = further  # pointer jumping, to the last node of the path on the way from the source
    left, right = np.maximum(place, -1)[leaves].take(ends.T)
    off = np.ones(len(cost), bool)
    off[bought] = False
    use = np.flatnonzero(off & (left != right))  # both ends are -1 where the source does not lead
    back = left[use] > right[use]
    near, far = np.where(back, ends[use, ::-1].T, ends[use].T)
    low, high = np.sort([left[use], right[use]], axis=0)
    length = from_source[near] + cost[use] + to_target[far]
    m = len(bought)
    level = np.frexp(high - low)[1] - 1
    table = np.full((max(m, 1).bit_length(), m), np.inf)
    np.minimum.at(table, (level, low), length)
    np.minimum.at(table, (level, high - (1 << level)), length)
    for k in range(len(table) - 1, 0, -1):  # each entry stands for 2^k edges: hand it to its two halves
        half = 1 << (k - 1)
        np.minimum(table[k - 1], table[k], out=table[k - 1])
        np.minimum(table[k - 1, half:], table[k, :-half], out=table[k - 1, half:])
    return np.asarray(table[0])
