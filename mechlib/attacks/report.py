"""What an audit found: the verdicts, the numbers behind them, and the most profitable lie, in words."""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np

from mechlib.settings import Joint, Setting, Values, show

NAMES = {"dominant": "truth is dominant", "Bayes": "truth is an equilibrium", "sampled": "truth held every time"}
WORDS = {True: "yes", False: "NO", None: "not checked"}


class Witness(NamedTuple):
    """The most profitable lie: `types` holds the agent's true one, and the others' reports (Bayes: None for each)."""

    agent: int
    types: tuple[Any, ...]
    lie: Any
    gain: float


class Collusion(NamedTuple):
    """The most profitable joint lie: `types` holds the agents' true ones, and the others' reports (Bayes: None)."""

    agents: tuple[int, ...]
    types: tuple[Any, ...]
    lies: tuple[Any, ...]
    gains: tuple[float, ...]
    gain: float


@dataclass(frozen=True, repr=False)
class Audit:
    """The verdict on a rule; printed, it reads as sentences, and a notebook shows a table."""

    rule: str  #: the rule's name
    kind: Literal["dominant", "Bayes", "sampled"]  #: any reports of the others; their truth, under a prior; a sample
    agents: int  #: how many agents there are
    profiles: int  #: how many report profiles were played
    lies: int  #: how many times a lie was compared with the truth
    witness: Witness | None  #: the most profitable lie, or None if none gains more than `tolerance`
    sentence: str  #: the same in words, or nothing
    tolerance: float  #: gains, losses and missing welfare up to this count as rounding
    rounds: bool  #: whether nobody asked for that tolerance: it is what floating point makes of equal numbers
    worst_utility: float  #: the lowest (Bayes: expected) utility of an agent that tells the truth
    sells: bool = False  #: whether the money goes to the agents (rewards) and not to the designer (payments)
    budget: tuple[float, float] | None = None  #: lowest and highest sum of payments over truthful profiles
    expected_revenue: float | None = None  #: its mean under the prior or over the sample
    welfare_lost: float | None = None  #: the most by which a truthful profile falls short of the best alternative
    compared_with: str = "not asked of a sample"  #: which alternatives those are
    mean_regret: float | None = None  #: sampled: the mean over profiles of the best gain that was found there
    standard_error: float | None = None  #: sampled: the standard error of that mean
    coalition: int = 1  #: how many agents may lie together
    gain: Literal["sum", "some", "all"] = "sum"  #: when they gain: in sum, some and none loses, or all of them
    collusion: Collusion | None = None  #: the most profitable joint lie of two agents or more
    together: str = ""  #: the same in words, or nothing

    @property
    def regret(self) -> float:
        """The gain of the most profitable lie, 0 if there is none."""
        return self.witness.gain if self.witness else 0.0

    @property
    def is_dsic(self) -> bool | None:
        """Whether truth is dominant on the grid; None where a Bayesian or sampled audit cannot tell."""
        return False if self.witness else True if self.kind == "dominant" else None

    @property
    def is_bic(self) -> bool | None:
        """Whether truth is a Bayes-Nash equilibrium; None where the audit cannot tell."""
        return self.witness is None if self.kind == "Bayes" else self.is_dsic or None

    @property
    def is_collusion_proof(self) -> bool | None:
        """Whether neither an agent nor a group of up to `coalition` of them gains by lying; None if not asked."""
        return None if self.coalition == 1 else self.witness is None and self.collusion is None

    @property
    def is_ir(self) -> bool:
        """Whether an honest agent never ends, or under a prior never expects to end, worse than with nothing."""
        return self.worst_utility >= -self.tolerance

    @property
    def is_efficient(self) -> bool | None:
        """Whether welfare is always the highest among the alternatives in `compared_with`; None if not asked."""
        return None if self.welfare_lost is None else self.welfare_lost <= self.tolerance

    def rows(self) -> list[tuple[str, str, str]]:
        """Return the findings as (question, verdict, explanation), the text behind both displays."""
        least = "anything" if self.rounds else f"more than {show(self.tolerance)}"
        truth = f"no lie gains {least}{' on average' if self.kind == 'Bayes' else ''}"
        if self.kind == "sampled":
            truth += " among those that were tried; a narrower one may exist"
        worst = show(0.0 if abs(self.worst_utility) <= self.tolerance else self.worst_utility)
        lost = f"loses up to {show(self.welfare_lost)} " if self.is_efficient is False else ""
        found = [
            (NAMES[self.kind], WORDS[not self.witness], self.sentence or truth),
            ("nobody honest loses", WORDS[self.is_ir],
             f"the worst off {'expects' if self.kind == 'Bayes' else 'ends with'} {worst}"),
            ("efficient", WORDS[self.is_efficient], lost + self.compared_with),
        ]
        if self.coalition > 1:
            who = "no pair gains" if self.coalition == 2 else f"no group up to {self.coalition} gains"
            honest = {"sum": "raises the sum of utilities", "some": "helps some and harms none",
                      "all": "helps everybody in it"}[self.gain]
            found.insert(1, (who, WORDS[self.collusion is None], self.together or f"no joint lie {honest}"))
        if self.mean_regret is not None:
            found.insert(1, ("mean gain", "", f"{show(self.mean_regret)}, standard error {show(self.standard_error)}"))
        if self.budget is not None:
            low, high = self.budget if not self.sells else (0.0 - self.budget[1], 0.0 - self.budget[0])
            mean = self.expected_revenue
            average = "" if mean is None else f", {show(0.0 - mean if self.sells else mean)} on average"
            money = "rewards" if self.sells else "payments"
            found.append((f"sum of {money}", "", f"{show(low)} to {show(high)}{average}"))
        return found

    def __repr__(self) -> str:
        lines = [f"  {name:<24}{verdict + ': ' if verdict else ''}{text}" for name, verdict, text in self.rows()]
        return "\n".join([self._title(), *lines])

    def _repr_html_(self) -> str:
        cell = "padding:.15em 1em .15em 0;text-align:left;vertical-align:top"
        body = "".join(
            f'<tr><th scope="row" style="{cell};font-weight:normal">{html.escape(name)}</th>'
            f'<td style="{cell}"><b>{verdict}</b></td><td style="{cell}">{html.escape(text)}</td></tr>'
            for name, verdict, text in self.rows())
        return ('<table style="background:transparent;color:inherit;border-collapse:collapse"><caption style='
                f'"caption-side:top;text-align:left;color:inherit">{html.escape(self._title())}</caption>'
                f"<tbody>{body}</tbody></table>")

    def _title(self) -> str:
        rule = self.rule.replace("<lambda>", "this rule")
        return f"Audit of {rule}: {self.agents} agents, {self.profiles:,} profiles, {self.lies:,} lies tried"


