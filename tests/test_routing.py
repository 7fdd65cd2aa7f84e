"""Choosing by self-report: which rules make the truth best, and which lies the others invite."""

from pathlib import Path

import nbformat
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechlib.attacks.audit import audit
from mechlib.course import explore, plots
from mechlib.mechanism import Outcome
from mechlib.rules.choice import highest, score_auction, scored, softened
from mechlib.rules.scoring import expected_score, logarithmic, quadratic, spherical

BELIEFS = np.linspace(0.05, 0.95, 10)


def test_scoring_the_chosen_alone_invites_a_lie():
    found = audit(scored(highest, quadratic), BELIEFS, n=2)
    assert not found.is_dsic
    assert found.regret > 0.2


@pytest.mark.parametrize("rule", [quadratic, logarithmic, spherical])
def test_truth_is_dominant_under_a_decision_scoring_rule(rule):
    assert audit(scored(softened(0.1), rule, inverse=True), BELIEFS, n=3).is_dsic


def test_full_support_without_inverse_weights_is_not_enough():
    assert not audit(scored(softened(0.1), quadratic), BELIEFS, n=2).is_dsic


def test_inverse_weights_do_not_help_where_being_chosen_is_worth_something():
    assert not audit(scored(softened(0.1), quadratic, inverse=True, benefit=0.05), BELIEFS, n=2).is_dsic


def test_the_numbers_of_the_benefit_example():
    """Belief .5, rival .6, benefit .05, in the limit of no randomisation: truth earns .25, reporting .61 earns .288."""
    truth = 0.5 * quadratic(0.5, 1) + 0.5 * quadratic(0.5, 0)
    lie = 0.5 * quadratic(0.61, 1) + 0.5 * quadratic(0.61, 0) + 0.05
    assert truth == pytest.approx(0.25)
    assert lie == pytest.approx(0.2879)


def auction(reports):
    award = score_auction(reports[..., 0], reports[..., 1])
    return Outcome(award.chosen, award.chosen * award.price[..., None])


def keeps(i, kind, outcome):
    return (kind[..., 0] - kind[..., 1]) * outcome.allocation[..., i] - outcome.payments[..., i]


def test_truth_about_quality_and_cost_is_dominant_in_the_score_auction():
    types = np.array([(p, c) for p in (0.1, 0.4, 0.7, 0.9) for c in (-0.05, 0.0, 0.2, 0.5)])
    found = audit(auction, [types, types], utility=keeps)
    assert found.is_dsic
    assert found.is_ir


def test_paying_by_the_reports_alone_is_not_truthful():
    def clarke(reports):
        award = score_auction(reports, np.zeros_like(reports))
        return Outcome(0 * award.chosen, -award.chosen * (reports - award.price[..., None]))

    assert not audit(clarke, BELIEFS, n=2).is_dsic


def test_a_score_auction_by_hand():
    award = score_auction([0.9, 0.6, 0.3], [0.5, 0.1, 0.05])
    assert award.chosen.tolist() == [0, 1, 0]
    assert award.price == pytest.approx(0.4)


def test_nobody_is_chosen_where_every_answer_costs_more_than_it_is_worth():
    award = score_auction([0.2, np.nan], [0.3, 0.1])
    assert award.chosen.tolist() == [0, 0]
    assert award.price == 0


def test_who_abstains_is_never_chosen_and_ties_go_to_the_lowest_index():
    assert highest([np.nan, 0.0, 0.0]).tolist() == [0, 1, 0]
    assert softened(0.2)([np.nan, 0.5, 0.9]) == pytest.approx([0, 0.2, 0.8])
    assert highest([np.nan, np.nan]).tolist() == [0, 0]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=5), st.floats(0.01, 0.2))
def test_a_softened_choice_is_a_distribution_with_full_support(reports, floor):
    chance = softened(floor)(reports)
    assert chance.sum() == pytest.approx(1)
    assert chance.min() >= floor - 1e-12


@pytest.mark.parametrize("floor", [0.0, -0.1, 1.5])
def test_a_floor_outside_its_range_is_refused(floor):
    with pytest.raises(ValueError, match="floor is"):
        softened(floor)


def test_a_floor_too_high_for_so_many_agents_is_refused():
    with pytest.raises(ValueError, match="agents speak"):
        softened(0.4)([0.1, 0.2, 0.3])


def test_the_explorer_of_the_notebook_finds_the_truth_only_where_the_slot_is_priced():
    notebook = nbformat.read(Path(__file__).parents[1] / "notebooks" / "06_routing_auctions.ipynb", as_version=4)
    (cell,) = [c for c in notebook.cells if "nbval-ignore-output" in c.metadata.get("tags", [])]
    names = {"np": np, "plots": plots, "explore": explore, "expected_score": expected_score, "quadratic": quadratic}
    exec(cell.source.replace("explore.explorer(", "box = explore.explorer("), names)
    box = names["box"]
    assert "report is 0.60" in box.sentence  # chosen alone: just above the rival's 0.6, in steps of 0.0025
    box.controls["rule"].value = "inverse weights"
    box.controls["benefit"].value = 0.0
    assert "report is 0.50" in box.sentence
    box.controls["benefit"].value = 0.05
    assert "report is 0.60" in box.sentence
    box.controls["rule"].value = "price the slot"
    box.controls["rival"].value = 0.7
    assert "it expects 0.000" in box.sentence  # belief 0.5 and benefit 0.05 do not reach 0.7
