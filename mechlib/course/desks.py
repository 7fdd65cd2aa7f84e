"""Three desks with a private document each: agents that a `Coordinator` can ask, and what they said on record.

A desk reads its own document and then the question. With an adapter it answers as the model is, and states its
confidence as the trained model does (`mechlib.course.trained`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field, fields

import anthropic
import numpy as np

from mechlib.agents.roster import Agent
from mechlib.agents.sending import send
from mechlib.agents.tasks import parse_answer
from mechlib.attacks.replay import Recorded
from mechlib.course.trained import statement
from mechlib.course.worlds import Case

__all__ = ["Desk", "desks", "hear"]


@dataclass(frozen=True)
class Desk(Agent):
    """An agent that reads its own document above each question.

    `adapter` names the training of whoever states the confidence, such as ``quadratic-0``; without it the model states
    it itself. Statements go to a client of their own if there is one, so that they can be recorded apart.
    """

    document: str = ""
    adapter: str = ""
    statements: anthropic.AsyncAnthropic | None = field(default=None, repr=False, compare=False)

    async def ask(self, client: anthropic.AsyncAnthropic, prompt: str, sample: int = 0) -> anthropic.types.Message:
        """Ask the model; with an adapter, return the message in which the trained model states its confidence."""
        reads = f"{self.document}\nQuestion: {prompt}"
        message = await super().ask(client, reads, sample)
        if not self.adapter:
            return message
        model = f"{self.model}+{self.adapter}"
        text = "".join(block.text for block in message.content if block.type == "text")
        return await send(self.statements or client, statement(self, model, reads, text))


def desks(
    case: Case, agents: Sequence[Agent], adapter: str = "", statements: anthropic.AsyncAnthropic | None = None
) -> tuple[Desk, ...]:
    """Return the agents with the documents of one case on their desks.

    Raises
    ------
    ValueError
        If there is not one agent for each document.
    """
    if len(agents) != len(case.documents):
        raise ValueError(f"there are {len(agents)} agents for {len(case.documents)} documents; give one each")
    told = [{part.name: getattr(agent, part.name) for part in fields(Agent)} for agent in agents]
    seats = zip(told, case.documents, strict=True)
    return tuple(Desk(**agent, document=document, adapter=adapter, statements=statements) for agent, document in seats)


async def hear(
    cases: Sequence[Case], agents: Sequence[Agent], client: anthropic.AsyncAnthropic, adapter: str = "",
    statements: anthropic.AsyncAnthropic | None = None,
) -> Recorded:
    """Ask every desk of every case, and find out who was right.

    Returns
    -------
    Recorded
        Stated confidence (NaN: silence, or a reply that cannot be read), right or wrong, and tokens, each (cases, n).
    """
    said, right, tokens = np.zeros((3, len(cases), len(agents)))
    for row, case in enumerate(cases):
        for column, desk in enumerate(desks(case, agents, adapter, statements)):
            message = await desk.ask(client, case.task.prompt)
            reply = parse_answer("".join(block.text for block in message.content if block.type == "text"))
            answered = reply.status == "answered"
            said[row, column] = reply.confidence if answered else math.nan
            right[row, column] = answered and case.task.correct(reply.answer)
            used = message.usage
            read = used.input_tokens + (used.cache_read_input_tokens or 0)
            tokens[row, column] = read + used.output_tokens
    return Recorded(said, right, tokens)
