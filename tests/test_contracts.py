"""Hidden action: contracts and scores that pay for work, at the least cost."""

import itertools

import numpy as np
import pytest

from mechlib.attacks.audit import audit
from mechlib.mechanism import Award
from mechlib.rules.contracts import best_contract, best_linear, cheapest_contract, cheapest_score
from mechlib.settings import Actions


def test_two_actions_pay_for_the_most_telling_outcome_alone():
    rng = np.random.default_rng(0)
    for _ in range(100):
        lazy, work = rng.dirichlet(np.ones(4), 2)
        found = cheapest_contract([lazy, work], [0.0, 0.3], 1)
        telling = (work / lazy).argmax()
        assert np.flatnonzero(found.payments > 1e-9).tolist() == [telling]
        assert found.payments[telling] == pytest.approx(0.3 / (work[telling] - lazy[telling]))
        assert found.rent == pytest.approx(found.expected - 0.3) and found.rent >= -1e-9


def test_the_agent_obeys_the_contract_by_the_auditor():
    chances, costs = np.array([[0.7, 0.2, 0.1], [0.4, 0.4, 0.2], [0.1, 0.3, 0.6]]), [0.0, 0.1, 0.25]
    actions = Actions({"guess": 0.0, "read": 0.1, "check": 0.25}, 1, told="check")
    for short, true in ((0.0, True), (0.01, False)):
        paid = cheapest_contract(chances, costs, 2).payments * (1 - short)

        def rule(action, paid=paid):
            return Award(np.zeros(1), chances[int(action[0])] @ paid * np.ones(1))

        found = audit(rule, actions, tolerance=1e-9)
        assert found.is_dsic == true


def test_the_cheapest_contract_is_that_of_a_search():
    rng = np.random.default_rng(1)
    grid = np.linspace(0, 3, 31)
    for _ in range(20):
        chances = rng.dirichlet(np.ones(2), 3)
        costs = np.array([0.0, 0.1, 0.2])
        for wanted in range(3):
            fits = [chances[wanted] @ t for t in itertools.product(grid, repeat=2)
                    if (chances @ t - costs).max() <= chances[wanted] @ t - costs[wanted] + 1e-9
                    and chances[wanted] @ t >= costs[wanted]]
            try:
                found = cheapest_contract(chances, costs, wanted).expected
            except ValueError:
                assert not fits
                continue
            assert not fits or found <= min(fits) + 1e-9
            t = cheapest_contract(chances, costs, wanted).payments
            assert (chances @ t - costs).max() <= chances[wanted] @ t - costs[wanted] + 1e-7 and (t >= 0).all()


@pytest.mark.no_cover
def test_a_share_earns_at_most_what_the_best_contract_does_and_at_least_one_in_as_many_as_there_are_actions():
    rng = np.random.default_rng(2)
    for _ in range(100):
        chances, values = rng.dirichlet(np.ones(4), 3), rng.random(4)
        costs = np.append(0.0, rng.random(2) / 5)
        best, share = best_contract(chances, costs, values), best_linear(chances, costs, values)
        assert share.profit <= best.profit + 1e-9 <= 3 * share.profit + 1e-8
        tried = []
        for alpha in np.linspace(0, 1, 401):
            earned = alpha * chances @ values - costs
            tried.append((1 - alpha) * (chances @ values)[earned.argmax()])
        assert share.profit >= max(tried) - 1e-9


def test_a_known_case_in_which_a_share_loses_half():
    """Actions worth 1 and 1/e times as much, which cost all of the difference but e: the bound of two is nearly met."""
    e = 0.01
    values = [0.0, 1.0, 1 / e]
    chances, costs = [[0, 1, 0], [0, 0, 1]], [0.0, 1 / e - 2 + e]
    assert best_contract(chances, costs, values).profit == pytest.approx(2 - e)
    assert best_linear(chances, costs, values).profit / (2 - e) < 0.51


def test_the_cheapest_score_is_proper_pays_for_looking_and_costs_less_than_the_quadratic():
    beliefs, odds, cost = np.array([0.2, 0.5, 0.9]), np.array([0.3, 0.4, 0.3]), 0.1
    found = cheapest_score(beliefs, odds, cost)

    def expects(belief, pay):
        return pay @ [1 - belief, belief]

    honest = [expects(b, pay) for b, pay in zip(beliefs, found.payments, strict=True)]
    for belief, has in zip(beliefs, honest, strict=True):
        assert max(expects(belief, pay) for pay in found.payments) <= has + 1e-9
    blind = max(expects(odds @ beliefs, pay) for pay in found.payments)
    assert odds @ honest - cost == pytest.approx(blind) and (found.payments >= 0).all()
    assert found.expected == pytest.approx(odds @ honest)
    for seed in range(50):  # whatever the agent guesses without looking
        rng = np.random.default_rng(seed)
        some, likely = np.sort(rng.random(4)), rng.dirichlet(np.ones(4))
        other = cheapest_score(some, likely, cost)
        looked = likely @ [expects(b, pay) for b, pay in zip(some, other.payments, strict=True)] - cost
        assert looked >= max(expects(likely @ some, pay) for pay in other.payments) - 1e-9
    spread = odds @ (beliefs - odds @ beliefs) ** 2  # what looking adds to the quadratic score
    quadratic = cost / spread * (1 - np.column_stack([beliefs, 1 - beliefs]) ** 2)
    quadratic = odds @ [expects(b, pay) for b, pay in zip(beliefs, quadratic - quadratic.min(), strict=True)]
    assert found.expected < quadratic
    assert len(np.unique(found.payments.round(6), axis=0)) == 2  # a bet on one side


@pytest.mark.parametrize(("call", "says"), [
    (lambda: cheapest_contract([[0.5, 0.5], [0.5, 0.5]], [0, 0.1], 1), "which no payments make best"),
    (lambda: cheapest_contract([[0.5, 0.5]], [0, 0.1], 0), "chances must have a row"),
    (lambda: cheapest_contract([[0.5, 0.6]], [0], 0), "chances must have a row"),
    (lambda: cheapest_contract([[0.5, 0.5]], [0], 1), "wanted is 1"),
    (lambda: best_linear([[0.5, 0.5]], [0], [-1, 1]), "a share is a fine"),
    (lambda: best_contract([[0.5, 0.5]], [0], [1]), "values must be 2"),
    (lambda: cheapest_score([0.5, 0.5], [0.5, 0.5], 0.1), "all alike"),
    (lambda: cheapest_score([0.5, 1.5], [0.5, 0.5], 0.1), "beliefs must be chances"),
])
def test_what_cannot_be_contracted_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
