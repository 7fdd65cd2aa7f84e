"""Several rules side by side: what each attack made of them."""

from __future__ import annotations

import html
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from mechlib.attacks.audit import audit
from mechlib.attacks.learn import learn
from mechlib.attacks.replay import replay
from mechlib.mechanism import Rule, real
from mechlib.settings import Setting


class Finding(NamedTuple):
    """What an attack found, its standard error if it has one, and whether the rule held (None: nothing was asked)."""

    value: float
    error: float | None = None
    held: bool | None = None

    def __str__(self) -> str:
        error = "" if self.error is None else f" ± {self.error:.3f}"
        return f"{round(self.value, 3) + 0.0:.3f}{error}"  # never "-0.000"


@dataclass(frozen=True, repr=False)
class Scoreboard:
    """The findings, by rule and by question; a notebook shows a table with a column a rule."""

    findings: Mapping[str, Mapping[str, Finding]]

    def held(self, rule: str) -> bool:
        """Whether a rule held wherever something was asked of it."""
        return all(finding.held is not False for finding in self.findings[rule].values())

    def _questions(self) -> list[str]:
        return [*dict.fromkeys(question for found in self.findings.values() for question in found)]

    def __repr__(self) -> str:
        words = {None: "", True: "  held", False: "  BROKEN"}
        columns = [["", *self._questions()]]
        for rule, found in self.findings.items():
            cells = [f"{f}{words[f.held]:8}" if (f := found.get(q)) else "" for q in self._questions()]
            columns.append([rule, *cells])
        padded = [[f"{cell:>{max(map(len, column))}}" for cell in column] for column in columns]
        return "\n".join("  ".join(row).rstrip() for row in zip(*padded, strict=True))

    def _repr_html_(self) -> str:
        words = {None: "", True: " held", False: " <b>broken</b>"}
        head = "".join(f'<th scope="col">{html.escape(rule)}</th>' for rule in self.findings)
        body = ""
        for question in self._questions():
            cells = (f"{f}{words[f.held]}" if (f := found.get(question)) else "" for found in self.findings.values())
            body += f'<tr><th scope="row">{question}</th>' + "".join(f"<td>{cell}</td>" for cell in cells) + "</tr>"
        return f"<table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table>"


def scoreboard(
    rules: Mapping[str, Rule], setting: Setting, recorded: Any = None, *, budget: float | None = None,
    rounds: int = 1000, lives: int = 100, seed: int = 0,
) -> Scoreboard:
    """Attack every rule in every way that there is, and set the findings side by side.

    The auditor looks for the best lie, a learner (agent 0, the others honest) for what it comes to gain, and recorded
    agents show what the rule would have passed on and paid.

    Parameters
    ----------
    rules : mapping of names to rules
    setting : Setting
    recorded : optional
        What `replay` takes.
    budget : float, optional
        The most that a rule may pay for one task.
    rounds, lives, seed : int
        Of the learner; see `learn`.

    Raises
    ------
    ValueError
        What `audit`, `learn` and `replay` raise, with the name of the rule before it.
    """
    if not isinstance(rules, Mapping) or not rules:
        raise TypeError(f"rules is {rules!r:.80}: it must be a mapping of names to rules, one or more")
    if budget is not None:
        real("budget", budget)
    board = {}
    for name, rule in rules.items():
        try:
            board[name] = _findings(rule, setting, recorded, budget, rounds, lives, seed)
        except ValueError as error:
            raise ValueError(f"{name}: {error}") from error
    return Scoreboard(board)


def _findings(
    rule: Rule, setting: Setting, recorded: Any, budget: float | None, rounds: int, lives: int, seed: int
) -> dict[str, Finding]:
    report = audit(rule, setting)
    found = {
        "worst lie gains": Finding(report.regret, held=report.witness is None),
        "worst off if honest": Finding(report.worst_utility, held=report.is_ir),
    }
    if report.budget is not None:
        most = 0.0 - report.budget[0]
        found["most paid out"] = Finding(most, held=None if budget is None else most <= budget + report.tolerance)
    if report.welfare_lost is not None:
        found["falls short of the best by"] = Finding(report.welfare_lost, held=report.is_efficient)
    gain = learn(rule, setting, who=[0], rounds=rounds, lives=lives, seed=seed).gain[:, 0]
    error = float(gain.std(ddof=1) / np.sqrt(lives))
    found["a learner gains"] = Finding(float(gain.mean()), error, bool(gain.mean() <= 2 * error + report.tolerance))
    if recorded is not None:
        played = replay(rule, recorded)
        for question, sample in (("right, recorded agents", played.right), ("paid, recorded agents", played.paid)):
            found[question] = Finding(float(sample.mean()), float(sample.std(ddof=1) / np.sqrt(len(sample))))
    return found
