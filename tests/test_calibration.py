"""Calibration: Murphy's parts, reliability by bins, Wilson's interval, discrimination."""

import warnings

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechlib.rules.calibration import auc, brier_decomposition, reliability, unit, wilson

answers = st.lists(st.tuples(st.integers(0, 10), st.booleans()), min_size=1, max_size=60)


@given(answers)
def test_the_parts_of_the_brier_loss_add_up(sample):
    confidence, correct = np.array([c / 10 for c, _ in sample]), np.array([y for _, y in sample])
    parts = brier_decomposition(confidence, correct)
    assert parts.loss == pytest.approx(parts.reliability - parts.resolution + parts.uncertainty, abs=1e-12)
    assert parts.loss == pytest.approx(np.mean((confidence - correct) ** 2))
    assert parts.uncertainty == pytest.approx(np.mean(correct) * (1 - np.mean(correct)))


def test_murphys_parts_at_their_extremes():
    assert brier_decomposition([1, 0, 1, 0], [1, 0, 1, 0]) == (0, 0, 0.25, 0.25)  # an oracle
    assert brier_decomposition([0.5] * 4, [1, 0, 1, 0]) == (0.25, 0, 0, 0.25)  # calibrated, says nothing
    assert brier_decomposition([1] * 4, [1, 0, 1, 0]) == (0.5, 0.25, 0, 0.25)  # always certain


def test_reliability_counts_each_answer_in_one_bin():
    table = reliability([0.0, 0.05, 0.1, 0.95, 1.0, np.nan], [0, 1, 0, 1, 1, 0])
    assert table.counts.tolist() == [2, 1, 0, 0, 0, 0, 0, 0, 0, 2]
    assert table.accuracy[[0, 1, 9]].tolist() == [0.5, 0, 1]
    assert table.confidence[[0, 9]] == pytest.approx([0.025, 0.975])
    assert np.isnan(table.accuracy[2:9]).all()
    assert (table.low[table.counts > 0] <= table.accuracy[table.counts > 0]).all()


@pytest.mark.parametrize("bins", [2, 5, 10, 20, 100])
def test_a_confidence_on_an_edge_is_in_the_bin_that_it_opens(bins):
    edges = [float(f"{k / bins:.2f}") for k in range(bins)]  # as they are written: .3, .6, .7
    assert reliability(edges, [1] * bins, bins).counts.tolist() == [1] * bins


def test_calibration_error_of_claiming_certainty_is_the_error_rate():
    assert reliability([1.0] * 10, [1] * 7 + [0] * 3).calibration_error == pytest.approx(0.3)


def test_calibration_error_counts_answers_and_both_directions():
    assert reliability([0.1, 0.1, 0.1, 0.9], [0, 0, 0, 0]).calibration_error == pytest.approx(0.75 * 0.1 + 0.25 * 0.9)
    assert reliability([0.1, 0.9], [1, 0]).calibration_error == pytest.approx(0.9)


def test_wilson_interval_of_a_textbook_case():
    low, high = wilson([0, 5, 10], 10)
    np.testing.assert_allclose(low, [0, 0.2366, 0.7225], atol=1e-4)
    np.testing.assert_allclose(high, [0.2775, 0.7634, 1], atol=1e-4)
    assert np.isnan(wilson(0, 0)).all()
    for successes in (5, -1):
        with pytest.raises(ValueError, match="swap"):
            wilson(successes, 3)


def test_auc_is_the_chance_that_right_answers_are_stated_more_surely():
    assert auc([0.9, 0.8, 0.2], [1, 1, 0]) == 1
    assert auc([0.9] * 6, [1, 0, 1, 0, 1, 1]) == 0.5
    assert auc([0.6, 0.4, 0.5], [0, 1, 1]) == 0
    with warnings.catch_warnings(action="error"):
        assert np.isnan(auc([0.9, 0.1], [1, 1])) and np.isnan(auc([0.9, 0.1], [0, 0]))


def test_only_what_may_be_left_out_is_said_to_be():
    with pytest.raises(ValueError, match=r"confidence must lie in \[0, 1\] \(nan: abstained\), but holds 2.0"):
        unit("confidence", [2.0], nan=True)
    with pytest.raises(ValueError, match=r"belief must lie in \[0, 1\], but holds nan"):
        unit("belief", [np.nan])


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: auc([0.5], [1, 0]), "one shape"),
        (lambda: reliability([np.nan], [1]), "at least one"),
        (lambda: brier_decomposition([50], [1]), "confidence must lie"),
        (lambda: reliability([0.5], [2]), "correct must lie"),
        (lambda: reliability([0.5], [1], bins=0), "bins"),
        (lambda: auc(["high"], [1]), "confidence must be an array of real numbers"),
        (lambda: auc([0.5], ["yes"]), "correct must be an array of real numbers"),
        (lambda: auc([0.5], [np.nan]), "correct must lie"),
    ],
)
def test_calibration_errors_name_the_argument(call, words):
    with pytest.raises(ValueError, match=words):
        call()
