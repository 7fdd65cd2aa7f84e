"""The auditor: its verdict is the definition's, found by brute force, for any way of writing a rule."""

import functools
import io
import itertools
import time
import tracemalloc
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tqdm import tqdm

from mechlib.attacks import profiles, sampled
from mechlib.attacks.audit import audit, audit_bayes
from mechlib.attacks.sampled import audit_sampled
from mechlib.mechanism import Award, Outcome, welfare
from mechlib.rules.auctions import all_pay, first_price, posted_price, second_price, vickrey
from mechlib.rules.paths import vcg_path
from mechlib.rules.scoring import absolute, quadratic
from mechlib.rules.vcg import vcg, vcg_assignment
from mechlib.settings import Actions, Beliefs, Joint, Values

GRID = np.arange(5.0)


def table_rule(sizes, seed, levels=4, kind=Outcome):
    """Return a rule on indices with random allocations and payments, as arrays over the grid."""
    rng = np.random.default_rng(seed)
    allocation, money = rng.integers(0, levels, size=(2, *sizes, len(sizes)))

    def rule(reports):
        at = tuple(np.moveaxis(np.asarray(reports), -1, 0))
        return kind(allocation[at], money[at])

    return rule


def brute_force(rule, types, reports):
    """Return regret, worst honest utility, welfare lost and budget, straight from the definitions."""
    profiles = list(itertools.product(*reports))
    outcome = {p: rule(np.array(p)) for p in profiles}
    n, regret, worst = len(types), 0, np.inf
    for i in range(n):
        for others in profiles:
            for kind in types[i]:
                def worth(report, i=i, others=others, kind=kind):
                    result = outcome[(*others[:i], report, *others[i + 1 :])]
                    return kind * result.allocation[i] - result.payments[i]
                worst = min(worst, worth(kind))
                regret = max(regret, *(worth(lie) - worth(kind) for lie in reports[i]))
    honest = list(itertools.product(*types))
    lost = max(
        max(np.dot(p, o.allocation) for o in outcome.values()) - np.dot(p, outcome[p].allocation) for p in honest
    )
    paid = [outcome[p].payments.sum() for p in honest]
    return regret, worst, lost, (min(paid), max(paid))


@pytest.mark.no_cover
@given(st.lists(st.integers(1, 4), min_size=1, max_size=3), st.integers(0, 10**6), st.integers(0, 2),
       st.integers(1, 40))
def test_every_finding_equals_brute_force(sizes, seed, extra, cells):
    types = [np.arange(k) for k in sizes]
    reports = [np.arange(k + extra) for k in sizes]
    rule = table_rule([k + extra for k in sizes], seed)
    found = audit(rule, types, reports=reports, cells=cells)
    regret, worst, lost, budget = brute_force(rule, types, reports)
    assert (found.regret, found.worst_utility, found.welfare_lost, found.budget) == (regret, worst, lost, budget)
    assert found.is_dsic == (regret == 0) and found.is_ir == (worst >= 0) and found.is_efficient == (lost == 0)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=3), st.integers(0, 10**6))
def test_costs_under_an_award_are_the_same_game_as_negative_values_under_an_outcome(sizes, seed):
    types = [np.arange(k) for k in sizes]
    bought = table_rule(sizes, seed, kind=Award)
    sold = audit(bought, Values(types))

    def mirrored(reports):
        award = bought(-np.asarray(reports))
        return Outcome(award.allocation, -award.rewards)

    mirror = audit(mirrored, Values([-grid for grid in types]))
    assert (sold.regret, sold.worst_utility, sold.welfare_lost) == (
        mirror.regret, mirror.worst_utility, mirror.welfare_lost)
    assert sold.budget == mirror.budget and sold.sells and not mirror.sells
    if sold.witness:
        assert f"agent {sold.witness.agent}, with cost {sold.witness.types[sold.witness.agent]}," in sold.sentence


@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(0, 10**6))
def test_a_richer_result_says_what_it_is_worth_and_is_audited_like_the_quantities_it_holds(sizes, seed):
    plain = table_rule(sizes, seed)

    class Deal:
        def __init__(self, outcome):
            self.outcome, self.payments = outcome, outcome.payments

        def worth(self, agent, kind):
            return kind * self.outcome.allocation[agent]

    rich, types = audit(lambda reports: Deal(plain(reports)), [np.arange(k) for k in sizes]), map(np.arange, sizes)
    found = audit(plain, list(types))
    assert rich.witness == found.witness and rich.welfare_lost == found.welfare_lost
    assert (rich.worst_utility, rich.budget) == (found.worst_utility, found.budget)


