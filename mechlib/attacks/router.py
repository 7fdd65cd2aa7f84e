"""Audit a router by its log: which rule is in force, what lie pays under it, and what other rules would have done.

A router sends each query to one of several models. It reads a score of each, stated by the model or computed from what
it states, and often a price. Whoever is chosen earns something, so a model's owner would rather state a higher score.
"""

from __future__ import annotations

import html
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mechlib.attacks.audit import audit
from mechlib.attacks.replay import Recorded, Replayed, replay
from mechlib.attacks.router_log import Log, read_log
from mechlib.attacks.router_rules import Explained, digits, explain
from mechlib.attacks.scoreboard import scoreboard
from mechlib.mechanism import Award, Floats, Rule, counted, real
from mechlib.rules.calibration import auc, reliability, wilson
from mechlib.rules.choice import score_auction, scored, softened
from mechlib.rules.scoring import quadratic
from mechlib.settings import Beliefs

_MODELS = 5  # the auditor tries every profile: more models than these, and it takes those that were chosen most
_BELIEFS = (0.1, 0.3, 0.5, 0.7, 0.9)
_FEW = 30


class Section(NamedTuple):
    """A part of the report: what was asked, a table, and what it says."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]


@dataclass(frozen=True, repr=False)
class RouterReport:
    """What the log shows; printed, it reads as text, and a notebook shows tables.

    Attributes
    ----------
    rule : Explained
        The rule that is taken to be in force.
    worth, prize : float
        What a right answer is taken to be worth, and what being chosen, in the money of the log.
    replayed : mapping of str to Replayed
        Every rule's choices and payments on the decisions of which everything is known; empty if there are none.
    sections : tuple of Section
    """

    rule: Explained
    worth: float
    prize: float
    replayed: Mapping[str, Replayed]
    sections: tuple[Section, ...]

    def __repr__(self) -> str:
        return "\n\n".join(_text(number, section) for number, section in enumerate(self.sections, 1))

    def _repr_html_(self) -> str:
        return "".join(_html(number, section) for number, section in enumerate(self.sections, 1))

    def page(self) -> str:
        """Return the report as a whole HTML page, which loads nothing from elsewhere."""
        look = ("body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}table{border-"
                "collapse:collapse}th,td{text-align:left;padding:.2rem 1rem .2rem 0;border-bottom:1px solid #ccc}")
        return (f'<!doctype html><html lang="en"><meta charset="utf-8"><title>Audit of a router</title><style>{look}'
                f"</style><h1>Audit of a router</h1>{self._repr_html_()}</html>\n")


def audit_router(
    log: str | Path | Iterable[Mapping[str, Any]], *, worth: float | None = None, prize: float | None = None,
    seed: int = 0,
) -> RouterReport:
    """Say what a router's log shows: its rule, the lie that pays, three other rules, calibration, what to log next.

    Parameters
    ----------
    log : str, Path or iterable of mappings
        A file of JSON lines, or the objects in it: see `mechlib.attacks.router_log`.
    worth : float, optional
        What a right answer is worth, in the money of the costs. By default what the choices reveal, if they weigh
        score against cost; else ten times the mean cost of the dearest model, or 1 where no costs are logged.
    prize : float, optional
        What being chosen is worth to a model's owner, beyond its cost. By default the mean cost of a chosen call, or 1.
    seed : int
        Of the learner: see `scoreboard`.

    Returns
    -------
    RouterReport

    Raises
    ------
    ValueError
        If the log cannot be read, and in which line; or if worth or prize is not above 0.

    Examples
    --------
    >>> log = [{"scores": {"small": 0.9, "large": 0.7}, "chosen": "small",
    ...         "found": {"small": 0, "large": 1}},
    ...        {"scores": {"small": 0.6, "large": 0.8}, "chosen": "large",
    ...         "found": {"small": 1, "large": 1}}] * 20
    >>> report = audit_router(log)
    >>> report.rule.name, report.rule.share
    ('the highest score', 1.0)
    """
    for name, value in (("worth", worth), ("prize", prize)):
        if value is not None:
            real(name, value, "(0, inf)")
    seed = counted("seed", seed, 0)
    read = read_log(log)
    candidates = explain(read)
    rule = candidates[0]
    spent = _costs(read)
    value, why = _worth(read, candidates, worth)
    won = prize if prize is not None else float((read.choices * spent).sum(axis=1).mean()) or 1.0
    others = _others(value)
    played = _replayed(read, rule, others, won)
    sections = (
        _in_force(read, candidates),
        _lies(read, rule, others, value, why, won, seed),
        _instead(read, rule, others, played),
        _calibration(read),
        _to_log(read, rule),
    )
    return RouterReport(rule, value, won, played, sections)


def _worth(log: Log, candidates: Sequence[Explained], worth: float | None) -> tuple[float, str]:
    """Return what a right answer is taken to be worth, and why."""
    if worth is not None:
        return worth, "as you said"
    weighed = candidates[0]
    if weighed.family.text.startswith("the highest score less cost") and np.isfinite(weighed.parameter):
        between = f"{digits(weighed.low)} to {digits(weighed.high)}"
        return weighed.parameter, f"as the choices reveal: anything from {between} fits as well"
    if not log.priced:
        return 1.0, "no costs are logged, so money is counted in right answers"
    return 10 * float(np.nanmean(log.costs, axis=0).max()), ("the choices do not reveal it: this is ten times the mean "
                                                             "cost of the dearest model. Give worth to say otherwise")


def _costs(log: Log) -> Floats:
    """Return what each call costs, 0 where nobody says."""
    return np.nan_to_num(log.costs)


def _record(log: Log) -> Floats:
    """Return each model's share of right answers before each decision, as if it had begun with one right, one wrong."""
    known = ~np.isnan(log.found)
    before = np.cumsum(known, axis=0) - known
    right = np.cumsum(np.nan_to_num(log.found), axis=0) - np.nan_to_num(log.found)
    return np.where(np.isnan(log.scores), np.nan, (right + 1) / (before + 2))


