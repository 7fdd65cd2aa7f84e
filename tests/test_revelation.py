"""The revelation principle, made to happen."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechlib.attacks.audit import audit, audit_bayes
from mechlib.mechanism import revenue
from mechlib.rules.auctions import first_price, second_price
from mechlib.rules.revelation import direct, first_price_equilibrium

UNIFORM = np.linspace(0.05, 0.95, 10)  # midpoints: a discrete stand-in for U[0, 1]


def test_the_equilibrium_bid_is_shaded_by_one_part_in_n():
    assert first_price_equilibrium(4)(0.8) == pytest.approx(0.6)
    assert first_price_equilibrium(1)(0.8) == 0
    assert first_price_equilibrium(2)(0.5).shape == ()
    assert first_price_equilibrium(2)(np.ones((3, 2))).shape == (3, 2)


@given(st.integers(2, 6), st.floats(0.01, 1), st.floats(0, 1))
def test_no_bid_beats_the_equilibrium_bid(n, value, other):
    def expects(bid):
        return (value - bid) * min(1, bid * n / (n - 1)) ** (n - 1)  # the chance that all rivals bid less

    assert expects(other) <= expects(float(first_price_equilibrium(n)(value))) + 1e-12


def test_the_direct_first_price_is_bayesian_but_not_dominant():
    rule = direct(first_price, first_price_equilibrium(2))
    assert not audit(rule, UNIFORM, n=2).is_dsic
    bluffing = audit_bayes(first_price, UNIFORM, np.full(10, 0.1), n=2)
    wrapped = audit_bayes(rule, UNIFORM, np.full(10, 0.1), n=2)
    assert wrapped.is_bic and wrapped.is_ir and wrapped.is_efficient
    assert not bluffing.is_bic and bluffing.regret > 0.2


@given(st.integers(2, 4), st.integers(2, 12))
def test_the_direct_version_is_an_equilibrium_on_every_grid_of_midpoints(n, k):
    grid = (np.arange(k) + 0.5) / k
    rule = direct(first_price, first_price_equilibrium(n))
    found = audit_bayes(rule, grid, np.full(k, 1 / k), n=n)
    assert found.is_bic
    assert found.expected_revenue == pytest.approx((n - 1) / (n + 1), abs=1 / k**2)



def test_revenue_is_the_same_and_six_tenths_with_four_bidders():
    values = np.random.default_rng(0).random((200_000, 4))
    first = revenue(direct(first_price, first_price_equilibrium(4))(values))
    second = revenue(second_price(values))
    assert first.mean() == pytest.approx(0.6, abs=5 * first.std() / 447)
    assert second.mean() == pytest.approx(0.6, abs=5 * second.std() / 447)
    assert first.std() < second.std()


def test_the_best_reserve_is_a_half():
    values = np.random.default_rng(1).random((200_000, 2))
    earns = {r: revenue(second_price(values, reserve=r)).mean() for r in (0, 0.25, 0.5, 0.75)}
    assert earns[0] == pytest.approx(1 / 3, abs=0.003) and earns[0.5] == pytest.approx(5 / 12, abs=0.003)
    assert max(earns, key=earns.get) == 0.5


def test_each_agent_may_have_its_own_strategy():
    rule = direct(second_price, [lambda v: v, lambda v: v / 2])
    assert rule([4.0, 6.0]).payments.tolist() == [3, 0]
    assert rule([[4.0, 6.0], [2.0, 6.0]]).payments.tolist() == [[3, 0], [0, 2]]
    assert rule.__name__ == "direct second_price"
    with pytest.raises(ValueError, match="one strategy each"):
        rule([1, 2, 3])


def test_dominant_strategies_stay_dominant():
    assert audit(direct(second_price, lambda v: v), np.arange(5), n=3).is_dsic


def test_errors_say_what_was_wrong():
    with pytest.raises(ValueError, match="n is 0"):
        first_price_equilibrium(0)
    with pytest.raises(ValueError, match="negative"):
        first_price_equilibrium(2)(-1)
