"""What an agent is, and what a grader is: a name, and an asynchronous call.

An agent is called with a task and returns its answer, how sure it is of it, and what that cost. A grader is called with
a task and one answer, without its author, and returns its mark and what that cost. Nothing else is asked of either: no
base class, no registration. Plain tuples will do:

>>> import asyncio
>>> from mechlib.agents.tasks import Task
>>> async def search(task):
...     return "Paris", 0.9, 120  # the answer, the confidence in [0, 1], the tokens
>>> agent = FunctionAgent("searcher", search)
>>> agent.name, asyncio.run(agent(Task("t1", "The capital of France?")))
('searcher', ('Paris', 0.9, 120))

Three adapters make agents and graders of what there is: `FunctionAgent` of a function, `PersonaAgent` of a persona on
the Anthropic SDK, and `EndpointAgent` of a server that speaks the chat completions of OpenAI.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from mechlib.agents.tasks import Reply, Status, Task


class Cost(NamedTuple):
    """What an answer cost: tokens, wall-clock seconds, and the price in the ledger's minor units."""

    tokens: int = 0
    seconds: float = 0.0
    price: int = 0


class Answer(NamedTuple):
    """What an agent returns; a tuple of its first two or three parts is as good.

    Attributes
    ----------
    answer : str or None
        None abstains.
    confidence : float
        The probability, in [0, 1], that the answer is right.
    cost : Cost, int or tuple
        What it cost, or tokens alone. Seconds are measured where none are given.
    status : str
        How it was read: "answered", "abstained", or what went wrong.
    detail : str
        What went wrong, in words.
    """

    answer: str | None
    confidence: float = math.nan
    cost: Cost | int | tuple[float, ...] = Cost()
    status: Status = "answered"
    detail: str = ""


class Mark(NamedTuple):
    """What a grader returns: a mark in [0, 1], NaN for none, and its cost as in `Answer`; a number is as good."""

    mark: float
    cost: Cost | int | tuple[float, ...] = Cost()
    status: Status = "answered"
    detail: str = ""


class Answerer(Protocol):
    """Anything that answers: a name, and an asynchronous call that takes a task."""

    @property
    def name(self) -> str:
        """What it is called in the ledger."""

    def __call__(self, task: Task, /) -> Awaitable[Any]:
        """Return an `Answer`, or a tuple of its first parts."""


class Grader(Protocol):
    """Anything that marks: a name, and an asynchronous call that takes a task and one answer."""

    @property
    def name(self) -> str:
        """What it is called in the ledger."""

    def __call__(self, task: Task, answer: str, /) -> Awaitable[Any]:
        """Return a `Mark`, or a number, or a tuple of a number and a cost."""


@dataclass(frozen=True)
class FunctionAgent:
    """An agent made of an asynchronous function.

    Attributes
    ----------
    name : str
    function : callable
        ``async function(task)`` returns the answer, the confidence and, if it can say, the cost.
    marks : callable, optional
        ``async marks(task, answer)`` returns a mark, and perhaps its cost: it is needed where the agents mark each
        other.
    """

    name: str
    function: Callable[[Task], Awaitable[Any]]
    marks: Callable[[Task, str], Awaitable[Any]] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot be called."""
        require_text("name", self.name)
        require_function("function", self.function)
        if self.marks is not None:
            require_function("marks", self.marks)

    def __call__(self, task: Task) -> Awaitable[Any]:
        """Answer a task."""
        return self.function(task)

    def grader(self) -> FunctionGrader | None:
        """Return who marks in this agent's name, if it can mark."""
        return None if self.marks is None else FunctionGrader(self.name, self.marks)


@dataclass(frozen=True)
class FunctionGrader:
    """A grader made of an asynchronous function: ``async function(task, answer)`` returns a mark, perhaps its cost."""

    name: str
    function: Callable[[Task, str], Awaitable[Any]]

    def __post_init__(self) -> None:
        """Refuse what cannot be called."""
        require_text("name", self.name)
        require_function("function", self.function)

    def __call__(self, task: Task, answer: str) -> Awaitable[Any]:
        """Mark one answer."""
        return self.function(task, answer)


class Said(NamedTuple):
    """What a model said, what that cost, and what went wrong, if anything did."""

    text: str
    cost: Cost
    problem: Status | None = None
    detail: str = ""

    def answer(self, read: Callable[[str], Reply]) -> Answer:
        """Return it as an agent's answer, read by a function that may fail: the cost counts all the same."""
        if self.problem is not None:
            return Answer("", math.nan, self.cost, self.problem, self.detail)
        try:
            reply = read(self.text)
            return Answer(reply.answer, reply.confidence, self.cost, reply.status)
        except Exception as error:  # the author's own code may raise anything
            return Answer("", math.nan, self.cost, "error", f"its reply could not be read: {error!r}")

    def mark(self, read: Callable[[str], float]) -> Mark:
        """Return it as a grader's mark, read by a function that may fail: the cost counts all the same."""
        if self.problem is not None:
            return Mark(math.nan, self.cost, self.problem, self.detail)
        try:
            return Mark(read(self.text), self.cost)
        except Exception as error:  # the author's own code may raise anything
            return Mark(math.nan, self.cost, "error", f"its reply could not be read: {error!r}")


def require_text(name: str, given: Any) -> None:
    """Raise a ValueError unless an argument is a text that is not empty."""
    if not isinstance(given, str) or not given:
        raise ValueError(f"{name} is {given!r:.80}: it must be a text, and not empty.")


def require_function(name: str, given: Any) -> None:
    """Raise a TypeError unless an argument can be called."""
    if not callable(given):
        raise TypeError(f"{name} is {given!r:.80}: it must be a function.")


def require_price(given: Any) -> None:
    """Raise a ValueError unless a price is two numbers: of a million tokens read, and of a million written."""
    pair = isinstance(given, (tuple, list)) and len(given) == 2
    if not pair or not all(isinstance(part, (int, float)) and 0 <= part < math.inf for part in given):
        raise ValueError(f"price is {given!r:.80}: it must be two numbers of at least 0: of a million tokens read, and "
                         "of a million written.")


def require_count(name: str, given: Any, least: int) -> None:
    """Raise a ValueError unless an argument is a whole number of at least so much, and below 2**31."""
    if type(given) is not int or not least <= given < 2**31:
        raise ValueError(f"{name} is {given!r:.80}: it must be a whole number of at least {least}, below 2**31.")


def question(task: Task) -> str:
    """Return a task as an agent reads it."""
    return task.prompt


def about(text: str) -> int:
    """Return about how many tokens a text takes, on the high side: one for every three characters."""
    return -(-len(text) // 3)


def priced(price: tuple[float, float], entered: int, written: int) -> int:
    """Return the price of a call in millionths of a currency.

    `price` is that of a million input tokens, and of a million output tokens.
    """
    return round(price[0] * entered + price[1] * written)