def _others(worth: float) -> dict[str, Rule]:
    """Return the rules that are tried instead, as a designer would write them: whom they choose, and what they pay."""
    calibrated = scored(softened(0.02), quadratic, inverse=True)

    def auction(reports: Floats, found: Floats, costs: Floats) -> Award:
        return score_auction(worth * reports, worth * found, costs)

    def bonus(reports: Floats, found: Floats, costs: Floats) -> Award:
        chances, score = calibrated(reports, found)
        return Award(chances, chances * costs + worth * score)

    return {"score auction": auction, "costs and a bonus for calibration": bonus}


def _replayed(log: Log, rule: Explained, others: Mapping[str, Rule], prize: float) -> dict[str, Replayed]:
    """Play every rule on the decisions of which everything is known."""
    rows = log.complete
    if not rows.any():
        return {}
    scores, found, costs = (table[rows] for table in (log.scores, np.nan_to_num(log.found), _costs(log)))
    choices = log.choices[rows]
    right = (choices * found).sum(axis=1)
    price = prize if not log.priced else 0.0  # what is logged is what was paid
    played = {"as logged": Replayed("as logged", choices, choices * (costs + price), right)}
    in_force, record = rule.mechanism(price), _record(log)[rows]
    played["the same, by track record"] = replay(in_force, Recorded(record, found, costs))
    return played | {name: replay(other, Recorded(scores, found, costs)) for name, other in others.items()}


def _in_force(log: Log, candidates: Sequence[Explained]) -> Section:
    rows = tuple((rule.name, f"{rule.share:.0%}", f"{rule.interval[0]:.0%} to {rule.interval[1]:.0%}")
                 for rule in candidates)
    best, notes = candidates[0], [f"Taken to be in force: {candidates[0].name}."]
    if best.high > best.low:
        notes.append(f"As many choices are explained by any number from {digits(best.low)} to "
                     f"{digits(best.high)} in its place.")
    if best.share < 0.8:
        notes.append("It explains less than four in five choices: the router reads something that is not in the log.")
    notes.append(f"Parameters were fitted to one half of the {len(log)} decisions and judged on the other.")
    return Section("Which rule is in force?", ("rule", "choices explained", "95% interval"), rows, tuple(notes))


