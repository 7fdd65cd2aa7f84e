"""One call of an agent or a grader, and what came of it: something that can be written down, whatever it was.

An agent is somebody else's code, and so is a grader: it may raise, hang, stop the interpreter, cancel itself, or return
what is no answer. None of that reaches the round. What it was is said in words.
"""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple, cast, get_args

from mechlib.agents.protocol import Answer, Cost
from mechlib.agents.tasks import Status

_MOST = 2**53


@dataclass(frozen=True)
class Submission:
    """What an agent hands in: an answer, its stated confidence (NaN if none), a cost report, and how it was read."""

    agent: str
    answer: str
    confidence: float
    cost: Cost = field(default_factory=Cost)
    status: Status = "answered"
    detail: str = ""

    @property
    def report(self) -> float:
        """What the rule reads: the confidence, or NaN, which is silence, where there is no answer."""
        return self.confidence if self.status == "answered" else math.nan


@dataclass(frozen=True)
class Grading:
    """One call of a grader: its mark of one agent's answer (NaN if none), its cost, and how it was read."""

    grader: str
    agent: str
    mark: float
    cost: Cost = field(default_factory=Cost)
    status: Status = "answered"
    detail: str = ""


class Fault(NamedTuple):
    """What went wrong in a round: in which part of it, whose it was, and the error as it was.

    The parts are "agent", "grader", "strategy", "key" (the task's own `correct`), "choose", "rule" and "payment".
    """

    part: str
    who: str
    error: str


Strategy = Callable[[Submission], Submission]


class Said(NamedTuple):
    """What came of one call: a value, or what went wrong; `stop` is an error that is to end the run."""

    value: Any
    seconds: float = 0.0
    problem: Status | None = None
    detail: str = ""
    stop: Exception | None = None


async def called(call: Callable[[], Any], timeout: float, stops: tuple[type[Exception], ...] = ()) -> Said:
    """Make one call, and say within `timeout` seconds what came of it, whatever that was.

    Raises
    ------
    Exception
        One of `stops` alone, which are no fault of whoever was called.
    """
    start = time.perf_counter()
    job = asyncio.create_task(_guarded(call, stops))
    try:
        await asyncio.sleep(0)  # a reply on record is there at once, and needs no clock
        if not job.done():
            await asyncio.wait({job}, timeout=timeout)
    finally:
        job.cancel()  # one that will not be stopped is left alone
    seconds = time.perf_counter() - start
    if not job.done():
        return Said(None, seconds, "timeout", f"no reply after {timeout} s")
    said = job.result()
    if said.stop is not None:
        raise said.stop
    return said._replace(seconds=seconds)


async def _guarded(call: Callable[[], Any], stops: tuple[type[Exception], ...]) -> Said:
    """Make a call that may do anything."""
    try:
        said = call()
        return Said(await said if inspect.isawaitable(said) else said)
    except (KeyboardInterrupt, GeneratorExit):
        raise
    except TimeoutError as error:
        return Said(None, problem="timeout", detail=shown(error, 200))
    except BaseException as error:  # an agent may even leave the interpreter, or cancel itself
        if isinstance(error, stops):
            return Said(None, stop=error)
        return Said(None, problem="error", detail=shown(error, 200))


def handed_in(name: str, said: Said) -> Submission:
    """Return what an agent said as a submission, or as the fault it is."""
    if said.problem is not None:
        return Submission(name, "", math.nan, Cost(seconds=said.seconds), said.problem, clean(said.detail))
    if not isinstance(said.value, (tuple, list)) or not 2 <= len(said.value) <= 5:
        detail = f"it returned {shown(said.value)}, not (answer, confidence) or (answer, confidence, cost)"
        return Submission(name, "", math.nan, Cost(seconds=said.seconds), "malformed", clean(detail))
    answer, confidence, cost, status, detail = Answer(*said.value)
    if answer is None:
        answer, status = "", "abstained" if status == "answered" else status
    submission = Submission(name, answer, number(confidence), cast(Cost, cost), status, detail)
    checked = _checked(submission, "it", said.seconds)
    if checked.status == "answered" and not checked.answer:
        return dataclasses.replace(checked, confidence=math.nan, status="empty")
    if checked.status == "answered" and math.isnan(checked.confidence):
        return dataclasses.replace(checked, status="malformed", detail="it states no confidence")
    return checked if checked.status == "answered" else dataclasses.replace(checked, confidence=math.nan)