@pytest.mark.no_cover
@given(st.integers(1, 3), st.integers(0, 10**6), st.sampled_from([0.0, 0.2]), st.booleans(),
       st.sampled_from([Award, Outcome]))
def test_every_finding_about_beliefs_equals_brute_force_over_all_that_may_be_found(n, seed, prize, silence, kind):
    grid, reports = [0.0, 0.3, 1.0][: 2 + seed % 2], [0.55]
    said = [*grid, *reports, *[np.nan] * silence]
    rng = np.random.default_rng(seed)
    table = rng.integers(-4, 5, (2, *[len(said)] * n, *[2] * n, n)).astype(float)

    def number(report):
        return len(said) - 1 if np.isnan(report) else said.index(report)

    def rule(reports, found):
        at = (*map(number, reports), *map(int, found))
        return kind(table[0][at], table[1][at])

    def received(profile, pattern, i):
        pattern = [0 if np.isnan(r) else x for r, x in zip(profile, pattern, strict=True)]
        result = rule(profile, pattern)
        money = result.rewards if kind is Award else -result.payments
        return money[i] + prize * result.allocation[i], -money.sum()

    def expects(i, belief, profile):
        total = 0.0
        for pattern in itertools.product((0, 1), repeat=n):
            odds = 1.0
            for j, (report, hit) in enumerate(zip(profile, pattern, strict=True)):
                chance = 0.0 if np.isnan(report) else belief if i == j else report
                odds *= chance if hit else 1 - chance
            total += odds * received(profile, pattern, i)[0]
        return total

    found = audit(rule, Beliefs(grid, n, prize, silence=silence, reports=reports))
    gain, worst = 0.0, np.inf
    for i in range(n):
        for others in itertools.product(said, repeat=n - 1):
            for belief in grid:
                told = [expects(i, belief, (*others[:i], r, *others[i:])) for r in said]
                worst = min(worst, told[said.index(belief)])
                gain = max(gain, max(told) - told[said.index(belief)])
    assert found.regret == pytest.approx(gain, abs=1e-9) and found.worst_utility == pytest.approx(worst, abs=1e-9)
    paid = [received(profile, pattern, 0)[1] for profile in itertools.product(grid, repeat=n)
            for pattern in itertools.product((0, 1), repeat=n)]
    assert found.budget == pytest.approx((min(paid), max(paid)), abs=1e-9)


@given(st.lists(st.integers(1, 3), min_size=1, max_size=3), st.integers(0, 10**6))
def test_every_finding_about_actions_equals_brute_force(sizes, seed):
    rng = np.random.default_rng(seed)
    rule = table_rule(sizes, seed, kind=Award)
    costs = [{f"action{k}": float(c) for k, c in enumerate(rng.integers(0, 4, size))} for size in sizes]
    told = [f"action{rng.integers(size)}" for size in sizes]
    found = audit(rule, Actions(costs, told=told))

    def nets(i, actions):
        return rule(np.array(actions)).rewards[i] - costs[i][f"action{actions[i]}"]

    obey = [int(order[6:]) for order in told]
    everything = list(itertools.product(*map(range, sizes)))
    gain = max(nets(i, a) - nets(i, (*a[:i], obey[i], *a[i + 1 :])) for i in range(len(sizes)) for a in everything)
    worst = min(nets(i, (*a[:i], obey[i], *a[i + 1 :])) for i in range(len(sizes)) for a in everything)
    assert (found.regret, found.worst_utility) == (gain, worst)
    assert found.budget == (-rule(np.array(obey)).rewards.sum(),) * 2 and found.is_efficient is None


@pytest.mark.no_cover
@given(st.integers(1, 3), st.integers(1, 3), st.integers(0, 10**6), st.integers(2, 30))
def test_every_finding_about_types_drawn_together_equals_conditional_expectations(n, k, seed, cells):
    rng = np.random.default_rng(seed)
    drawn = rng.integers(0, k, (6, n))
    chances = rng.dirichlet(np.ones(6))
    setting = Joint(drawn, chances, reports=[k])
    rule = table_rule([k + 1] * n, seed)
    found = audit(rule, setting, cells=cells)

    def expects(i, kind, report):
        given, total = 0.0, 0.0
        for row, chance in zip(drawn, chances, strict=True):
            if row[i] == kind:
                told = row.copy()
                told[i] = report
                outcome = rule(told)
                given += chance
                total += chance * (kind * outcome.allocation[i] - outcome.payments[i])
        return total / given

    cases = [(i, t, r) for i in range(n) for t in set(drawn[:, i].tolist()) for r in [*set(drawn[:, i].tolist()), k]]
    gain = max(expects(*case) - expects(case[0], case[1], case[1]) for case in cases)
    assert found.regret == pytest.approx(gain, abs=1e-9)
    assert found.worst_utility == pytest.approx(min(expects(i, t, t) for i, t, _ in cases), abs=1e-9)
    mean = sum(c * rule(row).payments.sum() for row, c in zip(drawn, chances, strict=True))
    assert found.expected_revenue == pytest.approx(mean) and found.kind == "Bayes"
    assert repr(audit_bayes(rule, setting, cells=cells)) == repr(found)