def _lies(
    log: Log, rule: Explained, others: Mapping[str, Rule], worth: float, why: str, prize: float, seed: int
) -> Section:
    """Audit the rule in force and the others, for owners who gain `prize` by being chosen."""
    often = np.argsort(-log.choices.sum(axis=0), kind="stable")[:_MODELS]
    models = np.sort(often)
    costs = np.array([_costs(log)[~np.isnan(log.scores[:, i]), i].mean() for i in models])
    setting = Beliefs(_BELIEFS, n=len(models), costs=costs)
    if "{model}" in rule.family.text:
        place = np.flatnonzero(models == rule.parameter)
        rule = replace(rule, parameter=float(place[0]), models=tuple(log.models[i] for i in models))
    rules = {rule.name: _kept(rule.mechanism(prize), 0.0), "score auction": _kept(others["score auction"], prize),
             "costs and a bonus for calibration": _kept(others["costs and a bonus for calibration"], 0.0, prize)}
    board = scoreboard(rules, setting, rounds=500, lives=100, seed=seed)
    rows = []
    for name, kept in rules.items():
        report = audit(kept, setting)
        lie = report.sentence or "no lie pays, whatever the others state"
        for i in reversed(range(len(models))):
            lie = lie.replace(f"agent {i},", f"{log.models[models[i]]},")
        learned = board.findings[name]["a learner gains"]
        gain = f"{digits(learned.value)} ± {digits(learned.error or 0, 2)}"
        rows.append((name, "no" if report.witness else "yes", lie, gain))
    left_out = f" The {_MODELS} models that were chosen most are in it." if len(log.models) > _MODELS else ""
    notes = (
        f"A right answer is taken to be worth {digits(worth)} ({why}), and being chosen {digits(prize)} to a model's "
        "owner, beyond its cost.",
        f"Every belief and every score of {', '.join(map(str, _BELIEFS))} was tried, at each model's mean cost; the "
        f"gain is in the money of the costs.{left_out} The last column is what the first model comes to gain by "
        "learning, the others honest (mean of 100 simulated lives, standard error).",
        "By track record no score is asked for, so there is none to lie about; a model can only answer better.",
    )
    return Section("What lie pays?", ("rule", "truth pays best", "the lie that pays most", "a learner gains"),
                   tuple(rows), notes)


def _kept(rule: Rule, prize: float, more: float = 0.0) -> Callable[[Floats, Floats, Floats], Award]:
    """Return what owners keep of what a rule pays, their costs gone. Asked for a cost, they ask less by the prize."""
    def kept(reports: Floats, found: Floats, costs: Floats) -> Award:
        asked = costs - prize
        award = rule(reports, found, asked)
        return Award(award.allocation, award.rewards - (asked - more) * award.allocation)

    return kept


def _instead(
    log: Log, rule: Explained, others: Mapping[str, Rule], played: Mapping[str, Replayed]
) -> Section:
    title, header = "Who would have been chosen and paid?", ("rule", *(f"chooses {m}" for m in log.models))
    if not played:
        scores, costs = log.scores, _costs(log)
        tables = {"as logged": log.choices, "the same, by track record": rule.choose(_record(log), costs)}
        for name, other in others.items():
            tables[name] = replay(other, Recorded(scores, np.zeros(scores.shape), costs)).allocation
        rows = tuple((name, *(f"{x:.0%}" for x in table.mean(axis=0))) for name, table in tables.items())
        return Section(title, header, rows, ("Nothing is known of the answers that were not chosen, so neither what "
                                             "would have been right nor what would have been paid can be told.",))
    logged, lines = played["as logged"], []
    for name, each in played.items():
        more = "" if each is logged else "{:+.2f} ({:+.2f} to {:+.2f})".format(*each.against(logged))
        lines.append((name, *(f"{x:.0%}" for x in each.allocation.mean(axis=0)), f"{each.right.mean():.2f}", more,
                      digits(each.paid.mean()), "; ".join(map(digits, each.earned))))
    notes = [
        f"On the {len(logged.right)} of {len(log)} decisions of which it is known how right every model was. Paid is "
        "the mean of a decision; paid to each is in the order of the columns; below 0 the model pays.",
        "The differences are paired by decision, with intervals of 95% each; three rules were compared with the log.",
        f"By track record: {rule.name}, where the score is the model's share of right answers so far.",
    ]
    if len(logged.right) < _FEW:
        notes.append(f"These are few decisions: with less than {_FEW}, read the intervals before the means.")
    return Section(title, (*header, "right", "more than logged", "paid", "paid to each"), tuple(lines), tuple(notes))


