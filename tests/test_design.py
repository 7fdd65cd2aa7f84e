"""Rules by optimisation: the auditor certifies them, and they are as good as theory and brute force say."""

import itertools

import numpy as np
import pytest

from mechlib.attacks.audit import audit, audit_bayes
from mechlib.mechanism import Award, Outcome, revenue
from mechlib.rules.auctions import posted_price, second_price
from mechlib.rules.design import design, virtual_values
from mechlib.settings import Actions, Beliefs, Joint, Values

TRADE = [[0, 0], [1, -1]]  # agent 1 sells to agent 0
EFFICIENT = {"Bayes", "nobody expects to lose", "balanced"}


@pytest.mark.parametrize("seed", range(200))
def test_the_auditor_certifies_what_was_designed(seed):
    rng = np.random.default_rng(seed)
    n = int(rng.integers(1, 4))
    kinds = rng.integers(1, 4, n)
    grids = [np.sort(rng.choice(np.arange(1, 12), k, replace=False)) * 0.5 for k in kinds]
    prior = [rng.dirichlet(np.ones(k)) for k in kinds]
    outcomes = None if seed % 3 else np.vstack([np.zeros(n), rng.integers(-1, 3, (3, n))])
    bayes = bool(seed % 2)
    promises = {"Bayes", "nobody expects to lose"} if bayes else {"dominant", "nobody loses"}
    if seed % 5 == 0:
        promises |= {"no deficit"}
    elif seed % 7 == 0:
        promises |= {"balanced"}
    objective = ("revenue", "welfare")[seed // 2 % 2]
    rule = design(Values(grids), objective, promises, prior=prior, outcomes=outcomes)
    found = audit_bayes(rule, Values(grids), prior, tolerance=1e-7)
    assert found.is_bic and found.is_ir
    if not bayes:
        certified = audit(rule, Values(grids), tolerance=1e-7)
        assert certified.is_dsic and certified.is_ir
    if "no deficit" in promises:
        assert found.budget[0] >= -1e-7
    if "balanced" in promises:
        assert np.allclose(found.budget, 0, atol=1e-7)
    if objective == "revenue":
        assert rule.value == pytest.approx(found.expected_revenue, abs=1e-6)


def best_by_search(grid, n):
    """Return the most that a deterministic truthful auction earns on a grid, uniform types: all are tried."""
    profiles = list(itertools.product(range(len(grid)), repeat=n))
    best = 0.0
    for winners in itertools.product(range(-1, n), repeat=len(profiles)):
        won = dict(zip(profiles, winners, strict=True))
        total = 0.0
        for profile in profiles:
            for i in range(n):
                rises = [won[(*profile[:i], k, *profile[i + 1 :])] == i for k in range(len(grid))]
                if rises != sorted(rises):
                    total = -np.inf  # more is worse somewhere: no payments make that truthful
                elif won[profile] == i:
                    total += grid[rises.index(True)]  # the critical value is the most that can be charged
        best = max(best, total / len(profiles))
    return best


SMALL = [([1, 2], 2), ([1, 3], 2), ([0, 1, 4, 5], 1), ([1.0, 1.5, 4.0], 1), ([2, 3], 3)]


@pytest.mark.no_cover
@pytest.mark.parametrize(("grid", "n"), SMALL)
def test_no_auction_of_a_small_grid_earns_more(grid, n):
    best = design(Values(grid, n), "revenue", {"dominant", "nobody loses"})
    assert best.value == pytest.approx(best_by_search(grid, n), abs=1e-9)


@pytest.mark.no_cover
@pytest.mark.parametrize("n", [1, 2, 3])
def test_revenue_is_myerson_s_and_the_reserve_is_where_the_virtual_value_crosses_zero(n):
    """Uniform on a grid of [0, 1]: the expected highest virtual value, if positive, and a reserve of about 1/2."""
    grid = np.linspace(0, 1, 11)
    prior = np.full(11, 1 / 11)
    best = design(Values(grid, n), "revenue", {"dominant", "nobody loses"})
    virtual = virtual_values(grid, prior)
    assert virtual == pytest.approx(2 * grid - 1, abs=1e-12)
    highest = [max(0.0, *(virtual[k] for k in profile)) for profile in itertools.product(range(11), repeat=n)]
    assert best.value == pytest.approx(np.mean(highest), abs=1e-9)
    sold = best.allocation.sum(axis=-1)
    tops = np.array([grid[list(p)].max() for p in np.ndindex(*[11] * n)]).reshape(sold.shape)
    assert (sold[tops > 0.5 + 1e-9] > 1 - 1e-9).all() and (sold[tops < 0.5 - 1e-9] < 1e-9).all()


@pytest.mark.no_cover
def test_where_the_second_price_auction_is_optimal_the_design_earns_its_revenue():
    """To a step of the grid: uniform on [1, 2], where every virtual value is positive and no reserve helps."""
    for steps in (5, 10, 20):
        grid = np.linspace(1, 2, steps + 1)
        best = design(Values(grid, 2), "revenue", {"dominant", "nobody loses"})
        plain = np.mean([revenue(second_price(pair)) for pair in itertools.product(grid, repeat=2)])
        assert 0 <= best.value - plain <= 1 / steps
    lone = design(Values([2.0, 3.0], 1), "revenue", {"dominant", "nobody loses"})
    assert lone.value == pytest.approx(max(float(np.mean(revenue(posted_price([[2.0], [3.0]], p)))) for p in (2, 3)))


def test_dominance_costs_no_revenue_where_types_are_independent():
    prior = [[0.3, 0.5, 0.2], [0.6, 0.1, 0.3]]
    for kept in ({"dominant", "nobody loses"}, {"Bayes", "nobody expects to lose"}):
        assert design(Values([0, 2, 3], 2), "revenue", kept, prior=prior).value == pytest.approx(
            design(Values([0, 2, 3], 2), "revenue", {"dominant", "nobody loses"}, prior=prior).value, abs=1e-8)


def gains(k):
    return np.mean([max(b - s, 0) for b in range(k) for s in range(k)])


@pytest.mark.parametrize(("k", "possible"), [(2, True), (4, True), (5, True), (6, False), (8, False)])
def test_a_coarse_grid_escapes_myerson_and_satterthwaite(k, possible):
    best = design(Values(range(k), 2), "welfare", EFFICIENT, outcomes=TRADE)
    assert (abs(best.value - gains(k)) < 1e-7) == possible
    found = audit_bayes(best, Values(range(k), 2), np.full(k, 1 / k), tolerance=1e-7)
    assert found.is_bic and found.is_ir and np.allclose(found.budget, 0, atol=1e-7)


def test_types_drawn_together_leave_the_agents_nothing():
    """Cremer and McLean: what each type expects of the other is different, so bets take all the surplus."""
    alike = Joint([[1, 1], [1, 2], [2, 1], [2, 2]], [0.4, 0.1, 0.1, 0.4])
    best = design(alike, "revenue", {"Bayes", "nobody expects to lose"})
    assert best.value == pytest.approx(0.4 * 1 + 0.6 * 2, abs=1e-7)
    assert audit(best, alike, tolerance=1e-6).is_bic


def test_right_answers_cost_a_budget_where_being_chosen_is_worth_something():
    agents = Beliefs([0.1, 0.5, 0.9], 2, prize=0.3)
    values = []
    for budget in (0.0, 0.1, 0.3, None):
        best = design(agents, "right answers", {"dominant", "no fines"}, budget=budget)
        found = audit(best, agents, tolerance=1e-7)
        assert found.is_dsic and found.is_ir and (budget is None or -found.budget[0] <= budget + 1e-7)
        values.append(best.value)
    surest = np.mean([max(pair) for pair in itertools.product([0.1, 0.5, 0.9], repeat=2)])
    assert values == sorted(values) and values[0] == pytest.approx(0.5) and values[-1] == pytest.approx(surest)


def test_a_designed_rule_is_a_function_like_any_other():
    rule = design(Values([1, 2], 2), "revenue", {"dominant", "nobody loses"})
    assert isinstance(rule([1, 2]), Outcome) and rule([[1, 2], [2, 2]]).payments.shape == (2, 2)
    assert rule([[1, 2]]).payments[0].tolist() == rule([1, 2]).payments.tolist()
    paid = design(Beliefs([0.2, 0.8], 1), "right answers", {"dominant"})
    assert isinstance(paid([0.2], [1]), Award) and paid.rewards.shape == (2, 1, 2)
    for wrong in ([1, 3], [1], 1):
        with pytest.raises(ValueError, match="reports"):
            rule(wrong)


@pytest.mark.parametrize(("call", "says"), [
    (lambda: design(Values([0, 1], 2), "revenue", {"truth"}), "promises is"),
    (lambda: design(Values([0, 1], 2), "revenue", "dominant"), "promises is"),
    (lambda: design(Values([0, 1], 2), "revenue", {"dominant"}), "no bound"),
    (lambda: design(Values([1, 2], 1), "revenue", {"dominant", "nobody loses", "no deficit"}, outcomes=[[-1]]),
     "no rule keeps all"),
    (lambda: design(Values([0, 1], 2), "fame", {"dominant"}), "objective is 'fame'"),
    (lambda: design(Values([0, 1], 2), "right answers", {"dominant"}), "with Beliefs"),
    (lambda: design(Beliefs([0, 1], 2), "welfare", {"dominant"}), "with Beliefs"),
    (lambda: design(Values([0, 1], 2), "welfare", {"dominant"}, outcomes=[[1]]), "outcomes has shape"),
    (lambda: design(Values([0, 1], 2), "welfare", {"dominant"}, prior=[0.5, 0.6]), "prior must hold"),
    (lambda: design(Values([0, 1], 16), "welfare", {"dominant"}), "20,000 profiles"),
    (lambda: design(Actions({"work": 1.0}, 1), "welfare", {"dominant"}), "design takes Values"),
    (lambda: design(Joint([[0, 1]], [1.0]), "welfare", {"Bayes"}, prior=[1.0]), "prior is given"),
    (lambda: virtual_values([1, 1], [0.5, 0.5]), "values must rise"),
    (lambda: virtual_values([1, 2], [0, 1]), "prior must be 2 positive"),
])
def test_what_cannot_be_designed_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