@given(st.lists(st.integers(1, 4), min_size=2, max_size=3), st.integers(0, 10**6))
def test_the_witness_is_a_lie_that_gains_what_it_says(sizes, seed):
    rule = table_rule(sizes, seed)
    found = audit(rule, [np.arange(k) for k in sizes])
    if found.witness is not None:
        agent, types, lie, gain = found.witness
        told = (*types[:agent], lie, *types[agent + 1 :])
        honest, lied = rule(np.array(types)), rule(np.array(told))
        worth = [types[agent] * o.allocation[agent] - o.payments[agent] for o in (honest, lied)]
        assert worth[1] - worth[0] == gain == found.regret > 0


@pytest.mark.no_cover
@given(st.integers(0, 10**6), st.integers(2, 30))
def test_slabs_change_nothing(seed, cells):
    rule, types = table_rule([3, 2, 4], seed), [np.arange(k) for k in (3, 2, 4)]
    assert repr(audit(rule, types, cells=cells)) == repr(audit(rule, types))
    assert audit(rule, types, cells=cells).witness == audit(rule, types).witness


@pytest.mark.parametrize(
    ("rule", "dsic", "ir", "efficient"),
    [
        (second_price, True, True, True),
        (functools.partial(second_price, reserve=2), True, True, False),
        (functools.partial(vickrey, units=2), True, True, True),
        (functools.partial(posted_price, price=2), True, True, False),
        (first_price, False, True, True),
        (all_pay, False, False, True),
    ],
)
def test_auctions_get_the_textbook_verdict(rule, dsic, ir, efficient):
    found = audit(rule, GRID, n=3)
    assert (found.is_dsic, found.is_ir) == (dsic, ir)
    one_item = np.eye(4)[:, :3]
    if getattr(rule, "keywords", {}).get("units") == 2:
        one_item = np.array([row for row in itertools.product([0, 1], repeat=3) if sum(row) <= 2])
    if getattr(rule, "keywords", {}).get("price"):
        one_item = np.array(list(itertools.product([0, 1], repeat=3)))
    assert audit(rule, GRID, n=3, feasible=one_item).is_efficient == efficient


def second_price_in_plain_python(bids):
    winner = bids.index(max(bids))  # a list's method: only a list will do
    price = sorted(bids)[-2]
    return [float(i == winner) for i in range(len(bids))], [price if i == winner else 0.0 for i in range(len(bids))]


def second_price_for_batches_only(bids):
    rows = np.arange(len(bids))
    allocation = np.zeros(bids.shape)
    allocation[rows, bids.argmax(axis=1)] = 1
    return allocation, allocation * np.sort(bids, axis=1)[:, -2:-1]


def second_price_spoiling_its_input(bids):
    winner = int(np.argmax(bids))
    bids.sort()
    allocation = np.eye(len(bids))[winner]
    return allocation, allocation * bids[-2]


def second_price_by_flat_argmax(bids):
    """Right for one profile; for a batch it silently returns nonsense of the right shape."""
    allocation = np.zeros(np.shape(bids))
    allocation.flat[np.argmax(bids)] = 1
    return allocation, allocation * np.sort(np.ravel(bids))[-2]


@pytest.mark.parametrize("rule", [second_price_in_plain_python, second_price_for_batches_only,
                                  second_price_spoiling_its_input, second_price_by_flat_argmax])
@pytest.mark.parametrize("n", [2, 3, 4])
def test_a_rule_is_audited_as_it_is_written(rule, n):
    mine, library = audit(rule, GRID, n=n), audit(second_price, GRID, n=n)
    assert mine.is_dsic and mine.budget == library.budget and mine.profiles == library.profiles


def test_first_price_names_its_most_profitable_lie():
    found = audit(first_price, [1, 4, 7], n=3)
    assert found.witness == (0, (7, 1, 1), 1, 6.0) and found.regret == 6
    assert "agent 0, worth 7, gains 6 by reporting 1 when the others report (1, 1)" in repr(found)