def sentence(witness: Witness, setting: Setting, sells: bool = False) -> str:
    """Say a witness in the words of its setting; `sells` says that a type is a cost."""
    agent, types, lie, gain = witness
    bayes = any(kind is None for kind in types)
    costs = sells and isinstance(setting, Values) and not isinstance(setting, Joint)
    who = f"with cost {show(types[agent])}" if costs else setting.of(agent, types[agent])
    others = [(j, other) for j, other in enumerate(types) if j != agent]
    average, when = "", ""
    if others:
        average = " on average" if bayes else ""
        when = " when the others are truthful" if bayes else f" {setting.when(others)}"
    return f"agent {agent}, {who}, gains {show(gain)}{average} by {setting.by(agent, lie)}{when}"


def together(found: Collusion, setting: Setting, gain: str, sells: bool = False) -> str:
    """Say a joint lie in the words of its setting; `sells` says that a type is a cost."""
    agents, types, lies, _, amount = found
    bayes = any(kind is None for kind in types)
    costs = sells and isinstance(setting, Values) and not isinstance(setting, Joint)
    are = [f"with cost {show(types[i])}" if costs else setting.of(i, types[i]) for i in agents]
    do = [setting.by(i, lie) for i, lie in zip(agents, lies, strict=True)]
    others = [(j, other) for j, other in enumerate(types) if j not in agents]
    how = {"sum": f"gain {show(amount)} together", "all": f"gain {show(amount)} or more each",
           "some": f"gain {show(amount)} together and none of them loses"}[gain]
    average, when = "", ""
    if others:
        average = " on average" if bayes else ""
        when = " when the others are truthful" if bayes else f" {setting.when(others)}"
    return f"agents {_listed(map(str, agents))}, {_shared(are)}, {how}{average} by {_shared(do)}{when}"


def _listed(words: Iterable[str]) -> str:
    *most, last = words
    return f"{', '.join(most)} and {last}"


def _shared(words: Sequence[str]) -> str:
    """Return what the members of a group have in common, once, or what is true of each of them."""
    if len(set(words)) == 1:
        return f"{'both' if len(words) == 2 else 'all'} {words[0]}"
    return _listed(words)


def plain(value: Any) -> Any:
    """Return a numpy scalar or row as plain Python, for people to read."""
    if isinstance(value, np.ndarray):
        return tuple(value.tolist())
    return value.item() if isinstance(value, np.generic) else value
