"""The measured game is the game, and selection keeps what is paid best."""

import itertools

import numpy as np
import pytest

from mechlib import Award, absolute, quadratic
from mechlib.course.selection import Game, empirical_game
from mechlib.rules.choice import highest

RNG = np.random.default_rng(0)
TASKS = 60
BELIEF = RNG.random((TASKS, 3))
FOUND = np.broadcast_to(RNG.random((TASKS, 3)) < BELIEF, (3, TASKS, 3)).astype(float)
SAID = np.stack([BELIEF, np.ones((TASKS, 3)), np.where(BELIEF < 0.5, np.nan, BELIEF)])
NAMES = ("honest", "loud", "silent when unsure")


def stated(reports):  # chapter 0's metric
    return Award(highest(reports), np.nan_to_num(reports))


def popular(reports, found):
    return Award(highest(reports), absolute(reports, found))


def proper(reports, found):
    return Award(highest(reports), quadratic(reports, found))


def test_every_payoff_equals_playing_the_team_by_hand() -> None:
    game = empirical_game(proper, NAMES, SAID, FOUND, prize=0.2)
    task, own = 7, 2
    for team, others in enumerate(itertools.product(range(3), repeat=2)):
        earned, right = [], []
        for seat in range(3):
            profile = [*others[:seat], own, *others[seat:]]
            reports = np.array([SAID[v, task, s] for s, v in enumerate(profile)])
            award = proper(reports, FOUND[0, task])
            earned.append(award.rewards[seat] + 0.2 * award.allocation[seat])
            right.append(award.allocation @ FOUND[0, task])
        assert game.payoffs[task, own, team] == pytest.approx(np.mean(earned))
        assert game.right[task, own, team] == pytest.approx(np.mean(right))
        assert tuple(game.teams[team]) == others


def test_a_metric_selects_shouting_and_a_proper_rule_honesty() -> None:
    loud = empirical_game(stated, NAMES, SAID, FOUND).select()
    true = empirical_game(proper, NAMES, SAID, FOUND).select()
    assert loud.end.argmax() == 1 and loud.end.max() > 0.99
    assert true.end.argmax() == 0 and true.right[-1] > loud.right[-1]
    assert loud.path[0] == pytest.approx([1 / 3] * 3) and len(loud.right) == len(loud.path)


def test_the_verdict_says_how_often_it_stands() -> None:
    sure = empirical_game(stated, NAMES, SAID, FOUND).verdict(draws=30, steps=500)
    assert sure.survivor == "loud" and sure.certainty == 1.0 and sure.right[0] < sure.right[1]
    noise = np.random.default_rng(1).random((2, 12, 3))
    even = empirical_game(stated, ("a", "b"), noise, np.ones((2, 12, 3))).verdict(draws=60, steps=4000)
    assert even.certainty < 1.0 and even.shares.sum() == pytest.approx(1.0)


def test_fitness_weighs_teams_by_how_likely_they_are() -> None:
    game = empirical_game(popular, NAMES, SAID, FOUND)
    alone = np.array([0.0, 1.0, 0.0])
    team = next(k for k, others in enumerate(game.teams) if tuple(others) == (1, 1))
    assert game.fitness(alone) == pytest.approx(game.payoffs[:, :, team].mean(axis=0))
    assert game.chances(np.array([0.5, 0.3, 0.2])).sum() == pytest.approx(1.0)


def test_arrays_that_do_not_fit_are_named() -> None:
    with pytest.raises(ValueError, match="variants, tasks, agents"):
        empirical_game(popular, NAMES, SAID[:2], FOUND)


def test_the_error_of_the_payoffs_falls_with_the_root_of_the_tasks_and_is_none_where_all_are_alike() -> None:
    noise = np.random.default_rng(2).normal(size=(400, 2, 1))
    few, many = (Game(("a", "b"), noise[:tasks], np.ones((tasks, 2, 1)), np.zeros((1, 1), int)) for tasks in (25, 400))
    assert few.error() / many.error() == pytest.approx(4, rel=0.4)
    assert many.error() == pytest.approx(2.24 / 20, rel=0.25)  # the larger of two normal means, in 95% of draws
    alike = Game(("a", "b"), np.ones((9, 2, 1)), np.ones((9, 2, 1)), np.zeros((1, 1), int))
    assert alike.error() == 0.0
