"""Repeated games, against what can be worked out by hand: cycles without noise, Markov chains with it."""

import numpy as np
import pytest

from mechlib.course.repeated import STRATEGIES, match, tournament

WORK = np.array([[2.0, -1.0], [3.0, 0.0]])


def play(one, other, **options):
    """Return what two of the named strategies earn a round, the mean over matches."""
    return match(STRATEGIES[one], STRATEGIES[other], WORK, np.random.default_rng(0), **options).mean(axis=0)


@pytest.mark.parametrize(("one", "other", "earned"), [
    ("tit for tat", "tit for tat", (2, 2)),
    ("tit for tat", "always skip", (-1 / 10, 3 / 10)),  # fooled once in ten rounds
    ("always work", "always skip", (-1, 3)),
    ("grim", "always skip", (-1 / 10, 3 / 10)),
    ("win-stay", "always skip", (-1 / 2, 3 / 2)),  # it works again after every loss
])
def test_without_noise_a_match_is_what_one_writes_down(one, other, earned):
    assert play(one, other, rounds=10, matches=3) == pytest.approx(earned)


def chain(one, other, noise):
    """Return what `one` earns a round in the long run, from the stationary distribution of the four states."""
    plans = [np.asarray(STRATEGIES[name], float)[1:] for name in (one, other)]
    works = [(1 - noise) * plan + noise * (1 - plan) for plan in plans]
    moves = np.zeros((4, 4))
    for state in range(4):
        mine, theirs = works[0][state], works[1][[0, 2, 1, 3][state]]
        moves[state] = [mine * theirs, mine * (1 - theirs), (1 - mine) * theirs, (1 - mine) * (1 - theirs)]
    values, vectors = np.linalg.eig(moves.T)
    stays = np.real(vectors[:, np.argmax(np.real(values))])
    return float(stays / stays.sum() @ WORK.ravel())


@pytest.mark.parametrize("one", STRATEGIES)
@pytest.mark.parametrize("other", ["tit for tat", "generous", "win-stay", "always skip"])
def test_with_noise_a_long_match_earns_what_the_markov_chain_says(one, other):
    earned = match(STRATEGIES[one], STRATEGIES[other], WORK, np.random.default_rng(1), noise=0.05, rounds=2000)[:, 0]
    error = earned.std(ddof=1) / 10
    assert earned.mean() == pytest.approx(chain(one, other, 0.05), abs=5 * error + 5e-3)


def test_noise_ruins_tit_for_tat_and_not_its_generous_form():
    """Two that answer like for like hand every slip on: in the long run they work half of the time."""
    assert play("tit for tat", "tit for tat", noise=0.05, rounds=1000)[0] == pytest.approx(1, abs=0.03)
    assert play("generous", "generous", noise=0.05, rounds=1000)[0] > 1.6
    assert play("win-stay", "win-stay", noise=0.05, rounds=1000)[0] > 1.6


def test_a_tournament_holds_every_match_from_both_sides():
    names = ("always work", "tit for tat", "always skip")
    table = tournament({n: STRATEGIES[n] for n in names}, WORK, np.random.default_rng(0), rounds=10, matches=4)
    assert table.shape == (3, 3, 4)
    assert table.mean(axis=2) == pytest.approx(np.array([[2, 2, -1], [2, 2, -0.1], [3, 0.3, 0]]))


def test_a_tournament_is_its_matches_one_by_one_however_many_are_played_side_by_side(monkeypatch):
    for together in (1, 5, 10**6):
        monkeypatch.setattr("mechlib.course.repeated._DRAWS", together * 4 * 20 * 3)
        table = tournament(STRATEGIES, WORK, np.random.default_rng(0), noise=0.1, rounds=20, matches=3)
        rng = np.random.default_rng(0)
        for i, one in enumerate(STRATEGIES.values()):
            for j, other in list(enumerate(STRATEGIES.values()))[i:]:
                both = match(one, other, WORK, rng, noise=0.1, rounds=20, matches=3).T
                assert (table[i, j] == both[0]).all() and (table[j, i] == both[0 if i == j else 1]).all()


@pytest.mark.parametrize(("change", "words"), [
    ({"first": (1, 1, 1)}, "first is .* five chances"),
    ({"second": (1, 1, 1, 1, 2)}, "second is .* five chances"),
    ({"payoffs": np.eye(3)}, r"must be \(2, 2\)"),
    ({"noise": 1.5}, "noise"),
    ({"rounds": 0}, "rounds"),
    ({"matches": 0}, "matches"),
])
def test_what_is_no_match_is_refused(change, words):
    good = {"first": STRATEGIES["grim"], "second": STRATEGIES["grim"], "payoffs": WORK, "rng": np.random.default_rng(0)}
    with pytest.raises(ValueError, match=words):
        match(**(good | change))
