"""The terms of a round: what a rule is bounded by, how chances are read and drawn, and what is refused beforehand."""

import itertools
import math

import numpy as np
import pytest

from mechlib.desk.terms import as_chances, draw, terms, tied
from mechlib.mechanism import Award, Outcome
from mechlib.rules.choice import highest
from mechlib.rules.scoring import absolute, logarithmic, quadratic

CELLS = [*itertools.product((0.0, 0.5, 1.0), (0.0, 1.0)), (math.nan, 0.0)]


def scored(score):
    def rule(reports, found):
        return Award(highest(reports), score(reports, found))

    return rule


def by_found(reports, found):
    return Award(highest(np.where(np.isnan(reports), -1.0, found)), 0.0 * found)


@pytest.mark.parametrize("agents", [1, 2, 3])
def test_a_team_s_ends_are_those_of_every_combination_of_what_may_be_said_and_found(agents):
    def rule(reports, found):
        """Reward an agent for being right where the others are wrong: the ends are at corners."""
        alone = found * np.prod(2 - found, axis=-1, keepdims=True)
        return Award(highest(reports), np.where(np.isnan(reports), 0.0, alone - reports))

    every = np.array([*itertools.product(CELLS, repeat=agents)])
    rewards = rule(every[..., 0], every[..., 1]).rewards
    found = terms(rule, agents)
    assert (found.worst, found.best) == (rewards.min(), rewards.max()) == (-1, 2.0 ** (agents - 1))


@pytest.mark.parametrize("agents", [5, 12])
def test_in_a_large_team_one_agent_is_set_against_others_who_are_alike(agents):
    def rule(reports, found):
        right = found.sum(axis=-1, keepdims=True)
        lonely = (found == 1) & (right == 1)
        return Award(highest(reports), np.where(lonely, 3.0, 0.0))

    assert terms(rule, agents).best == 3
    assert (terms(scored(quadratic), agents).worst, terms(scored(quadratic), agents).best) == (-1, 1)


def test_the_money_holds_whatever_the_team_earns():
    award = terms(scored(quadratic), 4)
    assert award.scale(20.0, 4) == 20 / 4
    charge = terms(lambda reports: Outcome(highest(reports), 5.0 * highest(reports)), 2)
    assert (charge.worst, charge.best) == (-5, 0) and charge.scale(20.0, 2) == 20 / (5 * 2)
    free = terms(lambda reports: Award(highest(reports), 0.0 * highest(reports)), 3)
    assert free.scale(20.0, 3) == 0


def test_a_round_is_played_by_the_rule():
    agreed = terms(scored(absolute), 3)
    reports, found, costs = np.array([0.2, np.nan, 0.9]), np.array([1.0, 0.0, 0.0]), np.zeros(3)
    assert agreed.chances(reports, found, costs).tolist() == [0, 0, 1]
    assert agreed.rewards(reports, found, costs) == pytest.approx([0.2, 0, -0.9])
    paid = terms(lambda reports: Outcome(highest(reports), np.nan_to_num(reports) / 2), 3)
    assert paid.rewards(reports, found, costs) == pytest.approx([-0.1, 0, -0.45])
    assert not np.signbit(paid.rewards(reports, found, costs)[1])


def test_it_is_known_what_the_choice_reads():
    def saves(reports, found, costs):
        return Award(highest(np.where(np.isnan(reports), np.nan, -costs)), 0.0 * costs)

    read = [(terms(rule, 2).by_found, terms(rule, 2).by_cost) for rule in (scored(quadratic), by_found, saves)]
    assert read == [(False, False), (True, False), (False, True)]


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (scored(logarithmic), r"rewards run from -inf to 0.0; they must be bounded"),
        (lambda reports, found: Award(np.ones(np.shape(reports)), 0 * found), "the rule's allocation must be chances"),
        (lambda reports: Award(-highest(reports), 0 * highest(reports)), "the rule's allocation must be chances"),
        (lambda reports, found, costs: Award(highest(reports), costs), "grow with the costs, without a bound"),
        (quadratic, "quadratic is a scoring rule"),
        (lambda reports, found: 1 / 0, "fails on the reports"),
    ],
)
def test_what_no_budget_can_hold_is_refused_beforehand(rule, message):
    with pytest.raises(ValueError, match=message):
        terms(rule, 2)


def test_costs_may_be_repaid_up_to_a_cap_and_charged_without_one():
    capped = terms(lambda reports, found, costs: Award(highest(reports), np.minimum(costs, 7.0)), 2)
    assert capped.best == 7
    assert terms(lambda reports, found, costs: Award(highest(reports), -costs), 2).worst == -1e8


def test_where_the_choice_is_another_s_the_allocation_may_be_anything():
    def all_of_them(reports, found):
        return Award(np.ones(np.shape(reports)), quadratic(reports, found))

    assert terms(all_of_them, 3, choice=False).best == 1


@pytest.mark.parametrize("chances", [[0.5, 0.5], [0.0, 0.0], [1.0, 1e-10], [0.3, 0.1]])
def test_chances_may_fall_short_of_one(chances):
    assert as_chances("choice", chances, 2).tolist() == chances


@pytest.mark.parametrize(
    ("chances", "message"),
    [
        ([0.5, 0.6], "choice must be chances"),
        ([-0.1, 0.5], "choice must be chances"),
        ([np.nan, 0.5], "choice must be chances"),
        ([0.5], r"choice has shape \(1,\); it must be the chances of 2 answers, \(2,\)"),
        ([[0.5, 0.5]], r"choice has shape \(1, 2\)"),
    ],
)
def test_what_is_no_chance_is_refused_by_name(chances, message):
    with pytest.raises(ValueError, match=message):
        as_chances("choice", chances, 2)


def test_answers_come_up_as_often_as_their_chances_say():
    rng = np.random.default_rng(0)
    drawn = [draw(np.array([0.2, 0.0, 0.5]), rng) for _ in range(4000)]
    share = [drawn.count(number) / 4000 for number in (0, 1, 2, None)]
    assert share[1] == 0 and share == pytest.approx([0.2, 0, 0.5, 0.3], abs=4 * 0.5 / math.sqrt(4000))
    assert None not in [draw(np.full(3, 1 / 3), rng) for _ in range(1000)]


def test_equal_reports_change_places_and_others_do_not():
    rng = np.random.default_rng(0)
    reports, costs = np.array([0.5, np.nan, 0.5, 0.9, np.nan, 0.5]), np.array([1.0, 0, 2, 0, 0, 1])
    orders = np.array([tied(reports, None, rng) for _ in range(600)])
    assert (orders[:, 3] == 3).all() and {tuple(sorted(order)) for order in orders} == {(0, 1, 2, 3, 4, 5)}
    assert {*orders[:, 0]} == {0, 2, 5} and {*orders[:, 1]} == {1, 4}
    assert [(orders[:, 0] == agent).mean() for agent in (0, 2, 5)] == pytest.approx([1 / 3] * 3, abs=0.08)
    priced = np.array([tied(reports, costs, rng) for _ in range(100)])
    assert (priced[:, 2] == 2).all() and {*priced[:, 0]} == {0, 5}