def test_agents_may_have_grids_of_their_own():
    found = audit(second_price, [np.arange(3), np.arange(5), np.array([2.5])])
    assert found.profiles == 15 and found.is_dsic


def test_a_coarse_grid_can_hide_a_lie_that_more_reports_uncover():
    sealed = audit(first_price, [[0, 4], [0, 3]])
    finer = audit(first_price, [[0, 4], [0, 3]], reports=[[3], [3]])
    assert sealed.regret == 4 and finer.regret == 4
    assert audit(first_price, [[4], [3]]).is_dsic
    assert audit(first_price, [[4], [3]], reports=[[3], [3]]).witness == (0, (4, 3), 3, 1.0)


def test_gains_below_the_tolerance_are_rounding():
    def nearly(bids):
        allocation, payments = second_price(bids)
        return allocation, payments + 1e-7 * np.asarray(bids)

    assert not audit(nearly, GRID, n=2).is_dsic
    assert audit(nearly, GRID, n=2, tolerance=1e-6).is_dsic


def test_the_confidence_rule_is_gamed_and_the_quadratic_one_is_not():
    beliefs = np.linspace(0, 1, 11)

    def earns(rule):
        return lambda i, p, c: p * rule(c[0], 1) + (1 - p) * rule(c[0], 0)

    assert not audit(lambda reports: reports, beliefs, n=1, utility=earns(absolute)).is_dsic
    found = audit(lambda reports: reports, beliefs, n=1, utility=earns(quadratic))
    assert found.is_dsic and found.is_ir and found.is_efficient is None and found.budget is None


def test_a_path_is_audited_through_its_edges():
    edges = [(0, 1), (1, 3), (0, 2), (2, 3)]

    truthful = audit(lambda costs: vcg_path(edges, costs, 0, 3), [1, 2, 4], n=4)
    assert truthful.is_dsic and truthful.is_ir

    def pay_as_bid(costs):
        path = vcg_path(edges, costs, 0, 3)
        return path._replace(rewards=np.where(path.rewards > 0, costs, 0.0))

    assert not audit(pay_as_bid, [1, 2, 4], n=4).is_dsic


def test_types_may_be_vectors():
    kinds = np.array([[5.0, 0, 1], [0, 3, 2], [4, 4, 0]])
    found = audit(vcg, [kinds, kinds], utility=lambda i, v, pivot: v[pivot.outcome] - pivot.payments[i],
                  welfare=lambda types, pivot: types[:, pivot.outcome].sum(axis=0))
    assert found.is_dsic and found.is_ir and found.is_efficient and found.budget[0] >= 0


def test_types_may_be_indices_into_a_table_or_words():
    worth = {"low": 1, "high": 3}
    found = audit(lambda reports: second_price([worth[r] for r in reports]), ["low", "high"], n=2,
                  utility=lambda i, kind, o: worth[kind] * o.allocation[i] - o.payments[i])
    assert found.is_dsic and found.budget == (1, 3)


@pytest.mark.no_cover
def test_welfare_and_feasible_outcomes_are_the_callers_to_choose():
    by_default = audit(first_price, GRID, n=3)
    asked = audit(first_price, GRID, n=3, welfare=welfare)
    assert by_default.is_efficient and asked.is_efficient
    always_first = audit(lambda bids: (np.eye(3)[0], np.zeros(3)), GRID, n=3)
    assert always_first.is_efficient and "among the 1 allocations that the rule attains" in repr(always_first)
    assert audit(lambda bids: (np.eye(3)[0], np.zeros(3)), GRID, n=3, feasible=np.eye(3)).welfare_lost == 4


def test_a_rule_that_gives_away_more_than_is_feasible_is_refused():
    with pytest.raises(ValueError, match="more than is feasible"):
        audit(lambda bids: (np.ones(3), np.zeros(3)), GRID, n=3, feasible=np.eye(3))


def test_an_infinite_payment_to_a_bridge_is_no_profitable_lie():
    assert audit(lambda costs: vcg_path([(0, 1)], costs, 0, 1), [1, 2], n=1).is_dsic


def test_a_random_rule_is_refused_and_its_mean_is_audited():
    with pytest.raises(ValueError, match="random"):
        audit(lambda bids: (np.zeros(2), np.random.default_rng().random(2)), GRID, n=2)
    with pytest.raises(ValueError, match="random"):
        audit(lambda bids: np.random.default_rng().random(), GRID, n=2, utility=lambda i, v, o: v * o)

    def random_price(bids):
        return Outcome(*np.mean([posted_price(bids, price) for price in np.random.default_rng(0).uniform(0, 4, 50)], 0))

    assert audit(random_price, GRID, n=2).is_dsic