def _checked(s: Submission, who: str, seconds: float) -> Submission:
    """Return a submission that can be written down; one that cannot is a fault, and says why."""
    answer: Any = s.answer
    confidence: Any = s.confidence
    detail = None
    try:
        cost = _cost(s.cost, seconds)
    except Exception as error:  # it may be anything
        cost, detail = Cost(seconds=seconds), f"{who} reports a cost of {shown(s.cost)}: {shown(error)}"
    if s.status not in get_args(Status):
        detail = f"{who} reports the status {shown(s.status)}; it must be one of {', '.join(get_args(Status))}"
    elif not isinstance(answer, str):
        detail = f"{who} hands in {shown(answer)}, which is no text"
    elif not isinstance(confidence, (float, int)) or not (0 <= confidence <= 1 or math.isnan(confidence)):
        detail = f"{who} reports {shown(confidence)}, which does not lie in [0, 1]"
    text = clean(answer) if isinstance(answer, str) else ""
    if detail is not None:
        return Submission(s.agent, text, math.nan, cost, "malformed", clean(detail))
    return dataclasses.replace(s, answer=text, confidence=float(confidence), cost=cost, detail=clean(s.detail))


def graded(grader: str, agent: str, said: Said) -> Grading:
    """Return what a grader said as a mark in [0, 1], or as the fault it is."""
    if said.problem is not None:
        return Grading(grader, agent, math.nan, Cost(seconds=said.seconds), said.problem, clean(said.detail))
    parts: list[Any] = list(said.value) if isinstance(said.value, (tuple, list)) else [said.value]
    if not 1 <= len(parts) <= 4:
        detail = f"it returned {shown(said.value)}, not a mark or (mark, cost)"
        return Grading(grader, agent, math.nan, Cost(seconds=said.seconds), "malformed", clean(detail))
    rest: list[Any] = [math.nan, Cost(), "answered", ""]
    mark, cost, status, detail = [*parts, *rest[len(parts):]]
    value = number(mark)
    try:
        spent = _cost(cost, said.seconds)
    except Exception as error:  # it may be anything
        spent, detail = Cost(seconds=said.seconds), f"it reports a cost of {shown(cost)}: {shown(error)}"
    if status not in get_args(Status):
        status, detail = "malformed", f"it reports the status {shown(status)}"
    elif status == "answered" and not (isinstance(value, float) and 0 <= value <= 1):
        status, detail = "malformed", f"its mark is {shown(mark)}, which does not lie in [0, 1]"
    return Grading(grader, agent, value if status == "answered" else math.nan, spent, status, clean(detail))


def _cost(cost: Any, seconds: float) -> Cost:
    """Return a cost report as a `Cost`, with the seconds that were measured where it gives none."""
    parts: list[Any] = list(cost) if isinstance(cost, (tuple, list)) else [] if cost is None else [cost]
    rest: list[Any] = [0, 0.0, 0]
    tokens, took, price = [*parts, *rest[len(parts):]]
    if int(tokens) != tokens or int(price) != price:
        raise ValueError("tokens and price must be whole numbers")
    if not (0 <= tokens < _MOST and 0 <= price < _MOST and 0 <= took < _MOST):
        raise ValueError("none of it may be negative, or 2**53 and more")
    return Cost(int(tokens), float(took) or seconds, int(price))


def number(value: Any) -> Any:
    """Return a number as a float, None as NaN, and anything else as it is."""
    if value is None:
        return math.nan
    try:
        return value if isinstance(value, (str, bytes)) else float(value)
    except Exception:  # an object of the author's own may raise anything
        return value


def shown(value: Any, length: int = 80) -> str:
    """Return the beginning of how an object of somebody else's shows itself."""
    try:
        return repr(value)[:length]
    except Exception:
        return f"a {type(value).__name__}"


def clean(text: Any) -> str:
    """Return a text that can be stored and sent: half a character, which JSON can smuggle in, becomes a mark."""
    return str(text).encode("utf-8", "replace").decode()


def played(strategy: Strategy, submission: Submission, wrong: list[Fault]) -> Submission:
    """Return what a strategy makes of a submission; a confidence that is no chance cannot be read."""
    try:
        handed_in = strategy(submission)
        if not isinstance(handed_in, Submission):
            raise TypeError(f"a strategy returns a Submission, not {shown(handed_in)}")
    except Exception as error:  # the author's own code may raise anything
        detail = clean(f"its strategy failed: {shown(error, 200)}")
        wrong.append(Fault("strategy", submission.agent, detail))
        return Submission(submission.agent, "", math.nan, submission.cost, "error", detail)
    mine = dataclasses.replace(handed_in, agent=submission.agent)
    return _checked(mine, "its strategy", submission.cost.seconds)
