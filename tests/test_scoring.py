"""Scoring rules: what each makes it best to say (theory: Savage 1971; Gneiting & Raftery 2007)."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechlib.rules.scoring import (
    absolute,
    abstain_pays,
    best_report,
    better_lie,
    bounds,
    expected_score,
    is_proper,
    logarithmic,
    quadratic,
    second_report,
    spherical,
)

GRID = np.linspace(0, 1, 101)
probabilities = st.floats(0, 1)


@pytest.mark.parametrize("rule", [quadratic, logarithmic, spherical])
def test_the_three_classic_rules_are_strictly_proper(rule):
    assert is_proper(rule)
    np.testing.assert_allclose(best_report(rule, GRID), GRID, atol=1e-5)
    np.testing.assert_allclose(best_report(rule, [1 / 3, 0.12345]), [1 / 3, 0.12345], atol=3e-6)


def test_the_popular_rule_expects_c_times_2p_minus_1():
    np.testing.assert_allclose(
        expected_score(absolute, GRID, GRID[:, None]), GRID * (2 * GRID[:, None] - 1), atol=1e-12
    )


def test_the_popular_rule_pays_an_agent_that_is_51_percent_sure_to_claim_certainty():
    assert best_report(absolute, [0.49, 0.5, 0.51]).tolist() == [0.0, 0.0, 1.0]
    assert not is_proper(absolute)
    lie = better_lie(absolute)
    assert lie.gain == pytest.approx(1 / 8)  # (1 - p)(2p - 1) is greatest at p = 3/4, and alike at 1/4
    assert (lie.belief, lie.report) == (0.25, 0.0)


def test_an_honest_agent_below_one_half_expects_a_loss_under_the_popular_rule():
    p = GRID[1:50]
    np.testing.assert_allclose(expected_score(absolute, p, p), p * (2 * p - 1), atol=1e-12)
    assert (expected_score(absolute, p, p) < 0).all()


def test_honesty_expects_p_squared_under_the_quadratic_rule():
    np.testing.assert_allclose(expected_score(quadratic, GRID, GRID), GRID**2, atol=1e-12)


def test_graded_accuracy_calls_for_the_median_under_the_popular_rule_and_the_mean_under_the_others():
    belief, accuracies = np.full(3, 1 / 3), [0.2, 0.3, 1.0]
    for rule, best in ((absolute, 0.3), (quadratic, 0.5), (logarithmic, 0.5)):
        assert GRID[np.argmax(expected_score(rule, GRID, belief, accuracies))] == pytest.approx(best)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5).filter(lambda a: 0.02 < np.mean(a) < 0.98))
def test_the_quadratic_rule_elicits_the_mean_of_any_accuracies(accuracies):
    belief = np.full(len(accuracies), 1 / len(accuracies))
    assert abs(GRID[np.argmax(expected_score(quadratic, GRID, belief, accuracies))] - np.mean(accuracies)) < 0.0051


@given(probabilities, probabilities, st.sampled_from([quadratic, logarithmic, spherical]))
def test_no_lie_beats_the_truth_under_a_proper_rule(belief, report, rule):
    assert expected_score(rule, report, belief) <= expected_score(rule, belief, belief) + 1e-12


def test_honest_scores_of_a_proper_rule_are_convex_in_the_belief():
    for rule in (quadratic, spherical):
        assert (np.diff(expected_score(rule, GRID, GRID), 2) > 0).all()


def test_dividing_a_budget_by_the_scores_destroys_properness():
    def divided(c, a):
        own = 1 - (c - a) ** 2
        return own / (own + 1.0)  # a rival who was certain and right

    assert best_report(divided, 0.7) == pytest.approx(0.63, abs=0.005)
    assert not is_proper(divided)


def test_clipping_at_zero_makes_certainty_best_at_every_belief():
    def clipped(c, a):
        return np.maximum(0, quadratic(c, a))

    assert (best_report(clipped, GRID[1:]) == 1).all()


def test_constant_and_affine_changes():
    assert is_proper(lambda c, a: 3 * quadratic(c, a) - 7 * np.asarray(a))
    assert not is_proper(lambda c, a: -quadratic(c, a))
    assert better_lie(lambda c, a: 1e-10 * quadratic(c, a)).gain == 0.0  # less than rounding: a tie too
    assert better_lie(lambda c, a: 1.0) == (0.0, 0.01, 0.0)  # a tie: proper, but not strictly


def test_rules_written_for_single_numbers_are_judged_alike():
    assert not is_proper(lambda c, a: max(0.0, a - (c - a) ** 2))
    assert is_proper(lambda c, a: 1 - (1 - c) ** 2 if a else 1 - c**2)
    with pytest.raises(ValueError, match="nan at confidence"):
        is_proper(lambda c, a: c * float("nan"))


def test_the_highest_report_is_scored_its_accuracy_less_the_best_other_report():
    scores = second_report([[0.6, 0.9, 0.8], [0.9, 0.9, 0.1]], [[1, 1, 0], [0, 1, 1]])
    np.testing.assert_allclose(scores, [[0, 0.2, 0], [-0.9, 0, 0]])


def test_second_report_with_abstentions():
    nan = np.nan
    confidence = [[nan, 0.5, 0.2], [nan, nan, 0.4], [nan, nan, nan], [0.0, nan, nan]]
    scores = second_report(confidence, np.ones((4, 3)))
    np.testing.assert_allclose(scores, [[0, 0.8, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0]])
    np.testing.assert_allclose(second_report([nan, 0.0], [1, 1]), [0, 1])  # not to be taken for a report of 0
    with pytest.raises(ValueError, match="array"):
        second_report(0.5, 1)


@given(probabilities, probabilities, st.lists(probabilities, min_size=1, max_size=4), st.integers(0, 4))
def test_truth_is_dominant_under_the_second_report_rule(belief, lie, others, place):
    place = min(place, len(others))

    def expects(report):
        reports = np.insert(np.array(others), place, report)
        won, lost = (second_report(reports, np.full(reports.size, a))[place] for a in (1.0, 0.0))
        return belief * won + (1 - belief) * lost

    assert expects(lie) <= expects(belief) + 1e-12
    assert expects(belief) >= -1e-12  # rational in expectation


def test_abstaining_is_chosen_exactly_below_the_confidence_the_designer_picks():
    rule = abstain_pays(quadratic, 0.36)
    honest, silent = expected_score(rule, GRID, GRID), rule(np.nan, 0)
    assert ((honest > silent) == (GRID > 0.6 + 1e-9)).all()


def test_the_best_report_does_not_depend_on_the_unit_of_the_money():
    for unit in (1e-3, 1.0, 1e6):
        best = best_report(lambda c, a, unit=unit: unit * quadratic(c, a), [0.3, 0.8])
        np.testing.assert_allclose(best, [0.3, 0.8], atol=1e-4)


def test_the_price_of_an_abstention_is_paid_entry_by_entry_to_numbers_of_any_kind():
    rule = abstain_pays(quadratic, 0.36)
    assert rule(np.nan, [0, 1]).tolist() == [0.36, 0.36]
    assert rule([Fraction(1, 2), np.nan], [1, 1]).tolist() == [0.75, 0.36]


def test_an_abstention_scores_zero_whatever_its_accuracy():
    for rule in (quadratic, logarithmic, spherical, absolute):
        assert rule([np.nan, 1.0], [np.nan, 1.0])[0] == 0


def test_being_sure_and_wrong_costs_everything_under_the_logarithmic_rule_and_nothing_when_right():
    assert logarithmic([1.0, 0.0, 1.0, 0.0], [1, 0, 0, 1]).tolist() == [0, 0, -np.inf, -np.inf]


def test_bounds_are_what_a_budget_is_scaled_by():
    assert bounds(quadratic) == bounds(absolute) == bounds(second_report, agents=3) == (-1.0, 1.0)
    assert bounds(spherical) == (0.0, 1.0)
    assert bounds(logarithmic) == (-np.inf, 0.0)


def test_a_grid_of_reports_and_accuracies_is_scored_at_once():
    assert quadratic(GRID[:, None], [0, 0.5, 1]).shape == (101, 3)
    assert second_report(np.zeros((5, 4, 3)), np.ones(3)).shape == (5, 4, 3)


@pytest.mark.parametrize(
    ("confidence", "accuracy", "words"),
    [
        (1.2, 1, "confidence must lie"),
        (0.5, -1, "accuracy must lie"),
        (0.5, np.nan, "accuracy must lie"),
        ([0.5, 0.5], [1, 1, 1], r"have shapes \(2,\) and \(3,\)"),
        ("sure", 1, "confidence must be an array of real numbers"),
        (0.5, "yes", "accuracy must be an array of real numbers"),
    ],
)
def test_errors_name_the_argument(confidence, accuracy, words):
    with pytest.raises(ValueError, match=words):
        quadratic(confidence, accuracy)


def test_beliefs_over_graded_accuracies_must_be_probabilities():
    with pytest.raises(ValueError, match="sum to 1"):
        expected_score(quadratic, 0.5, [0.5, 0.4], [0.0, 1.0])