@pytest.mark.no_cover
@given(st.lists(st.integers(1, 3), min_size=2, max_size=3), st.integers(0, 10**6), st.integers(2, 40))
def test_bayesian_regret_equals_brute_force(sizes, seed, cells):
    rng = np.random.default_rng(seed)
    prior = [rng.dirichlet(np.ones(k)) for k in sizes]
    rule, types = table_rule([k + 1 for k in sizes], seed), [np.arange(k) for k in sizes]
    found = audit_bayes(rule, types, prior, reports=[np.arange(k + 1) for k in sizes], cells=cells)

    def worth(i, kind, report):
        total = 0.0
        for others in itertools.product(*types[:i], [report], *types[i + 1 :]):
            weight = np.prod([prior[j][others[j]] for j in range(len(sizes)) if j != i])
            outcome = rule(np.array(others))
            total += weight * (kind * outcome.allocation[i] - outcome.payments[i])
        return total

    gains = [worth(i, t, r) - worth(i, t, t) for i in range(len(sizes)) for t in types[i] for r in range(sizes[i] + 1)]
    assert found.regret == pytest.approx(max(gains), abs=1e-9)
    paid = sum(np.prod([prior[j][p[j]] for j in range(len(sizes))]) * rule(np.array(p)).payments.sum()
               for p in itertools.product(*types))
    assert found.expected_revenue == pytest.approx(paid)


def test_dominant_truth_is_an_equilibrium_under_every_prior():
    found = audit_bayes(second_price, GRID, np.full(5, 0.2), n=3)
    assert found.is_bic and found.is_dsic is None and audit(second_price, GRID, n=3).is_bic
    assert not audit_bayes(first_price, GRID, np.full(5, 0.2), n=3).is_bic


def test_a_rule_that_is_random_in_one_place_is_refused_and_the_reports_are_named():
    """Where the rule was tried it is second price; only the profile (4, 4, 4) is paid at random."""
    rng = np.random.default_rng(0)

    def odd(bids):
        allocation, payments = second_price(bids)
        odd = (np.asarray(bids) == 4).all(axis=-1)
        return Outcome(allocation, payments - odd[..., None] * (5 + rng.random(allocation.shape)))

    for rule in (odd, lambda bids: tuple(part.tolist() for part in odd(list(bids)))):
        for setting in (Values(GRID, 3), Joint([[3, 4, 4], [4, 4, 4]], [0.5, 0.5], reports=GRID)):
            with pytest.raises(ValueError, match=r"two different results .* such as \[.*4.*random"):
                audit(rule, setting)
    with pytest.raises(ValueError, match=r"two different results .* random"):
        audit_sampled(odd, Values(GRID, 3), 500)


@pytest.mark.parametrize("unit", [1e8, 1.0, 1e-9, 1e-300])
def test_tolerance_scales_with_the_values(unit):
    grid = unit * np.array([1.0, 1.1, 1.3, 1.7])
    honest, lying = audit(second_price, grid, n=3), audit(first_price, grid, n=3)
    assert honest.is_dsic and honest.is_ir and honest.is_efficient
    assert not lying.is_dsic and lying.regret == pytest.approx(0.7 * unit - 0.1 * unit, rel=0.2)
    assert audit_sampled(first_price, Values(grid, 3), 200).is_dsic is False
    assert audit_sampled(second_price, Values(grid, 3), 200).is_dsic is None


def test_rounding_is_that_of_the_sums_that_are_paid_not_of_what_is_left_of_them():
    """Utilities are about 1, values and prices about 10^8: their differences are wrong by some 10^-8."""
    def rounded(bids):
        allocation, payments = second_price(bids)
        return allocation, payments + 1e-8 * (np.asarray(bids) % 3)

    assert audit(rounded, 1e8 + np.arange(5.0), n=2).is_dsic
    assert not audit(rounded, np.arange(5.0), n=2).is_dsic


def test_a_huge_fine_for_a_report_that_nobody_makes_hides_no_lie():
    def fined(bids):
        allocation, payments = first_price(bids)
        return allocation, payments + 1e12 * (np.asarray(bids) == 2.5)

    found = audit(fined, Values(GRID, 2, reports=[2.5]))
    assert found.regret == 4 and found.tolerance < 1e-7


@pytest.mark.parametrize("tolerance", [-1e-9, np.nan])
def test_a_tolerance_that_is_none_is_refused_before_the_rule_is_played(tolerance):
    def never(bids):
        raise AssertionError("played")

    for judge in (lambda: audit(never, GRID, n=2, tolerance=tolerance),
                  lambda: audit_bayes(never, GRID, np.full(5, 0.2), n=2, tolerance=tolerance),
                  lambda: audit_sampled(never, Values(GRID, 2), 10, tolerance=tolerance)):
        with pytest.raises(ValueError, match=r"tolerance is .* one number in \[0, inf\]"):
            judge()


