"""Routers on recorded replies: what a call costs, whom each router calls, and what its floor does to the bill.

A router is a table of chances, (tasks, models): how likely each model is to be the one whose answer is passed on. What
it gets right is one product: ``(chances * right).sum(axis=1)``.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import anthropic
import numpy as np
from numpy.typing import ArrayLike

from mechlib.agents.roster import Agent, Roster
from mechlib.agents.tasks import Reply, Task, parse_answer
from mechlib.agents.token_probabilities import log_probabilities
from mechlib.attacks.replay import Recorded
from mechlib.course import plots
from mechlib.course.statistics import Interval, arms, paired
from mechlib.course.trivia import SHOWN, SYSTEM, reports
from mechlib.mechanism import Floats, checked
from mechlib.rules.choice import softened
from mechlib.rules.scoring import quadratic

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Asked", "Floor", "above_constant", "ask_everybody", "draw_plane", "floor_trade", "letter_chances",
           "majority", "track_record"]


class Asked(NamedTuple):
    """What every model of a roster replied, a list of models, and the same as numbers, (tasks, models)."""

    replies: list[list[Reply]]
    recorded: Recorded  #: confidences, right or wrong, and what each call cost, in millionths of a credit


async def ask_everybody(roster: Roster, tasks: Sequence[Task], client: anthropic.AsyncAnthropic) -> Asked:
    """Ask each of a roster's agents each task, and price each call by the roster."""
    said, costs = list[list[Reply]](), np.zeros((len(tasks), len(roster.agents)))
    for column, agent in enumerate(roster.agents):
        row = []
        for place, task in enumerate(tasks):
            message = await agent.ask(client, task.prompt)
            row.append(parse_answer("".join(block.text for block in message.content if block.type == "text")))
            used = message.usage
            read = used.input_tokens + (used.cache_read_input_tokens or 0)
            costs[place, column] = 1e6 * roster.price(agent.model, read, used.output_tokens)
        said.append(row)
    return Asked(said, reports(said, tasks)._replace(costs=costs))


async def letter_chances(
    agents: Sequence[Agent], tasks: Sequence[Task], said: Sequence[Sequence[Reply]], client: anthropic.AsyncAnthropic
) -> Floats:
    """Return how likely each model found the letter that it answered with, (tasks, agents).

    It is NaN where a task has no letters, or the answer is none. This is the letter that the router would pass on;
    `mechlib.course.trivia.letters` looks at the likeliest letter, whatever the model answered.
    """
    chances = np.full((len(tasks), len(agents)), math.nan)
    lettered = [place for place, task in enumerate(tasks) if task.options]
    prompts = [tasks[place].prompt for place in lettered]
    for column, (agent, row) in enumerate(zip(agents, said, strict=True)):
        table = np.exp(await log_probabilities(client, agent.model, prompts, "ABCD", SYSTEM, SHOWN))
        for place, letters in zip(lettered, table, strict=True):
            if answered := re.match(r"\W*([A-D])\b", row[place].answer or ""):
                chances[place, column] = letters["ABCD".index(answered[1])]
    return chances


def track_record(right: ArrayLike, domains: Sequence[str], pull: float = 4.0) -> Floats:
    """Return how often each model was right on the other tasks of the same domain, (tasks, models).

    The task itself is left out. Few tasks make a rough guess, so each share is pulled towards the model's share over
    all other tasks, as if `pull` more tasks of the domain had gone that way.

    Raises
    ------
    ValueError
        If there is not one domain for each task, or there are fewer than two tasks.
    """
    hits = checked("right", right, ndim=2)
    if len(domains) != len(hits) or len(hits) < 2:
        raise ValueError(f"domains has {len(domains)} entries and right {len(hits)} rows: give one domain a task, and "
                         "two tasks at least")
    labels, record = np.asarray(domains), np.empty(hits.shape)
    for place in range(len(hits)):
        alike = labels == labels[place]
        alike[place] = False
        overall = np.delete(hits, place, axis=0).mean(axis=0)
        record[place] = (hits[alike].sum(axis=0) + pull * overall) / (alike.sum() + pull)
    return record


