"""Graders: three small models that answered and graded each other on record, and simulated ones to compare with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations, product
from typing import NamedTuple

import anthropic
import numpy as np
from numpy.typing import ArrayLike

from mechlib.agents.llm import client
from mechlib.agents.roster import Roster
from mechlib.agents.tasks import Reply, Task, grading_prompt, load_tasks, parse_answer, parse_score
from mechlib.course.trivia import replies, reports
from mechlib.mechanism import Bools, Floats, Ints

__all__ = [
    "LARGE", "MIDDLE", "SIZES", "SMALL", "Marks", "Panel", "correlation", "grades", "mean_correlation", "panel",
    "sampled", "signature", "simulated",
]

SMALL, MIDDLE, LARGE = "smollm2-135m", "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"
SIZES = {SMALL: "135M", MIDDLE: "0.5B", LARGE: "1.5B"}  #: how the chapters call the three models


class Panel(NamedTuple):
    """What each model answered, by model.

    `right` is (tasks,). `letters` and `key` are of the `choices`, the numbers of the multiple-choice tasks: A is 0, B
    is 1 and so on, and -1 where no letter was given.
    """

    tasks: Sequence[Task]
    said: dict[str, list[Reply]]
    right: dict[str, Bools]
    choices: list[int]
    letters: dict[str, Ints]
    key: Ints

    def both_wrong(self, first: str, second: str) -> Bools:
        """Return on which multiple-choice tasks both models chose a wrong letter, (choices,)."""
        x, y = self.letters[first], self.letters[second]
        return np.asarray((x >= 0) & (y >= 0) & (x != self.key) & (y != self.key))


async def panel(llm: anthropic.AsyncAnthropic | None = None) -> Panel:
    """Return the recorded answers of the three models to all questions."""
    agents, tasks = {agent.model: agent for agent in Roster.load("open").agents}, load_tasks()
    rows = await replies([agents[model] for model in SIZES], tasks, llm or client("answers"))
    said = dict(zip(SIZES, rows, strict=True))
    right = {model: np.asarray(reports([row], tasks).found)[:, 0] == 1 for model, row in said.items()}
    choices = [k for k, task in enumerate(tasks) if task.options]
    letters = {model: np.array([_letter(row[k]) for k in choices]) for model, row in said.items()}
    return Panel(tasks, said, right, choices, letters, np.array(["ABCD".find(tasks[k].key or "-") for k in choices]))


def _letter(reply: Reply) -> int:
    return "ABCD".find(reply.answer.strip()[:1] or "-") if reply.status == "answered" else -1


class Marks(NamedTuple):
    """A grader's marks of the others' answers, (answers,) each.

    `stated` is the probability that it gave, NaN where its reply held none; `right` says whether the answer was right,
    and `task` is the number of the question.
    """

    stated: Floats
    right: Floats
    task: Ints


async def grades(heard: Panel, model: str, llm: anthropic.AsyncAnthropic | None = None) -> Marks:
    """Return a model's marks of what the other models answered."""
    validator = Roster.load("open").grader
    if validator is None:
        raise ValueError("the roster named by MECHLIB_ROSTER has no [grader]; add one")
    llm, grader, rows = llm or client("answers"), replace(validator, model=model), []
    for author in (other for other in SIZES if other != model):
        for k, (task, reply) in enumerate(zip(heard.tasks, heard.said[author], strict=True)):
            if reply.status == "answered":
                verdict = await grader.ask(llm, grading_prompt(task.prompt, reply.answer))
                rows.append((parse_score(_text(verdict)), float(heard.right[author][k]), k))
    stated, right, places = np.array(rows).T
    return Marks(stated, right, places.astype(int))


async def sampled(heard: Panel, model: str, llm: anthropic.AsyncAnthropic | None = None) -> tuple[Ints, Bools]:
    """Return which 40 tasks a model answered four times more, at temperature 0.8, and which were right, (4, 40)."""
    llm = llm or client("samples")
    chosen = np.array([k for k in range(len(heard.tasks)) if k % 10 in (1, 4, 8)][:40])
    (agent,) = (agent for agent in Roster.load("open").agents if agent.model == model)
    warm, hits = replace(agent, model=f"{model}@t0.8"), np.zeros((4, len(chosen)), dtype=bool)
    for place, k in enumerate(chosen):
        for number in range(4):
            reply = parse_answer(_text(await warm.ask(llm, heard.tasks[k].prompt, number + 1)))
            hits[number, place] = reply.status == "answered" and heard.tasks[k].correct(reply.answer)
    return chosen, hits


def _text(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")


def simulated(accuracies: Sequence[float], correlation: float, tasks: int, rng: np.random.Generator) -> Ints:
    """Return the verdicts of simulated graders on balanced yes-or-no items, (graders, tasks).

    Parameters
    ----------
    accuracies : sequence of float (graders,)
        How often each grader is right. The first two must be equally good: they are the copies.
    correlation : float
        Of the first two graders' errors, from 0 to 1. All other errors are independent.
    tasks : int
    rng : numpy.random.Generator

    Raises
    ------
    ValueError
        If a number lies outside [0, 1], or the first two graders are not equally good.
    """
    chance = np.asarray(accuracies, float)
    if len(chance) < 2 or chance[0] != chance[1] or not ((chance >= 0) & (chance <= 1)).all():
        raise ValueError(f"accuracies is {accuracies}; give chances in [0, 1], the first two of them equal")
    if not 0 <= correlation <= 1:
        raise ValueError(f"correlation is {correlation}; it must lie between 0 and 1")
    truth = rng.integers(0, 2, tasks)
    draws = rng.random((len(chance), tasks))
    shared = rng.random(tasks)
    inherits = rng.random((2, tasks)) < np.sqrt(correlation)  # both inherit with probability `correlation`
    draws[:2] = np.where(inherits, shared, draws[:2])
    return np.asarray(truth ^ (draws > chance[:, None]))


def correlation(first: ArrayLike, second: ArrayLike) -> Floats:
    """Return the correlation of columns of right and wrong (..., tasks), (...); NaN where one of them is constant."""
    x, y = (column - column.mean(axis=-1, keepdims=True) for column in (np.asarray(first, float),
                                                                        np.asarray(second, float)))
    with np.errstate(invalid="ignore", divide="ignore"):
        found = (x * y).sum(axis=-1) / np.sqrt((x * x).sum(axis=-1) * (y * y).sum(axis=-1))
    return np.asarray(found)[()]


def mean_correlation(first: ArrayLike, second: ArrayLike | None = None) -> Floats:
    """Return the mean correlation between replies of two models, (..., replies, tasks) each, over all pairs, (...).

    Without `second`: between different replies of one model.
    """
    x = np.moveaxis(np.asarray(first), -2, 0)
    pairs = combinations(x, 2) if second is None else product(x, np.moveaxis(np.asarray(second), -2, 0))
    return np.asarray(np.nanmean([correlation(*pair) for pair in pairs], axis=0))[()]


def signature(reports: ArrayLike) -> Floats:
    """Return S as two graders' reports suggest it, (..., 2, 2): 1 where two words meet more often than by chance.

    `reports` are 0 or 1, (..., 2, tasks).
    """
    said = np.asarray(reports)[..., None, :, :] == np.array([0, 1])[:, None, None]  # word by word
    first, second = np.moveaxis(said, -2, 0)
    joint = (first[..., :, None, :] & second[..., None, :, :]).mean(axis=-1)
    return np.asarray(joint > joint.sum(axis=-1, keepdims=True) * joint.sum(axis=-2, keepdims=True), float)
