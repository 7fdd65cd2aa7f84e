"""One agent under several names: wins for nothing under VCG, gains nothing where every item has its price."""

import itertools
from functools import partial

import numpy as np
import pytest

from mechlib.attacks.audit import audit
from mechlib.attacks.false_names import false_names
from mechlib.rules.items import item_prices
from mechlib.rules.vcg import vcg_combinatorial
from mechlib.settings import Values

X, Y, XY = frozenset("X"), frozenset("Y"), frozenset("XY")
RIVAL = [(0, XY, 2.0)]
PRICED = partial(item_prices, prices={"X": 0.6, "Y": 0.7})


def test_two_names_win_both_items_for_nothing_under_vcg():
    found = false_names(vcg_combinatorial, {XY: 1.5}, RIVAL, "XY", [0, 0.5, 1, 2])
    assert found.honest == 0 and found.gain == 1.5 and dict(found.bids) == {X: 2, Y: 2}
    assert found.sentence == ("an agent that gets 0 under its own name gains 1.5 by bidding 2 for X and 2 for Y "
                              "under 2 names")
    assert false_names(vcg_combinatorial, {XY: 1.5}, RIVAL, "XY", [0, 0.5, 1, 2], names=1).gain == 0


@pytest.mark.parametrize("seed", range(40))
def test_names_gain_nothing_where_items_are_priced(seed):
    rng = np.random.default_rng(seed)
    bundles = [X, Y, XY]
    rivals = [(i, bundles[rng.integers(3)], float(rng.integers(1, 5)) / 2) for i in range(int(rng.integers(0, 3)))]
    values = {bundle: float(rng.integers(1, 7)) / 2 for bundle in bundles if rng.random() < 0.7} or {XY: 1.0}
    values[XY] = max(values.values())  # more is never worth less
    prices = {"X": float(rng.random()), "Y": float(rng.random())}
    found = false_names(partial(item_prices, prices=prices), values, rivals, "XY", [0.5, 1.5, 3.0])
    assert found.gain == 0 and found.bids == () and "gains nothing by bidding under up to 2" in found.sentence


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
    found = false_names(vcg_combinatorial, values, RIVAL, "XY", said)
    assert found.honest + found.gain == pytest.approx(best)


def test_what_cannot_be_tried_is_refused():
    with pytest.raises(ValueError, match="more than a million ways"):
        false_names(vcg_combinatorial, {XY: 1.5}, RIVAL, "XY", range(400))
    with pytest.raises(ValueError, match="names is 0"):
        false_names(vcg_combinatorial, {XY: 1.5}, RIVAL, "XY", [1], names=0)
    with pytest.raises(ValueError, match="prices must name every item"):
        item_prices(RIVAL, "XY", {"X": 1})
