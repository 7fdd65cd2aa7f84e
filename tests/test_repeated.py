"""What simulated learners come to do: distances from the theory's answers, and the directions it predicts."""

import numpy as np
import pytest

from mechlib.course.repeated import drifting, repeated_auction, repeated_reports
from mechlib.course.sweep import sweep
from mechlib.rules.scoring import absolute, quadratic, second_report


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


def test_hedge_moves_towards_truth_in_second_price_and_is_near_it_in_the_end():
    shading = repeated_auction(rng(), "second").shading.mean(axis=1)
    assert (np.diff(shading) > 0).all() and 0.85 < shading[-1] < 1


def test_hedge_shades_in_first_price_and_less_against_more_rivals():
    """The equilibrium shares are 1/2 and 3/4; the learners are near, on the low side."""
    two, four = (repeated_auction(rng(), "first", bidders=n).shading[-1].mean() for n in (2, 4))
    assert abs(two - 1 / 2) < 0.1 and abs(four - 3 / 4) < 0.1 and two < four - 0.2


def test_a_bandit_learns_more_slowly_than_hedge():
    hedge, bandit = (repeated_auction(rng(), "second", kind).shading[-1].mean() for kind in ("hedge", "bandit"))
    assert 0.5 < bandit < hedge


def test_revenue_is_what_the_winner_pays():
    """More than nothing, and less than the best of two uniform values, 2/3 on average."""
    for price in ("first", "second"):
        revenue = repeated_auction(rng(), price).revenue
        assert revenue.shape == (10, 20) and (revenue > 0).all() and revenue.mean() < 2 / 3


def test_learners_claim_certainty_under_the_absolute_rule_and_their_belief_under_the_quadratic_one():
    bold, honest = (repeated_reports(rng(), rule) for rule in (absolute, quadratic))
    error = honest.reports.std(axis=0, ddof=1) / np.sqrt(20)
    assert (np.abs(honest.reports.mean(axis=0) - honest.beliefs) < 0.06 + 4 * error).all()
    assert bold.reports.mean(axis=0)[[0, 1]].max() < 0.15 and bold.reports.mean(axis=0)[[3, 4]].min() > 0.85


def test_reports_rise_with_belief_where_truth_is_dominant():
    assert (np.diff(repeated_reports(rng(), second_report).reports.mean(axis=0)) > 0).all()


@pytest.mark.parametrize("kind", ["hedge", "bandit"])
def test_a_seed_fixes_a_life(kind):
    one, two = (repeated_reports(rng(3), quadratic, kind, rounds=60, lives=2).reports for _ in range(2))
    assert np.array_equal(one, two)


def test_a_belief_that_is_not_drawn_teaches_a_bandit_nothing():
    found = repeated_reports(rng(), lambda c, a: np.where(c > 0.5, 1.0, -1.0), "bandit", rounds=600, lives=4)
    assert found.reports.mean() > 0.5  # and every belief learns alike
    assert np.ptp(found.reports.mean(axis=0)) < 0.15


def test_never_forgetting_is_worst_when_skill_drifts_and_better_than_forgetting_fast_when_it_does_not():
    found = sweep(drifting, {"discount": [0.8, 0.95, 1.0], "every": [50, 10**9]}, seed=0, repeats=4)
    fast, never = found.mean.T
    assert fast[2] == fast.min() and never[2] > never[0] + 4 * found.standard_error[0, 1]


def test_what_cannot_be_played_is_refused():
    with pytest.raises(ValueError, match="kind is 'genius'"):
        repeated_reports(rng(), quadratic, "genius")
    with pytest.raises(ValueError, match="price is 'third'"):
        repeated_auction(rng(), "third")
    with pytest.raises(ValueError, match="a multiple of 10"):
        repeated_auction(rng(), rounds=7)
    with pytest.raises(ValueError, match="bidders is 1"):
        repeated_auction(rng(), bidders=1)
