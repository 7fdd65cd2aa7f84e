"""Greedy bundles, hard budgets, redistribution and random sampling: truthful, and as good as their theorems say."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mechlib.approximate import budget_feasible, greedy_bundles, random_sampling, redistribution
from mechlib.auctions import vickrey
from mechlib.outcome import revenue, utility
from mechlib.vcg import Bid, vcg_combinatorial

A, B, AB = frozenset("a"), frozenset("b"), frozenset("ab")
TIED = st.integers(0, 5).map(float)
WANTED = st.lists(st.tuples(st.frozensets(st.integers(0, 4), min_size=1), TIED), min_size=1, max_size=7)


def greedy_profit(bids: Sequence[Bid], agent: int, value: float) -> float:
    """Return what the agent gains, its bundle being worth `value` to it."""
    sold = greedy_bundles(bids, 5)
    return (value if sold.bundles[agent] else 0.0) - float(sold.payments[agent])


@settings(max_examples=200)
@given(WANTED, st.integers(0, 6), TIED)
def test_truth_is_dominant_in_greedy_bundles(
    wanted: list[tuple[frozenset[int], float]], agent: int, lie: float
) -> None:
    agent %= len(wanted)
    bids: list[Bid] = [(k, bundle, value) for k, (bundle, value) in enumerate(wanted)]
    honest = greedy_profit(bids, agent, bids[agent][2])
    lying = [*bids[:agent], (agent, bids[agent][1], lie + 0.5), *bids[agent + 1 :]]
    assert honest >= -1e-12
    assert honest >= greedy_profit(lying, agent, bids[agent][2]) - 1e-12


@given(WANTED)
def test_a_greedy_winner_pays_the_least_bid_that_wins(wanted: list[tuple[frozenset[int], float]]) -> None:
    bids: list[Bid] = [(k, bundle, value) for k, (bundle, value) in enumerate(wanted)]
    sold = greedy_bundles(bids, 5)
    for k, bundle in enumerate(sold.bundles):
        if bundle:
            for report, wins in ((sold.payments[k] + 1e-6, True), (sold.payments[k] - 1e-6, False)):
                if report > 0:
                    changed = [*bids[:k], (k, bundle, report), *bids[k + 1 :]]
                    assert bool(greedy_bundles(changed, 5).bundles[k]) == wins


@settings(max_examples=40, deadline=None)
@given(WANTED)
def test_greedy_is_within_the_root_of_the_items_of_the_optimum(wanted: list[tuple[frozenset[int], float]]) -> None:
    bids: list[Bid] = [(k, bundle, value) for k, (bundle, value) in enumerate(wanted)]
    greedy, best = greedy_bundles(bids, 5), vcg_combinatorial(bids, 5)

    def worth(bundles: Sequence[frozenset[object]]) -> float:
        return sum(value for (_, _, value), won in zip(bids, bundles, strict=True) if won)

    assert worth(greedy.bundles) >= worth(best.bundles) / np.sqrt(5) - 1e-9


def test_greedy_prefers_many_small_bundles_and_charges_critical_values() -> None:
    sold = greedy_bundles([(0, AB, 2), (1, A, 2), (2, B, 1)], "ab")
    assert sold.bundles == (frozenset(), A, B)
    # agent 1 alone keeps agent 0 out: it needs 2 / sqrt(2); agent 2 would win at any bid
    np.testing.assert_allclose(sold.payments, [0, np.sqrt(2), 0])


def test_clarke_payments_on_a_greedy_choice_reward_a_lie() -> None:
    """The greedy optimum is not an optimum, so what the others lose is not what is charged."""

    def clarke(bids: list[Bid], agent: int, value: float) -> float:
        worth = {k: v for k, _, v in bids}
        won = [k for k, bundle in enumerate(greedy_bundles(bids, "abcd").bundles) if bundle]
        rest = [bid for bid in bids if bid[0] != agent]
        without = sum(worth[k] for k, s in enumerate(greedy_bundles(rest, "abcd").bundles) if s)
        pivot = without - sum(worth[k] for k in won if k != agent)
        return (value if agent in won else 0) - pivot

    big = frozenset("abcd")
    honest: list[Bid] = [(0, frozenset("a"), 4.0), (1, big, 7.0)]
    assert clarke(honest, 0, 4.0) == 4 - 7  # it wins, and pays more than its value
    assert clarke([(0, frozenset("a"), 1.0), honest[1]], 0, 4.0) == 0


def test_greedy_refuses_two_bids_of_one_agent_and_copies() -> None:
    with pytest.raises(ValueError, match="agent 0 bids more than once"):
        greedy_bundles([(0, A, 1), (0, B, 1)], "ab")
    with pytest.raises(ValueError, match="supply of 1"):
        greedy_bundles([(0, A, 1)], {"a": 2})
    with pytest.raises(ValueError, match="NaN"):
        greedy_bundles([(0, A, np.nan)], "a")
    assert greedy_bundles([(0, A, 0)], "a").bundles == (frozenset(),)


# a hard budget


@given(arrays(float, 5, elements=TIED), arrays(float, 5, elements=TIED), st.integers(0, 20), st.integers(0, 4))
def test_truth_is_dominant_and_the_budget_holds(costs: np.ndarray, values: np.ndarray, budget: int, agent: int) -> None:
    hired = budget_feasible(costs, values, budget)
    honest = hired.payments - costs * hired.allocation
    assert (honest >= 0).all()
    assert revenue(hired) <= budget + 1e-9
    for lie in np.arange(0, 7, 0.5):
        reports = np.where(np.arange(5) == agent, lie, costs)
        lying = budget_feasible(reports, values, budget)
        assert lying.payments[agent] - costs[agent] * lying.allocation[agent] <= honest[agent] + 1e-9


def test_equal_values_hire_the_most_whose_cost_is_at_most_an_equal_share() -> None:
    hired = budget_feasible([1, 2, 3, 4], [1, 1, 1, 1], 6)
    np.testing.assert_array_equal(hired.allocation, [1, 1, 0, 0])
    np.testing.assert_array_equal(hired.payments, [3, 3, 0, 0])
    np.testing.assert_array_equal(budget_feasible([1, 2, 2.5, 4], [1] * 4, 6).payments, [2.5, 2.5, 0, 0])


def test_who_asks_for_more_than_the_budget_is_in_nobodys_way() -> None:
    np.testing.assert_array_equal(budget_feasible([150, 2], [100, 1], 100).allocation, [0, 1])


def test_no_budget_and_no_value_hire_nobody_who_costs() -> None:
    np.testing.assert_array_equal(budget_feasible([1, 2], [1, 1], 0).allocation, [0, 0])
    np.testing.assert_array_equal(budget_feasible([1, 0], [0, 0], 9).allocation, [0, 0])


def test_a_batch_of_budgets_is_its_rows() -> None:
    rng = np.random.default_rng(0)
    costs, values = rng.integers(0, 5, (3, 4, 6)).astype(float), rng.integers(0, 4, 6).astype(float)
    together = budget_feasible(costs, values, 7)
    for k in np.ndindex(3, 4):
        alone = budget_feasible(costs[k], values, 7)
        np.testing.assert_array_equal(together.payments[k], alone.payments)
        np.testing.assert_array_equal(together.allocation[k], alone.allocation)


def test_bad_budgets_are_named() -> None:
    for budget, message in ((-1, "negative"), (np.nan, "NaN"), (np.inf, "infinite")):
        with pytest.raises(ValueError, match=f"budget.*{message}"):
            budget_feasible([1], [1], budget)
    with pytest.raises(ValueError, match="values has 2 agents and costs 1"):
        budget_feasible([1], [1, 2], 1)


# money handed back


@given(arrays(float, st.integers(1, 6), elements=TIED), st.integers(1, 3), st.integers(0, 5), TIED)
def test_redistribution_is_truthful_efficient_and_never_runs_a_deficit(
    values: np.ndarray, units: int, agent: int, lie: float
) -> None:
    agent %= len(values)
    honest = redistribution(values, units)
    lying = redistribution(np.where(np.arange(len(values)) == agent, lie, values), units)
    assert utility(values, lying)[agent] <= utility(values, honest)[agent] + 1e-12
    np.testing.assert_array_equal(honest.allocation, vickrey(values, units).allocation)
    assert (utility(values, honest) >= -1e-12).all()
    assert -1e-9 <= revenue(honest) <= revenue(vickrey(values, units)) + 1e-9


@given(arrays(float, st.integers(3, 6), elements=TIED), st.integers(1, 3))
def test_each_agent_is_handed_a_share_of_the_revenue_without_it(values: np.ndarray, units: int) -> None:
    handed = vickrey(values, units).payments - redistribution(values, units).payments
    for k in range(len(values)):
        assert handed[k] == pytest.approx(revenue(vickrey(np.delete(values, k), units)) / len(values))


def test_one_item_and_four_bidders_keep_little() -> None:
    shared = redistribution([1, 5, 3, 4])
    np.testing.assert_allclose(shared.payments, [-1, 3.25, -1, -0.75])


# no prior


@given(arrays(float, 6, elements=TIED), st.integers(0, 99), st.integers(0, 5), TIED)
def test_truth_is_dominant_in_random_sampling_for_every_split(
    values: np.ndarray, seed: int, agent: int, lie: float
) -> None:
    honest = random_sampling(values, np.random.default_rng(seed))
    lying = random_sampling(np.where(np.arange(6) == agent, lie, values), np.random.default_rng(seed))
    assert utility(values, lying)[agent] <= utility(values, honest)[agent]
    assert (utility(values, honest) >= 0).all()


def test_random_sampling_prices_each_half_by_the_other() -> None:
    rng = np.random.default_rng(3)
    half = np.random.default_rng(3).random(6) < 0.5
    bids = np.array([1.0, 2, 3, 4, 5, 6])

    def best(sample: np.ndarray) -> float:
        return max((price * (sample >= price).sum(), price) for price in sample)[1]

    sold = random_sampling(bids, rng)
    for k in range(6):
        price = best(bids[half != half[k]])
        assert sold.payments[k] == (price if bids[k] >= price else 0)


def test_random_sampling_nears_the_best_single_price_as_agents_grow() -> None:
    rng = np.random.default_rng(0)
    shares = []
    for n in (10, 1000):
        bids = rng.random(n)
        ranked = -np.sort(-bids)
        shares.append(np.mean([revenue(random_sampling(bids, rng)) for _ in range(100)])
                      / (ranked * np.arange(1, n + 1)).max())
    assert shares[0] < shares[1]
    assert shares[1] > 0.95


def test_a_batch_shares_one_split() -> None:
    bids = np.random.default_rng(1).random((3, 2, 5))
    together = random_sampling(bids, np.random.default_rng(7))
    for k in np.ndindex(3, 2):
        np.testing.assert_array_equal(together.payments[k], random_sampling(bids[k], np.random.default_rng(7)).payments)
