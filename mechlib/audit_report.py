"""What an audit found: the verdicts, the numbers behind them, and the most profitable lie, in words."""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

NAMES = {"dominant": "truth is dominant", "Bayes": "truth is an equilibrium", "sampled": "truth held every time"}


class Witness(NamedTuple):
    """The most profitable lie that an audit found: `agent` (from 0) gains `gain` by reporting `lie`.

    `types` holds its true type and what the others report; a Bayesian audit has None for each of them.
    """

    agent: int
    types: tuple[Any, ...]
    lie: Any
    gain: float


@dataclass(frozen=True, repr=False)
class Audit:
    """The verdict on a rule; printed, it reads as sentences, and a notebook shows a table.

    Attributes
    ----------
    rule, kind : str
        The rule's name, and what truth was held against: "dominant", every report of the others; "Bayes", their
        truthful play under a prior; "sampled", random profiles.
    agents, profiles, lies : int
        The number of agents, of report profiles tabulated, and of comparisons of the truth with a lie.
    regret, witness : float, Witness or None
        The gain of the most profitable lie, and that lie; 0 and None if none gains more than `tolerance`.
    tolerance : float
        Gains, losses and missing welfare up to this count as rounding.
    worst_utility : float
        The lowest (Bayes: expected) utility of an agent that tells the truth.
    welfare_lost, compared_with : float or None, str
        The most by which a truthful profile's welfare falls short of the best alternative's, and which alternatives
        those are; or None, and why.
    budget, expected_revenue : tuple of float or None, float or None
        Lowest and highest sum of payments over truthful profiles, and their mean under the prior or over the sample.
    mean_regret, standard_error : float or None
        Sampled audits: the mean over profiles of the best gain that was found there, and its standard error.
    noun : str
        What a type is called in sentences: "worth" for values, "of type" where the utility is the caller's.
    """

    rule: str
    kind: Literal["dominant", "Bayes", "sampled"]
    agents: int
    profiles: int
    lies: int
    regret: float
    witness: Witness | None
    tolerance: float
    worst_utility: float
    welfare_lost: float | None
    compared_with: str
    budget: tuple[float, float] | None
    expected_revenue: float | None = None
    mean_regret: float | None = None
    standard_error: float | None = None
    noun: str = "worth"

    @property
    def is_dsic(self) -> bool | None:
        """Whether truth is dominant on the grid; None where a Bayesian or sampled audit cannot tell."""
        return False if self.witness else True if self.kind == "dominant" else None

    @property
    def is_bic(self) -> bool | None:
        """Whether truth is a Bayes-Nash equilibrium; None where the audit cannot tell."""
        return self.witness is None if self.kind == "Bayes" else True if self.is_dsic else None

    @property
    def is_ir(self) -> bool:
        """Whether an honest agent never ends (Bayes: never expects to end) worse than with nothing."""
        return self.worst_utility >= -self.tolerance

    @property
    def is_efficient(self) -> bool | None:
        """Whether welfare is always the highest among the alternatives in `compared_with`; None if not asked."""
        return None if self.welfare_lost is None else self.welfare_lost <= self.tolerance

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the findings as (question, verdict, explanation), the text behind both displays."""
        bound = f"{self.tolerance:.0e}"
        truth = f"no lie gains more than {bound}{' on average' if self.kind == 'Bayes' else ''}"
        if self.kind == "sampled":
            truth += f" in this sample: at 95 % confidence fewer than {show(3 / self.profiles)} of profiles have one"
        if self.witness:
            truth = sentence(self.witness, self.noun)
        found = [(NAMES[self.kind], _word(self.witness is None), truth)]
        if self.mean_regret is not None:
            found.append(("mean gain", "", f"{show(self.mean_regret)}, standard error {show(self.standard_error)}"))
        expects = "expects" if self.kind == "Bayes" else "ends with"
        found.append(("nobody honest loses", _word(self.is_ir), f"the worst off {expects} {show(self.worst_utility)}"))
        lost = "" if self.is_efficient in (None, True) else f"loses up to {show(self.welfare_lost)} "
        found.append(("efficient", _word(self.is_efficient), lost + self.compared_with))
        if self.budget is not None:
            mean = "" if self.expected_revenue is None else f", {show(self.expected_revenue)} on average"
            found.append(("sum of payments", "", f"{show(self.budget[0])} to {show(self.budget[1])}{mean}"))
        return found

    @property
    def title(self) -> str:
        """What was audited, in one line."""
        return f"Audit of {self.rule}: {self.agents} agents, {self.profiles:,} profiles, {self.lies:,} lies tried"

    def __repr__(self) -> str:
        lines = [f"  {name:<24}{verdict + ': ' if verdict else ''}{text}" for name, verdict, text in self.rows()]
        return "\n".join([self.title, *lines])

    def _repr_html_(self) -> str:
        cell = "padding:.15em 1em .15em 0;text-align:left;vertical-align:top"
        body = "".join(
            f'<tr><th scope="row" style="{cell};font-weight:normal">{html.escape(name)}</th>'
            f'<td style="{cell}"><b>{verdict}</b></td><td style="{cell}">{html.escape(text)}</td></tr>'
            for name, verdict, text in self.rows()
        )
        return (
            '<table style="background:transparent;color:inherit;border-collapse:collapse">'
            f'<caption style="caption-side:top;text-align:left;color:inherit">{html.escape(self.title)}</caption>'
            f"<tbody>{body}</tbody></table>"
        )


def sentence(witness: Witness, noun: str = "worth") -> str:
    """Say a witness in words; `noun` says what a type is."""
    agent, types, lie, gain = witness
    others = [show(other) for j, other in enumerate(types) if j != agent]
    average, when = "", f" when the others report ({', '.join(others[:8] + ['…'] * (len(others) > 8))})"
    if not others:
        when = ""
    elif types[agent - 1] is None:
        average, when = " on average", " when the others are truthful"
    elif len(others) == 1:
        when = f" when the other reports {others[0]}"
    return f"agent {agent}, {noun} {show(types[agent])}, gains {show(gain)}{average} by reporting {show(lie)}{when}"


def show(value: Any) -> str:
    """Write a number, or a list of them, in at most four digits."""
    if isinstance(value, list | tuple):
        return "(" + ", ".join(show(part) for part in value) + ")"
    if isinstance(value, float | int) and not isinstance(value, bool):
        return f"{value:.4g}" if abs(value) < 1e4 else f"{value:,.0f}"
    return str(value)


def _word(verdict: bool | None) -> str:
    return {True: "yes", False: "NO", None: "not checked"}[verdict]
