"""What the front page shows of the course: computed from the recordings when the book is built, never typed."""

from __future__ import annotations

import asyncio
import html
from typing import NamedTuple

import numpy as np

from mechlib import client, load_tasks, parse_answer
from mechlib.agents.roster import Roster
from mechlib.course.desks import hear
from mechlib.course.worlds import documents

KINDS = {"fact": "holds the answer", "last year": "holds last year's value", "neither": "holds neither"}
SHOWN = {"untrained": "", "trained on the quadratic rule": "quadratic-0"}


class Stated(NamedTuple):
    """How sure somebody says to be, and how often they are right."""

    who: str
    said: float
    right: float
    replies: int


def share(number: float) -> str:
    """Write a share as the course does: .42."""
    return f"{number:.2f}".removeprefix("0")


async def models() -> list[Stated]:
    """Ask the recordings of chapter 3: what the three models state with the answers they give, and what is right."""
    recorded, tasks, rows = client("answers"), load_tasks(), []
    for agent in Roster.load().agents:
        said, right = [], []
        for task in tasks:
            reply = parse_answer((await agent.ask(recorded, task.prompt)).content[0].text)
            if reply.status == "answered":
                said.append(reply.confidence)
                right.append(task.correct(reply.answer))
        rows.append(Stated(agent.model, float(np.mean(said)), float(np.mean(right)), len(said)))
    return sorted(rows, key=lambda row: row.right)


class Trained(NamedTuple):
    """What desks state by what their document holds, how often that is right, and how right the highest report is."""

    stated: dict[str, list[float]]
    right: list[float]
    passed_on: dict[str, float]
    tasks: int


async def desks() -> Trained:
    """Ask the recordings of chapter 6: the model as it is, and after training under the quadratic rule."""
    cases, team = documents("test"), Roster.load("documents").agents
    kind = np.array([case.kinds for case in cases])
    heard = {}
    for name, adapter in SHOWN.items():
        statements = client("documents_trained") if adapter else None
        heard[name] = await hear(cases, team, client("documents_test"), adapter, statements)
    passed_on = {}
    for name, told in heard.items():
        said = np.nan_to_num(np.asarray(told.reports), nan=-1.0)
        top = said == said.max(axis=1, keepdims=True)
        passed_on[name] = float(np.mean((top * told.found).sum(axis=1) / top.sum(axis=1)))
    stated = {name: [float(np.nanmean(told.reports[kind == k])) for k in KINDS] for name, told in heard.items()}
    found = heard["untrained"].found
    return Trained(stated, [float(np.mean(found[kind == k])) for k in KINDS], passed_on, len(cases))


def bar(number: float, look: str) -> str:
    """Return a table's cell: a bar, and the number beside it."""
    return f'<td><span class="bar {look}" style="--share:{number:.3f}"></span><span>{share(number)}</span></td>'


def bars(caption: str, first: str, heads: list[str], rows: dict[str, list[float]]) -> str:
    """Return a table whose numbers are drawn as bars; `first` is the heading over the names of its rows."""
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in [first, *heads])
    looks = ["first", "second", "third"]
    body = "".join(
        f'<tr><th scope="row">{html.escape(name)}</th>{"".join(map(bar, numbers, looks))}</tr>'
        for name, numbers in rows.items()
    )
    return (
        f'<table class="bars"><caption>{html.escape(caption)}</caption><thead><tr>{head}</tr></thead>'
        f"<tbody>{body}</tbody></table>"
    )


def shock(rows: list[Stated]) -> str:
    """Return the first result: three models, one confidence, three accuracies."""
    said, right = [row.said for row in rows], [row.right for row in rows]
    low, high = share(min(said)), share(max(said))
    sentence = (
        f"On average they state {low if low == high else f'{low} to {high}'}. "
        f"They are right {share(min(right))} to {share(max(right))} of the time."
    )
    caption = f"Recorded replies with an answer: {', '.join(f'{row.replies} of {row.who}' for row in rows)}."
    table = bars(caption, "model", ["says it is sure", "is right"], {row.who: [row.said, row.right] for row in rows})
    return f'<p class="finding">{sentence}</p>{table}'


def result(told: Trained) -> str:
    """Return the second result: what paying for the truth did to a model."""
    before, after = told.passed_on.values()
    sentence = (
        f"Trained on what the rule pays, the model says what it read. Passing on the highest report is then right "
        f"{share(after)} of the time; before, {share(before)}. The answers themselves did not change."
    )
    caption = f"What three desks state, by what their document holds, on {told.tasks} recorded tasks."
    columns = list(zip(*told.stated.values(), told.right, strict=True))
    rows = {words: list(column) for words, column in zip(KINDS.values(), columns, strict=True)}
    heads = [*(f"says, {name}" for name in SHOWN), "is right"]
    return f'<p class="finding">{sentence}</p>{bars(caption, "its document", heads, rows)}'


def fill(page: str) -> str:
    """Put the results where the front page asks for them."""

    async def both() -> tuple[list[Stated], Trained]:
        return await models(), await desks()

    rows, told = asyncio.run(both())
    return page.replace("<!-- shock -->", shock(rows)).replace("<!-- result -->", result(told))
