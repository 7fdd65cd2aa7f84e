"""One agent under several names: wins for nothing under VCG, gains nothing where every item has its price."""

import itertools
from functools import partial

import numpy as np
import pytest

from mechlib.attacks.audit import audit
from mechlib.attacks.false_names import false_names
from mechlib.mechanism import Award, Outcome
from mechlib.rules.auctions import first_price, second_price, vickrey
from mechlib.rules.items import item_prices
from mechlib.rules.pooling import market
from mechlib.rules.scoring import quadratic
from mechlib.rules.vcg import vcg_combinatorial
from mechlib.settings import Values

X, Y, XY = frozenset("X"), frozenset("Y"), frozenset("XY")
RIVAL = [(0, XY, 2.0)]


def near(own, decided, places):
    return -abs(own - decided)


def vickrey_of_two(bids):
    return vickrey(bids, units=2)


def one_unit(value, sold, places):
    """What is won beyond one unit is worth nothing."""
    return value * (sold.allocation[places].sum() > 0) - sold.payments[places].sum()


PRICED = partial(item_prices, prices={"X": 0.6, "Y": 0.7})


def test_two_names_win_both_items_for_nothing_under_vcg():
    found = false_names(vcg_combinatorial, {XY: 1.5}, RIVAL, [0, 0.5, 1, 2], items="XY")
    assert found.honest == 0 and found.gain == 1.5 and dict(found.reports) == {X: 2, Y: 2}
    assert found.sentence == ("an agent that gets 0 under its own name gains 1.5 by bidding 2 for X and 2 for Y "
                              "under 2 names")
    assert false_names(vcg_combinatorial, {XY: 1.5}, RIVAL, [0, 0.5, 1, 2], names=1, items="XY").gain == 0


@pytest.mark.parametrize("seed", range(40))
def test_names_gain_nothing_where_items_are_priced(seed):
    rng = np.random.default_rng(seed)
    bundles = [X, Y, XY]
    rivals = [(i, bundles[rng.integers(3)], float(rng.integers(1, 5)) / 2) for i in range(int(rng.integers(0, 3)))]
    values = {bundle: float(rng.integers(1, 7)) / 2 for bundle in bundles if rng.random() < 0.7} or {XY: 1.0}
    values[XY] = max(values.values())  # more is never worth less
    prices = {"X": float(rng.random()), "Y": float(rng.random())}
    found = false_names(partial(item_prices, prices=prices), values, rivals, [0.5, 1.5, 3.0], items="XY")
    assert found.gain == found.fee == 0 and found.reports == () and "gains nothing under up to 2" in found.sentence


def test_a_price_on_each_item_is_truthful_and_pays_what_it_says():
    sold = PRICED([(0, X, 0.5), (1, XY, 2.0), (2, Y, 5.0), (1, Y, 1.0)], "XY")
    assert sold.bundles == (frozenset(), XY, frozenset()) and sold.payments.tolist() == pytest.approx([0, 1.3, 0])
    pair = PRICED([(0, X, 0.7), (0, X, 0.65)], "XY")
    assert pair.payments.tolist() == [0.6]
    wants = [XY, X, Y]
    found = audit(lambda reports: PRICED([*zip(range(3), wants, reports, strict=True)], "XY"), Values([0, 1, 2], 3),
                  coalition=3, gain="some")
    assert found.is_dsic and found.is_ir
    twice = item_prices([(0, X, 1.0), (1, X, 1.0), (2, X, 1.0)], {"X": 2}, {"X": 0.5})
    assert [len(bundle) for bundle in twice.bundles] == [1, 1, 0]


def test_the_gain_is_that_of_a_search_over_pairs_of_bids():
    values, said = {XY: 1.5, X: 1.0}, [0.5, 2.0]
    best = -np.inf
    for one, two in itertools.product(itertools.product([X, Y, XY], said), repeat=2):
        sold = vcg_combinatorial([*RIVAL, (1, *one), (2, *two)], "XY")
        got = sold.bundles[1] | sold.bundles[2]
        best = max(best, max((v for b, v in values.items() if b <= got), default=0) - sold.payments[1:].sum())
    found = false_names(vcg_combinatorial, values, RIVAL, said, items="XY")
    assert found.honest + found.gain == pytest.approx(best)


