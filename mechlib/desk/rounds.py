"""What the coordinator gives back: a round that is over, and what rounds to come will take."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mechlib.agents.protocol import Cost
from mechlib.agents.tasks import Task
from mechlib.desk.calls import Fault, Grading, Submission
from mechlib.mechanism import Floats


class Plan(NamedTuple):
    """What some tasks will take: calls, tokens and price, estimated before anybody is called.

    Attributes
    ----------
    answers, marks : int
        How many calls will be made for answers, and at most for marks (silence is not marked). A client's own retries
        come on top.
    entered, written : int
        About how many tokens will be read (one for three characters), and the most that will be written.
    price : int
        Of these tokens, in the ledger's minor units: millionths of the roster's currency.
    unknown : tuple of str
        Agents and graders that do not say how long their calls are (they have no `size`): they count as calls alone.
    """

    answers: int
    marks: int
    entered: int
    written: int
    price: int
    unknown: tuple[str, ...] = ()

    @property
    def calls(self) -> int:
        """All calls."""
        return self.answers + self.marks

    def __str__(self) -> str:
        said = (f"{self.calls} calls ({self.answers} answers, {self.marks} marks), about {self.entered} tokens in and "
                f"at most {self.written} out, price {self.price}")
        return said + (f"; not known of {', '.join(self.unknown)}" if self.unknown else "")


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
    reports : ndarray, shape (n,)
        The confidences as the rule read them; NaN is silence, or a fault.
    costs : ndarray, shape (n,)
        What each answer cost: its price where the coordinator has a roster, else its tokens.
    graders : tuple of str
    marks : ndarray, shape (graders, n)
        What each grader said of each answer, in [0, 1]; NaN where it said nothing (its own answer, no answer, a mark
        that cannot be read).
    chances : ndarray, shape (n,)
        How likely each answer was to be passed on.
    chosen : int or None
        Index in `team` of the answer that was.
    found : ndarray, shape (n,)
        How right each answer turned out: by the key, or else the mean mark.
    rewards : ndarray, shape (n,)
        What the rule granted, in its own units; NaN for an answer of which nothing was found.
    payments : ndarray of int, shape (n,)
        Paid TO the team for their answers, minor units.
    fees : mapping of str to int
        Paid TO the graders, for how well they predicted a key that is known; empty where it is not.
    gradings : tuple of Grading
        Every call of a grader, with its cost.
    faults : tuple of Fault
        What went wrong, as what it was.
    """

    id: int
    task: Task
    team: tuple[str, ...]
    submissions: tuple[Submission, ...]
    reports: Floats
    costs: Floats
    graders: tuple[str, ...]
    marks: Floats
    chances: Floats
    chosen: int | None
    found: Floats
    rewards: Floats
    payments: NDArray[np.int64]
    fees: Mapping[str, int]
    gradings: tuple[Grading, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def answer(self) -> str | None:
        """The answer that is passed on, or None where there is none."""
        return None if self.chosen is None else self.submissions[self.chosen].answer

    @property
    def mean_marks(self) -> Floats:
        """The mean mark of each answer, shape (n,); NaN where nobody marked it."""
        return mean_marks(self.marks)

    @property
    def spent(self) -> Cost:
        """What all calls of the round cost together, the graders' too; the seconds are added up as well."""
        costs = [s.cost for s in self.submissions] + [g.cost for g in self.gradings]
        return Cost(sum(c.tokens for c in costs), sum(c.seconds for c in costs), sum(c.price for c in costs))


def mean_marks(marks: Floats) -> Floats:
    """Return the mean mark of each answer, (n,), of those that each grader gave, (graders, n); NaN where nobody did."""
    count = np.sum(~np.isnan(marks), axis=0)
    return np.where(count > 0, np.nansum(marks, axis=0) / np.maximum(count, 1), math.nan)
