"""Hiring within a hard budget: truthful, never over the budget, and Singer's numbers."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mechlib.attacks.audit import audit
from mechlib.mechanism import revenue, utility
from mechlib.rules.budget import budget_feasible
from mechlib.settings import Values

TIED = st.integers(0, 5).map(float)


@given(arrays(float, 5, elements=TIED), arrays(float, 5, elements=TIED), st.integers(0, 20), st.integers(0, 4))
def test_truth_is_dominant_and_the_budget_holds(costs: np.ndarray, values: np.ndarray, budget: int, agent: int) -> None:
    hired = budget_feasible(costs, values, budget)
    honest = utility(costs, hired)
    assert (honest >= 0).all()
    assert -revenue(hired) <= budget + 1e-9
    for lie in np.arange(0, 7, 0.5):
        reports = np.where(np.arange(5) == agent, lie, costs)
        assert utility(costs, budget_feasible(reports, values, budget))[agent] <= honest[agent] + 1e-9


def test_a_hard_budget_goes_into_the_audit_as_it_stands() -> None:
    found = audit(lambda costs: budget_feasible(costs, [3, 1, 2], 4), Values([0, 1, 2, 3], 3))
    assert found.is_dsic and found.is_ir and found.sells
    assert found.budget is not None and found.budget[0] >= -4


def test_equal_values_hire_the_most_whose_cost_is_at_most_an_equal_share() -> None:
    hired = budget_feasible([1, 2, 3, 4], [1, 1, 1, 1], 6)
    np.testing.assert_array_equal(hired.allocation, [1, 1, 0, 0])
    np.testing.assert_array_equal(hired.rewards, [3, 3, 0, 0])
    np.testing.assert_array_equal(budget_feasible([1, 2, 2.5, 4], [1] * 4, 6).rewards, [2.5, 2.5, 0, 0])


def test_who_asks_for_more_than_the_budget_is_in_nobodys_way() -> None:
    np.testing.assert_array_equal(budget_feasible([150, 2], [100, 1], 100).allocation, [0, 1])


def test_who_asks_for_just_what_is_allowed_is_hired() -> None:
    np.testing.assert_array_equal(budget_feasible([6], [1], 6).rewards, [6])
    np.testing.assert_array_equal(budget_feasible([3, 3], [1, 1], 6).rewards, [3, 3])
    np.testing.assert_array_equal(budget_feasible([0, 1], [1, 1], 0).allocation, [1, 0])


def test_ties_go_to_the_lowest_index() -> None:
    np.testing.assert_array_equal(budget_feasible([2, 2, 2], [1, 1, 1], 3).allocation, [1, 0, 0])
    np.testing.assert_array_equal(budget_feasible([3, 1, 2], [3, 1, 2], 4).allocation, [1, 1, 0])


def test_nobody_is_paid_less_than_its_cost_not_even_by_rounding() -> None:
    rng = np.random.default_rng(0)
    costs, values = np.repeat(rng.random((500, 1)), 2, axis=1), np.repeat(rng.random((500, 1)), 2, axis=1)
    hired = budget_feasible(costs, values, 1.0)
    assert (utility(costs, hired) >= 0).all()


def test_no_budget_and_no_value_hire_nobody_who_costs() -> None:
    np.testing.assert_array_equal(budget_feasible([1, 2], [1, 1], 0).allocation, [0, 0])
    np.testing.assert_array_equal(budget_feasible([1, 0], [0, 0], 9).allocation, [0, 0])


def test_equal_rates_are_hired_from_the_lowest_index_however_many_they_are() -> None:
    """Sorting that is not stable keeps short rows in order, and loses it in long ones."""
    hired = budget_feasible(np.tile([1, 2], 50), np.ones(100), 30).allocation
    np.testing.assert_array_equal(hired, (np.arange(100) < 60) & (np.arange(100) % 2 == 0))


def test_a_batch_of_budgets_is_its_rows() -> None:
    rng = np.random.default_rng(0)
    costs, values = rng.integers(0, 5, (3, 4, 6)).astype(float), rng.integers(0, 4, 6).astype(float)
    together = budget_feasible(costs, values, 7)
    for k in np.ndindex(3, 4):
        alone = budget_feasible(costs[k], values, 7)
        np.testing.assert_array_equal(together.rewards[k], alone.rewards)
        np.testing.assert_array_equal(together.allocation[k], alone.allocation)


def test_the_unit_of_value_does_not_matter() -> None:
    rng = np.random.default_rng(1)
    costs, values = rng.random((50, 6)), rng.random(6)
    for unit in (2.0**-20, 2.0**20):
        np.testing.assert_array_equal(budget_feasible(costs, unit * values, 1).rewards,
                                      budget_feasible(costs, values, 1).rewards)


def test_bad_budgets_are_named() -> None:
    for budget in (-1, np.nan, np.inf, "1"):
        with pytest.raises(ValueError, match=r"budget is .* one number in \[0, inf\)"):
            budget_feasible([1], [1], budget)
    with pytest.raises(ValueError, match="costs must be an array of real numbers"):
        budget_feasible(["low"], [1], 1)
    with pytest.raises(ValueError, match="values has shape"):
        budget_feasible([1], [1, 2], 1)
