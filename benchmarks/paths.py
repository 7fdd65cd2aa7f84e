"""All VCG rewards of a path from two searches, against one search for each edge of the path."""

import networkx as nx
import numpy as np
from scipy.sparse import coo_array, csr_array
from scipy.sparse.csgraph import dijkstra
from table import Ratio, best_of, report

from mechlib.rules.paths import vcg_path

SAMPLE = 20


def grid(side: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a square street map with random costs."""
    node = np.arange(side * side).reshape(side, side)
    across, down = np.c_[node[:, :-1].ravel(), node[:, 1:].ravel()], np.c_[node[:-1].ravel(), node[1:].ravel()]
    edges = np.concatenate([across, down])
    return edges, np.random.default_rng(0).random(len(edges)) + 0.01


def matrix(edges: np.ndarray, costs: np.ndarray, nodes: int) -> csr_array:
    """Return the graph as scipy wants it, each edge both ways."""
    ends = np.concatenate([edges, edges[:, ::-1]]).T
    return coo_array((np.concatenate([costs, costs]), ends), shape=(nodes, nodes)).tocsr()


def main() -> None:
    """A million edges against scipy, a hundred thousand against networkx."""
    side = 708
    edges, costs = grid(side)
    last = side * side - 1
    graph = matrix(edges, costs, last + 1)
    ours = one = float("inf")
    for _ in range(3):  # taken in turns, so that a busy moment of the machine meets both
        taken, bought = best_of(lambda: vcg_path(edges, costs, 0, last), times=1)
        ours = min(ours, taken)
        one = min(one, best_of(lambda: dijkstra(graph, indices=0, return_predecessors=True), times=1)[0])
    sample = np.linspace(0, len(bought.edges) - 1, SAMPLE).astype(int)

    def search_without(k: int) -> float:
        changed, (a, b) = graph.copy(), edges[bought.edges[k]]
        changed[a, b] = changed[b, a] = 1e9
        return float(dijkstra(changed, indices=0)[last])

    slow, without = best_of(lambda: [search_without(k) for k in sample], times=1)
    total = costs[bought.edges].sum()
    pivots = np.array(without) - total + costs[bought.edges][sample]
    np.testing.assert_allclose(bought.rewards[bought.edges][sample], pivots, atol=1e-9)
    slow *= len(bought.edges) / SAMPLE

    side = 224
    edges, costs = grid(side)
    last = side * side - 1
    quick, small = best_of(lambda: vcg_path(edges, costs, 0, last))
    street = nx.Graph()
    street.add_weighted_edges_from((int(a), int(b), c) for (a, b), c in zip(edges, costs, strict=True))
    some = np.linspace(0, len(small.edges) - 1, 5).astype(int)

    def peer_without(k: int) -> float:
        street.remove_edge(*edges[small.edges[k]])
        length = nx.dijkstra_path_length(street, 0, last)
        street.add_edge(*edges[small.edges[k]], weight=costs[small.edges[k]])
        return float(length)

    peer, lengths = best_of(lambda: [peer_without(k) for k in some], times=1)
    total = costs[small.edges].sum()
    pivots = np.array(lengths) - total + costs[small.edges][some]
    np.testing.assert_allclose(small.rewards[small.edges][some], pivots, atol=1e-9)
    peer *= len(small.edges) / len(some)
    report("vcg_path", "a grid of 1,001,112 edges; 99,904 for networkx",
           f"rewards of {SAMPLE} edges of {len(bought.edges)} and of 5 of {len(small.edges)} equal a search without "
           "each to 1e-9; the naive times are those, scaled to all edges of the path",
           {"ours": ours, "a Dijkstra a path edge (scaled)": slow, "one Dijkstra": one,
            "ours, 99,904 edges": quick, "networkx, 99,904 edges (scaled)": peer},
           [Ratio("a Dijkstra a path edge / ours", slow / ours, at_least=400),
            Ratio("ours / one Dijkstra", ours / one, at_most=3),
            Ratio("networkx / ours, 99,904 edges", peer / quick, at_least=1500)], ("numpy", "scipy", "networkx"))


if __name__ == "__main__":
    main()