@pytest.mark.parametrize("seed", range(60))
def test_under_any_rule_of_reports_the_gain_is_that_of_a_search(seed):
    """A rule that no theory knows: who gets how much, and pays what, is drawn for every profile of reports."""
    rng = np.random.default_rng(seed)
    kinds, price = [0.0, 1.0, 2.0], float(rng.choice([0.0, 0.2, 1.5]))
    results = {}

    def rule(said):
        shape = (2, len(said))
        return results.setdefault(tuple(said), rng.choice([Outcome, Award])(*rng.integers(0, 3, shape).astype(float)))

    rivals, kind = [1.0] * int(rng.integers(0, 3)), float(rng.choice(kinds))
    found = false_names(rule, kind, rivals, kinds, 3, fee=price)

    def has(own):
        result = rule([*rivals, *own])
        sign = -1 if isinstance(result, Award) else 1
        worth = sign * kind * result[0] - sign * result[1]  # payments BY the agents, rewards TO them
        return worth[len(rivals):].sum()

    best = [max(map(has, itertools.product(kinds, repeat=used))) for used in (1, 2, 3)]
    nets = [most - price * used for used, most in enumerate(best)]
    assert found.honest == has([kind]) and found.best == pytest.approx(best)
    assert found.gain == pytest.approx(max(0, max(nets) - found.honest))
    if found.reports:
        assert has(found.reports) - price * (len(found.reports) - 1) == pytest.approx(found.honest + found.gain)
    at_fee = [most - found.fee * used for used, most in enumerate(best)]
    assert max(at_fee) == pytest.approx(at_fee[0])
    if found.fee:
        assert max(most - 0.99 * found.fee * used for used, most in enumerate(best)) > best[0]


@pytest.mark.parametrize(("rule", "gains"), [(second_price, False), (first_price, True), (vickrey_of_two, False)])
def test_bidders_for_one_unit_and_a_second_name(rule, gains):
    """First price: one name can shade already, and a second adds nothing to that."""
    for others in itertools.combinations_with_replacement(range(4), 2):
        for kind in range(4):
            found = false_names(rule, kind, others, range(4), utility=one_unit)
            assert gains or found.gain == 0
            assert found.fee == 0


def test_a_score_for_every_report_is_paid_once_for_every_name_and_a_market_pays_once():
    def scored(said):
        return Award(np.zeros(len(said)), quadratic(said, 1.0))

    def traded(said):
        made = market([[p, 1 - p] for p in said], found=0)
        return Award(np.zeros(len(said)), made.rewards)

    grid = [0.1, 0.5, 0.9]
    one, two, three = false_names(scored, 0.9, [0.5], grid, 3).best
    assert (two, three) == pytest.approx((2 * one, 3 * one)) and one > 0
    found = false_names(traded, 0.9, [0.5], grid, 3)
    assert found.best == pytest.approx([found.honest] * 3) and found.gain == 0


def test_equal_reports_are_counted_in_words():
    found = false_names(lambda said: sum(said), 1, [], [0, 1], 3, utility=lambda kind, total, places: total)
    assert found.sentence == "an agent that gets 1 under its own name gains 2 by reporting 1 3 times under 3 names"
    assert false_names(lambda said: max(said), 1, [], [0, 1, 2], utility=lambda *it: it[1]).sentence == (
        "an agent that gets 1 under its own name gains 1 by reporting 2 under its own name")


def test_a_rule_or_a_utility_that_cannot_be_used_is_named():
    def fails(*anything):
        raise KeyError("oh")

    for call, words in (
        (lambda: false_names(fails, 1, [], [1]), r"rule fails where .* reports \[1\].*oh"),
        (lambda: false_names(sum, 1, [], [1]), "Without utility="),
        (lambda: false_names(second_price, "x", [1], [1]), "rule fails where"),
        (lambda: false_names(lambda said: second_price([1, 2]), "x", [1], [1]), "kind or the rule.* cannot be read"),
        (lambda: false_names(sum, 1, [], [1], utility=fails), "utility fails"),
        (lambda: false_names(sum, 1, [], [1], utility=lambda *it: "x"), r"utility\(kind"),
        (lambda: false_names(sum, 1, 3, [1], utility=near), "rivals is 3"),
        (lambda: false_names(sum, 1, [], [], utility=near), "reports is empty"),
        (lambda: false_names(sum, 1, [], [1], utility=near, fee=-1), "fee is -1"),
        (lambda: false_names(vcg_combinatorial, 1.5, RIVAL, [1], items="XY"), "kind is 1.5"),
        (lambda: false_names(vcg_combinatorial, {frozenset("Z"): 1.0}, RIVAL, [1], items="XY"), "do not fit"),
    ):
        with pytest.raises(ValueError, match=words):
            call()


def test_what_cannot_be_tried_is_refused():
    with pytest.raises(ValueError, match="more than a million"):
        false_names(vcg_combinatorial, {XY: 1.5}, RIVAL, range(400), items="XY")
    with pytest.raises(ValueError, match="names is 0"):
        false_names(vcg_combinatorial, {XY: 1.5}, RIVAL, [1], names=0, items="XY")
    with pytest.raises(ValueError, match="prices must name every item"):
        item_prices(RIVAL, "XY", {"X": 1})
