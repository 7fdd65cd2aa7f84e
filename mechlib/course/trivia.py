"""Questions of which nobody holds anything private: what agents said, and what else tells whether it is right.

Three sources of confidence: the number in the reply; how many further samples agree with it; and, on multiple choice,
how likely the model's likeliest letter is.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import anthropic
import numpy as np

from mechlib.agents.roster import Agent
from mechlib.agents.tasks import Reply, Task, parse_answer
from mechlib.agents.token_probabilities import log_probabilities
from mechlib.attacks.replay import Recorded
from mechlib.mechanism import Floats

__all__ = ["Rescues", "agreement", "letters", "replies", "reports", "rescues", "sources"]

# How a letter is asked for: the recordings of token probabilities hold these words.
SYSTEM = "Answer with the letter of the right option alone."
SHOWN = [("Which gas makes up most of the air?\nA) oxygen\nB) argon\nC) nitrogen\nD) carbon dioxide", "C")]


class Rescues(NamedTuple):
    """Tasks that only weaker agents got right, those of them with letters, and how many luck gives, (draws,)."""

    tasks: int
    lettered: int
    lucky: Floats


async def replies(
    agents: Sequence[Agent], tasks: Sequence[Task], client: anthropic.AsyncAnthropic
) -> list[list[Reply]]:
    """Return what each agent replied to each task, a list of agents."""
    return [[await _reply(agent, task, client) for task in tasks] for agent in agents]


async def _reply(agent: Agent, task: Task, client: anthropic.AsyncAnthropic, sample: int = 0) -> Reply:
    message = await agent.ask(client, task.prompt, sample)
    return parse_answer("".join(block.text for block in message.content if block.type == "text"))


def reports(said: Sequence[Sequence[Reply]], tasks: Sequence[Task]) -> Recorded:
    """Return stated confidences (NaN where nothing was answered) and right or wrong, (tasks, agents) each."""
    answered = np.array([[reply.status == "answered" for reply in row] for row in said]).T
    stated = np.array([[reply.confidence for reply in row] for row in said]).T
    right = [[task.correct(reply.answer) for task, reply in zip(tasks, row, strict=True)] for row in said]
    return Recorded(np.where(answered, stated, math.nan), np.array(right).T * answered.astype(float))


async def agreement(
    agent: Agent, tasks: Sequence[Task], first: Sequence[Reply], client: anthropic.AsyncAnthropic, samples: int = 4
) -> Floats:
    """Return the share of samples at temperature .8 that repeat the first answer, (tasks,); NaN where there is none."""
    warm = replace(agent, model=f"{agent.model}@t0.8")
    shares = []
    for task, reply in zip(tasks, first, strict=True):
        if reply.status != "answered":
            shares.append(math.nan)
            continue
        others = [await _reply(warm, task, client, number) for number in range(1, samples + 1)]
        same = [other.answer.casefold() == reply.answer.casefold() for other in others]
        shares.append(float(np.mean(same)))
    return np.array(shares)


async def letters(agent: Agent, tasks: Sequence[Task], client: anthropic.AsyncAnthropic) -> tuple[Floats, Floats]:
    """Return how likely the model's likeliest letter is on each task, and whether that letter is right, (tasks,)."""
    prompts = [task.prompt for task in tasks]
    chance = np.exp(await log_probabilities(client, agent.model, prompts, "ABCD", SYSTEM, SHOWN))
    right = [task.correct("ABCD"[k]) for task, k in zip(tasks, chance.argmax(axis=1), strict=True)]
    return np.asarray(chance.max(axis=1)), np.array(right, float)


def rescues(said: Sequence[Sequence[Reply]], tasks: Sequence[Task], best: int, draws: int = 1000) -> Rescues:
    """Count the tasks that only others than the best agent got right, and how many of those luck alone would give.

    For luck, the others' replies to multiple-choice tasks are dealt to other tasks, agent by agent, so that they know
    nothing of them and are as often A, B, C or D as before.
    """
    right = np.asarray(reports(said, tasks).found) > 0
    saved = right.any(axis=1) & ~right[:, best]
    lettered = [k for k, task in enumerate(tasks) if task.options]
    others = [row for i, row in enumerate(said) if i != best]
    given = [[row[k].answer if row[k].status == "answered" else "" for k in lettered] for row in others]
    fits = np.array([[[tasks[k].correct(answer) for answer in row] for k in lettered] for row in given])
    rng = np.random.default_rng(0)
    lucky = []
    for _ in range(draws):
        dealt = [rng.permutation(len(lettered)) for _ in others]
        hit = [fit[np.arange(len(lettered)), deal] for fit, deal in zip(fits, dealt, strict=True)]
        lucky.append(float((np.any(hit, axis=0) & ~right[lettered, best]).sum()))
    return Rescues(int(saved.sum()), int(saved[lettered].sum()), np.array(lucky))


async def sources(
    agents: Sequence[Agent], tasks: Sequence[Task], said: Sequence[Sequence[Reply]], samples: anthropic.AsyncAnthropic,
    probabilities: anthropic.AsyncAnthropic,
) -> dict[str, list[tuple[Floats, Floats]]]:
    """Return three signals of each agent with right or wrong, where there is one: stated, samples agree, letters.

    The first two on the forty questions that were sampled, the third on all multiple-choice questions.
    """
    asked = [k for k in range(len(tasks)) if k % 10 in (1, 4, 8)][:40]
    some, choices = [tasks[k] for k in asked], [task for task in tasks if task.options]
    found: dict[str, list[tuple[Floats, Floats]]] = {"stated": [], "samples agree": [], "letter probability": []}
    for agent, row in zip(agents, said, strict=True):
        first = [row[k] for k in asked]
        stated, hits = (np.asarray(column)[:, 0] for column in reports([first], some)[:2])
        signals = [(stated, hits), (await agreement(agent, some, first, samples), hits),
                   await letters(agent, choices, probabilities)]
        for name, (signal, right) in zip(found, signals, strict=True):
            found[name].append((signal[~np.isnan(signal)], right[~np.isnan(signal)]))
    return found
