"""Pooling beliefs: what the averages and the market promise."""

import numpy as np
import pytest

from mechlib.rules.pooling import linear_pool, log_pool, market


def random_beliefs(seed, shape=(5, 3, 4)):
    return np.random.default_rng(seed).dirichlet(np.ones(shape[-1]), shape[:-1])


def test_the_averages_are_the_textbook_s():
    beliefs = [[0.9, 0.1], [0.6, 0.4]]
    assert linear_pool(beliefs) == pytest.approx([0.75, 0.25])
    assert linear_pool(beliefs, [1, 3])[0] == pytest.approx(0.675)
    odds = np.sqrt(9 * 1.5)
    assert log_pool(beliefs) == pytest.approx([odds / (1 + odds), 1 / (1 + odds)])
    assert log_pool([[1.0, 0.0], [0.5, 0.5]]).tolist() == [1, 0]
    assert log_pool([[1.0, 0.0], [0.5, 0.5]], [0, 1]).tolist() == [0.5, 0.5]


def test_news_before_or_after_pooling_comes_to_the_same():
    beliefs, news = random_beliefs(0), np.array([0.1, 0.2, 0.3, 0.9])
    before = beliefs * news / (beliefs * news).sum(axis=-1, keepdims=True)
    after = log_pool(beliefs) * news
    assert log_pool(before) == pytest.approx(after / after.sum(axis=-1, keepdims=True))


@pytest.mark.parametrize("reads", [False, True])
@pytest.mark.parametrize("seed", range(20))
def test_the_designer_loses_at_most_b_log_m_and_pays_the_difference_of_scores(seed, reads):
    beliefs = random_beliefs(seed)
    found = np.random.default_rng(seed).integers(0, 4, 5)
    made = market(beliefs, found, liquidity=2.0, reads=reads)
    assert made.prices.shape == (5, 4, 4) and made.prices.sum(axis=-1) == pytest.approx(1)
    last = made.price[np.arange(5), found]
    assert made.rewards.sum(axis=-1) == pytest.approx(2 * np.log(last * 4))
    assert (made.rewards.sum(axis=-1) <= 2 * np.log(4) + 1e-12).all()


def test_a_trader_that_comes_once_does_best_to_say_what_it_believes():
    grid = np.linspace(0.05, 0.95, 19)
    for belief in (0.2, 0.5, 0.9):
        expected = [sum(chance * market([[p, 1 - p]], found, start=[0.3, 0.7]).rewards[0]
                        for found, chance in enumerate([belief, 1 - belief])) for p in grid]
        assert grid[np.argmax(expected)] == pytest.approx(belief)


def test_traders_that_read_the_price_end_at_bayes_rule():
    """Two signals, right four times in five, independent given which of two states holds."""
    prior, signal = np.array([0.3, 0.7]), np.array([0.8, 0.2])
    alone = prior * signal / (prior @ signal)
    made = market([alone, alone], 0, start=prior, reads=True)
    both = prior * signal**2
    assert made.price == pytest.approx(both / both.sum())
    assert market([alone, alone], 0, start=prior).price == pytest.approx(alone)


@pytest.mark.parametrize(("call", "says"), [
    (lambda: linear_pool([[0.5, 0.6]]), "summing to 1"),
    (lambda: linear_pool([0.5, 0.5]), "beliefs must be"),
    (lambda: linear_pool([[0.5, 0.5]], [0]), "not all 0"),
    (lambda: log_pool([[1.0, 0.0], [0.0, 1.0]]), "no outcome"),
    (lambda: market([[1.0, 0.0]], 0), "must be positive"),
    (lambda: market([[0.5, 0.5]], 2), "found must hold"),
    (lambda: market([[0.5, 0.5]], 0, liquidity=0), "liquidity is 0"),
    (lambda: market([[0.5, 0.5]], 0, start=[0.2, 0.3, 0.5]), "about 2 outcomes"),
])
def test_what_is_no_belief_is_refused(call, says):
    with pytest.raises(ValueError, match=says):
        call()
