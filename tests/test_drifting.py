"""What forgetting is worth where skill drifts, and how soon a reputation notices that it did."""

import functools

import numpy as np
import pytest

from mechlib import Ledger
from mechlib.course.drifting import drifting, false_alarms, noticed
from mechlib.course.sweep import sweep


def test_never_forgetting_is_worst_when_skill_drifts_and_better_than_forgetting_fast_when_it_does_not():
    watched = functools.partial(drifting, discounts=[0.8, 0.95, 1.0])
    found = sweep(watched, {"every": [50, 10**9]}, seed=0, repeats=4)
    fast, never = found.mean
    assert fast[2] == fast.min() and never[2] > never[0] + 4 * found.standard_error[1, 0]


def test_the_answer_shipped_is_that_of_the_better_reputation():
    """Without swaps and with a plain mean the better of .9 and .6 is found soon; what is lost is the first rounds."""
    share = drifting(np.random.default_rng(0), [1.0], 10**9, rounds=400, lives=200)
    assert 0.88 < share < 0.905
    assert drifting(np.random.default_rng(0), [1.0], 1, rounds=200, lives=200) < 0.77  # half of the time the wrong one


@pytest.mark.parametrize("discount", [0.3, 0.8, 0.98, 1.0])
@pytest.mark.parametrize("every", [1, 20, 10**9])
def test_a_round_ships_the_answer_of_the_higher_discounted_sum_so_far(discount, every):
    drawn = 100 * np.random.default_rng(1).random((200, 7))
    right = 0
    for life in drawn.T:
        first, second, swapped = 0.0, 0.0, False
        for draw in life:
            swapped ^= draw % 1 < 1 / every
            good, bad = draw < 90, int(draw) % 10 < 6
            hits = (bad, good) if swapped else (good, bad)
            right += hits[0] if first >= second else hits[1]
            first, second = discount * first + hits[0], discount * second + hits[1]
    found = drifting(np.random.default_rng(1), [0.9, discount], every, rounds=200, lives=7)
    assert found.shape == (2,) and found[1] == right / drawn.size


@pytest.mark.parametrize("discount", [0.0, 1.1, 0.1])
def test_a_discount_that_forgets_too_fast_to_be_counted_is_refused(discount):
    with pytest.raises(ValueError, match=f"discounts holds {discount}"):
        drifting(np.random.default_rng(0), [0.9, discount], 25, rounds=400)


def test_a_change_is_noticed_when_the_ledger_s_reputation_says_so():
    change, level, discount = 20, 0.6, 0.9
    after = noticed(np.random.default_rng(3), discount, level, change, 60, 1)[0]
    right = np.random.default_rng(3).random((60, 1)) < np.where(np.arange(60) < change, 0.9, 0.4)[:, None]
    with Ledger() as ledger:
        track = []
        for hit in right[:, 0]:
            ledger.reward(ledger.begin("a task"), "drifter", 0.0, found=float(hit))
            track.append(ledger.reputation("drifter", discount, of="found"))
    assert after == np.flatnonzero(np.array(track[change:]) < level)[0] + 1


def test_who_forgets_faster_notices_sooner_and_a_plain_mean_never_does():
    fast, slow, never = (noticed(np.random.default_rng(0), d) for d in (0.9, 0.98, 1.0))
    assert np.median(fast) < np.median(slow) < np.inf and np.isinf(never).mean() > 0.9 and fast.shape == (400,)


def test_who_forgets_faster_raises_more_false_alarms_and_a_plain_mean_none():
    faster, fast, never = (false_alarms(np.random.default_rng(0), d).mean() for d in (0.8, 0.9, 1.0))
    assert faster > 0.3 and 0.005 < fast < 0.1 and never == 0


def test_a_false_alarm_in_the_first_tasks_does_not_count():
    early = false_alarms(np.random.default_rng(0), 1.0, warm_up=0)
    assert early.mean() > 0.1  # one agent in ten is wrong in its first task, where the mean is then 0
    assert not false_alarms(np.random.default_rng(0), 1.0, warm_up=20, rounds=20).any()
