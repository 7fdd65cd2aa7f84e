"""Paths: what VCG pays each edge, against removing it and routing again; bridges, parallel edges, directions."""

import networkx as nx
import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from mechlib.attacks.audit import audit
from mechlib.rules import paths
from mechlib.rules.paths import vcg_path
from mechlib.settings import Values

EDGES = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6), st.integers(0, 4)), min_size=1, max_size=22)


def shortest(edges: np.ndarray, costs: np.ndarray, source: int, target: int, directed: bool) -> float:
    """Bellman-Ford, the slow and plain way."""
    distance = {source: 0.0}
    pairs = [(int(a), int(b), c) for (a, b), c in zip(edges, costs, strict=True)]
    pairs += [] if directed else [(b, a, c) for a, b, c in pairs]
    for _ in range(len(pairs)):
        for a, b, c in pairs:
            if a in distance:
                distance[b] = min(distance.get(b, np.inf), distance[a] + c)
    return distance.get(target, np.inf)


def check(edges: np.ndarray, costs: np.ndarray, source: int, target: int, directed: bool) -> None:
    """Compare the path and its payments with one search an edge."""
    best = shortest(edges, costs, source, target, directed)
    assume(np.isfinite(best))
    bought = vcg_path(edges, costs, source, target, directed)
    assert costs[bought.edges].sum() == pytest.approx(best, abs=1e-9)
    here = source
    for edge in bought.edges:
        a, b = edges[edge]
        assert here == a or (here == b and not directed)
        here = b if here == a else a
    assert here == target
    for edge, paid in zip(bought.edges, bought.rewards[bought.edges], strict=True):
        rest = np.arange(len(costs)) != edge
        without = shortest(edges[rest], costs[rest], source, target, directed)
        assert paid == pytest.approx(without - best + costs[edge], abs=1e-9)


@pytest.mark.no_cover
@settings(max_examples=300, deadline=None)
@given(EDGES, st.booleans())
def test_payments_are_those_of_removing_each_edge_ties_loops_and_free_edges_included(
    rows: list[tuple[int, int, int]], directed: bool
) -> None:
    table = np.array(rows)
    check(table[:, :2], table[:, 2].astype(float), int(table[0, 0]), int(table[-1, 1]), directed)


@pytest.mark.parametrize("seed", range(4))
def test_payments_on_a_grid_agree_with_networkx(seed: int) -> None:
    rng = np.random.default_rng(seed)
    node = np.arange(144).reshape(12, 12)
    across, down = np.c_[node[:, :-1].ravel(), node[:, 1:].ravel()], np.c_[node[:-1].ravel(), node[1:].ravel()]
    edges = np.concatenate([across, down])
    costs = rng.random(len(edges))
    graph = nx.Graph()
    graph.add_weighted_edges_from((int(a), int(b), c) for (a, b), c in zip(edges, costs, strict=True))
    best = nx.dijkstra_path_length(graph, 0, 143)
    bought = vcg_path(edges, costs, 0, 143)
    for edge, paid in zip(bought.edges, bought.rewards[bought.edges], strict=True):
        graph.remove_edge(*edges[edge])
        assert paid == pytest.approx(nx.dijkstra_path_length(graph, 0, 143) - best + costs[edge], abs=1e-9)
        graph.add_edge(*edges[edge], weight=costs[edge])


def test_two_parallel_routes_are_overpaid_by_the_gap_for_each_edge() -> None:
    # m edges of total cost L against one edge of cost L': VCG pays L + m (L' - L)
    for m in (1, 3, 5):
        edges = [(k, k + 1) for k in range(m)] + [(0, m)]
        bought = vcg_path(edges, [1.0] * m + [m + 2.0], 0, m)
        np.testing.assert_array_equal(bought.edges, np.arange(m))
        assert bought.rewards.sum() == m + m * 2


def test_overpayment_is_at_most_the_gap_for_each_edge_of_the_best_disjoint_path() -> None:
    # a short cut round one edge costs less than the disjoint route
    bought = vcg_path([(0, 1), (1, 2), (0, 2), (0, 1)], [1, 1, 5, 1.5], 0, 2)
    np.testing.assert_allclose(bought.rewards, [1.5, 4, 0, 0])


def test_a_bridge_is_paid_without_bound() -> None:
    bought = vcg_path([(0, 1), (1, 2), (1, 2)], [1, 2, 3], 0, 2)
    np.testing.assert_array_equal(bought.rewards, [np.inf, 3, 0])


