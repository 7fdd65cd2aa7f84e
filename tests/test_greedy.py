"""Greedy bundles: truthful, and as good as their theorem says."""

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechlib.rules.greedy import greedy_bundles
from mechlib.rules.vcg import Bid, vcg_combinatorial

A, B, AB = frozenset("a"), frozenset("b"), frozenset("ab")
TIED = st.integers(0, 5).map(float)
WANTED = st.lists(st.tuples(st.frozensets(st.integers(0, 4), min_size=1), TIED), min_size=1, max_size=7)


def greedy_profit(bids: Sequence[Bid], agent: int, value: float) -> float:
    """Return what the agent gains, its bundle being worth `value` to it."""
    sold = greedy_bundles(bids, 5)
    return (value if sold.bundles[agent] else 0.0) - float(sold.payments[agent])


@pytest.mark.no_cover
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


def test_ties_go_to_the_lowest_agent_at_its_whole_value_and_not_a_rounding_more() -> None:
    bundle = frozenset("abc")
    for value in np.random.default_rng(0).random(200).tolist():
        sold = greedy_bundles([(0, bundle, value), (1, bundle, value)], "abc")
        assert sold.bundles == (bundle, frozenset())
        assert sold.payments[0] == pytest.approx(value) and sold.payments[0] <= value


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
    with pytest.raises(ValueError, match="bids more than once"):
        greedy_bundles([(0, A, 1), (0, B, 1)], "ab")
    with pytest.raises(ValueError, match="holds copies"):
        greedy_bundles([(0, A, 1)], {"a": 2})
    with pytest.raises(ValueError, match="NaN"):
        greedy_bundles([(0, A, np.nan)], "a")
    assert greedy_bundles([(0, A, 0)], "a").bundles == (frozenset(),)
