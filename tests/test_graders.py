"""The graders of chapter 3: what was recorded of three models, and simulated ones with correlated errors."""

import asyncio

import numpy as np
import pytest

from mechlib import client, load_tasks
from mechlib.course.graders import (
    LARGE,
    MIDDLE,
    SIZES,
    SMALL,
    correlation,
    grades,
    mean_correlation,
    panel,
    sampled,
    signature,
    simulated,
)

HEARD = asyncio.run(panel(client("answers", "replay")))


def test_the_panel_marks_answers_as_the_tasks_do() -> None:
    assert [*HEARD.said] == [*HEARD.right] == [*SIZES] and HEARD.tasks == load_tasks()
    for model, said in HEARD.said.items():
        expected = [r.status == "answered" and t.correct(r.answer) for t, r in zip(HEARD.tasks, said, strict=True)]
        assert HEARD.right[model].tolist() == expected


def test_letters_are_numbers_and_right_where_the_key_is_the_same() -> None:
    for model, letters in HEARD.letters.items():
        assert ((letters >= -1) & (letters < 4)).all()
        lettered, right = letters >= 0, HEARD.right[model][HEARD.choices]  # some write the option out
        assert np.array_equal((letters == HEARD.key)[lettered], right[lettered])
    wrong = HEARD.both_wrong(MIDDLE, LARGE)
    assert wrong.any() and not (HEARD.right[MIDDLE] & HEARD.right[LARGE])[HEARD.choices][wrong].any()


def test_a_grader_marks_the_answers_of_the_others_and_an_unreadable_mark_is_nan() -> None:
    marks = asyncio.run(grades(HEARD, SMALL, client("answers", "replay")))
    answered = [sum(reply.status == "answered" for reply in HEARD.said[other]) for other in (MIDDLE, LARGE)]
    assert len(marks.stated) == len(marks.right) == len(marks.task) == sum(answered)
    assert 0 < np.isnan(marks.stated).sum() < 20
    assert np.array_equal(marks.right[: answered[0]] == 1, HEARD.right[MIDDLE][marks.task[: answered[0]]])


def test_forty_tasks_were_answered_four_times_more() -> None:
    chosen, hits = asyncio.run(sampled(HEARD, LARGE, client("samples", "replay")))
    assert len(set(chosen)) == 40 and hits.shape == (4, 40)
    assert not (hits == hits[0]).all() and mean_correlation(hits) > 0.2


def test_simulated_copies_are_as_good_as_told_and_err_together() -> None:
    verdicts = simulated([0.7, 0.7, 0.85], 0.6, 200_000, np.random.default_rng(0))
    truth = simulated([1, 1, 1], 0.6, 200_000, np.random.default_rng(0))[0]
    right = verdicts == truth
    assert right.mean(axis=1) == pytest.approx([0.7, 0.7, 0.85], abs=5e-3)
    assert correlation(right[0], right[1]) == pytest.approx(0.6, abs=0.01)
    assert correlation(right[0], right[2]) == pytest.approx(0, abs=0.01)


@pytest.mark.parametrize(
    ("accuracies", "rho", "named"), [([0.7, 0.8], 0.5, "accuracies"), ([0.7], 0.5, "accuracies"),
                                     ([1.2, 1.2], 0.5, "accuracies"), ([0.7, 0.7], 1.5, "correlation")])
def test_impossible_graders_are_refused(accuracies: list[float], rho: float, named: str) -> None:
    with pytest.raises(ValueError, match=f"{named} is"):
        simulated(accuracies, rho, 10, np.random.default_rng(0))


def test_correlation_of_a_constant_is_nan_and_means_leave_it_out() -> None:
    assert np.isnan(correlation([1, 1], [0, 1])) and correlation([0, 1, 1], [0, 1, 1]) == pytest.approx(1)
    replies = np.array([[0, 1, 1, 0], [0, 1, 1, 0], [1, 1, 1, 1]])
    assert mean_correlation(replies) == pytest.approx(1)
    assert mean_correlation(replies[:1], 1 - replies[1:2]) == pytest.approx(-1)


def test_the_signature_marks_pairs_that_are_commoner_than_chance() -> None:
    assert np.array_equal(signature([[0, 1, 0, 1], [0, 1, 0, 1]]), np.eye(2))
    assert np.array_equal(signature([[0, 1, 0, 1], [1, 0, 1, 0]]), 1 - np.eye(2))
    assert np.array_equal(signature([[1, 1], [0, 1]]), np.zeros((2, 2)))


def test_draws_together_have_the_correlations_and_signatures_of_each_draw() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.integers(0, 2, (2, 5, 30))
    assert correlation(first, second) == pytest.approx([np.corrcoef(x, y)[0, 1]
                                                        for x, y in zip(first, second, strict=True)])
    replies = rng.integers(0, 2, (6, 4, 30))
    assert mean_correlation(replies) == pytest.approx([mean_correlation(some) for some in replies])
    pairs = rng.integers(0, 2, (9, 2, 10))
    assert np.array_equal(signature(pairs), [signature(pair) for pair in pairs])