def test_the_next_parallel_edge_sets_the_price_and_ties_go_to_the_lowest_index() -> None:
    bought = vcg_path([(0, 1), (1, 0), (0, 1)], [7, 4, 4], 0, 1)
    np.testing.assert_array_equal(bought.edges, [1])
    np.testing.assert_array_equal(bought.rewards, [0, 4, 0])


def test_nobody_is_paid_less_than_its_cost_not_even_by_rounding() -> None:
    steps = np.array([(k, k + 1) for k in range(300)])
    for seed in range(4):
        costs = np.random.default_rng(seed).random(300)
        bought = vcg_path(np.repeat(steps, 2, axis=0), np.repeat(costs, 2), 0, 300)
        np.testing.assert_array_equal(bought.edges, np.arange(0, 600, 2))
        assert (bought.rewards[bought.edges] >= costs).all()


def test_direction_matters() -> None:
    edges, costs = [(0, 1), (1, 2), (2, 0)], [1, 1, 3]
    assert vcg_path(edges, costs, 0, 2).rewards.sum() == 4
    np.testing.assert_array_equal(vcg_path(edges, costs, 0, 2, directed=True).rewards, [np.inf, np.inf, 0])
    with pytest.raises(ValueError, match="no path"):
        vcg_path([(1, 0)], [1], 0, 1, directed=True)


def test_a_path_costs_who_is_on_it_and_goes_into_the_audit_as_it_stands() -> None:
    edges = [(0, 1), (1, 2), (0, 2), (0, 2)]
    bought = vcg_path(edges, [1, 1, 3, 4], 0, 2)
    assert [bought.worth(edge, 2.5) for edge in range(4)] == [-2.5, -2.5, 0, 0]
    found = audit(lambda costs: vcg_path(edges, costs, 0, 2), Values([0, 1, 3], 4))
    assert found.is_dsic and found.is_ir


def test_truth_is_dominant_for_an_edge() -> None:
    rng = np.random.default_rng(0)
    edges = np.array([(0, 1), (1, 3), (0, 2), (2, 3), (1, 2), (0, 3)])
    for _ in range(100):
        costs = rng.integers(1, 6, 6).astype(float)
        edge, lie = int(rng.integers(6)), float(rng.integers(0, 9))

        def profit(report: float, edge: int = edge, costs: np.ndarray = costs) -> float:
            reports = np.where(np.arange(6) == edge, report, costs)
            bought = vcg_path(edges, reports, 0, 3)
            return bought.worth(edge, costs[edge]) + float(bought.rewards[edge])

        assert profit(costs[edge]) >= max(profit(lie), 0) - 1e-12


def test_a_long_detour_shows_a_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = []
    monkeypatch.setattr(paths, "tqdm", lambda steps, **options: bars.append(options) or steps)
    vcg_path([(0, 1), (1, 2), (0, 2)], [1, 1, 3], 0, 2, directed=True)
    assert bars == [{"desc": "re-routing around each edge", "delay": 2.0, "leave": False}]


def test_labels_may_be_sparse_and_the_trivial_path_is_empty() -> None:
    big = 10**12
    bought = vcg_path([(5, big), (big, 9), (5, 9)], [1, 1, 4], 5, 9)
    np.testing.assert_array_equal(bought.edges, [0, 1])
    np.testing.assert_array_equal(bought.rewards, [3, 3, 0])
    assert len(vcg_path([(0, 1)], [1], 0, 0).edges) == 0


@pytest.mark.parametrize(
    ("edges", "costs", "ends", "message"),
    [
        ([(0, 1)], [1], (0, 2), "target is 2"),
        ([(0, 1)], [1], (-1, 1), "source is -1"),
        ([(0, 1), (2, 3)], [1, 1], (0, 3), "no path leads from 0 to 3"),
        ([(0, 1)], [np.nan], (0, 1), "costs.*NaN"),
        ([(0, 1)], [-1], (0, 1), "costs.*negative"),
        ([(0, 1)], [np.inf], (0, 1), "costs.*infinite"),
        ([(0, 1)], [1, 2], (0, 1), "edges must be whole"),
        ([(0, 1.5)], [1], (0, 1), "edges must be whole"),
        ([(0, -1)], [1], (0, 1), "edges.*negative"),
        ([0, 1], [1], (0, 1), "edges must have 2 axes"),
        ([], [], (0, 1), "costs is empty"),
    ],
)
def test_bad_arguments_are_named(edges: object, costs: object, ends: tuple[int, int], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        vcg_path(edges, costs, *ends)  # type: ignore[arg-type]
