"""Auctions: the rules as the textbooks state them, and truth as a dominant strategy where it is one."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mechlib.mechanism import Outcome, counted, revenue, utility
from mechlib.rules.auctions import all_pay, first_price, posted_price, second_price, vickrey

# few distinct numbers, so that ties are common
TIED = st.integers(0, 5).map(float)
PROFILE = arrays(float, st.integers(1, 6), elements=TIED)
RULES: list[Callable[[np.ndarray], Outcome]] = [
    first_price, second_price, lambda b: vickrey(b, 2), lambda b: vickrey(b, 2, 3.0), all_pay,
    lambda b: posted_price(b, 2.0), lambda b: first_price(b, 2.0),
]


def gain_of_best_lie(rule: Callable[[np.ndarray], Outcome], values: np.ndarray) -> float:
    """Try every report of every agent, one at a time."""
    truth, worst = utility(values, rule(values)), 0.0
    for agent in range(len(values)):
        for lie in np.arange(0, 6.5, 0.5):
            reports = values.copy()
            reports[agent] = lie
            worst = max(worst, float(utility(values, rule(reports))[agent] - truth[agent]))
    return worst


def test_first_price_sells_to_the_highest_bid_at_that_bid() -> None:
    sold = first_price([3, 7, 5])
    np.testing.assert_array_equal(sold.allocation, [0, 1, 0])
    np.testing.assert_array_equal(sold.payments, [0, 7, 0])


def test_second_price_charges_the_second_bid() -> None:
    np.testing.assert_array_equal(second_price([3, 7, 5]).payments, [0, 5, 0])


def test_two_apples_go_to_the_two_highest_at_the_third_bid() -> None:
    for rule in (vickrey, second_price, first_price):  # one unit, and no reserve, unless said otherwise
        np.testing.assert_array_equal(rule([0.2, 0.5]).allocation, [0, 1])
    sold = vickrey([3, 7, 5, 4], units=2)
    np.testing.assert_array_equal(sold.allocation, [0, 1, 1, 0])
    np.testing.assert_array_equal(sold.payments, [0, 4, 4, 0])


def test_a_lone_bidder_pays_the_reserve_or_nothing() -> None:
    assert second_price([9]).payments == 0
    assert second_price([9], reserve=4).payments == 4
    assert second_price([3], reserve=4).allocation == 0


def test_units_beyond_the_bidders_cost_the_reserve() -> None:
    np.testing.assert_array_equal(vickrey([3, 7], units=5, reserve=2).payments, [2, 2])


def test_a_bid_at_the_reserve_wins() -> None:
    assert first_price([4, 1], reserve=4).allocation[0] == 1


def test_everybody_pays_in_an_all_pay_auction() -> None:
    np.testing.assert_array_equal(all_pay([1, 5, 5]).payments, [1, 5, 5])
    np.testing.assert_array_equal(all_pay([1, 5, 5]).allocation, [0, 1, 0])
    np.testing.assert_array_equal(all_pay([0.5, 0]).allocation, [1, 0])  # there is no reserve
    np.testing.assert_array_equal(all_pay([0, 0]).allocation, [1, 0])


def test_a_result_does_not_share_memory_with_the_bids() -> None:
    bids = np.array([1.0, 5.0])
    for rule in RULES:
        assert not any(np.shares_memory(part, bids) for part in rule(bids))


def test_posted_price_serves_all_takers() -> None:
    np.testing.assert_array_equal(posted_price([2, 1, 3], 2).allocation, [1, 0, 1])
    np.testing.assert_array_equal(posted_price([2, 1, 3], [3, 0, 1]).payments, [0, 0, 1])


def test_ties_go_to_the_lowest_index() -> None:
    for rule in (first_price, second_price, all_pay):
        np.testing.assert_array_equal(rule([1, 4, 4, 4]).allocation, [0, 1, 0, 0])
    np.testing.assert_array_equal(vickrey([1, 4, 4, 4], 2).allocation, [0, 1, 1, 0])
    np.testing.assert_array_equal(first_price([0, 0]).allocation, [1, 0])


@pytest.mark.no_cover
@given(PROFILE, st.integers(1, 4), TIED)
def test_truth_is_dominant_in_vickrey(values: np.ndarray, units: int, reserve: float) -> None:
    assert gain_of_best_lie(lambda b: vickrey(b, units, reserve), values) == 0


@pytest.mark.no_cover
@given(PROFILE, TIED)
def test_truth_is_dominant_under_a_posted_price(values: np.ndarray, price: float) -> None:
    assert gain_of_best_lie(lambda b: posted_price(b, price), values) == 0


def test_a_lie_pays_in_first_price_and_all_pay() -> None:
    assert gain_of_best_lie(first_price, np.array([5.0, 3.0, 1.0])) == 2
    assert gain_of_best_lie(all_pay, np.array([5.0, 3.0, 1.0])) == 3


@given(PROFILE, st.integers(1, 4))
def test_vickrey_is_efficient_and_nobody_regrets_taking_part(values: np.ndarray, units: int) -> None:
    sold = vickrey(values, units)
    assert (sold.allocation * values).sum() == np.sort(values)[::-1][:units].sum()
    assert (utility(values, sold) >= 0).all()


@pytest.mark.no_cover
@given(arrays(float, array_shapes(min_dims=2, max_dims=3, max_side=5), elements=TIED))
def test_a_batch_is_its_rows(bids: np.ndarray) -> None:
    for rule in RULES:
        together = rule(bids)
        for row in np.ndindex(bids.shape[:-1]):
            alone = rule(bids[row])
            np.testing.assert_array_equal(together.allocation[row], alone.allocation)
            np.testing.assert_array_equal(together.payments[row], alone.payments)


def test_first_and_second_price_earn_the_same_when_first_price_bidders_shade() -> None:
    values = np.random.default_rng(0).random((200_000, 4))
    second, first = revenue(second_price(values)), revenue(first_price(0.75 * values))
    for earned in (first, second):
        assert abs(earned.mean() - 3 / 5) < 4 * earned.std() / np.sqrt(len(values))


def test_the_optimal_reserve_for_two_uniform_bidders_earns_five_twelfths_against_one_third() -> None:
    values = np.random.default_rng(1).random((200_000, 2))
    for reserve, expected in ((0.5, 5 / 12), (0.0, 1 / 3)):
        earned = revenue(second_price(values, reserve))
        assert abs(earned.mean() - expected) < 4 * earned.std() / np.sqrt(len(values))


@pytest.mark.parametrize("rule", RULES)
@pytest.mark.parametrize(("bids", "message"), [([], "empty"), ([1, np.nan], "NaN"), ([np.inf], "infinite"),
                                               ([-1.0], "negative"), (1.0, "axes"), ([[1], [1, 2]], "real numbers")])
def test_bad_bids_are_refused(rule: Callable[[object], Outcome], bids: object, message: str) -> None:
    with pytest.raises(ValueError, match=rf"bids.*{message}"):
        rule(bids)


def test_bad_settings_are_named() -> None:
    for units in (0, -1, 1.5, "2"):
        with pytest.raises(ValueError, match="units is"):
            vickrey([1, 2], units)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"reserve is .* one number"):
        first_price([1, 2], reserve=[1, 2, 3])
    with pytest.raises(ValueError, match="reserve is -1"):
        first_price([1, 2], reserve=-1)
    with pytest.raises(ValueError, match="price has shape"):
        posted_price([1, 2], [1, 2, 3])
    with pytest.raises(ValueError, match="price must be an array of real numbers"):
        posted_price([1, 2], ["a", "b"])
    with pytest.raises(ValueError, match=r"price.*infinite"):
        posted_price([1, 2], np.inf)
    assert counted("units", np.int64(3)) == 3  # type: ignore[arg-type]
