"""The capstone's arena: rules that theory says fall, fall, and say why; one that holds, holds at every draw."""

import re

import numpy as np
import pytest

from mechlib import Award, absolute, audit, quadratic, replay, second_report
from mechlib.course.arena import AGENTS, BELIEFS, BUDGET, SLOT, fresh, seats, weakness
from mechlib.rules.choice import highest
from mechlib.settings import Beliefs


def pays(score):
    """Return the rule that passes on the highest report and pays a score."""
    return lambda reports, found: Award(highest(reports), score(np.asarray(reports), np.asarray(found)))


def window(reports):
    """Return where a report lies between .42 and .48: the back door of some rules below."""
    return (reports > 0.42) & (reports < 0.48)


at_its_price = pays(lambda r, f: second_report(r, f) - SLOT * highest(r))

FAULTS = {
    "over budget": pays(absolute),
    "The auditor broke it: agent": pays(lambda r, f: quadratic(r, f) / AGENTS),
    "gains .* by reporting": pays(second_report),
    "over budget: it pays": pays(lambda r, f: second_report(r, f) - SLOT * highest(r) + 50 * window(r)),
    "by reporting 0.4": pays(lambda r, f: second_report(r, f) - SLOT * highest(r) + 0.009 * window(r)),
    "where the slot is worth 0.05": pays(lambda r, f: -SLOT * highest(r)),
    "where the slot is worth": pays(lambda r, f: 0.1 - SLOT * highest(r)),
    "The auditor broke it": pays(lambda r, f: second_report(r, f) - 3 * SLOT * highest(r)),
    "can expect -0.05": pays(lambda r, f: second_report(r, f) - SLOT * highest(r) - 0.05),
    "less often than the best": lambda r, f: Award(np.full(np.shape(r), 0.2), np.zeros(np.shape(r))),
    "at most one answer": lambda r, f: Award(np.ones(np.shape(r)), np.zeros(np.shape(r))),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_rule_that_theory_says_falls_is_told_why(fault, seed):
    said = weakness(FAULTS[fault], np.random.default_rng(seed))
    assert said is not None and re.search(fault, said), said


@pytest.mark.parametrize("seed", range(8))
def test_the_second_report_with_the_slot_at_its_price_holds_at_every_draw(seed):
    assert weakness(at_its_price, np.random.default_rng(seed), draws=1) is None


def test_so_do_a_part_of_it_and_the_same_in_plain_python():
    def plain(reports, found):
        winner = max(range(AGENTS), key=lambda i: reports[i])
        price = sorted(reports)[-2] + SLOT
        mine = [float(i == winner) for i in range(AGENTS)]
        return Award(mine, [x * (f - price) for x, f in zip(mine, found, strict=True)])

    assert weakness(plain, np.random.default_rng(0), draws=1) is None
    part = pays(lambda r, f: 0.8 * second_report(r, f) - SLOT * highest(r))
    assert weakness(part, np.random.default_rng(0)) is None


def test_beliefs_are_drawn_afresh_and_lie_apart():
    first, second = (fresh(np.random.default_rng(seed), SLOT) for seed in (0, 1))
    assert not np.array_equal(first.grids, second.grids) and first.honest == (3,) * AGENTS
    own = np.sort(np.concatenate([grid[:3] for grid in first.grids]))
    assert np.diff(own).min() > 0.4 * SLOT and own.min() > 0 and own.max() < 1
    assert all(len(grid) == 4 for grid in first.grids) and first.prize == SLOT
    more = [fresh(np.random.default_rng(seed), SLOT).grids[0][3] for seed in range(20)]
    assert {0.0, 1.0} <= {*more} and sum(0 < report < 1 for report in more) > 4


def test_the_fixed_beliefs_break_the_naive_rule_and_not_the_priced_one():
    setting = Beliefs(BELIEFS, AGENTS, SLOT)
    assert audit(pays(absolute), setting).regret == pytest.approx(0.13)
    report = audit(at_its_price, setting)
    assert report.is_dsic and report.is_ir and report.budget[0] == pytest.approx(SLOT - BUDGET)
    assert audit(pays(absolute), Beliefs(BELIEFS, AGENTS)).regret == pytest.approx(0.08)  # |2 p - 1| times .4


def test_recorded_agents_take_the_first_seats_and_honest_ones_the_rest():
    reports, found = np.array([[1.0, np.nan, 0.2]] * 2000), np.array([[1, 1, 0]] * 2000)
    seated = seats(reports, found)
    assert np.array_equal(seated.reports[:, :3], reports, equal_nan=True) and (seated.found[:, :3] == found).all()
    hits, beliefs = seated.found[:, 3:], seated.reports[:, 3:]
    assert abs((hits - beliefs).mean()) < 0.02 and hits.mean() == pytest.approx(0.5, abs=0.03)
    played = replay(pays(absolute), seated)
    assert played.right.mean() == 1 and played.earned[:3] == pytest.approx([1, 0, -0.2])
    assert np.array_equal(seats(reports, found, seed=1).found[:, :3], found)
    assert not np.array_equal(seats(reports, found, seed=1).reports[:, 3:], beliefs)