def test_the_reports_are_named_at_which_a_rule_fails():
    def plain(bids):
        bids = [*map(float, bids)]
        if bids == [3, 1]:
            raise KeyError("no such bid")
        return second_price(bids)

    def batched(bids):
        bids = np.asarray(bids)
        if (bids == [3, 1]).all(axis=-1).any():
            raise KeyError("no such bid")
        return second_price(bids)

    for rule in (plain, batched):
        with pytest.raises(ValueError, match=r"fails on the reports \[3.0, 1.0\]: KeyError"):
            audit(rule, GRID, n=2)
    with pytest.raises(ValueError, match=r"fails on the reports \[0.5, 1.0\]: ZeroDivisionError"):
        audit(lambda c, f: Award(c, [1 / int(c[0] != 0.5 or c[1] != 1), 0.0]), Beliefs([0, 0.5, 0.9, 1], 2))


@pytest.mark.parametrize("cells", [2**20, 30])
@pytest.mark.parametrize("rule", [second_price, first_price])
def test_plain_python_is_called_once_a_profile(cells, rule):
    """And a few times to find out how it wants its reports: at most twenty, and for a lie's second look."""
    calls = []

    def counted(bids):
        calls.append(tuple(bids))
        return tuple(part.tolist() for part in rule(bids))

    def plain(bids):
        return counted([*map(float, bids)])

    found = audit(plain, GRID, n=3, cells=cells)
    assert found.profiles == 125 and set(calls) == set(itertools.product(GRID.tolist(), repeat=3))
    assert len(calls) <= 125 + 20 + len(GRID) * (rule is first_price)


def test_plain_python_is_played_under_a_progress_bar_that_comes_after_a_second(monkeypatch):
    seen = io.StringIO()
    monkeypatch.setattr(profiles, "tqdm", functools.partial(tqdm, file=seen, disable=False))
    audit(lambda bids: second_price([*map(float, bids)]), np.arange(12), n=2)
    assert seen.getvalue() == ""

    def slow(bids):
        time.sleep(0.008)
        return second_price([*map(float, bids)])

    audit(slow, np.arange(16), n=2)
    assert "playing the rule" in seen.getvalue() and "/256" in seen.getvalue()


def test_vector_types_are_said_explicitly():
    """Three vectors for three agents are three scalar grids, or three agents that share three vector types."""
    vectors = [[5.0, 0, 1], [0, 3, 2], [4, 4, 0]]
    with pytest.raises(ValueError, match=r"list of lists.*Values\(types, n\)"):
        audit(vcg_assignment, vectors, n=3)
    shared = audit(vcg_assignment, Values(vectors, 3))
    assert shared.profiles == 27 and shared.is_dsic and shared.is_ir and shared.is_efficient
    scalar = audit(second_price, vectors)
    assert scalar.profiles == 27 and scalar.is_dsic


def uniform(rng, size):
    """Draw values of three bidders."""
    return rng.random((size, 3))


def test_a_sample_finds_the_lie_in_first_price_and_none_in_second_price():
    lying = audit_sampled(first_price, uniform, 1000, lies=20)
    assert lying.is_dsic is False and lying.mean_regret > 10 * lying.standard_error > 0
    honest = audit_sampled(second_price, uniform, 1000)
    assert honest.is_dsic is None and honest.mean_regret == 0 and "fewer than" not in repr(honest)
    assert "among those that were tried; a narrower one may exist" in repr(honest)


def test_sampled_revenue_agrees_with_theory_within_its_error():
    found = audit_sampled(second_price, uniform, 4000, lies=1)
    assert found.expected_revenue == pytest.approx(1 / 2, abs=0.02)  # (n - 1) / (n + 1) at n = 3


def test_a_narrow_lie_may_pass_and_the_report_does_not_deny_it():
    """A bonus for one report in a million, somewhere else at every profile."""
    def narrow(bids):
        allocation, payments = second_price(bids)
        place = np.mod(np.asarray(bids).sum(axis=-1, keepdims=True) - bids, 1.0)
        return allocation, payments - 0.5 * (np.abs(bids - place) < 5e-7)

    found = audit_sampled(narrow, uniform, 300)
    assert found.is_dsic is None and found.mean_regret < 0.01
    text = repr(found)
    assert "%" not in text and "profiles have" not in text and "a narrower one may exist" in text


