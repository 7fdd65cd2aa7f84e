"""How likely an answer's tokens were, and how many samples repeat it: from the recordings of the documents."""

import asyncio
import math

import numpy as np
import pytest

from mechlib import client
from mechlib.agents.roster import Roster
from mechlib.course import signals
from mechlib.course.worlds import documents

CASES = documents("test")[:4]
AGENTS = Roster.load("documents").agents


def tokens(*pairs):
    return [{"token": text, "logprob": math.log(chance)} for text, chance in pairs]


@pytest.mark.parametrize(("said", "chance"), [
    ([("ANS", 0.5), ("WER", 0.5), (":", 0.5), (" 9", 0.8), ("1", 0.5), ("\n", 0.1), ("CON", 0.1)], 0.4),
    ([("ANSWER:", 0.1), (" Ulwick", 0.25)], 0.25),
    ([("\n", 0.1), ("answer:", 0.5), (" 7", 0.5), ("\n\n", 0.5)], 0.5),
    ([("I", 0.5), (" think", 0.5)], 1.0),
])  # fmt: skip
def test_only_the_tokens_of_the_answer_count(said, chance):
    assert math.exp(signals._log_chance(tokens(*said))) == pytest.approx(chance)


def test_the_recorded_answers_have_a_probability_and_it_is_not_always_the_same():
    chances = asyncio.run(signals.answer_probability(CASES, AGENTS, client("documents_tokens", roster="documents")))
    assert chances.shape == (4, 3) and (chances > 0).all() and (chances <= 1).all() and np.ptp(chances) > 0.05


def test_four_samples_agree_in_quarters():
    plain, warm = (client(f"documents_{name}", roster="documents") for name in ("test", "samples"))
    shares = asyncio.run(signals.agreement(CASES, AGENTS, plain, warm))
    assert shares.shape == (4, 3) and set((4 * shares).ravel()) <= {0, 1, 2, 3, 4} and np.ptp(shares) > 0