def _calibration(log: Log) -> Section:
    rows = []
    for i, model in enumerate(log.models):
        known = ~np.isnan(log.scores[:, i]) & ~np.isnan(log.found[:, i])
        if not known.any():
            rows.append((model, "0", "", "", "", "", ""))
            continue
        score, found = log.scores[known, i], log.found[known, i]
        low, high = wilson(found.sum(), known.sum())
        rows.append((model, str(known.sum()), f"{score.mean():.2f}", f"{found.mean():.2f} ({low:.2f} to {high:.2f})",
                     f"{score.mean() - found.mean():+.2f}", f"{reliability(score, found).calibration_error:.2f}",
                     f"{auc(score, found):.2f}"))
    header = ("model", "answers judged", "mean score", "right (95% interval)", "overstates by", "calibration error",
              "AUC")
    notes = ["An AUC of 0.5 says that a model's score does not tell its right answers from its wrong ones."]
    if not log.complete.all():
        notes.append("Where only chosen answers were judged, they are those that scored well: not a fair sample.")
    return Section("Is a score worth what it says?", header, tuple(rows), tuple(notes))


def _to_log(log: Log, rule: Explained) -> Section:
    """Say what is missing, the most useful first."""
    wanted = []
    complete, spoke = int(log.complete.sum()), ~np.isnan(log.scores)
    if complete < 100:
        wanted.append((f"{complete} decisions have every answer judged",
                       "send a random share of the queries, say 5%, to all models, and judge every answer"))
    if not log.priced:
        wanted.append(("not every cost is known", "log what each model would have cost, chosen or not"))
    for i, model in enumerate(log.models):
        stated, taken = log.scores[spoke[:, i], i], int((log.chosen == i).sum())
        judged = int((spoke[:, i] & ~np.isnan(log.found[:, i])).sum())
        if not taken:
            wanted.append((f"{model} was never chosen", "choose at random now and then, and log with which chance"))
        if judged < _FEW:
            wanted.append((f"{judged} answers of {model} are judged", f"judge {_FEW} or more, drawn at random"))
        if len(stated) >= _FEW and np.unique(stated, return_counts=True)[1].max() > 0.6 * len(stated):
            wanted.append((f"{model} states one number most of the time",
                           "log a score that varies: the probability of its answer's tokens, or how often it repeats "
                           "itself"))
    if rule.share < 0.8:
        wanted.append((f"{rule.share:.0%} of the choices are explained", "log whatever else the router reads"))
    wanted.append(("nothing tells an owner's belief from its score",
                   "log the score as the model stated it, before the router changes it, and the router's version"))
    return Section("What to log next?", ("the log shows", "so"), tuple(wanted), ())


def _text(number: int, section: Section) -> str:
    table = [section.header, *section.rows]
    widths = [max(map(len, column)) for column in zip(*table, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in table]
    title = f"{number}. {section.title}"
    return "\n".join([title, "=" * len(title), *lines, *section.notes])


def _html(number: int, section: Section) -> str:
    head = "".join(f'<th scope="col">{html.escape(name)}</th>' for name in section.header)
    body = "".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in section.rows)
    notes = "".join(f"<p>{html.escape(note)}</p>" for note in section.notes)
    return (f"<h2>{number}. {html.escape(section.title)}</h2><table><thead><tr>{head}</tr></thead>"
            f"<tbody>{body}</tbody></table>{notes}")
