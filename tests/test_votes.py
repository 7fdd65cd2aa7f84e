"""Votes: what one agent moves by several names, and the rules that it does not move, against search by brute force."""

import itertools

import numpy as np
import pytest
from scipy.optimize import linprog

from mechlib.attacks.false_names import false_names
from mechlib.rules.votes import majority, priced_majority, target_rule, weighted_median

LINE = range(4)


def near(own, decided, places):
    return -abs(own - float(decided))


def worst(rule, names=2, others=3):
    """What an agent gains at most, whatever it prefers and the others say."""
    return max((false_names(rule, own, said, LINE, names, utility=near) for own in LINE
                for said in itertools.combinations_with_replacement(LINE, others)), key=lambda found: found.gain)


@pytest.mark.parametrize("n", range(1, 8))
def test_the_median_is_the_lower_one_and_weights_are_as_many_copies(n):
    rng = np.random.default_rng(n)
    for _ in range(50):
        reports, weights = rng.integers(0, 6, n).astype(float), rng.integers(1, 5, n)
        copies = np.sort(np.repeat(reports, weights))
        assert weighted_median(reports, weights) == copies[(len(copies) - 1) // 2]
        assert weighted_median(reports) == np.sort(reports)[(n - 1) // 2]
        assert weighted_median(reports - 3, weights) == copies[(len(copies) - 1) // 2] - 3
    batch = rng.random((4, 3, n))
    assert weighted_median(batch).tolist() == [[weighted_median(row) for row in rows] for rows in batch]


@pytest.mark.parametrize("seed", range(30))
def test_a_weight_that_is_split_over_names_moves_neither_median_nor_majority(seed):
    rng = np.random.default_rng(seed)
    n, parts = int(rng.integers(1, 6)), int(rng.integers(2, 7))
    reports, votes, weights = rng.random(n), rng.integers(0, 2, n), rng.random(n) + 0.1
    shares = rng.dirichlet(np.ones(parts)) * weights[0]
    split = np.concatenate([shares, weights[1:]])
    for rule, said in ((weighted_median, reports), (majority, votes)):
        many = np.concatenate([np.repeat(said[:1], parts), said[1:]])
        assert rule(many, split) == rule(said, weights)
    assert majority([1, 0, 0], [2 / 3, 1 / 3, 1 / 3]) == 0.5, "a tie up to rounding is one"


def test_for_one_name_the_median_is_truthful_and_the_mean_is_not():
    assert worst(weighted_median, names=1).gain == 0 < worst(np.mean, names=1).gain


@pytest.mark.parametrize("others", [2, 3, 4, 5])
def test_the_median_of_an_agent_with_enough_names_is_its_own_point(others):
    found = false_names(weighted_median, 5, [0] * others, [5], others + 1, utility=near)
    needed = [names for names, best in enumerate(found.best, start=1) if best == 0]
    assert needed[0] == others + 1, "the lower median needs more than half"
    assert found.gain == 5 and found.fee == 5 / others


def test_further_names_move_a_mean_and_a_median_and_no_target():
    assert worst(np.mean).gain > 0 < worst(weighted_median).gain
    for target in (-np.inf, 1, 1.5, np.inf):
        assert worst(lambda said, target=target: target_rule(said, target)).gain == 0
    assert worst(lambda said: target_rule(said, 1.5), names=3, others=2).gain == 0


@pytest.mark.parametrize("target", [-np.inf, 1, 1.5, np.inf])
def test_the_target_rule_is_a_median_with_votes_of_its_own(target):
    for said in itertools.product(LINE, repeat=3):
        own = [float(np.clip(target, 0, 3))] * 2
        assert target_rule(said, target) == weighted_median([*said, *own])


def test_the_majority_is_the_sign_of_the_weight_that_leads():
    for votes in itertools.product((0, 1), repeat=4):
        for weights in itertools.product((0, 1, 2), repeat=4):
            yes = sum(w for v, w in zip(votes, weights, strict=True) if v)
            no = sum(weights) - yes
            if sum(weights):
                assert majority(votes, weights) == (1.0 if yes > no else 0.5 if yes == no else 0.0)


def votes(yes, no):
    return [1] * yes + [0] * no


@pytest.mark.parametrize("price", [0.0, 0.05, 0.2, 0.6])
def test_no_name_is_worth_its_price_and_nobody_gains_by_staying_away(price):
    def wins(own, chance, places):
        return float(chance if own else 1 - chance)

    for yes, no in itertools.product(range(5), repeat=2):
        for own in (0, 1):
            found = false_names(lambda said: priced_majority(said, price), own, votes(yes, no), (0, 1), 4, utility=wins,
                                fee=price)
            assert found.gain == 0 and found.fee <= price + 1e-9
            if yes + no:
                assert found.honest >= wins(own, priced_majority(votes(yes, no), price), []) - 1e-12


def test_no_rule_that_no_further_name_beats_follows_the_majority_more_closely():
    """By a linear programme over all rules of the numbers of votes, at each of them."""
    price, most = 0.12, 5
    places = {(yes, no): k for k, (yes, no) in enumerate(itertools.product(range(most + 1), repeat=2))}
    upper, bounds, equal, levels = [], [], [], []

    def row(*terms):
        line = np.zeros(len(places))
        for place, sign in terms:
            line[places[place]] += sign
        return line

    for yes, no in places:
        equal.append(row(((yes, no), 1), ((no, yes), 1)))  # both answers alike
        levels.append(1.0)
        if yes < most:
            upper.append(row(((yes, no), 1), ((yes + 1, no), -1)))  # who votes does not lose by it
            bounds.append(0.0)
        for more, less in itertools.product(range(most + 1), repeat=2):
            if yes and yes + more <= most and no + less <= most and more + less:
                upper.append(row(((yes + more, no + less), 1), ((yes, no), -1)))
                bounds.append(price * (more + less))
    for yes, no in places:
        if yes > no:
            best = linprog(-row(((yes, no), 1)), upper, bounds, equal, levels, bounds=(0, 1))
            assert -best.fun == pytest.approx(float(priced_majority(votes(yes, no), price)), abs=1e-7)


def test_what_is_no_vote_is_refused():
    for wrong, words in ((lambda: majority([0, 2]), "votes contains 2"), (lambda: priced_majority([0.5], 0.1), "0.5"),
                         (lambda: priced_majority([1], -0.1), "price"), (lambda: target_rule([1], np.nan), "target"),
                         (lambda: weighted_median([1, 2], [0, 0]), "weights are all 0"),
                         (lambda: weighted_median([1, 2], [1, -1]), "negative"),
                         (lambda: weighted_median([1, 2], [1, 1, 1]), "weights")):  # fmt: skip
        with pytest.raises(ValueError, match=words):
            wrong()
