"""What a rule would have made of recorded replies: allocations by marks, money by what was found, means by task."""

import numpy as np
import pytest

from mechlib.attacks.replay import Recorded, replay
from mechlib.mechanism import Award, Outcome
from mechlib.rules.scoring import quadratic

REPORTS = np.array([[0.9, 0.2], [0.3, 0.8], [np.nan, 0.6], [np.nan, np.nan]])
FOUND = np.array([[1, 0], [1, 0], [1, 1], [1, 1]])
COSTS = np.array([[0.1, 0.2]] * 4)


def highest(reports):
    """Return who reports most; silence is never chosen."""
    claims = np.where(np.isnan(reports), -1.0, reports)
    return ((np.arange(claims.shape[-1]) == claims.argmax(axis=-1)[..., None]) & ~np.isnan(reports)).astype(float)


def scored(reports, found):
    return Award(highest(reports), quadratic(reports, found))


def test_who_is_chosen_is_right_or_not_and_silence_never_is():
    played = replay(scored, (REPORTS, FOUND))
    assert played.allocation.tolist() == [[1, 0], [0, 1], [0, 1], [0, 0]] and played.right.tolist() == [1, 0, 1, 0]
    spoken = np.where(np.isnan(REPORTS), 0, FOUND - (REPORTS - FOUND) ** 2)
    assert played.rewards == pytest.approx(np.nan_to_num(spoken))
    assert played.paid == pytest.approx(played.rewards.sum(axis=1))
    assert played.earned == pytest.approx(played.rewards.mean(axis=0)) and played.earned.shape == (2,)


def test_payments_are_negative_rewards():
    played = replay(lambda reports: Outcome(highest(reports), 2.0 * highest(reports)), (REPORTS, FOUND))
    assert played.paid.tolist() == [-2, -2, -2, 0] and played.right.tolist() == [1, 0, 1, 0]


def test_costs_are_read_by_rules_that_ask_for_them():
    def net(reports, found, costs):
        return Award(highest(reports), found - costs)

    played = replay(net, Recorded(REPORTS, FOUND, COSTS))
    assert played.rewards[0] == pytest.approx([0.9, -0.2]) and played.rewards[3] == pytest.approx([-0.1, -0.2])
    with pytest.raises(ValueError, match="lacks what the rule reads"):
        replay(net, (REPORTS, FOUND))


def by_quality(reports, found):
    return Award(highest(np.where(np.isnan(reports), np.nan, found)), np.asarray(found, float))


def test_a_rule_that_ships_by_quality_ships_by_the_marks_and_pays_by_what_was_found():
    marks = np.array([[0.2, 0.9], [0.8, 0.1], [0.5, 0.4], [0.5, 0.4]])
    played = replay(by_quality, Recorded(REPORTS, FOUND, marks=marks))
    assert played.allocation.tolist() == [[0, 1], [1, 0], [0, 1], [0, 0]] and played.right.tolist() == [0, 1, 1, 0]
    assert played.rewards.tolist() == [[1, 0], [1, 0], [0, 1], [0, 0]]
    oracle = replay(by_quality, (REPORTS, FOUND, None, FOUND))
    assert oracle.right.tolist() == [1, 1, 1, 0]
    with pytest.raises(ValueError, match=r"which nobody knows when they are passed on: .* marks=found for an oracle"):
        replay(by_quality, (REPORTS, FOUND))
    half = replay(by_quality, Recorded(REPORTS[:1], FOUND[:1], marks=np.array([[np.nan, 0.1]])))
    assert half.allocation.tolist() == [[0, 1]]


def test_silence_is_worth_nothing_whatever_its_mark_and_whatever_would_have_been_found():
    def best(reports, found):
        found = np.asarray(found)
        return Award(np.arange(2) == found.argmax(axis=-1)[..., None], 0 * found)

    shipped = replay(best, Recorded([[np.nan, 0.5]], [[1, 1]], marks=[[0.9, 0.1]]))
    assert shipped.allocation.tolist() == [[0, 1]]

    def silent(reports, found):  # reads nothing that could change: what is not said is found wrong in every play
        return Award(np.where(np.isnan(reports), found, 0.5), 0 * found)

    assert replay(silent, ([[np.nan, 0.5], [0.5, np.nan]], [[1, 1], [0, 0]])).right.tolist() == [0.5, 0]


def test_a_chance_of_being_passed_on_counts_as_that_share_and_grades_too():
    played = replay(lambda reports: Award(np.full(np.shape(reports), 0.5), np.zeros(np.shape(reports))),
                    ([[0.1, 0.9]] * 3, [[1, 0], [0.5, 0.5], [0, 0]]))
    assert played.right.tolist() == [0.5, 0.5, 0]


@pytest.mark.parametrize("tasks", [1, 2, 3, 7])
def test_plain_python_for_one_task_is_the_same_rule(tasks):
    def plain(reports, found):
        best = max(range(len(reports)), key=lambda i: reports[i])
        return [float(i == best) for i in range(len(reports))], [-float(f) for f in found]

    rng = np.random.default_rng(0)
    reports, found = rng.random((tasks, 2)), rng.integers(0, 2, (tasks, 2))
    played = replay(plain, (reports, found))
    assert np.array_equal(played.allocation, highest(reports)) and np.array_equal(played.rewards, found)


def test_two_rules_are_compared_task_by_task():
    rng = np.random.default_rng(1)
    reports, found = rng.random((400, 2)), rng.integers(0, 2, (400, 2))
    good, bad = (replay(by_quality, (reports, found, None, marks)) for marks in (found, 1 - found))
    more, low, high = good.against(bad)
    difference = good.right - bad.right
    assert more == difference.mean() and low < more < high
    assert high - more == pytest.approx(1.96 * difference.std(ddof=1) / 20) == pytest.approx(more - low)
    assert good.against(good) == (0, 0, 0)


def test_the_findings_are_told():
    played = replay(scored, (REPORTS, FOUND))
    assert repr(played).startswith("Replay of scored on 4 tasks") and "right answers passed on" in repr(played)
    assert "0.50 (" in repr(played) and f"{played.earned[0]:.3f}, {played.earned[1]:.3f}" in repr(played)
    assert "<caption>Replay of scored on 4 tasks</caption>" in played._repr_html_()
    assert "nan" in repr(replay(scored, (REPORTS[:1], FOUND[:1])))

    def rule(reports, found):
        return scored(reports, found)

    rule.__name__ = "<script>"
    assert "<script>" not in replay(rule, (REPORTS, FOUND))._repr_html_()


@pytest.mark.parametrize(
    ("recorded", "message"),
    [
        ((REPORTS[0], FOUND[0]), r"\(tasks, agents\), a task or more"),
        ((REPORTS[:0], FOUND[:0]), "a task or more"),
        ((REPORTS, FOUND[:2]), r"recorded found has shape \(2, 2\), the reports \(4, 2\)"),
        ((REPORTS, FOUND, COSTS[:1]), "recorded costs has shape"),
        ((REPORTS, FOUND, None, FOUND[0]), "recorded marks has shape"),
        ((REPORTS, None), "lacks what the rule reads"),
    ],
)
def test_what_cannot_be_replayed_is_refused(recorded, message):
    with pytest.raises(ValueError, match=message):
        replay(scored, recorded)


def test_a_rule_that_fails_names_the_reports():
    with pytest.raises(ValueError, match=r"fails on the reports \[0.9, 0.2\]"):
        replay(lambda reports, found: 1 / 0, (REPORTS, FOUND))
