"""Learners: their regret bounds hold; populations: their fixed points are those of the game."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from mechlib.attacks.learners import Exp3, Hedge, replicator, softmax


def play(learner, payoffs):
    """Let Hedge face a table of payoffs (T, ..., k); return its probabilities round by round."""
    history = []
    for row in payoffs:
        history.append(learner.probabilities)
        learner.update(row)
    return np.array(history)


def regret(payoffs, probabilities):
    """How much the best fixed action earns above the player, in expectation; both are (T, k)."""
    return np.sum(payoffs, axis=0).max() - np.sum(np.array(payoffs) * probabilities)


@given(
    hnp.arrays(float, st.tuples(st.integers(1, 40), st.integers(1, 5)), elements=st.floats(0, 1)), st.floats(0.01, 5)
)
def test_hedge_keeps_its_regret_bound_on_any_payoffs(payoffs, rate):
    rounds, actions = payoffs.shape
    loss = regret(payoffs, play(Hedge(actions, rate), payoffs))
    assert loss <= np.log(actions) / rate + rate * rounds / 8 + 1e-9


def test_hedge_at_its_best_rate_keeps_the_square_root_bound_against_an_adversary():
    rounds = 400
    learner, history, payoffs = Hedge(2, Hedge.best_rate(2, rounds)), [], []
    for _ in range(rounds):
        history.append(learner.probabilities)
        payoffs.append(np.eye(2)[np.argmin(learner.probabilities)])  # pays what is played least
        learner.update(payoffs[-1])
    loss = regret(payoffs, history)
    assert 0 < loss <= np.sqrt(rounds * np.log(2) / 2)


def test_replicas_learn_as_they_would_alone():
    payoffs = np.random.default_rng(0).random((30, 4, 3))
    together = play(Hedge(3, 0.3, replicas=(4,)), payoffs)
    for i in range(4):
        np.testing.assert_allclose(together[:, i], play(Hedge(3, 0.3), payoffs[:, i]))


def test_those_who_do_not_play_learn_nothing_and_the_others_as_they_would_alone():
    at = (np.array([0, 2]), np.array([1, 0]))
    for learner, alone in ((Hedge(3, 0.3, (3, 2)), Hedge(3, 0.3)), (Exp3(3, 0.2, (3, 2)), Exp3(3, 0.2))):
        chosen = learner.choose(np.random.default_rng(0), at)
        assert chosen.shape == (2,)
        if isinstance(learner, Hedge):
            learner.update([[0.1, 0.5, 0.9]] * 2, at)
            alone.update([0.1, 0.5, 0.9])
        else:
            learner.update([1, 1], [0.7, 0.7], at)
            alone.update(1, 0.7)
        assert (learner.probabilities[at] == alone.probabilities).all()
        idle = np.ones((3, 2), bool)
        idle[at] = False
        assert (learner.totals[idle] == 0).all() and (learner.probabilities[idle] == 1 / 3).all()


def test_hedge_draws_actions_as_often_as_it_says():
    learner = Hedge(3, 1.0, replicas=(20000,))
    learner.update([1.0, 0.5, 0.0])
    share = np.bincount(learner.choose(np.random.default_rng(1)), minlength=3) / 20000
    np.testing.assert_allclose(share, learner.probabilities[0], atol=4 * np.sqrt(0.25 / 20000))


def test_hedge_finds_the_truth_in_a_second_price_auction():
    bids, rng = np.linspace(0, 1, 11), np.random.default_rng(2)
    learner, value = Hedge(11, 0.5), 0.6
    for rival in rng.random(3000):
        learner.update(np.where(bids > rival, value - rival, 0.0) / 2 + 0.5)
    assert bids[np.argmax(learner.probabilities)] == pytest.approx(value)


def test_exp3_keeps_its_bound_on_average():
    rounds, actions, explore, runs = 500, 3, 0.2, 400
    rng = np.random.default_rng(3)
    payoffs = rng.random((rounds, actions)) * [0.5, 0.5, 1.0]
    learner, earned = Exp3(actions, explore, replicas=(runs,)), np.zeros(runs)
    for row in payoffs:
        chosen = learner.choose(rng)
        learner.update(chosen, row[chosen])
        earned += row[chosen]
    best = payoffs.sum(axis=0).max()
    error = earned.std() / np.sqrt(runs)
    assert best - earned.mean() + 3 * error <= (np.e - 1) * explore * best + actions * np.log(actions) / explore
    assert learner.totals.mean(axis=0) == pytest.approx(payoffs.sum(axis=0), rel=0.1)  # unbiased estimates


@pytest.mark.parametrize("explore", [0.2, 1.0])
def test_exp3_weighs_by_its_totals_however_long_it_lives(explore):
    rng, learner = np.random.default_rng(4), Exp3(2, explore, replicas=(3, 2))
    late = (np.array([0, 2]), np.array([1, 0]))  # two that play twice a round
    for _ in range(6000 if explore == 0.2 else 3000):
        for at in (..., late):
            chosen = learner.choose(rng, at)
            learner.update(chosen, np.where(chosen == 1, 0.9, 0.5), at)
    score = explore / 2 * learner.totals
    assert score.max() > 710  # whose exponential is no float
    np.testing.assert_allclose(learner.probabilities, (1 - explore) * softmax(score) + explore / 2, rtol=1e-9)


def test_a_learner_hands_out_copies():
    for learner in (Hedge(2, 1.0), Exp3(2, 0.1)):
        learner.probabilities[...] = learner.totals[...] = 7.0
        assert (learner.probabilities == 0.5).all() and (learner.totals == 0).all()


def policing(gain, detection, penalty):
    """Rows: cooperate, defect. A cooperator gives 1 to whom it meets; defecting gains, and is fined when seen."""
    return np.array([[1.0, 0.0], [1.0 + gain - detection * penalty, gain - detection * penalty]])


@pytest.mark.parametrize(("detection", "stable"), [(0.2, False), (0.24, False), (0.26, True), (0.5, True)])
def test_cooperation_is_stable_exactly_when_expected_penalty_exceeds_the_gain(detection, stable):
    path = replicator(policing(gain=0.5, detection=detection, penalty=2.0), [0.9, 0.1], steps=20000)
    assert (path[-1, 0] > 0.99) == stable
    assert (np.diff(path[:, 0]) > -1e-15).all() == stable


def test_hawks_and_doves_settle_at_the_mixed_equilibrium():
    value, cost = 1.0, 4.0
    game = [[(value - cost) / 2, value], [0, value / 2]]
    start = np.array([[0.9, 0.1], [0.01, 0.99]])
    np.testing.assert_allclose(replicator(game, start, steps=5000)[-1], [[0.25, 0.75]] * 2, atol=1e-6)


@given(st.integers(0, 2**32 - 1))
def test_corners_and_symmetric_equilibria_are_fixed_points(seed):
    game = np.random.default_rng(seed).random((3, 3))
    for corner in np.eye(3):
        assert (replicator(game, corner, steps=5) == corner).all()
    even = np.full(3, 1 / 3)
    balanced = game - game.mean(axis=1, keepdims=True)
    np.testing.assert_allclose(replicator(balanced, even, steps=50)[-1], even, atol=1e-12)


def test_rock_paper_scissors_circles_and_shares_stay_shares():
    path = replicator([[0, -1, 1], [1, 0, -1], [-1, 1, 0]], [0.5, 0.3, 0.2], steps=2000, step=0.01)
    np.testing.assert_allclose(path.sum(axis=-1), 1)
    np.testing.assert_allclose(
        path.prod(axis=-1), path[0].prod(), rtol=0.08
    )  # the product is conserved in continuous time


def test_populations_that_fare_very_differently_do_not_meet():
    """Only what a strategy earns above its own population's others counts, not how rich another population is."""
    path = replicator(lambda x: np.array([[0.0, 1.0], [1e6, 1e6 + 1]]), [[0.9, 0.1], [0.9, 0.1]], steps=300)
    np.testing.assert_allclose(path[:, 0], path[:, 1], atol=1e-6)
    assert path[-1, 0, 1] > 0.99


def test_fitness_may_be_a_function():
    path = replicator(lambda x: -x, [0.9, 0.1], steps=4000)
    np.testing.assert_allclose(path[-1], [0.5, 0.5], atol=1e-6)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: Hedge(0, 1.0), "actions is 0"),
        (lambda: Hedge(2, 0.0), "rate is 0.0"),
        (lambda: Exp3(2, 0.0), "explore"),
        (lambda: Hedge(2, 1.0).update([0, 2]), "payoffs must lie"),
        (lambda: Exp3(2, 0.1).update(7, 1.0), "actions must be whole numbers from 0 to 1"),
        (lambda: Exp3(2, 0.1).update(-1, 1.0), "actions must be whole numbers from 0 to 1"),
        (lambda: replicator([[0, 1], [1, 0]], [0.5, 0.6]), "start must hold shares"),
    ],
)
def test_errors_name_the_argument(call, words):
    with pytest.raises(ValueError, match=words):
        call()
