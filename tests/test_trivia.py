"""What recorded agents said to the course's questions, and what else tells whether it is right."""

import asyncio

import numpy as np
import pytest

from mechlib import Roster, client, load_tasks, replay
from mechlib.agents.tasks import Reply, Task
from mechlib.course import trivia
from mechlib.mechanism import Award
from mechlib.rules.choice import highest

AGENTS, TASKS = Roster.load("open").agents, load_tasks()


def test_what_is_not_answered_is_no_report_and_not_right() -> None:
    tasks = [Task("t", "?", (), "four"), Task("u", "?", (), "five")]
    said = [[Reply("four", 0.9, "answered"), Reply("four", 0.8, "answered")],
            [Reply("four", 0.7, "malformed"), Reply("unknown", 0.2, "abstained")]]
    stated, found, *_ = trivia.reports(said, tasks)
    np.testing.assert_array_equal(stated, [[0.9, np.nan], [0.8, np.nan]])
    np.testing.assert_array_equal(found, [[1, 0], [0, 0]])


def test_the_recorded_replies_go_into_a_replay() -> None:
    said = asyncio.run(trivia.replies(AGENTS, TASKS[:20], client("answers", "replay")))
    assert [len(row) for row in said] == [20, 20, 20]
    played = replay(lambda reports: Award(highest(reports), np.zeros(reports.shape)), trivia.reports(said, TASKS[:20]))
    assert 0 < played.right.mean() < 1


def test_samples_agree_as_often_as_they_repeat_the_answer() -> None:
    tasks = [TASKS[k] for k in (1, 4, 8)]
    (said,) = asyncio.run(trivia.replies(AGENTS[1:2], tasks, client("answers", "replay")))
    tape = client("samples", "replay")
    shares = asyncio.run(trivia.agreement(AGENTS[1], tasks, said, tape))
    assert set(shares) <= {0, 0.25, 0.5, 0.75, 1}
    never = [Reply("no such answer", 0.9, "answered"), Reply("", 0.9, "malformed"), said[2]]
    shares = asyncio.run(trivia.agreement(AGENTS[1], tasks, never, tape))
    assert shares[0] == 0 and np.isnan(shares[1]) and shares[2] >= 0


def test_letters_are_probabilities_and_are_marked_by_the_key() -> None:
    choices = [task for task in TASKS if task.options][:6]
    chance, right = asyncio.run(trivia.letters(AGENTS[1], choices, client("probabilities", "replay")))
    assert chance.shape == right.shape == (6,) and ((chance > 0.2) & (chance <= 1)).all()
    assert set(right) <= {0.0, 1.0} and chance.sum() != pytest.approx(6)


def test_rescues_by_who_knows_are_more_than_luck_and_by_who_guesses_are_not() -> None:
    rng = np.random.default_rng(0)
    tasks = [Task(str(k), "?", ("w", "x", "y", "z"), "ABCD"[rng.integers(4)]) for k in range(80)]
    guess = [[Reply("ABCD"[rng.integers(4)], 0.9, "answered") for _ in tasks] for _ in range(2)]
    knows = [Reply(str(task.key), 0.9, "answered") for task in tasks]
    luck, skill = trivia.rescues(guess, tasks, 0, 200), trivia.rescues([guess[0], knows], tasks, 0, 200)
    assert luck.tasks == luck.lettered and np.quantile(luck.lucky, 0.01) <= luck.tasks <= np.quantile(luck.lucky, 0.99)
    assert skill.tasks > skill.lucky.max()


def test_three_sources_come_with_what_was_right() -> None:
    said = asyncio.run(trivia.replies(AGENTS[1:2], TASKS, client("answers", "replay")))
    tapes = client("samples", "replay"), client("probabilities", "replay")
    found = asyncio.run(trivia.sources(AGENTS[1:2], TASKS, said, *tapes))
    assert [len(rows[0][0]) for rows in found.values()] == [40, 40, 84]
    assert all(len(signal) == len(right) and not np.isnan(signal).any() for ((signal, right),) in found.values())
