"""VCG: the pivot against brute force, the textbook instances, and every weakness that theory names."""

from collections.abc import Sequence
from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.optimize import linear_sum_assignment

from mechlib.attacks.audit import audit
from mechlib.rules import vcg as module
from mechlib.rules.paths import vcg_path
from mechlib.rules.vcg import Bid, BundleOutcome, vcg, vcg_assignment, vcg_combinatorial, vcg_knapsack
from mechlib.settings import Values

A, B, AB = frozenset("a"), frozenset("b"), frozenset("ab")
TIED = st.integers(0, 4).map(float)


def best_bundles(bids: Sequence[Bid], without: int = -1) -> float:
    """Try every set of compatible bids."""
    bids, best = [bid for bid in bids if bid[0] != without], 0.0
    for size in range(len(bids) + 1):
        for chosen in combinations(bids, size):
            wanted = [item for _, bundle, _ in chosen for item in bundle]
            if len({agent for agent, _, _ in chosen}) == size and len(set(wanted)) == len(wanted):
                best = max(best, sum(value for _, _, value in chosen))
    return best


def best_matching(values: np.ndarray) -> float:
    """Solve one assignment problem."""
    return float(values[linear_sum_assignment(values, maximize=True)].sum()) if len(values) else 0.0


def best_knapsack(values: np.ndarray, sizes: np.ndarray, capacity: int) -> float:
    """Try every set of jobs."""
    return max(values[list(k)].sum() for r in range(len(values) + 1) for k in combinations(range(len(values)), r)
               if sizes[list(k)].sum() <= capacity)


# the pivot over explicit outcomes


def test_the_pivot_charges_the_externality() -> None:
    chosen = vcg([[5, 0], [0, 3], [0, 1]])
    assert chosen.outcome == 0
    np.testing.assert_array_equal(chosen.payments, [4, 0, 0])


@given(arrays(float, (3, 4), elements=TIED), st.integers(0, 2), arrays(float, 4, elements=TIED))
def test_truth_is_dominant_under_the_pivot(values: np.ndarray, agent: int, lie: np.ndarray) -> None:
    honest, reports = vcg(values), values.copy()
    reports[agent] = lie
    lying = vcg(reports)
    assert (values[agent, lying.outcome] - lying.payments[agent]
            <= values[agent, honest.outcome] - honest.payments[agent])


@given(arrays(float, (4, 5), elements=TIED))
def test_the_pivot_is_efficient_individually_rational_and_without_deficit(values: np.ndarray) -> None:
    chosen = vcg(values)
    assert values[:, chosen.outcome].sum() == values.sum(0).max()
    assert (values[:, chosen.outcome] - chosen.payments >= 0).all()
    assert (chosen.payments >= 0).all()


def test_a_batch_of_valuations_is_its_members_and_ties_go_to_the_lowest_outcome() -> None:
    batch = np.random.default_rng(0).integers(0, 3, (6, 2, 3, 4)).astype(float)
    together = vcg(batch)
    for k in np.ndindex(6, 2):
        alone = vcg(batch[k])
        assert alone.outcome == together.outcome[k] == batch[k].sum(0).tolist().index(batch[k].sum(0).max())
        np.testing.assert_array_equal(alone.payments, together.payments[k])


def test_bilateral_trade_loses_exactly_the_gains_from_trade() -> None:
    for value, cost in product(range(6), range(6)):
        chosen = vcg([[0, value], [0, -cost]])  # outcomes: no trade, trade
        if chosen.outcome == 1:
            assert chosen.payments[0] == cost
            # without the seller the buyer is left with the way that costs it the value of the good
            assert vcg_path([(0, 1), (0, 1)], [cost, value], 0, 1).rewards[0] - chosen.payments[0] == value - cost
        else:
            assert value <= cost
            assert chosen.payments[0] == 0


def test_clarke_payments_do_not_make_a_seller_whole() -> None:
    """With negative values the pivot alone is not individually rational: the seller gives up 2 for nothing."""
    chosen = vcg([[0, 5], [0, -2]])
    assert -2 - chosen.payments[1] == -2


def test_two_apples() -> None:
    sold = vcg_combinatorial([(0, A, 5), (1, A, 2), (2, frozenset("a"), 0), (2, frozenset("b"), 0), (2, AB, 6),
                              (0, B, 5), (1, B, 2)], "ab")
    assert [len(bundle) for bundle in sold.bundles] == [1, 1, 0]
    np.testing.assert_allclose(sold.payments, [4, 1, 0])


