"""What travels in a round: what agents hand in, and what the round comes to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from mechlib.ledger import Cost
from mechlib.tasks import Status, Task

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Submission:
    """What an agent hands in: an answer, its stated confidence (NaN if none), a cost report, and how it was read."""

    agent: str
    answer: str
    confidence: float
    cost: Cost = field(default_factory=Cost)
    status: Status = "answered"
    detail: str = ""


Strategy = Callable[[Submission], Submission]


@dataclass(frozen=True)
class Round:
    """One finished round. Arrays are in the order of `team`; NaN marks what there was nothing to say about.

    Attributes
    ----------
    id : int
        Its number in the ledger.
    task : Task
    team : tuple of str
    submissions : tuple of Submission
    graders : tuple of str
    grades : ndarray, shape (graders, n)
        Marks in [0, 1]; NaN where a grader did not mark (its own answer, no answer, an unreadable mark).
    accuracy : ndarray, shape (n,)
        What the rule was given: the mean mark, or the truth.
    scores : ndarray, shape (n,)
        What the rule made of each report.
    payments : ndarray of int, shape (n,)
        Paid TO the team for their answers, minor units.
    fees : mapping of str to int
        Paid TO the graders, for how well they predicted a truth that is known; empty where it is not.
    chosen : int or None
        Index in `team` of the answer that is passed on.
    """

    id: int
    task: Task
    team: tuple[str, ...]
    submissions: tuple[Submission, ...]
    graders: tuple[str, ...]
    grades: Floats
    accuracy: Floats
    scores: Floats
    payments: NDArray[np.int64]
    fees: Mapping[str, int]
    chosen: int | None

    @property
    def answer(self) -> str | None:
        """The answer that is passed on, or None where nobody gave one."""
        return None if self.chosen is None else self.submissions[self.chosen].answer
