"""What a mechanism is: transfers, utilities and revenue are the textbook sums, and any rule is lifted to batches."""

import builtins
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mechlib.mechanism import Award, Outcome, arguments, checked, counted, lift, revenue, transfers, utility, welfare

SOLD = Outcome(np.array([0.0, 1.0, 0.0]), np.array([0.0, 4.0, 0.0]))
HIRED = Award(np.array([0.0, 1.0, 0.0]), np.array([0.0, 4.0, 0.0]))
SOME = np.array([[1.0, 2.0, 3.0], [3.0, 1.0, 2.0], [5.0, 4.0, 4.5], [0.0, 1.0, 0.0]])


def test_payments_are_made_by_the_agents_and_rewards_to_them() -> None:
    np.testing.assert_array_equal(transfers(SOLD), [0, -4, 0])
    np.testing.assert_array_equal(transfers(HIRED), [0, 4, 0])
    with pytest.raises(TypeError, match="neither payments nor rewards"):
        transfers((1, 2))


def test_who_buys_has_its_value_less_its_payment_and_who_sells_its_reward_less_its_cost() -> None:
    np.testing.assert_array_equal(utility([4, 7, 2], SOLD), [0, 3, 0])
    np.testing.assert_array_equal(utility([4, 3, 2], HIRED), [0, 1, 0])


def test_welfare_counts_values_and_costs_and_revenue_counts_money() -> None:
    assert welfare([4, 7, 2], SOLD) == 7
    assert welfare([4, 3, 2], HIRED) == -3
    assert revenue(SOLD) == 4
    assert revenue(HIRED) == -4


@given(
    arrays(float, (5, 3), elements=st.floats(-9, 9)), arrays(float, (5, 3), elements=st.floats(0, 9)),
    st.sampled_from([Outcome, Award]),
)
def test_utilities_and_revenue_sum_to_welfare(types: np.ndarray, money: np.ndarray, kind: Any) -> None:
    result = kind(np.full((5, 3), 0.5), money)
    shared = utility(types, result).sum(-1) + revenue(result)
    np.testing.assert_allclose(shared, welfare(types, result), atol=1e-12)


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


def test_what_is_not_there_is_let_pass_where_it_may_be_missing() -> None:
    assert np.isnan(checked("x", [np.nan, 1], missing=True)[0])
    with pytest.raises(ValueError, match=r"x\[1\] is -1.0, which is negative"):
        checked("x", [np.nan, -1], missing=True)
    with pytest.raises(ValueError, match=r"x\[0\] is inf"):
        checked("x", [np.inf, np.nan], missing=True, negative=True)


def test_one_number_for_all_is_given_to_each() -> None:
    np.testing.assert_array_equal(checked("x", [3.0], like=(2, 2)), [[3, 3], [3, 3]])
    np.testing.assert_array_equal(checked("x", [3.0, 4.0], like=(2, 2)), [[3, 4], [3, 4]])
    with pytest.raises(ValueError, match=r"x has shape \(3,\), which does not fit \(2,\)"):
        checked("x", [1, 2, 3], like=(2,))


def test_counts_are_whole_numbers() -> None:
    assert counted("n", np.int64(1)) == 1 and counted("n", 0, 0) == 0
    for number, least in ((0, 1), (1.0, 1), ("2", 1), (1, 2)):
        with pytest.raises(ValueError, match=f"n is {number!r}: it must be a whole number .* at least {least}"):
            counted("n", number, least)


# how many arguments a rule asks for


def test_a_rule_asks_for_what_has_no_default() -> None:
    assert arguments(lambda reports: 0) == arguments(lambda reports, reserve=0: 0) == arguments(lambda *reports: 0) == 1
    assert arguments(lambda reports, found: 0) == arguments(lambda reports, found, *, scale=1: 0) == 2
    assert arguments(lambda reports, found, costs: 0) == 3
    assert arguments(builtins.max) == 1  # it does not say
    for rule in (lambda: 0, lambda a, b, c, d: 0, lambda reports=0: 0):
        with pytest.raises(ValueError, match="a rule takes"):
            arguments(rule)


# a rule for batches, whatever it was written for


def second(bids: Any) -> Outcome:
    """Second price of two or more, for arrays (..., n)."""
    won = (np.arange(bids.shape[-1]) == bids.argmax(-1)[..., None]).astype(float)
    return Outcome(won, won * np.sort(bids, axis=-1)[..., -2, None])


def second_of_list(bids: Any) -> tuple[list[float], list[float]]:
    """Second price in plain Python: it works on lists alone."""
    best = bids.index(max(bids))
    won = [float(k == best) for k in range(len(bids))]
    return won, [w * sorted(bids)[-2] for w in won]


def second_of_one(bids: Any) -> Outcome:
    """Second price for arrays (n,) alone: a batch would be read as one profile."""
    best = int(np.argmax(bids))
    won = np.eye(len(bids))[best]
    return Outcome(won, won * sorted(bids.tolist())[-2])


def second_of_batch(bids: Any) -> Outcome:
    """Second price for arrays (batch, n) alone."""
    assert bids.ndim == 2
    return second(bids)


@pytest.mark.parametrize(
    ("rule", "batched"), [(second, True), (second_of_list, False), (second_of_one, False), (second_of_batch, True)]
)
def test_however_a_rule_is_written_it_is_lifted_to_batches(rule: Any, batched: bool) -> None:
    lifted = lift(rule, SOME)
    more = np.random.default_rng(0).random((7, 3))
    np.testing.assert_array_equal(lifted(more).payments, second(more).payments)
    np.testing.assert_array_equal(lifted(more).allocation, second(more).allocation)
    assert isinstance(lifted(more), Outcome) and lifted.batched is batched


