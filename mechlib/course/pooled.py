"""What recorded desks believe about each task, as chances over the answers that were given: to be pooled, or traded on.

Outcome k is the answer that desk k was the first to give, and the last outcome is that all of them are wrong. A desk
that says c of its answer spreads the rest evenly over the other outcomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import anthropic
import numpy as np

from mechlib.agents.roster import Agent
from mechlib.agents.tasks import parse_answer
from mechlib.course.desks import desks
from mechlib.course.worlds import Case
from mechlib.mechanism import Floats, Ints

__all__ = ["Believed", "believe"]

EDGE = 0.02  # no desk is taken to be surer than this, either way: a price of 0 that comes true costs without bound


class Believed(NamedTuple):
    """Beliefs (tasks, desks, desks + 1), which outcome came true (tasks,), and whose answer is which (tasks, desks)."""

    beliefs: Floats
    found: Ints
    outcome: Ints


async def believe(
    cases: Sequence[Case], agents: Sequence[Agent], client: anthropic.AsyncAnthropic, adapter: str = "",
    statements: anthropic.AsyncAnthropic | None = None,
) -> Believed:
    """Ask every desk of every case, and turn what it says into chances over the answers that were given.

    A desk that says nothing that can be read holds all outcomes to be as likely. The arguments are those of
    `mechlib.course.desks.hear`.
    """
    n = len(agents)
    beliefs = np.full((len(cases), n, n + 1), 1.0 / (n + 1))
    found, outcome = np.full(len(cases), n), np.full((len(cases), n), n)
    for row, case in enumerate(cases):
        first = dict[str, int]()
        for column, desk in enumerate(desks(case, agents, adapter, statements)):
            message = await desk.ask(client, case.task.prompt)
            reply = parse_answer("".join(block.text for block in message.content if block.type == "text"))
            if reply.status != "answered":
                continue
            place = outcome[row, column] = first.setdefault(reply.answer.strip().casefold(), column)
            sure = float(np.clip(reply.confidence, EDGE, 1 - EDGE))
            beliefs[row, column] = (1 - sure) / n
            beliefs[row, column, place] = sure
            if case.task.correct(reply.answer):
                found[row] = place
    return Believed(beliefs, found, outcome)
