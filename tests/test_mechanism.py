"""Outcomes: utility, welfare and revenue are the textbook sums, and bad arguments are named."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mechlib.mechanism import Outcome, checked, revenue, utility, welfare

SOLD = Outcome(np.array([0.0, 1.0, 0.0]), np.array([0.0, 4.0, 0.0]))


def test_utility_is_value_less_payment_for_the_winner_alone() -> None:
    np.testing.assert_array_equal(utility([4, 7, 2], SOLD), [0, 3, 0])


def test_welfare_counts_value_and_revenue_counts_money() -> None:
    assert welfare([4, 7, 2], SOLD) == 7
    assert revenue(SOLD) == 4


@given(arrays(float, (5, 3), elements=st.floats(-9, 9)), arrays(float, (5, 3), elements=st.floats(0, 9)))
def test_utilities_and_revenue_sum_to_welfare(values: np.ndarray, payments: np.ndarray) -> None:
    outcome = Outcome(np.ones((5, 3)), payments)
    shared = utility(values, outcome).sum(-1) + revenue(outcome)
    np.testing.assert_allclose(shared, welfare(values, outcome), atol=1e-12)


def test_leading_axes_are_batches() -> None:
    batch = Outcome(np.tile(SOLD.allocation, (2, 4, 1)), np.tile(SOLD.payments, (2, 4, 1)))
    assert utility([4, 7, 2], batch).shape == (2, 4, 3)
    assert welfare(np.ones((4, 3)), batch).shape == revenue(batch).shape == (2, 4)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ([], "bids is empty"),
        (np.ones((0, 3)), "bids is empty"),
        (3.0, "one or more axes"),
        ([1, np.nan], r"bids\[1\] is nan, which is NaN"),
        ([[1, 2], [np.inf, 1]], r"bids\[1, 0\] is inf, which is infinite"),
        ([1, -2], r"bids\[1\] is -2.0, which is negative"),
        ([[1], [1, 2]], "array of real numbers"),
        (["a"], "array of real numbers"),
        ([1j], "array of real numbers"),
    ],
)
def test_bad_reports_are_named(values: object, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        checked("bids", values)  # type: ignore[arg-type]


def test_wrong_number_of_axes_is_named() -> None:
    with pytest.raises(ValueError, match="values must have 2 axes"):
        checked("values", [1, 2], ndim=2)


def test_values_of_another_number_of_agents_are_refused() -> None:
    with pytest.raises(ValueError, match="types has 2 agents and the result 3"):
        utility([1, 2], SOLD)
    with pytest.raises(ValueError, match="which is NaN"):
        welfare([1, 2, np.nan], SOLD)


def test_a_good_array_is_not_copied() -> None:
    array = np.ones(3)
    assert checked("x", array) is array
    assert checked("x", [-1, 2], negative=True)[0] == -1
