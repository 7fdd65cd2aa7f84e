"""Personas on the Anthropic SDK, as agents and as graders: a system prompt, examples, a prompt, and a way to read."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import ClassVar

import anthropic

from mechlib.agents.llm import MissingRecording
from mechlib.agents.protocol import (
    Answer,
    Cost,
    Mark,
    Said,
    about,
    priced,
    question,
    require_count,
    require_function,
    require_price,
)
from mechlib.agents.roster import Agent
from mechlib.agents.tasks import Reply, Task, grading_prompt, parse_answer, parse_score


@dataclass(frozen=True)
class PersonaAgent:
    """An agent on the Anthropic SDK.

    Attributes
    ----------
    persona : Agent
        The model with its system prompt and examples.
    client : anthropic.AsyncAnthropic
    prompt : callable
        ``prompt(task)`` is what it is asked.
    read : callable
        ``read(text)`` says what a reply says, as a `Reply`; by default its ANSWER and CONFIDENCE lines.
    price : (float, float)
        Of a million input tokens and of a million output tokens; tokens that a cache held count as input.
    sample : int
        Above 0: a further, separately recorded reply to the same request.
    """

    persona: Agent
    client: anthropic.AsyncAnthropic
    prompt: Callable[[Task], str] = question
    read: Callable[[str], Reply] = parse_answer
    price: tuple[float, float] = (0.0, 0.0)
    sample: int = 0
    stops: ClassVar[tuple[type[Exception], ...]] = (MissingRecording,)

    def __post_init__(self) -> None:
        """Refuse what no call could be made of."""
        _require_a_call(self)

    @property
    def name(self) -> str:
        """The persona's name."""
        return self.persona.name

    async def __call__(self, task: Task) -> Answer:
        """Ask the model once, and read its reply."""
        said = await _ask(self.client, self.persona, self.prompt(task), self.price, self.sample)
        return said.answer(self.read)

    def size(self, task: Task) -> tuple[int, int]:
        """Return about how many tokens one call reads, and the most that it may write."""
        return _size(self.persona, self.prompt(task))


@dataclass(frozen=True)
class PersonaGrader:
    """A grader on the Anthropic SDK; attributes as in `PersonaAgent`.

    ``prompt(question, answer)`` is what it is asked, by default the answer escaped between tags, and ``read(text)``
    says the mark, by default that of the SCORE line.
    """

    persona: Agent
    client: anthropic.AsyncAnthropic
    prompt: Callable[[str, str], str] = grading_prompt
    read: Callable[[str], float] = parse_score
    price: tuple[float, float] = (0.0, 0.0)
    sample: int = 0
    stops: ClassVar[tuple[type[Exception], ...]] = (MissingRecording,)

    def __post_init__(self) -> None:
        """Refuse what no call could be made of."""
        _require_a_call(self)

    @property
    def name(self) -> str:
        """The persona's name."""
        return self.persona.name

    def of(self, agent: PersonaAgent) -> PersonaGrader:
        """Return this grader with an agent's name, client and model: how the agent marks others."""
        persona = replace(self.persona, name=agent.name, model=agent.persona.model)
        return replace(self, persona=persona, client=agent.client, price=agent.price)

    async def __call__(self, task: Task, answer: str) -> Mark:
        """Ask the model for one mark, and read it."""
        said = await _ask(self.client, self.persona, self.prompt(task.prompt, answer), self.price, self.sample)
        return said.mark(self.read)

    def size(self, task: Task, answer: str) -> tuple[int, int]:
        """Return about how many tokens one call reads, and the most that it may write."""
        return _size(self.persona, self.prompt(task.prompt, answer))


def _size(persona: Agent, prompt: str) -> tuple[int, int]:
    request = persona.request(prompt)
    texts = [request.get("system", ""), *(message["content"] for message in request["messages"])]
    return about("\n".join(texts)), persona.max_tokens


def _require_a_call(given: PersonaAgent | PersonaGrader) -> None:
    """Refuse an agent or a grader of whom no call could be made."""
    if not isinstance(given.persona, Agent):
        raise TypeError(f"persona is {given.persona!r:.80}: it must be an Agent.")
    if not hasattr(given.client, "messages"):
        raise TypeError(f"client is {given.client!r:.80}: it must be an anthropic.AsyncAnthropic, or like one.")
    require_function("prompt", given.prompt)
    require_function("read", given.read)
    require_price(given.price)
    require_count("sample", given.sample, 0)


async def _ask(
    client: anthropic.AsyncAnthropic, persona: Agent, prompt: str, price: tuple[float, float], sample: int
) -> Said:
    """Call a model once, and say what it said, what that cost, and what went wrong."""
    start = time.perf_counter()
    try:
        message = await persona.ask(client, prompt, sample)
    except anthropic.APITimeoutError as error:
        return Said("", Cost(seconds=time.perf_counter() - start), "timeout", repr(error))
    except anthropic.APIError as error:
        if isinstance(error.__cause__, MissingRecording):
            raise error.__cause__ from None
        return Said("", Cost(seconds=time.perf_counter() - start), "error", repr(error))
    try:
        usage = message.usage
        cached = (usage.cache_read_input_tokens or 0) + (usage.cache_creation_input_tokens or 0)
        entered, written = usage.input_tokens + cached, usage.output_tokens
        text = "".join(block.text for block in message.content or () if block.type == "text")
        seconds = getattr(message, "recorded_seconds", time.perf_counter() - start)
        cost = Cost(entered + written, seconds, priced(price, entered, written))
        refused = message.stop_reason == "refusal"
    except (AttributeError, TypeError) as error:  # a 200 that holds something else
        return Said("", Cost(seconds=time.perf_counter() - start), "error",
                     f"the server's reply is no message of the Messages API ({error}): {message!r:.200}")
    return Said(text, cost, "refused" if refused else None)