def test_lonely_vcg_earns_more_with_a_bidder_fewer() -> None:
    bids: list[Bid] = [(0, AB, 2), (1, A, 2), (2, B, 2)]
    assert vcg_combinatorial(bids, "ab").payments.sum() == 0
    assert vcg_combinatorial(bids[:2], "ab").payments.sum() == 2


def test_two_losers_collude_and_win_for_nothing() -> None:
    honest = vcg_combinatorial([(0, AB, 2), (1, A, 0.5), (2, B, 0.5)], "ab")
    assert honest.bundles == (AB, frozenset(), frozenset())
    colluding = vcg_combinatorial([(0, AB, 2), (1, A, 2), (2, B, 2)], "ab")
    assert colluding.bundles == (frozenset(), A, B)
    assert colluding.payments.sum() == 0


def test_a_budget_breaks_vcg_with_two_items() -> None:
    """Agent 0 values each item at 10 and has 5 to spend: which report is best depends on what the rival wants."""

    def of(each: float, both: float, rival: float) -> tuple[int, float]:
        sold = vcg_combinatorial([(0, A, each), (0, B, each), (0, AB, both), (1, A, rival), (1, B, rival),
                                  (1, AB, 2 * rival)], "ab")
        return len(sold.bundles[0]), float(sold.payments[0])

    assert of(10, 20, rival=4) == (2, 8)  # truth: more than the budget of 5
    assert of(5, 5, rival=4) == (1, 4)  # capped at the budget: one item, worth 10, for 4
    assert of(10, 20, rival=1) == (2, 2)  # truth: 18 ahead
    assert of(5, 5, rival=1) == (1, 1)  # capped: 9 ahead


# what a result is worth to a type


def test_a_pivot_is_worth_what_its_outcome_is() -> None:
    chosen = vcg([[5, 0], [0, 3], [0, 7]])
    assert (chosen.outcome, chosen.worth(0, [5, 0]), chosen.worth(1, [0, 3])) == (1, 0, 3)


def test_an_assignment_is_worth_its_item_and_nothing_without_one() -> None:
    result = vcg_assignment([[5, 1], [4, 3], [1, 1]])
    assert [result.worth(i, values) for i, values in enumerate([[5, 1], [4, 3], [9, 9]])] == [5, 3, 0]


def test_a_bundle_is_worth_the_best_that_it_holds() -> None:
    sold = vcg_combinatorial([(0, AB, 2.0), (1, A, 1.0)], "ab")
    assert (sold.worth(0, 2.0), sold.worth(1, 1.0)) == (2, 0)
    assert sold.worth(0, {A: 1.0, B: 4.0, frozenset("abc"): 9.0}) == 4
    assert sold.worth(1, {A: 1.0}) == 0


def test_results_that_say_what_they_are_worth_are_audited_as_they_stand() -> None:
    types = np.array([(0.0, 1.0), (2.0, 0.0), (3.0, 4.0)])
    assert audit(vcg_assignment, Values(types, 3)).is_dsic
    assert audit(vcg, Values(np.array([(0.0, 3.0), (2.0, 0.0), (1.0, 4.0)]), 2)).is_dsic
    single = audit(lambda v: vcg_combinatorial([(0, AB, v[0]), (1, A, v[1]), (2, B, v[2])], "ab"), Values([0, 1, 3], 3))
    assert single.is_dsic and single.is_ir


# assignment


@pytest.mark.no_cover
@settings(max_examples=200)
@given(arrays(float, st.tuples(st.integers(1, 6), st.integers(1, 6)), elements=TIED))
def test_assignment_payments_are_the_naive_pivots_ties_included(values: np.ndarray) -> None:
    check_assignment(values)


@pytest.mark.parametrize("shape", [(30, 30), (40, 20), (20, 40), (1, 9), (9, 1)])
@pytest.mark.parametrize("scale", [1e-6, 1.0, 1e6])
def test_assignment_payments_are_the_naive_pivots_on_random_values(shape: tuple[int, int], scale: float) -> None:
    check_assignment(np.random.default_rng(0).random(shape) * scale)
    check_assignment(np.random.default_rng(1).random(shape).round(1) * scale)


