"""Choosing by report or by mark: which rules make the truth best, and which lies the others invite."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mechlib.attacks.audit import audit
from mechlib.mechanism import Award, Outcome, revenue
from mechlib.rules.choice import best_mark, highest, impartial, score_auction, scored, softened
from mechlib.rules.peer import select_impartially
from mechlib.rules.scoring import logarithmic, quadratic, spherical
from mechlib.settings import Beliefs, Values

nan = np.nan
BELIEFS = np.linspace(0.05, 0.95, 10)
MARKS = st.integers(2, 5).flatmap(
    lambda n: arrays(float, (n, n), elements=st.sampled_from([0.0, 0.25, 0.5, 1.0, nan]))
)


# who ships


def test_the_highest_report_ships_and_ties_go_to_the_lowest_index():
    assert highest([0.3, 0.9, 0.9]).tolist() == [0, 1, 0]
    assert highest([[0.0, -1.0], [2.0, 3.0]]).tolist() == [[1, 0], [0, 1]]


def test_a_lot_gives_equal_reports_equal_chances():
    assert highest([0.9, 0.3, 0.9], ties="lot").tolist() == [0.5, 0, 0.5]
    assert highest([[0.9, nan, 0.9], [0.2, 0.4, 0.1], [nan, nan, nan]], ties="lot").tolist() == [
        [0.5, 0, 0.5], [0, 1, 0], [0, 0, 0]]
    assert highest([0.0, nan, nan], ties="lot").tolist() == [1, 0, 0]


def test_a_choice_by_lot_pays_and_audits_like_any_other():
    def rule(reports, found):
        return Award(highest(reports, ties="lot"), quadratic(reports, found))

    assert audit(rule, Beliefs(BELIEFS, 3)).is_dsic


def test_who_abstains_is_never_chosen():
    assert highest([nan, 0.0, 0.0]).tolist() == [0, 1, 0]
    assert softened(0.2)([nan, 0.5, 0.9]) == pytest.approx([0, 0.2, 0.8])
    assert highest([nan, nan]).tolist() == softened(0.2)([nan, nan]).tolist() == [0, 0]
    assert best_mark([nan, 0.1, nan], [[1.0, 0.0, 1.0]]).tolist() == [0, 1, 0]
    assert impartial([nan, 0.1, nan], np.ones((3, 3))).tolist() == [0, 1, 0]
    assert best_mark([nan, nan], [[1.0, 0.0]]).tolist() == impartial([nan, nan], np.eye(2)).tolist() == [0, 0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.floats(0.01, 0.2))
def test_a_softened_choice_is_a_distribution_with_full_support(reports, floor):
    chance = softened(floor)(reports)
    assert chance.sum() == pytest.approx(1)
    assert chance.min() >= floor - 1e-12
    assert chance[np.argmax(reports)] == pytest.approx(1 - floor * (len(reports) - 1))


@pytest.mark.parametrize("floor", [0.0, -0.1, 1.5, nan])
def test_a_floor_outside_its_range_is_refused(floor):
    with pytest.raises(ValueError, match="floor is"):
        softened(floor)


def test_a_floor_too_high_for_so_many_agents_is_refused():
    with pytest.raises(ValueError, match="up to 3 agents speak"):
        softened(0.4)([0.1, 0.2, 0.3])
    assert softened(0.5)([0.1, 0.2, nan]).tolist() == [0.5, 0.5, 0]
    assert softened(1.0)([0.3]).tolist() == [1]


def test_the_best_mark_ships_whatever_is_reported():
    assert best_mark([0.1, 0.9, 0.9], [[0.9, 0.4, 0.3], [0.8, 0.9, 0.1]]).tolist() == [1, 0, 0]


def test_equal_marks_share_the_chance():
    assert best_mark([0.1, 0.5, 0.9, nan], [[1, 1, 0, 1]]) == pytest.approx([0.5, 0.5, 0, 0])
    assert best_mark([0.1, 0.5, 0.9], [[0.1, 0.1, 0.1], [0.7, 0.7, 0.7]]) == pytest.approx([1 / 3, 1 / 3, 1 / 3])
    # (.3 + .6) / 2 and (.1 + .8) / 2 are one mean, and two sums in floats
    assert best_mark([1, 1, 1], [[0.3, 0.1, 0.0], [0.6, 0.8, 0.0]]) == pytest.approx([0.5, 0.5, 0])
    assert best_mark([1, 1], [[0.5, 0.5 + 1e-6]]).tolist() == [0, 1]


def test_a_harsh_grader_does_not_decide_by_whom_it_marks():
    """The harsh grader marks agents 0 and 1, the mild one 1 and 2: agent 0 beats 1 by more than agent 2 does."""
    marks = [[0.3, 0.1, nan], [nan, 0.8, 0.9]]
    assert np.nanmean(marks, axis=0).argmax() == 2
    assert best_mark([0.5, 0.5, 0.5], marks).tolist() == [1, 0, 0]


def test_an_answer_that_nobody_marked_comes_last_but_before_nobody():
    assert best_mark([0.9, 0.2, 0.3], [[nan, 0.0, 1.0]]).tolist() == [0, 0, 1]
    assert best_mark([0.9, 0.2, nan], [[nan, 0.0, 1.0]]).tolist() == [0, 1, 0]  # it has less than its grader's mean
    assert best_mark([0.9, nan, nan], [[nan, 0.0, 1.0]]).tolist() == [1, 0, 0]
    assert best_mark([0.9, 0.1], [[nan, nan]]).tolist() == [0.5, 0.5]


@given(MARKS, st.floats(-3, 3), st.integers(0, 4))
def test_a_constant_that_a_grader_adds_to_its_marks_changes_nothing(marks, constant, grader):
    reports = np.ones(len(marks))
    moved = marks.copy()
    moved[grader % len(marks)] += constant
    np.testing.assert_allclose(best_mark(reports, moved), best_mark(reports, marks))


@given(MARKS, st.data())
def test_a_choice_by_marks_is_a_distribution_over_those_who_speak(marks, data):
    n = len(marks)
    reports = data.draw(arrays(float, n, elements=st.sampled_from([0.0, 0.5, 1.0, nan])))
    for choose in (best_mark, impartial):
        chance = choose(reports, marks)
        assert (chance >= 0).all() and not chance[np.isnan(reports)].any()
        assert chance.sum() == pytest.approx(float(not np.isnan(reports).all()))


def test_batches_of_reports_and_marks_are_their_rows():
    rng = np.random.default_rng(0)
    reports, marks = rng.choice([0.2, 0.8, nan], (2, 3, 4)), rng.choice([0.0, 0.5, 1.0, nan], (2, 3, 4, 4))
    for choose in (best_mark, impartial):
        together, one_table = choose(reports, marks), choose(reports, marks[0, 0])
        for k in np.ndindex(2, 3):
            np.testing.assert_array_equal(together[k], choose(reports[k], marks[k]))
            np.testing.assert_array_equal(one_table[k], choose(reports[k], marks[0, 0]))


@pytest.mark.no_cover
@pytest.mark.parametrize("n", [2, 3, 4, 5])
def test_impartial_chances_are_how_often_the_draw_chooses(n):
    marks = np.random.default_rng(n).choice([0.0, 0.3, 0.6, 1.0, nan], (n, n))
    draws, rng = 4000, np.random.default_rng(1)
    drawn = Counter(int(select_impartially(marks, 1, rng)[0]) for _ in range(draws))
    chance = impartial(np.ones(n), marks)
    shares = np.array([drawn[k] for k in range(n)]) / draws
    assert (np.abs(shares - chance) <= 4 * np.sqrt(chance * (1 - chance) / draws)).all()


def test_impartial_chances_of_three_by_hand():
    """Agent 2 is the best for all. It competes alone (1/6), with 0 or 1 (1/3); else 0 beats 1, or one stands alone."""
    marks = [[0.0, 0.2, 0.9], [0.5, 0.0, 0.9], [0.5, 0.2, 0.0]]
    assert impartial([1, 1, 1], marks) == pytest.approx([1 / 6 + 1 / 6, 1 / 6, 1 / 6 + 1 / 3])


@pytest.mark.no_cover
@given(MARKS, st.data())
def test_no_marks_of_its_own_change_an_agents_impartial_chance(marks, data):
    n = len(marks)
    agent, lie = data.draw(st.integers(0, n - 1)), marks.copy()
    lie[agent] = data.draw(arrays(float, n, elements=st.sampled_from([0.0, 0.5, 1.0, nan])))
    reports = np.ones(n)
    assert impartial(reports, lie)[agent] == pytest.approx(impartial(reports, marks)[agent])


def test_spite_pays_where_the_best_mark_ships():
    marks = np.array([[nan, 0.9, 0.1], [0.6, nan, 0.5], [0.6, 0.5, nan]])
    spite = np.array([[nan, 0.5, 0.5], *marks[1:]])
    assert best_mark([1, 1, 1], marks).tolist() == [0, 1, 0]
    assert best_mark([1, 1, 1], spite).tolist() == [1, 0, 0]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: highest(["high", "low"]), "reports must be an array of real numbers"),
        (lambda: highest([]), "reports is empty"),
        (lambda: highest([0.1], ties="last"), 'ties must be "first" or "lot"; it is \'last\''),
        (lambda: best_mark([1, 1], [0.5, 0.5]), r"marks has shape \(2,\)"),
        (lambda: best_mark([1, 1], [[0.5, 0.5, 0.1]]), r"marks has shape \(1, 3\), the reports \(2,\)"),
        (lambda: best_mark([1, 1], [[0.5, "good"]]), "marks must be an array of real numbers"),
        (lambda: impartial([1, 1], [[0.5, 0.5]]), r"it must be \(..., 2, 2\)"),
        (lambda: impartial(np.ones(17), np.ones((17, 17))), "draw with select_impartially"),
        (lambda: score_auction([0.5, 0.5], [1, 1], [0.1, 0.1, 0.1]), "costs has shape"),
        (lambda: score_auction([0.5, 0.5], [1, 1, 1], [0.1, 0.1]), "found has shape"),
    ],
)
def test_errors_name_the_argument(call, message):
    with pytest.raises(ValueError, match=message):
        call()


# what the chosen agent is paid


def test_scoring_the_chosen_alone_invites_a_lie():
    found = audit(scored(highest, quadratic), Beliefs(BELIEFS, 2))
    assert not found.is_dsic
    assert found.regret == pytest.approx(0.7125)  # believing .85, it takes the slot from a rival that reports .95


@pytest.mark.parametrize("rule", [quadratic, logarithmic, spherical])
def test_truth_is_dominant_under_a_decision_scoring_rule(rule):
    assert audit(scored(softened(0.1), rule, inverse=True), Beliefs(BELIEFS, 3)).is_dsic


def test_full_support_without_inverse_weights_is_not_enough():
    assert audit(scored(softened(0.1), quadratic), Beliefs(BELIEFS, 2)).regret == pytest.approx(0.569, abs=5e-4)


def test_inverse_weights_without_full_support_are_not_enough():
    assert audit(scored(highest, quadratic, inverse=True), Beliefs(BELIEFS, 2)).regret == pytest.approx(0.7125)


def test_inverse_weights_do_not_help_where_being_chosen_is_worth_something():
    found = audit(scored(softened(0.1), quadratic, inverse=True), Beliefs(np.linspace(0, 1, 21), 2, prize=0.05))
    assert found.regret == pytest.approx(0.8 * 0.05 - 0.05**2)  # a chance of .9 for .1, less what the report costs


def test_the_chosen_agent_alone_is_paid_by_its_chance_or_by_its_score():
    plain = scored(softened(0.1), quadratic)([0.6, 0.2, nan], [1, 0, 0])
    assert plain.allocation == pytest.approx([0.9, 0.1, 0])
    assert plain.rewards == pytest.approx([0.9 * 0.84, 0.1 * -0.04, 0])
    assert scored(softened(0.1), quadratic, inverse=True)([0.6, 0.2, nan], [1, 0, 0]).rewards == pytest.approx(
        [0.84, -0.04, 0])
    assert scored(highest, quadratic, inverse=True)([0.6, 0.2], [1, 1]).rewards == pytest.approx([0.84, 0])


def test_a_score_of_minus_infinity_is_not_paid_to_who_was_not_chosen():
    assert scored(highest, logarithmic)([1.0, 1.0], [1, 0]).rewards.tolist() == [0, 0]
    assert scored(highest, logarithmic)([1.0, 1.0], [0, 0]).rewards.tolist() == [-np.inf, 0]


def test_the_numbers_of_the_benefit_example():
    """Belief .5, rival .6, prize .05, in the limit of no randomisation: truth earns .25, reporting .61 earns .288."""
    rule = scored(softened(1e-9), quadratic, inverse=True)
    worth = [
        float(np.mean([rule([report, 0.6], [found, 0]).rewards[0] for found in (0, 1)]))
        + 0.05 * rule([report, 0.6], [0, 0]).allocation[0]
        for report in (0.5, 0.61)
    ]
    assert worth == pytest.approx([0.25, 0.2879], abs=1e-8)


def test_a_scored_choice_is_called_by_what_it_does():
    assert scored(softened(0.1), quadratic, inverse=True).__name__ == "softened(0.1) scored by quadratic / chance"
    assert scored(highest, spherical).__name__ == "highest scored by spherical"


# the score auction


def test_a_score_auction_by_hand():
    award = score_auction([0.9, 0.6, 0.3], [0, 1, 1], [0.5, 0.1, 0.05])  # scores .4, .5, .25
    assert award.allocation.tolist() == [0, 1, 0]
    assert award.rewards == pytest.approx([0, 1 - 0.4, 0])
    assert score_auction([0.9, 0.6, 0.3], [0, 0, 0], [0.5, 0.1, 0.05]).rewards == pytest.approx([0, -0.4, 0])


def test_nobody_is_chosen_where_every_answer_costs_as_much_as_it_is_worth_or_more():
    award = score_auction([0.2, nan, 0.1], [1, 0, 1], [0.3, 0.1, 0.1])
    assert award.allocation.tolist() == award.rewards.tolist() == [0, 0, 0]


def test_rivals_that_abstain_or_are_not_worth_their_cost_set_no_price():
    assert score_auction([0.9, 0.2, nan], [1, 1, nan], [0.1, 0.5, 0.0]).rewards.tolist() == [1, 0, 0]
    assert score_auction([[0.9], [0.1]], [[1], [1]], [[0.1], [0.5]]).rewards.tolist() == [[1], [0]]


def auction(reports):
    award = score_auction(reports[..., 0], 0 * reports[..., 0], reports[..., 1])  # nothing has turned out yet
    return Outcome(award.allocation, -award.rewards)


def keeps(i, kind, outcome):
    return (kind[..., 0] - kind[..., 1]) * outcome.allocation[..., i] - outcome.payments[..., i]


def test_truth_about_quality_and_cost_is_dominant_in_the_score_auction():
    types = np.array([(p, c) for p in (0.1, 0.4, 0.7, 0.9) for c in (-0.05, 0.0, 0.2, 0.5)])
    found = audit(auction, [types, types], utility=keeps)
    assert found.is_dsic
    assert found.is_ir


def test_a_score_auction_goes_into_the_audit_as_it_stands():
    assert audit(score_auction, Beliefs(BELIEFS, 3)).is_dsic


def test_with_known_qualities_the_chosen_agent_is_paid_the_highest_cost_at_which_it_would_be_chosen():
    quality = np.array([0.9, 0.6, 0.5])

    def procure(costs):
        return score_auction(quality + 0 * costs, quality + 0 * costs, costs)

    assert procure(np.array([0.3, 0.1, 0.2])).rewards == pytest.approx([0.4, 0, 0])
    found = audit(procure, Values(np.linspace(0, 1, 6), 3))
    assert found.is_dsic and found.is_ir and found.sells


def test_paying_by_the_reports_alone_is_not_truthful():
    def clarke(reports, found):
        return score_auction(reports, reports, 0 * reports)

    assert not audit(clarke, Beliefs(BELIEFS, 2)).is_dsic


def test_a_rule_of_a_choice_and_a_score_is_an_award():
    def rule(reports, found):
        return Award(highest(reports), quadratic(reports, found))

    assert audit(rule, Beliefs(BELIEFS, 2)).is_dsic  # everybody is scored, and being chosen is worth nothing
    assert not audit(rule, Beliefs(BELIEFS, 2, prize=0.05)).is_dsic
    assert revenue(rule([0.5, 1.0], [1, 1])) == pytest.approx(-1.75)