def test_a_climb_from_the_best_random_lies_finds_narrow_ones_more_often_than_they_do_alone(monkeypatch):
    """Among twelve bidders only one in thirteen of the reports lies between the two highest values."""
    def many(rng, size):
        return rng.random((size, 12))

    def gains(lies):
        setting = sampled.Drawn(many)
        return sampled._block(first_price, setting, setting, lies, np.random.default_rng(0), 100).gains

    climbed = gains(4)
    monkeypatch.setattr(sampled, "_climb", lambda gain, best, lie, seen: (best, lie))
    alone, as_many_tries = gains(4), gains(24)
    assert (climbed >= alone).all() and (climbed > 0).sum() > 2 * (alone > 0).sum() > 0
    assert (climbed > 0).sum() > (as_many_tries > 0).sum() + 10


def test_a_lone_agent_has_a_prior_too():
    def asks(bids):
        return Outcome(np.ones(np.shape(bids)), np.asarray(bids, float))

    found = audit_bayes(asks, [0.0, 1.0, 4.0], [0.5, 0.25, 0.25], n=1)
    assert found.regret == 4 and found.expected_revenue == 0.25 + 1


def test_types_that_are_never_drawn_weigh_nothing():
    found = audit(second_price, Joint([[0.0, 1.0], [1.0, 0.0]], [1.0, 0.0]))
    assert found.regret == 0 and found.worst_utility == 0


def test_what_is_feasible_may_be_given_up():
    def give_up(costs):
        gives = np.arange(2) == np.asarray(costs).argmin(axis=-1)[..., None]
        return Outcome(-1.0 * gives, 0.0 * gives)

    assert audit(give_up, [1, 2, 4], n=2, feasible=[[-1, 0], [0, -1]]).is_efficient
    assert audit(give_up, [1, 2, 4], n=2, feasible=[[-1, 0], [0, -1], [0, 0]]).welfare_lost == 4


@pytest.mark.parametrize("n", range(1, 8))
def test_a_rule_is_never_tried_on_as_many_sampled_profiles_as_there_are_agents(n):
    assert len(sampled.Drawn(lambda rng, size: rng.random((size, n))).some()) not in (0, n)


def test_lies_of_the_climb_count_as_tried():
    found = audit_sampled(second_price, uniform, 30, lies=4)
    assert found.lies == found.agents * 30 * (4 + 2 * 10)


def test_a_climb_begins_a_quarter_of_the_range_away_and_halves_its_step():
    tried = []

    def gain(reports):
        tried.append(float(reports[0]))
        return -np.abs(reports - 3.0)

    best, lie = sampled._climb(gain, np.array([-1.0]), np.array([2.0]), np.array([0.0, 4.0]))
    assert tried[:4] == [1, 3, 2.5, 3.5] and (best, lie) == (0, 3)
    tried.clear()
    best, lie = sampled._climb(gain, np.array([-1.1]), np.array([1.9]), np.array([0.0, np.nan, 2.0]))
    assert max(tried) == 2 and (best, lie) == (-1, 2)  # nothing outside of what was drawn


def test_executors_agree_to_the_last_bit():
    alone = audit_sampled(first_price, uniform, 500, seed=3)
    for pool in (ThreadPoolExecutor(2), ProcessPoolExecutor(2)):
        with pool:
            assert audit_sampled(first_price, uniform, 500, seed=3, executor=pool) == alone
    assert audit_sampled(first_price, uniform, 500, seed=4) != alone


@pytest.mark.no_cover
def test_dask_agrees_to_the_last_bit():
    distributed = pytest.importorskip("distributed")
    local = distributed.LocalCluster(n_workers=1, threads_per_worker=2, processes=False, dashboard_address=None)
    with local as cluster, distributed.Client(cluster) as dask:
        found = audit_sampled(first_price, uniform, 500, executor=dask.get_executor())
    assert found == audit_sampled(first_price, uniform, 500)


@pytest.mark.no_cover
def test_a_sample_takes_a_utility():
    found = audit_sampled(second_price, uniform, 200, utility=lambda i, v, o: v * o.allocation[i] - o.payments[i])
    assert found.mean_regret == 0
    stingy = audit_sampled(all_pay, uniform, 200, utility=lambda i, v, o: -o.payments[i])
    assert stingy.regret > 0 and "of type" in repr(stingy)


