"""What the greedy rule reaches of the best, against markets that can still be solved."""

import numpy as np
import pytest

from mechlib import greedy_bundles, vcg_combinatorial
from mechlib.course.crowd import greedy_shares


@pytest.mark.parametrize("seed", range(20))
def test_the_share_is_at_most_the_true_one_and_at_least_what_the_theorem_says(seed):
    share = greedy_shares([seed], 12, 6)[0]
    rng = np.random.default_rng(seed)
    sizes = rng.integers(1, 7, 12)
    orders = rng.permuted(np.tile(np.arange(6), (12, 1)), axis=1)
    bundles = [frozenset(order[:size].tolist()) for order, size in zip(orders, sizes, strict=True)]
    worth = rng.random(12) * np.sqrt(sizes)
    bids = list(zip(range(12), bundles, worth.tolist(), strict=True))
    got, best = (sum(w for w, b in zip(worth, sold.bundles, strict=True) if b)
                 for sold in (greedy_bundles(bids, 6), vcg_combinatorial(bids, 6)))
    assert share <= got / best + 1e-9 <= 1 + 1e-9 and got / best >= 1 / np.sqrt(6) - 1e-9
    assert share > 0.3


def test_where_nobody_is_in_the_way_of_anybody_nothing_is_lost():
    assert greedy_shares([0], 1, 5) == pytest.approx(1)


def test_the_shares_of_many_markets_are_those_of_each_alone():
    together = greedy_shares(range(23), 8, 5)
    assert together.shape == (23,) and together.min() < 0.9 and together.max() == pytest.approx(1)
    np.testing.assert_allclose(together, [greedy_shares([seed], 8, 5)[0] for seed in range(23)])