def test_a_rule_that_mistakes_a_batch_for_a_profile_is_called_once_a_profile() -> None:
    """As many profiles as agents: the shape of what it returns looks right."""
    def pays_the_mean(bids: Any) -> Outcome:
        return Outcome(np.zeros(bids.shape), np.full(bids.shape, bids.mean()))

    lifted = lift(pays_the_mean, SOME)
    assert not lifted.batched
    np.testing.assert_array_equal(lifted(SOME[:3]).payments[:, 0], SOME[:3].mean(axis=1))


def test_an_award_stays_an_award() -> None:
    for rule in (
        lambda costs: Award(0 * costs, costs),
        lambda costs: Award([0.0] * len(costs), [float(c) for c in costs]),
        lambda costs: Award(np.zeros((1, 3)), costs[0] * np.ones((1, 3))) if costs.ndim == 2 else 1 / 0,
    ):
        assert isinstance(lift(rule, SOME[:2])(SOME), Award)


def test_a_rule_of_two_arguments_gets_both() -> None:
    def rule(reports: Any, found: Any) -> Award:
        return Award(reports, found - reports)

    np.testing.assert_array_equal(lift(rule, SOME, SOME**2)(SOME, SOME**2).rewards, SOME**2 - SOME)


def test_a_rule_may_write_on_what_it_is_given() -> None:
    def careless(bids: Any) -> Outcome:
        bids *= 2
        return Outcome(np.zeros(bids.shape), bids)

    profiles = SOME.copy()
    for rule in (careless, lambda bids: careless(bids) if bids.ndim == 1 else 1 / 0):
        np.testing.assert_array_equal(lift(rule, profiles)(profiles).payments, 2 * SOME)
        np.testing.assert_array_equal(profiles, SOME)


class Named(NamedTuple):
    """A result that says what it is worth."""

    winner: int
    payments: Any

    def worth(self, agent: int, value: float) -> float:
        """Return the value for the winner."""
        return float(value) * (agent == self.winner)


def test_a_richer_result_is_passed_on_one_by_one() -> None:
    results = lift(lambda bids: Named(int(np.argmax(bids)), np.zeros(3)), SOME)(SOME)
    assert [result.winner for result in results] == SOME.argmax(axis=1).tolist()
    with pytest.raises(ValueError, match="it must be an Outcome, an Award or a pair"):
        lift(lambda bids: Named(0, np.zeros(2)), SOME)


def test_raw_results_are_left_as_they_are() -> None:
    assert lift(lambda bids: "anything", SOME, raw=True)(SOME) == ["anything"] * 4


def test_a_random_rule_is_refused() -> None:
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="it is random"):
        lift(lambda bids: Outcome(np.zeros(3), rng.random(3)), SOME)
    with pytest.raises(ValueError, match="it is random"):
        lift(lambda bids: Named(int(rng.integers(3)), np.zeros(3)), SOME)


def test_a_rule_that_differs_by_a_rounding_error_from_its_batch_is_still_called_on_batches() -> None:
    def rule(bids: Any) -> Outcome:
        return Outcome(0 * bids, bids * (1 + 1e-13 * (bids.ndim > 1)))

    assert lift(rule, SOME).batched
    assert not lift(lambda bids: Outcome(0 * bids, bids * (1 + 1e-6 * (bids.ndim > 1))), SOME).batched


@pytest.mark.parametrize(
    ("returned", "message"),
    [
        ((np.zeros(3), np.zeros(2)), "it must be an Outcome"),
        ((np.zeros(2), np.zeros(2)), "it must be an Outcome"),
        ((np.zeros(3), np.full(3, np.nan)), "never NaN"),
        (np.zeros(3), "it must be an Outcome"),
        (None, "it must be an Outcome"),
        ("ab", "it must be an Outcome"),
    ],
)
def test_what_nobody_can_read_is_named_with_the_reports(returned: Any, message: str) -> None:
    with pytest.raises(ValueError, match=rf"for the reports \[1.0, 2.0, 3.0\] the rule returned.*{message}"):
        lift(lambda bids: returned, SOME)


def test_a_rule_that_fails_is_named_with_the_reports_on_which_it_does() -> None:
    def fails(bids: Any) -> Outcome:
        if np.ndim(bids) > 1 or bids[0] == 7:
            raise KeyError("seven")
        return Outcome(np.zeros(3), np.zeros(3))

    with pytest.raises(ValueError, match=r"fails on the reports \[7.0, 1.0, 1.0\]: KeyError\('seven'\)"):
        lift(fails, SOME)(np.array([[1.0, 1, 1], [7, 1, 1]]))
    with pytest.raises(ValueError, match=r"fails on the reports \[7.0, 1.0, 1.0\]"):
        lift(lambda bids: second(bids) if (bids != 7).all() else 1 / 0, SOME)(np.array([[1.0, 1, 1], [7, 1, 1]]))
    with pytest.raises(ValueError, match=r"fails on the reports \[1.0, 2.0, 3.0\]: ZeroDivisionError"):
        lift(lambda bids: 1 / 0, SOME)


def test_a_rule_that_buys_alone_and_sells_in_a_batch_is_called_alone() -> None:
    lifted = lift(lambda bids: (Outcome if bids.ndim == 1 else Award)(0 * bids, 0 * bids), SOME)
    assert isinstance(lifted(SOME), Outcome) and not lifted.batched


def test_a_rule_that_buys_here_and_sells_there_is_refused() -> None:
    def fickle(bids: Any) -> Any:
        return (Outcome if bids[0] > 1 else Award)(np.zeros(3), np.zeros(3))

    with pytest.raises(ValueError, match="always return one"):
        lift(fickle, SOME)