def test_what_a_reader_sees_is_escaped_and_has_no_colour_of_its_own():
    def rule(reports):
        return reports

    rule.__name__ = "<script>"
    page = audit(rule, ["<b>", "&"], n=1, utility=lambda i, kind, o: float(o[0] != kind))._repr_html_()
    assert "<script>" not in page and "&lt;b&gt;" in page and "&amp;" in page
    assert "color:inherit" in page and "background:transparent" in page


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: audit(second_price, GRID), "say with n="),
        (lambda: audit(second_price, [GRID, GRID], n=3), r"write Values\(types, n\)"),
        (lambda: audit(second_price, [GRID, []]), "one or more finite"),
        (lambda: audit(second_price, [0, np.inf], n=2), "finite numbers"),
        (lambda: audit(second_price, np.arange(100), n=6), "audit_sampled"),
        (lambda: audit(lambda bids: 3, GRID, n=2), "utility="),
        (lambda: audit(lambda bids: (np.ones(1), np.ones(2)), GRID, n=2), r"both \(2,\)"),
        (lambda: audit(lambda bids: 1 / 0, GRID, n=2), "fails on the reports"),
        (lambda: audit(lambda bids: (bids * np.nan, bids), GRID, n=2), "NaN"),
        (lambda: audit(vcg, [np.eye(2), np.eye(2)], utility=lambda i, t, o: np.nan), "NaN"),
        (lambda: audit(second_price, GRID, n=2, feasible=[1, 2]), "feasible must have 2 axes"),
        (lambda: audit(lambda r: (r[..., 0], r[..., 0]), [np.eye(2), np.eye(2)]), "types are vectors or words"),
        (lambda: audit_bayes(second_price, GRID, np.full(5, 0.5), n=2), "sum to 1; .*2.5"),
        (lambda: audit_bayes(second_price, [0, 1], [0.5, np.nan], n=2), "prior"),
        (lambda: audit_bayes(second_price, [0, 1], ["a", "b"], n=2), "prior"),
        (lambda: audit_bayes(second_price, GRID, np.ones((3, 5)) / 5, n=2), "a row an agent"),
        (lambda: audit_sampled(second_price, lambda rng, size: rng.random(3)), "one profile|a profile a row"),
        (lambda: audit_sampled(second_price, uniform, samples=0), "samples is 0"),
    ],
)
def test_errors_say_what_was_wrong(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_outcomes_may_be_objects_of_any_kind():
    class Deal:
        """A sale to one of the bidders."""

        def __init__(self, winner, price):
            self.winner, self.payments = winner, [price]

    def sell(bids):
        return Deal(int(np.argmax(bids)), float(np.sort(bids)[-2]))

    found = audit(sell, GRID, n=2, utility=lambda i, v, deal: (v - deal.payments[0]) * (deal.winner == i),
                  welfare=lambda types, deal: types[deal.winner])
    assert found.is_dsic and found.is_efficient and found.budget == (0, 4)
    words = audit(lambda reports: str(max(reports)), GRID, n=2, utility=lambda i, t, word: -float(word))
    assert words.budget is None and not words.is_dsic


def test_long_profiles_and_vectors_are_cut_short_in_words():
    many = audit_sampled(first_price, lambda rng, size: rng.random((size, 12)) * 50_000, 50, lies=2)
    assert "…" in repr(many) and "," in repr(many)
    alone = audit(lambda r: r, [np.eye(2)], utility=lambda i, kind, o: float(o[0][0] != kind[0]))
    assert "agent 0, of type (1, 0), gains 1 by reporting (0, 1)" in repr(alone)


def test_too_many_alternatives_are_not_compared():
    def noisy(bids):
        array = np.asarray(bids, float)
        return np.sin(array * (1 + np.arange(3))), np.zeros_like(array)

    found = audit(noisy, np.arange(40), n=3)
    assert found.is_efficient is None and "too many alternatives" in repr(found)
    assert audit(noisy, np.arange(5), n=3).is_efficient is False


def test_a_sampled_audit_of_nan_or_vectors_says_so():
    with pytest.raises(ValueError, match="averaged"):
        audit_sampled(second_price, uniform, 10, utility=lambda i, v, o: np.nan)
    with np.errstate(invalid="ignore"), pytest.raises(ValueError, match="NaN"):
        audit_bayes(second_price, GRID, np.eye(5)[0], n=2, utility=lambda i, v, o: np.inf * (v - 1))
    with pytest.raises(ValueError, match="types are vectors or words"):
        audit_sampled(lambda r: (r[..., 0], r[..., 0]), lambda rng, size: rng.random((size, 2, 3)), 10)


def test_memory_is_bounded_by_the_slab():
    def peak(cells):
        tracemalloc.start()
        audit(second_price, np.arange(12), n=4, cells=cells)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return most

    assert peak(2000) < peak(12**4) / 4
