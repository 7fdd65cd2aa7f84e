"""The capstone's arena: rules that theory says fall, fall to the attacker that theory names; one that holds, holds."""

import numpy as np
import pytest

from mechlib.course import arena
from mechlib.course.arena import BUDGET, SLOT, Rule
from mechlib.rules.scoring import absolute, quadratic, second_report


def highest(reports):
    reports = np.asarray(reports)
    return (np.arange(reports.shape[-1]) == reports.argmax(-1)[..., None]).astype(float)


def nothing(reports, correct):
    return np.zeros(np.shape(reports))


NAIVE = Rule(highest, absolute)
PROPER = Rule(highest, lambda c, a: quadratic(c, a) / 5)
UNPRICED = Rule(highest, second_report)
PRICED = Rule(highest, lambda c, a: second_report(c, a) - SLOT * highest(c))
BLIND = Rule(lambda c: np.full(np.shape(c), 0.2), nothing)


@pytest.mark.parametrize("rule", [NAIVE, PROPER, UNPRICED])
def test_a_slot_that_is_worth_something_and_free_makes_lying_pay(rule):
    report = arena.attack_by_audit(rule)
    assert report.regret > 0.01 and report.witness.lie > report.witness.types[report.witness.agent]


def test_a_slot_without_worth_leaves_proper_rules_truthful_and_the_absolute_one_not():
    assert arena.attack_by_audit(PROPER, slot=0.0).is_dsic
    assert arena.attack_by_audit(UNPRICED, slot=0.0).is_dsic
    assert arena.attack_by_audit(NAIVE, slot=0.0).regret == pytest.approx(0.08)  # belief .4 or .6: |2p - 1| times .4


def test_the_second_report_with_the_slot_at_its_price_survives_the_audit_and_the_budget():
    report = arena.attack_by_audit(PRICED)
    assert report.is_dsic and report.is_ir
    assert arena.most_paid(PRICED) == pytest.approx(1 - SLOT) and arena.most_paid(PRICED) <= BUDGET


def test_the_absolute_rule_costs_an_honest_agent_an_eighth_at_the_worst_belief_on_a_fine_grid():
    """p (2p - 1) is lowest at 1/4: -1/8; on the arena's grid at .4: -.08."""
    assert arena.attack_by_audit(NAIVE, slot=0.0).worst_utility == pytest.approx(0.4 * -0.2)
    p = np.linspace(0, 1, 1001)
    assert (p * (2 * p - 1)).min() == pytest.approx(-1 / 8)


def test_a_prospect_weighs_the_others_answers_by_their_reports():
    beats_all = Rule(highest, lambda c, a: a * (1 - a.sum(-1, keepdims=True) + a >= 1))  # paid if alone right
    reports = np.array([[0.5, 0.2, 0.2, 0.5, 0.0]])
    found = arena.prospect(beats_all, reports)
    assert found.right[0, 0] == pytest.approx(0.8 * 0.8 * 0.5)
    assert not found.wrong.any() and found.chance[0].tolist() == [1, 0, 0, 0, 0]


def test_a_random_choice_is_truthful_and_loses_what_the_best_belief_is_worth():
    """Five uniform beliefs: the highest is 5/6 on average, a random one 1/2."""
    assert arena.attack_by_audit(BLIND).is_dsic
    shipped, lost = arena.shortfall(BLIND, tasks=40_000)
    assert shipped == pytest.approx(1 / 2, abs=0.005) and lost == pytest.approx(1 / 3, abs=0.005)
    assert arena.shortfall(NAIVE)[1] == 0


def test_the_learner_claims_certainty_under_the_absolute_rule_and_gains_nothing_where_truth_is_dominant():
    boastful = arena.attack_by_learning(NAIVE)
    assert boastful.gain > 10 * boastful.standard_error
    assert boastful.reports[0] < 0.05 and boastful.reports[3:].min() > 0.95
    assert arena.attack_by_learning(PRICED).gain <= 0


def test_rules_for_one_task_and_for_batches_are_the_same_rule():
    def choose(reports):
        chances = [0.0] * 5
        chances[max(range(5), key=lambda i: reports[i])] = 1.0
        return chances

    plain = Rule(choose, lambda c, a: [(float(a[i]) - (c[i] - a[i]) ** 2) / 5 for i in range(5)])
    slow, fast = (arena.attack_by_learning(rule, rounds=40, lives=2) for rule in (plain, PROPER))
    assert np.allclose(slow.reports, fast.reports) and slow.gain == pytest.approx(fast.gain)
    assert arena.most_paid(plain) == pytest.approx(arena.most_paid(PROPER))


def test_recorded_agents_take_their_seats_and_an_unstated_confidence_counts_as_none():
    confidence = np.array([[1.0, np.nan, 0.2]] * 50)
    correct = np.array([[1, 1, 0]] * 50)
    sure = arena.attack_by_recordings(NAIVE, confidence, correct)
    assert sure.right == 1 and sure.right_error == 0
    assert sure.earned[:3] == pytest.approx([1.0, 0.0, -0.2])
    assert sure.paid == pytest.approx(sure.earned.sum())


def test_the_scoreboard_says_what_held_and_what_broke():
    text = arena.scoreboard({"naive": NAIVE, "priced": PRICED}, np.full((20, 3), 0.9), np.ones((20, 3)))
    lines = text.splitlines()
    assert lines[0].split() == ["naive", "priced"]
    assert "broken" in lines[1] and "held" in lines[1]
    assert [line.count("broken") for line in lines[1:4]] == [1, 1, 1]
    assert "-0.000" not in text


def test_a_rule_that_is_none_is_refused_with_its_numbers():
    with pytest.raises(ValueError, match="must not be negative nor sum to more than 1"):
        arena.shortfall(Rule(np.ones_like, nothing))
    with pytest.raises(ValueError, match="it must give 5 numbers"):
        arena.shortfall(Rule(lambda c: np.asarray(c).sum(-1), nothing))
