"""What a rule would have shipped and paid on replies that real agents gave."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import Floats, Rule, arguments, checked, function, numbers, transfers
from mechlib.settings import rule_of_reports_and_found


class Recorded(NamedTuple):
    """Reports that were made, and what came of them: one row a task, one column an agent, all (tasks, n).

    A report of NaN is silence. `found` is 1 for a right answer, 0 for a wrong one, between for a graded one. `costs`
    are what each answer cost. `marks` are what graders said before anybody knew: where a rule ships by quality, it
    ships by these.
    """

    reports: ArrayLike
    found: ArrayLike
    costs: ArrayLike | None = None
    marks: ArrayLike | None = None


@dataclass(frozen=True, repr=False)
class Replayed:
    """What came of it, task by task.

    Attributes
    ----------
    allocation, rewards : arrays (tasks, n)
        The chance that each answer was passed on; what each agent was paid (negative: paid).
    right : array (tasks,)
        How right the answer was that was passed on, in expectation; 0 where none was.
    """

    rule: str
    allocation: Floats
    rewards: Floats
    right: Floats

    @property
    def paid(self) -> Floats:
        """What was paid for each task, (tasks,)."""
        return np.asarray(self.rewards.sum(axis=1))

    @property
    def earned(self) -> Floats:
        """What each agent earned a task, on average, (n,)."""
        return np.asarray(self.rewards.mean(axis=0))

    def against(self, other: Replayed) -> tuple[float, float, float]:
        """Return how many more answers were right than under another rule, and a 95% interval, paired by task."""
        return _interval(self.right - other.right)

    def rows(self) -> list[tuple[str, str]]:
        """Return the findings in words."""
        right, paid = _interval(self.right), _interval(self.paid)
        return [
            ("right answers passed on", f"{right[0]:.2f} ({right[1]:.2f} to {right[2]:.2f})"),
            ("paid a task", f"{paid[0]:.3f} ({paid[1]:.3f} to {paid[2]:.3f})"),
            ("earned by each agent", ", ".join(f"{x:.3f}" for x in self.earned)),
        ]

    def __repr__(self) -> str:
        return "\n".join([f"Replay of {self.rule} on {len(self.right)} tasks",
                          *(f"  {name:26}{text}" for name, text in self.rows())])

    def _repr_html_(self) -> str:
        body = "".join(f'<tr><th scope="row">{name}</th><td>{text}</td></tr>' for name, text in self.rows())
        title = html.escape(f"Replay of {self.rule} on {len(self.right)} tasks")
        return f"<table><caption>{title}</caption><tbody>{body}</tbody></table>"


def replay(rule: Rule, recorded: Any) -> Replayed:
    """Play a rule on recorded reports and on what was found later.

    It is played twice: whose answer is passed on is decided on the graders' marks, if there are any, and what is paid
    on what was found.

    Parameters
    ----------
    rule : callable
        As in `audit` with `Beliefs`: of (reports), (reports, found) or (reports, found, costs).
    recorded : Recorded, or a tuple (reports, found), (reports, found, costs) or (reports, found, costs, marks)

    Returns
    -------
    Replayed

    Raises
    ------
    ValueError
        If shapes differ, there is no task, or the rule passes answers on by what nobody knows yet.
    """
    function("rule", rule)
    if not isinstance(recorded, tuple) or not 1 <= len(recorded) <= 4:
        raise TypeError(f"recorded is {recorded!r:.80}: it must be Recorded(reports, found, ...), or such a tuple")
    given = recorded if isinstance(recorded, Recorded) else Recorded(*recorded, *([None] if len(recorded) < 2 else []))
    reports = numbers("recorded reports", given.reports)
    if reports.ndim != 2 or not reports.size:
        raise ValueError(f"recorded reports have shape {reports.shape}: they must be (tasks, agents), a task or more")
    checked("recorded reports", reports, negative=True, missing=True)
    tables = {"found": given.found, "costs": given.costs, "marks": given.marks}
    found, costs, marks = (
        None if t is None else checked(f"recorded {name}", t, negative=True, missing=name != "costs")
        for name, t in tables.items())
    for name, table in zip(tables, (found, costs, marks), strict=True):
        if table is not None and table.shape != reports.shape:
            raise ValueError(f"recorded {name} has shape {table.shape}, the reports {reports.shape}: give one each")
    if found is None or (costs is None and arguments(rule) == 3):
        raise ValueError("recorded lacks what the rule reads: found, or costs")
    silent = np.isnan(reports)
    found = np.where(silent, 0.0, found)
    known = np.where(silent, 0.0, found if marks is None else np.nan_to_num(marks))
    spent = np.zeros(reports.shape) if costs is None else costs
    rows = [*range(min(6, len(reports)))]
    if len(rows) == reports.shape[1]:
        rows = rows[:-1] or rows
    call = rule_of_reports_and_found(rule, reports[rows], found[rows], spent[rows])
    allocation = call(reports, known, spent).allocation
    if marks is None and not np.allclose(allocation, call(reports, np.where(silent, 0.0, 1 - found), spent).allocation):
        raise ValueError("the rule passes answers on by what is found, which nobody knows when they are passed on: "
                         "give the graders' marks, Recorded(reports, found, marks=...), or marks=found for an oracle")
    right = (allocation * found).sum(axis=1)
    name = getattr(rule, "__name__", "a rule")
    return Replayed(name, allocation, transfers(call(reports, found, spent)), right)


def _interval(sample: Floats) -> tuple[float, float, float]:
    """Return a mean and its 95% interval over tasks (normal approximation)."""
    mean = float(sample.mean())
    half = 1.96 * float(sample.std(ddof=1)) / math.sqrt(len(sample)) if len(sample) > 1 else math.nan
    return mean, mean - half, mean + half