def check_assignment(values: np.ndarray) -> None:
    """Compare with n + 1 solves."""
    result, best = vcg_assignment(values), best_matching(values)
    got = np.where(result.item >= 0, values[np.arange(len(values)), result.item], 0)
    assert len(set(result.item[result.item >= 0])) == (result.item >= 0).sum()
    scale = max(values.max(), 1e-300)
    np.testing.assert_allclose(got.sum() / scale, best / scale, atol=1e-9)
    naive = [best_matching(np.delete(values, i, axis=0)) - (best - got[i]) for i in range(len(values))]
    np.testing.assert_allclose(result.payments / scale, np.array(naive) / scale, atol=1e-9)
    assert (result.payments <= got).all()


def test_nobody_pays_more_than_its_value_not_even_by_rounding() -> None:
    result = vcg_assignment([[0.7, 0.1], [0.8, 0.9], [0.3, 0.8]])  # .7 = .8 + (.8 - .9), but not in floats
    np.testing.assert_array_equal(result.item, [0, 1, -1])
    assert result.payments[0] == pytest.approx(0.7) and result.payments[0] <= 0.7


@pytest.mark.parametrize("place", [1, 31, 47, 48, 49, 95, 96, 119])
def test_a_price_is_handed_on_by_whoever_would_take_another_item(place: int) -> None:
    """Someone would pay 5 for one item, whose owner would as soon have the first: both pay 5, and nobody else pays."""
    values = np.vstack([10.0 * np.eye(120), np.zeros(120)])
    values[place, 0], values[-1, place] = 10, 5
    paid = np.where(np.isin(range(121), [0, place]), 5, 0)
    np.testing.assert_array_equal(vcg_assignment(values).payments, paid)


def test_unassigned_agents_pay_nothing_and_set_the_price() -> None:
    result = vcg_assignment([[5], [3], [1]])
    np.testing.assert_array_equal(result.item, [0, -1, -1])
    np.testing.assert_array_equal(result.payments, [3, 0, 0])


# bundles


@pytest.mark.no_cover
@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.frozensets(st.integers(0, 3), min_size=1), TIED), min_size=1,
                max_size=7))
def test_bundle_payments_are_the_naive_pivots_ties_included(bids: list[Bid]) -> None:
    check_bundles(bids, vcg_combinatorial(bids, 4))


