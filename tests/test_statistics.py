"""Intervals cover what they promise, pairs are compared in pairs, and many comparisons are not one."""

import numpy as np
import pytest

from mechlib import auc
from mechlib.course.statistics import Interval, arms, holm, over_seeds, paired, resampled, sign_flip


@pytest.mark.no_cover
def test_a_paired_interval_covers_the_true_difference_about_95_times_of_100() -> None:
    rng, covered = np.random.default_rng(0), 0
    for k in range(300):
        hard = rng.random(60)
        first, second = rng.random(60) < 0.3 + 0.5 * hard, rng.random(60) < 0.2 + 0.5 * hard
        interval = paired(first, second, seed=k)
        covered += interval.low <= 0.1 <= interval.high
    assert 0.91 <= covered / 300 <= 0.985


def test_pairing_is_sharper_than_two_intervals_that_overlap() -> None:
    rng = np.random.default_rng(1)
    shared = rng.normal(size=200)
    first, second = shared + 0.2 + 0.1 * rng.normal(size=200), shared + 0.1 * rng.normal(size=200)
    alone = [resampled(np.mean, x) for x in (first, second)]
    assert alone[0].low < alone[1].high and paired(first, second).excludes_zero


def test_answers_to_one_task_are_drawn_together() -> None:
    rng = np.random.default_rng(2)
    task = np.repeat(np.arange(40), 3)
    same = np.repeat(rng.normal(size=40), 3)
    zeros = np.zeros(120)
    apart, together = paired(same, zeros), paired(same, zeros, clusters=task)
    assert 1.5 < (together.high - together.low) / (apart.high - apart.low) < 2.0
    statistic = resampled(np.mean, same, clusters=task)
    assert statistic.high - statistic.low == pytest.approx(together.high - together.low, rel=0.1)


def test_draws_taken_together_are_the_draws_taken_one_by_one() -> None:
    rng = np.random.default_rng(4)
    said, right = rng.integers(0, 6, 40) / 5, rng.random(40) < 0.5
    said[:3] = np.nan  # silent
    for statistic, columns in ((np.mean, [rng.random(40)]), (np.mean, [right]), (np.mean, [rng.random((40, 3))]),
                               (auc, [said, right]), (auc, [rng.random(40), right])):
        apart = resampled(lambda *drawn, statistic=statistic: statistic(*drawn), *columns, draws=200)
        assert resampled(statistic, *columns, draws=200) == pytest.approx(apart, rel=1e-12)
    table = rng.random((40, 2))
    apart = resampled(lambda rows: np.ptp(rows.mean(axis=0)), table, draws=100)
    assert resampled(lambda draws: np.ptp(draws.mean(axis=1), axis=1), table, draws=100, at_once=True) == apart


def test_a_draw_of_one_kind_of_answer_has_no_area_and_is_left_out() -> None:
    found = resampled(auc, [0.2, 0.9], [False, True], draws=50)
    assert found == (1.0, 1.0, 1.0)


def test_many_rows_are_drawn_a_part_at_a_time() -> None:
    rows = np.random.default_rng(6).random(150_000)
    assert resampled(np.mean, rows, draws=4) == pytest.approx(resampled(lambda x: float(x.mean()), rows, draws=4))


def test_seeds_are_run_one_by_one_and_their_spread_is_kept() -> None:
    runs = over_seeds(lambda seed: float(np.random.default_rng(seed).normal()), seeds=400)
    assert runs.runs == 400 and runs.mean.low < 0 < runs.mean.high
    assert runs.usual == pytest.approx((-1.645, 1.645), abs=0.25)
    assert over_seeds([1.0, 3.0]).mean.mean == 2.0 and "nine runs of ten" in str(runs)


def test_chance_parts_equal_columns_rarely_and_unequal_ones_never() -> None:
    rng = np.random.default_rng(3)
    p = [sign_flip(rng.random(30), rng.random(30), seed=k) for k in range(200)]
    assert 0.01 <= np.mean(np.array(p) <= 0.05) <= 0.1
    assert sign_flip(np.ones(30), np.zeros(30)) < 0.001 and sign_flip(np.ones(5), np.ones(5)) == 1.0


def test_of_three_comparisons_at_4_in_100_none_stands_alone() -> None:
    assert holm([0.04, 0.04, 0.04]) == [False] * 3
    assert holm([0.04]) == [True]
    assert holm([0.03, 0.001, 0.02]) == [True, True, True]
    assert holm([0.2, 0.001, 0.03]) == [False, True, False]


def test_an_interval_reads_as_words() -> None:
    assert str(Interval(0.421, -0.0000000001, 0.46)) == "0.42 (0.00 to 0.46)"
    assert str(Interval(0.2, -0.004, 0.41)) == "0.20 (0.00 to 0.41)"
    assert f"{Interval(0, -0.002, 0.1):.0%}" == "0% (0% to 10%)"
    assert f"{Interval(1, 0.5, 2):.1f}" == "1.0 (0.5 to 2.0)"
    assert Interval(1, 0.5, 2).excludes_zero and Interval(-1, -2, -0.5).excludes_zero
    assert not Interval(1, 0, 2).excludes_zero


@pytest.mark.parametrize(("call", "words"), [
    (lambda: paired([], []), "first"),
    (lambda: resampled(np.mean, [1.0, 2.0], [1.0]), "rows"),
    (lambda: paired([1.0, 2.0], [0.0, 0.0], clusters=[1]), "clusters"),
    (lambda: resampled(np.mean, [1.0, 2.0], clusters=[0, 0], at_once=True), "at_once"),
    (lambda: over_seeds([np.nan, 1.0]), "finite"),
    (lambda: holm([1.2]), "p_values"),
])
def test_bad_input_is_named(call, words: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=words):
        call()


def test_arms_reach_from_the_mean_to_both_ends() -> None:
    np.testing.assert_allclose(arms([Interval(0.5, 0.3, 0.6), Interval(0, -1, 2)]), [[0.2, 1], [0.1, 2]])