def majority(said: Sequence[Sequence[Reply]]) -> Floats:
    """Return a vote's chances, (tasks, models): the models whose answer has most support share the task.

    Answers are compared without regard to capitals. Who gave none has no vote; where nobody did, nobody is chosen.
    """
    chances = np.zeros((len(said[0]), len(said)))
    for place, row in enumerate(zip(*said, strict=True)):
        answers = [reply.answer.casefold() if reply.status == "answered" and reply.answer else None for reply in row]
        votes = Counter(answer for answer in answers if answer)
        support = np.array([votes[answer] if answer else 0 for answer in answers])
        top = (support == support.max()) & (support > 0)
        chances[place] = top / max(int(top.sum()), 1)
    return chances


class Floor(NamedTuple):
    """What a floor under the chances does, (seeds,) each: over the tasks of a run."""

    right: Floats  #: the share of right answers that are passed on
    spread: Floats  #: the standard deviation of what one task is paid
    largest: float  #: the most that one task can be paid


def floor_trade(floor: float, seeds: int = 100, tasks: int = 1000) -> Floor:
    """Return what a decision scoring rule with a floor does to two honest agents whose beliefs are drawn evenly.

    One run a seed, each of so many tasks: the highest belief is chosen unless the floor lets the other one through, and
    the chosen agent is paid its quadratic score over the chance that it had.
    """
    choose = softened(floor)
    right, spread = np.zeros((2, seeds))
    for seed in range(seeds):
        rng = np.random.default_rng(seed)
        belief = rng.random((tasks, 2))
        hit = rng.random((tasks, 2)) < belief
        chance = choose(belief)
        chosen = (np.arange(tasks), (rng.random(tasks) >= chance[:, 0]).astype(int))
        right[seed] = hit[chosen].mean()
        spread[seed] = (quadratic(belief[chosen], hit[chosen]) / chance[chosen]).std()
    return Floor(right, spread, 1 / floor)


def above_constant(said: ArrayLike, right: ArrayLike, where: ArrayLike) -> Interval:
    """Return how much more a report scores than the share of right answers, said every time: quadratic, a task.

    All are (tasks,); only the tasks in `where` count. The share is taken from those same tasks: a high bar.
    """
    some = np.asarray(where, bool)
    hits = checked("right", right)[some]
    return paired(quadratic(np.asarray(said)[some], hits), quadratic(hits.mean(), hits))


def draw_plane(
    curve: Sequence[tuple[float, float]], dots: Mapping[str, tuple[float, Interval]], name: str
) -> Figure:
    """Draw routers on the plane of cost and quality: a curve (k, 2), and a dot with an interval a router."""
    figure, axes = plots.figure(height=4.2)
    axes.plot(*zip(*curve, strict=True), color=plots.COLOURS[0])
    style: dict[str, object] = {"textcoords": "offset points", "fontsize": 9}
    axes.annotate(name, curve[len(curve) // 2], (10, -14), color=plots.COLOURS[0], **style)
    widest = max(cost for cost, _ in dots.values())
    for label, (cost, share) in dots.items():
        axes.errorbar([cost], [share.mean], arms([share]), fmt="o", color=plots.COLOURS[1], elinewidth=1)
        place = cost / widest  # where it stands decides where its name does: off the curve, the axis and its interval
        if place < 0.2:
            axes.annotate(label, (cost, share.mean), (8, -20), ha="left", **style)
        elif place < 0.35:
            axes.annotate(label, (cost, share.high), (0, 4), ha="center", **style)
        elif place < 0.8:
            axes.annotate(label, (cost, share.mean), (-7, -1), ha="right", **style)
        else:
            axes.annotate(label, (cost, share.mean), (7, -3), ha="left", **style)
    axes.set(xlabel="cost of a task (millionths of a credit)", ylabel="share right", ylim=(0, 0.85),
             xlim=(-0.04 * widest, 1.25 * widest))
    return figure
