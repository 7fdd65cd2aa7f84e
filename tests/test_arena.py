"""The capstone's arena: rules that theory says fall, fall, and say why; one that holds, holds at every draw."""

import re

import numpy as np
import pytest

from mechlib import Award, absolute, audit, quadratic, replay, second_report, spherical
from mechlib.course.arena import (
    AGENTS,
    BELIEFS,
    BUDGET,
    FAR,
    SLOT,
    alone,
    attack_fault,
    board,
    fresh,
    gain,
    in_pairs,
    seats,
    sentence,
    weakness,
)
from mechlib.rules.choice import highest
from mechlib.settings import Beliefs


def pays(score):
    """Return the rule that passes on the highest report and pays a score."""
    return lambda reports, found: Award(highest(reports), score(np.asarray(reports), np.asarray(found)))


def window(reports):
    """Return where a report lies between .42 and .48: the back door of some rules below."""
    return (reports > 0.42) & (reports < 0.48)


at_its_price = pays(lambda r, f: second_report(r, f) - SLOT * highest(r))
fair = pays(lambda r, f: quadratic(r, f) / AGENTS - SLOT * highest(r))

FAULTS = {
    "over budget: it pays": pays(absolute),
    "The auditor broke it: agent": pays(lambda r, f: quadratic(r, f) / AGENTS),
    "gains .* by reporting": pays(second_report),
    "over budget: it pays .* at the reports": pays(lambda r, f: fair(r, f).rewards + 50 * window(r)),
    "(auditor|liar) broke it": pays(lambda r, f: 0.9 * fair(r, f).rewards - 0.005 * highest(r) + 0.009 * window(r)),
    "big lie pays where the slot is worth 0.0": pays(lambda r, f: -SLOT * highest(r)),
    "A big lie pays": pays(lambda r, f: 0.1 - SLOT * highest(r)),
    "where the slot is worth": pays(lambda r, f: quadratic(r, f) / 50 - SLOT * highest(r)),
    "Two liars broke it: agents .* gain .* together": at_its_price,
    "The auditor broke it": pays(lambda r, f: fair(r, f).rewards - 2 * SLOT * highest(r)),
    "can expect -0.0": pays(lambda r, f: fair(r, f).rewards - 0.05),
    "less often than the best": lambda r, f: Award(np.full(np.shape(r), 0.2), np.zeros(np.shape(r))),
    "at most one answer": lambda r, f: Award(np.ones(np.shape(r)), np.zeros(np.shape(r))),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("seed", [0, 1])
def test_a_rule_that_theory_says_falls_is_told_why(fault, seed):
    said = weakness(FAULTS[fault], np.random.default_rng(seed))
    assert said is not None and re.search(fault, said), said


@pytest.mark.parametrize("seed", range(5))
def test_a_proper_score_for_everybody_with_the_slot_at_its_price_holds_at_every_draw(seed):
    assert weakness(fair, np.random.default_rng(seed)) is None


@pytest.mark.no_cover
def test_so_do_a_part_of_it_another_proper_score_and_the_same_in_plain_python():
    def plain(reports, found):
        winner = max(range(AGENTS), key=lambda i: reports[i])
        paid = [(f - (r - f) ** 2) / AGENTS - SLOT * (i == winner) for i, (r, f) in enumerate(zip(reports, found))]  # noqa: B905
        return Award([float(i == winner) for i in range(AGENTS)], paid)

    assert weakness(plain, np.random.default_rng(0), tries=300) is None
    for rule in (pays(lambda r, f: quadratic(r, f) / 10 - SLOT * highest(r)),
                 pays(lambda r, f: spherical(r, f) / AGENTS - SLOT * highest(r))):
        assert weakness(rule, np.random.default_rng(0)) is None


def test_a_gain_is_counted_over_everything_that_may_be_found():
    """By drawing who is right, for two liars at once, under a rule that pays each by what is found of all."""
    def together(r, f):
        return Award(highest(r), quadratic(r, f) + 0.2 * np.asarray(f).sum(axis=-1, keepdims=True) * r)

    beliefs, reports = np.array([0.3, 0.8, 0.5, 0.6, 0.1]), np.array([0.9, 0.8, 0.2, 0.6, 0.1])
    found = (np.random.default_rng(0).random((200_000, AGENTS)) < beliefs).astype(float)
    lie, truth = (together(np.tile(r, (len(found), 1)), found) for r in (reports, beliefs))
    drawn = (lie.rewards + 0.4 * lie.allocation - truth.rewards - 0.4 * truth.allocation)[:, [0, 2]].sum(axis=1)
    assert gain(together, beliefs, reports, 0.4) == pytest.approx(drawn.mean(), abs=5 * drawn.std() / 447)
    assert gain(together, beliefs, beliefs) == 0


def test_a_batch_of_gains_is_that_of_each_profile():
    beliefs, reports = in_pairs(np.random.default_rng(1), 20)
    one_by_one = [float(gain(at_its_price, b, r)) for b, r in zip(beliefs, reports, strict=True)]
    assert gain(at_its_price, beliefs, reports) == pytest.approx(one_by_one)


@pytest.mark.parametrize(("draw", "count"), [(alone, 1), (in_pairs, 2)])
def test_lies_are_drawn_for_so_many_agents_and_everywhere(draw, count):
    beliefs, reports = draw(np.random.default_rng(0), 4000)
    lying = (beliefs != reports).sum(axis=1)
    assert lying.max() == count and (lying == count).mean() > 0.99
    assert ((reports >= 0) & (reports <= 1)).all() and {0.0, 1.0} <= set(reports.ravel().tolist())
    distance = np.abs(reports - beliefs)[beliefs != reports]
    assert (distance < 0.05).mean() > 0.1 and (distance > FAR).mean() > 0.1
    assert not np.array_equal(draw(np.random.default_rng(1), 4000)[0], beliefs)


def test_a_witness_is_a_sentence_that_can_be_checked_by_hand():
    beliefs, reports = [0.9, 0.8, 0.3, 0.2, 0.1], [0.9, 0.0, 0.3, 0.2, 0.1]
    assert gain(at_its_price, beliefs, reports) == pytest.approx(0)  # alone it gains nothing ...
    reports[0] = 0.95
    assert gain(at_its_price, beliefs, reports) == pytest.approx(0.5)  # ... with the winner, .8 - .3
    assert sentence(at_its_price, beliefs, reports) == (
        "agents 0 and 1, believing 0.9 and 0.8, gain 0.5 together by reporting 0.95 and 0 beside (0.3, 0.2, 0.1)")
    assert sentence(pays(second_report), [0.5, 0.6, 0, 0, 0], [0.61, 0.6, 0, 0, 0]) == (
        "agent 0, believing 0.5, gains -0.05 by reporting 0.61 beside (0.6, 0, 0, 0)")


@pytest.mark.parametrize("reports", [[0.5] * 4, [0.5, 0.5, 0.5, 0.5, 1.5]])
def test_what_are_no_reports_of_five_agents_is_refused(reports):
    with pytest.raises(ValueError, match="give chances in"):
        gain(fair, [0.5] * 5, reports)


def search(rule, rng, draws=(alone, in_pairs)):
    """Attack as the course's solution does."""
    for draw in draws:
        beliefs, reports = draw(rng, 4000)
        won = gain(rule, beliefs, reports)
        if won.max() > 1e-9:
            return beliefs[won.argmax()], reports[won.argmax()]
    return None


BROKEN = {"the naive rule": (pays(absolute), True), "a price": (at_its_price, True), "one that holds": (fair, False)}


def test_an_attack_that_looks_for_one_liar_and_for_two_passes():
    assert attack_fault(search, BROKEN, np.random.default_rng(0)) is None


@pytest.mark.parametrize(("attack", "fault"), [
    (lambda rule, rng: None, "finds nothing against the naive rule"),
    (lambda rule, rng: search(rule, rng, (alone,)), "finds nothing against a price"),
    (lambda rule, rng: search(rule, rng) or ([0.5] * 5, [0.6] + [0.5] * 4), "claims a lie that gains -"),
    (lambda rule, rng: ([0.5] * 5, [0.6] * 5), "lets 5 agents lie"),
    (lambda rule, rng: ([0.5] * 5, [0.5] * 5), "lets 0 agents lie"),
    (lambda rule, rng: 0.3, "returned 0.3: return"),
    (lambda rule, rng: ([0.5], [0.6]), "five numbers each"),
])
def test_an_attack_that_misses_or_cries_wolf_is_told_so(attack, fault):
    said = attack_fault(attack, BROKEN, np.random.default_rng(0))
    assert said is not None and fault in said, said


def test_the_board_shows_what_each_attacker_found():
    shown = board({"price": at_its_price, "fair": fair}, attacks={"mine": search})
    assert shown.held("fair") and not shown.held("price")
    found = shown.findings["price"]
    assert found["two liars gain"].value > 0.4 and found["one liar gains"].held and not found["mine gains"].held
    assert shown.findings["fair"]["mine gains"].value == 0


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
