"""What the ledger takes and hands back: typed rows. All names are also in `mechlib.ledger`."""

from __future__ import annotations

from typing import Any, NamedTuple


class Cost(NamedTuple):
    """What an answer cost: tokens, wall-clock seconds, and the price in the ledger's minor units."""

    tokens: int = 0
    seconds: float = 0.0
    price: int = 0


class RoundRow(NamedTuple):
    """A round: its number, the task, the budget, and whether it is closed."""

    id: int
    task: str
    budget: int
    closed: bool


class SubmissionRow(NamedTuple):
    """What an agent handed in: `answer` and `confidence` are None where there was none, and `status` says why."""

    agent: str
    answer: str | None
    confidence: float | None
    status: str
    cost: Cost


class GradeRow(NamedTuple):
    """The score a grader gave to another agent's answer."""

    grader: str
    agent: str
    score: float


class ScoreRow(NamedTuple):
    """What the rule made of an agent's report in a round: the number reputations are built from."""

    agent: str
    value: float


class PaymentRow(NamedTuple):
    """An amount paid TO an agent (negative: a fee), and why."""

    agent: str
    amount: int
    reason: str


class Event(NamedTuple):
    """An entry of the trail: what happened, with its data."""

    id: int
    kind: str
    data: dict[str, Any]
