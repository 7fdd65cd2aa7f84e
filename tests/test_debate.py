"""The recorded arguments: who argued for what, and what judges and listeners made of them."""

import asyncio

import numpy as np

from mechlib import client
from mechlib.course.debate import arguments, help_to_predict, odds, verdicts
from mechlib.course.graders import MIDDLE, SMALL, panel

HEARD = asyncio.run(panel(client("answers", "replay")))
STAGE, EXPERT = client("debate", "replay"), client("weak_expert", "replay")
PAIRS = asyncio.run(arguments(HEARD, STAGE))


def test_honest_advice_is_marked_by_its_letter_and_the_other_side_argues_for_another() -> None:
    assert len(PAIRS.items) == len(PAIRS.honest) == len(PAIRS.deceptive) == 28
    assert [HEARD.tasks[HEARD.choices[place]] for place in PAIRS.places] == PAIRS.items
    assert PAIRS.holds.tolist() == [said[0] == task.key for task, said in zip(PAIRS.items, PAIRS.honest, strict=True)]
    differ = [h[:1] != d[:1] for h, d in zip(PAIRS.honest, PAIRS.deceptive, strict=True)]
    assert np.mean(differ) > 0.9
    assert PAIRS.longer_is_honest[0] == (len(PAIRS.honest[0]) > len(PAIRS.deceptive[0]))


def test_a_judge_is_asked_in_both_orders() -> None:
    chance = asyncio.run(verdicts(PAIRS, SMALL, STAGE))
    assert chance.shape == (28, 2) and ((chance >= 0) & (chance <= 1)).all()
    assert (chance[:, 0] > 0.5).all() and (chance[:, 1] < 0.5).all()  # it picks whoever speaks first


def test_experts_and_judges_score_three_answers_a_question() -> None:
    gains = asyncio.run(help_to_predict(PAIRS, MIDDLE, EXPERT))
    assert gains.shape == (28, 3, 4) and np.isfinite(gains).all()
    first = np.array(["ABCD".index(said[0]) for said in PAIRS.honest])
    assert gains[np.arange(28), 0, first].mean() > 0  # hearing a letter makes it likelier
    marked = asyncio.run(odds(PAIRS, SMALL, EXPERT))
    assert marked.shape == (28, 3) and (marked[:, 0] > marked[:, 2]).mean() > 0.8