@pytest.mark.no_cover
def test_bundle_payments_are_the_naive_pivots_where_the_relaxation_is_fractional() -> None:
    triangle: list[Bid] = [(0, frozenset({0, 1}), 2.0), (1, frozenset({1, 2}), 2.0), (2, frozenset({0, 2}), 2.1)]
    check_bundles(triangle, vcg_combinatorial(triangle, 3))
    rng = np.random.default_rng(2)
    for _ in range(10):
        bids: list[Bid] = [(k // 2, frozenset(rng.choice(6, 3, replace=False).tolist()), float(rng.random()))
                           for k in range(12)]
        check_bundles(bids, vcg_combinatorial(bids, range(6)))


def check_bundles(bids: list[Bid], sold: BundleOutcome) -> None:
    """Compare with n + 1 enumerations; the winners must fit together."""
    best = best_bundles(bids)
    worth = [max((v for a, s, v in bids if a == i and s == won), default=0.0) for i, won in enumerate(sold.bundles)]
    wanted = [item for bundle in sold.bundles for item in bundle]
    assert len(set(wanted)) == len(wanted)
    np.testing.assert_allclose(sum(worth), best, atol=1e-9)
    naive = [best_bundles(bids, i) - (best - worth[i]) for i in range(len(worth))]
    np.testing.assert_allclose(sold.payments, naive, atol=1e-9)


def test_a_programme_finds_what_trying_all_sets_finds(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(4)
    markets: list[list[Bid]] = [[(k // 2, frozenset(rng.choice(5, int(rng.integers(1, 4)), replace=False).tolist()),
                                  float(rng.random())) for k in range(8)] for _ in range(30)]
    tried = [vcg_combinatorial(bids, {item: 1 + item // 4 for item in range(5)}) for bids in markets]
    monkeypatch.setattr(module, "_FEW", 0)
    for bids, few in zip(markets, tried, strict=True):
        solved = vcg_combinatorial(bids, {item: 1 + item // 4 for item in range(5)})
        assert solved.bundles == few.bundles
        np.testing.assert_allclose(solved.payments, few.payments, atol=1e-9)


def test_of_equal_sets_of_few_bids_the_larger_wins() -> None:
    assert vcg_combinatorial([(0, AB, 2.0), (1, A, 1.0), (2, B, 1.0)], "ab").bundles == (frozenset(), A, B)


def test_near_ties_are_told_apart() -> None:
    sold = vcg_combinatorial([(0, AB, 1.0), (1, A, 0.5), (2, B, 0.5 + 2e-9)], "ab")
    assert sold.bundles[0] == frozenset()
    np.testing.assert_allclose(sold.payments, [0, 0.5 - 2e-9, 0.5], atol=1e-12)


def test_supply_beyond_one_copy() -> None:
    sold = vcg_combinatorial([(0, A, 5.0), (1, A, 2.0), (2, A, 6.0)], {"a": 2})
    assert sold.bundles == (A, frozenset(), A)
    np.testing.assert_allclose(sold.payments, [2, 0, 2])
    np.testing.assert_array_equal(vcg_combinatorial([(0, A, 5.0), (1, A, 2.0)], "aa").payments, [0, 0])
    assert vcg_combinatorial([(0, A, 5.0)], {"a": 0}).bundles == (frozenset(),)


def test_small_payments_are_not_lost_beside_large_values() -> None:
    bids: list[Bid] = [(0, A, 1e12), (1, B, 3e-5), (2, B, 2e-5)]
    sold = vcg_combinatorial(bids, "ab")
    assert sold.bundles == (A, B, frozenset())
    np.testing.assert_array_equal(sold.payments, [0, 2e-5, 0])
    # one market, in which a sum of all values would round the small ones to an eighth of a thousandth
    linked: list[Bid] = [(0, A, 1e12), (1, B, 3.0), (2, B, 2.3), (3, AB, 7.0)]
    np.testing.assert_array_equal(vcg_combinatorial(linked, "ab").payments, [7 - 3, 2.3, 0, 0])


def test_markets_that_share_nothing_are_cleared_as_if_they_were_alone() -> None:
    rng = np.random.default_rng(5)
    bids: list[Bid] = [(k, frozenset(rng.choice(3, 2, replace=False).tolist()), float(rng.random())) for k in range(4)]
    more: list[Bid] = [(k + 4, frozenset(x + 3 for x in bundle), 100 * value) for k, bundle, value in bids]
    alone, together = vcg_combinatorial(bids, 3), vcg_combinatorial([*bids, *more], 6)
    np.testing.assert_array_equal(together.payments[:4], alone.payments)
    np.testing.assert_allclose(together.payments[4:], 100 * alone.payments)
    assert together.bundles[:4] == alone.bundles


def test_many_winners_show_a_progress_bar(monkeypatch: pytest.MonkeyPatch) -> None:
    bars = []
    monkeypatch.setattr(module, "tqdm", lambda steps, **options: bars.append(options) or steps)
    vcg_combinatorial([(0, A, 2.0), (1, A, 1.0)], "ab")
    assert bars == [{"desc": "re-solving without each winner", "delay": 2.0, "leave": False}]


def test_worthless_bids_win_nothing() -> None:
    assert vcg_combinatorial([(0, A, 0.0), (1, B, 0.0)], "ab").bundles == (frozenset(), frozenset())


def test_a_time_limit_says_what_to_do() -> None:
    rng = np.random.default_rng(0)
    bids: list[Bid] = [(k, frozenset(rng.choice(60, 6, replace=False).tolist()), float(rng.random()))
                       for k in range(300)]
    with pytest.raises(TimeoutError, match="greedy_bundles"):
        vcg_combinatorial(bids, 60, time_limit=1e-6)
    for seconds in (0, -1.0, np.nan):
        with pytest.raises(ValueError, match="time_limit is"):
            vcg_combinatorial(bids[:2], 60, time_limit=seconds)
    assert vcg_combinatorial([(0, A, 2.0), (1, A, 1.0)], "a", time_limit=60).payments[0] == 1


# knapsack


@pytest.mark.no_cover
@settings(max_examples=100)
@given(st.lists(st.tuples(TIED, st.integers(0, 5)), min_size=1, max_size=7), st.integers(0, 12))
def test_knapsack_payments_are_the_naive_pivots_ties_included(jobs: list[tuple[float, int]], capacity: int) -> None:
    values, sizes = np.array([v for v, _ in jobs]), np.array([s for _, s in jobs])
    result, best = vcg_knapsack(values, sizes, capacity), best_knapsack(values, sizes, capacity)
    assert (result.allocation * values).sum() == best
    assert (result.allocation * sizes).sum() <= capacity
    rest = [best_knapsack(np.delete(values, i), np.delete(sizes, i), capacity) for i in range(len(values))]
    naive = rest - (best - result.allocation * values)
    np.testing.assert_allclose(result.payments, naive, atol=1e-9)


def test_a_batch_of_knapsacks_is_its_members() -> None:
    values = np.random.default_rng(0).integers(0, 4, (2, 3, 5)).astype(float)
    together = vcg_knapsack(values, [1, 2, 3, 2, 1], 5)
    for k in np.ndindex(2, 3):
        alone = vcg_knapsack(values[k], [1, 2, 3, 2, 1], 5)
        np.testing.assert_array_equal(together.allocation[k], alone.allocation)
        np.testing.assert_array_equal(together.payments[k], alone.payments)


def test_small_jobs_are_not_lost_beside_large_ones() -> None:
    done = vcg_knapsack([1e12, 0.1, 0.3, 1e-9], [1, 1, 1, 1], 2)
    np.testing.assert_array_equal(done.allocation, [1, 0, 1, 0])
    np.testing.assert_array_equal(done.payments, [0.1, 0, 0.1, 0])
    np.testing.assert_array_equal(vcg_knapsack([1e12, 3e-5, 2e-5], [1, 1, 1], 2).payments, [2e-5, 2e-5, 0])
    np.testing.assert_array_equal(vcg_knapsack([1e12, 2e-5, 3e-5], [1, 1, 1], 2).allocation, [1, 0, 1])
    np.testing.assert_array_equal(vcg_knapsack([[5e-324, 1e300], [1, 2]], [1, 1], 1).payments, [[0, 5e-324], [0, 1]])


def test_room_that_no_set_of_jobs_can_fill_costs_no_memory() -> None:
    np.testing.assert_array_equal(vcg_knapsack([3, 2], [2, 10**12], 10**11).allocation, [1, 0])
    np.testing.assert_array_equal(vcg_knapsack([3, 2], [2, 3], 10**11).allocation, [1, 1])


def test_equal_jobs_go_to_the_lowest_index() -> None:
    np.testing.assert_array_equal(vcg_knapsack([2, 2, 2], [1, 1, 1], 2).allocation, [1, 1, 0])


# what is refused


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: vcg([1, 2]), "shape"),
        (lambda: vcg([[1, np.nan]]), "NaN"),
        (lambda: vcg_assignment([1, 2]), "2 axes"),
        (lambda: vcg_assignment([[1, -2]]), "negative"),
        (lambda: vcg_assignment([[np.inf, 2]]), "infinite"),
        (lambda: vcg_assignment(np.ones((0, 2))), "empty"),
        (lambda: vcg_knapsack([1, 2], [1], 3), "sizes must be 2 whole"),
        (lambda: vcg_knapsack([1, 2], [1, 0.5], 3), "whole"),
        (lambda: vcg_knapsack([1, 2], [1, 1], -1), "capacity is -1"),
        (lambda: vcg_knapsack([1, 2], [1, 1], 2.5), "capacity is 2.5"),  # type: ignore[arg-type]
        (lambda: vcg_combinatorial([], "a"), "bids is .*: pass one or more"),
        (lambda: vcg_combinatorial([(0, A, 1)], []), "items must name"),
        (lambda: vcg_combinatorial([(0, frozenset("c"), 1)], "ab"), "items sold"),
        (lambda: vcg_combinatorial([(0, frozenset(), 1)], "ab"), "one or more"),
        (lambda: vcg_combinatorial([(-1, A, 1)], "ab"), "agent is -1"),
        (lambda: vcg_combinatorial([(0, A)], "ab"), "must be .agent"),  # type: ignore[list-item]
        (lambda: vcg_combinatorial([(0, A, -1.0)], "ab"), "negative"),
        (lambda: vcg_combinatorial([(0, A, np.nan)], "ab"), "NaN"),
        (lambda: vcg_combinatorial([(0, A, np.inf)], "ab"), "infinite"),
        (lambda: vcg_combinatorial([(0, A, 1)], {"a": -1}), "items.'a'. is -1"),
        (lambda: vcg_combinatorial([(0, A, 1)], 0), "items is 0"),
    ],
)
def test_bad_arguments_are_named(call: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        call()  # type: ignore[operator]
