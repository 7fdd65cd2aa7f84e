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

__all__ = ["Desk", "desks", "hear", "hear_trained"]


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
        message = await super().ask(client, self.reads(prompt), sample)
        return await self.state(self.statements or client, prompt, message, self.adapter) if self.adapter else message

    async def state(
        self, client: anthropic.AsyncAnthropic, prompt: str, message: anthropic.types.Message, adapter: str
    ) -> anthropic.types.Message:
        """Return the message in which a trained model states how sure it is of what the desk answered."""
        return await send(client, statement(self, f"{self.model}+{adapter}", self.reads(prompt), _text(message)))

    def reads(self, prompt: str) -> str:
        """Return the document with the question under it."""
        return f"{self.document}\nQuestion: {prompt}"


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
    heard = np.zeros((3, len(cases), len(agents)))
    for row, case in enumerate(cases):
        for column, desk in enumerate(desks(case, agents, adapter, statements)):
            heard[:, row, column] = _marked(case, await desk.ask(client, case.task.prompt))
    return Recorded(*heard)


async def hear_trained(
    cases: Sequence[Case], agents: Sequence[Agent], client: anthropic.AsyncAnthropic, adapters: Sequence[str],
    statements: anthropic.AsyncAnthropic,
) -> dict[str, Recorded]:
    """Ask every desk of every case once, let each adapter state the confidence, and find out who was right.

    Returns
    -------
    dict
        For each adapter what `hear` returns.
    """
    heard = {adapter: np.zeros((3, len(cases), len(agents))) for adapter in adapters}
    for row, case in enumerate(cases):
        for column, desk in enumerate(desks(case, agents)):
            message = await desk.ask(client, case.task.prompt)
            for adapter, tables in heard.items():
                stated = await desk.state(statements, case.task.prompt, message, adapter)
                tables[:, row, column] = _marked(case, stated)
    return {adapter: Recorded(*tables) for adapter, tables in heard.items()}


def _marked(case: Case, message: anthropic.types.Message) -> tuple[float, float, float]:
    """Return the confidence that a message states (NaN: none), whether it is right, and its tokens."""
    reply, used = parse_answer(_text(message)), message.usage
    answered = reply.status == "answered"
    tokens = used.input_tokens + (used.cache_read_input_tokens or 0) + used.output_tokens
    return reply.confidence if answered else math.nan, float(answered and case.task.correct(reply.answer)), tokens


def _text(message: anthropic.types.Message) -> str:
    return "".join(block.text for block in message.content if block.type == "text")
