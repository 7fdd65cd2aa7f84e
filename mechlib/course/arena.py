"""The capstone's arena: a rule for a pipeline of five agents, and the three attackers that it has to survive.

Five agents answer every task and each states a confidence; one answer is shipped. The buyer earns 1 for a right one.
All five answers are graded later. Being shipped is worth `SLOT` to an agent by itself: it brings the next commission.
A rule is two functions: who ships, decided before anything is graded, and what is paid TO the agents afterwards.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechlib.attacks.audit import audit
from mechlib.attacks.learners import softmax
from mechlib.attacks.report import Audit
from mechlib.mechanism import Outcome

AGENTS, SLOT, BUDGET = 5, 0.05, 1.0
BELIEFS = (0.0, 0.4, 0.5, 0.6, 1.0)

Floats = NDArray[np.float64]


class Rule(NamedTuple):
    """A rule for the pipeline.

    Attributes
    ----------
    choose : callable
        ``choose(reports)``: reports (..., 5) in [0, 1] to the chance that each agent's answer ships, (..., 5).
    pay : callable
        ``pay(reports, correct)``: reports and correctness (0 or 1), both (..., 5), to payments TO the agents, (..., 5).
        Functions of one task, (5,), will do: whether they take batches is found by trying.
    """

    choose: Callable[[Any], Any]
    pay: Callable[[Any, Any], Any]


class Prospect(NamedTuple):
    """What a profile of reports means for each agent, (..., 5): the chance to ship, the pay if right and if wrong."""

    chance: Floats
    right: Floats
    wrong: Floats


class Learned(NamedTuple):
    """What an adversary that learns made of a rule.

    `gain` is what it earned a task above honesty, over the second half of its life; the standard error is over
    independent lives. `beliefs` (k,) are those it has, `reports` (k,) what it came to report at them, on average.
    """

    gain: float
    standard_error: float
    beliefs: Floats
    reports: Floats


class Delivered(NamedTuple):
    """What a rule made of recorded reports: the share of shipped answers that were right, and the pay a task.

    Each mean comes with its standard error over tasks; `earned` (n,) is the mean pay of each agent.
    """

    right: float
    right_error: float
    paid: float
    paid_error: float
    earned: Floats


def prospect(rule: Rule, reports: ArrayLike) -> Prospect:
    """Return what reports (batch, 5) promise each agent, if the others are right as often as they say."""
    c = np.asarray(reports, dtype=float)
    right, wrong = np.zeros_like(c), np.zeros_like(c)
    for pattern in itertools.product((0.0, 1.0), repeat=c.shape[1]):
        correct = np.broadcast_to(pattern, c.shape)
        odds = np.where(correct > 0, c, 1 - c)
        others = np.stack([np.delete(odds, i, axis=1).prod(axis=1) for i in range(c.shape[1])], axis=1)
        expected = others * _call(rule.pay, c, correct)
        right += np.where(correct > 0, expected, 0.0)
        wrong += np.where(correct > 0, 0.0, expected)
    return Prospect(_chances(rule, c), right, wrong)


def attack_by_audit(rule: Rule, slot: float = SLOT) -> Audit:
    """Try every lie of every agent, at the beliefs `BELIEFS` and against all reports of the others on that grid."""

    def expected(reports: ArrayLike) -> Outcome:
        """What an agent expects is linear in its belief: what being right adds, and what it has in any case."""
        chance, right, wrong = prospect(rule, reports)
        return Outcome(right - wrong, -wrong - slot * chance)

    found = audit(expected, BELIEFS, n=AGENTS)
    return replace(found, rule="this rule", budget=None, welfare_lost=None,
                   compared_with="its shortfall is measured apart")


def most_paid(rule: Rule) -> float:
    """Return the most that a rule pays out for one task, over the grid of reports and everything that may be right."""
    c = np.array(list(itertools.product(BELIEFS, repeat=AGENTS)))
    patterns = itertools.product((0.0, 1.0), repeat=AGENTS)
    return max(float(_call(rule.pay, c, np.broadcast_to(p, c.shape)).sum(axis=1).max()) for p in patterns)


def shortfall(rule: Rule, tasks: int = 4000) -> tuple[float, float]:
    """Return how often the shipped answer is right if all are honest, and how far that is below the best belief's."""
    beliefs = np.random.default_rng(0).random((tasks, AGENTS))
    shipped = float((beliefs * _chances(rule, beliefs)).sum(axis=1).mean())
    return shipped, float(beliefs.max(axis=1).mean()) - shipped


def attack_by_learning(rule: Rule, rounds: int = 1000, lives: int = 20) -> Learned:
    """Let a simulated agent learn, by Hedge, what to report; the other four are simulated too, and honest.

    It learns for each of five beliefs apart, from what every report on a grid of eleven would have earned.
    """
    rng, when, life = np.random.default_rng(0), np.arange(rounds)[:, None], np.arange(lives)
    beliefs, grid = np.array([0.1, 0.3, 0.5, 0.7, 0.9]), np.linspace(0.0, 1.0, 11)
    kind = rng.integers(len(beliefs), size=(rounds, lives))
    truth = np.concatenate([rng.random((rounds, lives, AGENTS - 1)), beliefs[kind][..., None]], axis=-1)
    correct = (rng.random(truth.shape) < truth).astype(float)
    tried, graded = (np.repeat(table[:, :, None], len(grid), axis=2) for table in (truth, correct))
    tried[..., -1] = grid
    flat = tried.reshape(-1, AGENTS)
    earned = SLOT * _chances(rule, flat)[:, -1] + _call(rule.pay, flat, graded.reshape(-1, AGENTS))[:, -1]
    earned = earned.reshape(rounds, lives, len(grid))
    scaled = (earned - earned.min()) / max(float(np.ptp(earned)), 1e-12)
    honest = np.abs(grid - beliefs[:, None]).argmin(axis=1)
    past = np.zeros((rounds + 1, lives, len(beliefs), len(grid)))  # what it saw before each round, by belief
    past[when + 1, life, kind] = scaled
    mixed = softmax(past.cumsum(axis=0)[when, life, kind])
    gains = ((mixed * earned).sum(axis=-1) - earned[when, life, honest[kind]])[rounds // 2 :].mean(axis=0)
    said, late = (mixed @ grid)[rounds // 2 :], kind[rounds // 2 :]
    reports = np.array([said[late == b].mean() for b in range(len(beliefs))])
    return Learned(float(gains.mean()), float(gains.std(ddof=1) / np.sqrt(lives)), beliefs, reports)


def attack_by_recordings(rule: Rule, confidence: ArrayLike, correct: ArrayLike) -> Delivered:
    """Let agents that were recorded take the first seats; simulated honest ones, as often right as not, take the rest.

    `confidence` and `correct` are (tasks, agents), agents at most 5; a nan confidence counts as 0.
    """
    said, right = np.nan_to_num(np.asarray(confidence, float)), np.asarray(correct, float)
    rng, empty = np.random.default_rng(0), (len(said), AGENTS - said.shape[1])
    beliefs = rng.random(empty)
    reports = np.concatenate([said, beliefs], axis=1)
    graded = np.concatenate([right, rng.random(empty) < beliefs], axis=1)
    shipped = (_chances(rule, reports) * graded).sum(axis=1)
    paid = _call(rule.pay, reports, graded)
    errors = [float(x.std(ddof=1) / np.sqrt(len(x))) for x in (shipped, paid.sum(axis=1))]
    return Delivered(float(shipped.mean()), errors[0], float(paid.sum(axis=1).mean()), errors[1], paid.mean(axis=0))


def scoreboard(rules: Mapping[str, Rule], confidence: ArrayLike, correct: ArrayLike) -> str:
    """Return a table, a column a rule: what each attacker made of it, and whether it held."""
    found = {name: _findings(rule, confidence, correct) for name, rule in rules.items()}
    labels = ["", *dict.fromkeys(label for findings in found.values() for label in findings)]
    columns = [[f"{label:{max(map(len, labels))}}" for label in labels]]
    for name, findings in found.items():
        verdicts = {None: "", True: "held", False: "broken"}
        column = [name, *(f"{number}  {verdicts[held]:6}" for number, held in findings.values())]
        columns.append([f"{cell:>{max(map(len, column))}}" for cell in column])
    return "\n".join("  ".join(row).rstrip() for row in zip(*columns, strict=True))


def _findings(rule: Rule, confidence: ArrayLike, correct: ArrayLike) -> dict[str, tuple[str, bool | None]]:
    """What the attackers found, in words, and whether the rule held (None where nothing is asked of it)."""
    report, (gain, error, *_), (shipped, lost) = attack_by_audit(rule), attack_by_learning(rule), shortfall(rule)
    most, real = most_paid(rule), attack_by_recordings(rule, confidence, correct)
    return {
        "worst lie gains": (_short(report.regret), report.regret <= 1e-9),
        "worst off if honest": (_short(report.worst_utility), report.is_ir),
        "most paid for a task": (_short(most), most <= BUDGET + 1e-9),
        "ships right, if honest": (_short(shipped), None),
        "... below the best": (_short(lost), lost <= 0.005),
        "learner gains": (_short(gain, error), gain <= 2 * error + 1e-9),
        "ships right, recorded": (_short(real.right, real.right_error), None),
        "paid, recorded": (_short(real.paid, real.paid_error), None),
    }


def _short(*numbers: float) -> str:
    return " ± ".join(f"{round(number, 3) + 0.0:.3f}" for number in numbers)  # never "-0.000"


def _chances(rule: Rule, reports: Floats) -> Floats:
    chance = _call(rule.choose, reports)
    if (chance < -1e-9).any() or (chance.sum(axis=1) > 1 + 1e-9).any():
        bad = chance[((chance < -1e-9).any(axis=1)) | (chance.sum(axis=1) > 1 + 1e-9)][0]
        raise ValueError(f"choose gave the chances {bad.tolist()}: they must not be negative nor sum to more than 1")
    return chance


def _call(function: Callable[..., Any], *arrays: ArrayLike) -> Floats:
    """Call a function of one task, or of a batch of them, on a batch; which of the two it is is found by trying."""
    tables = [np.array(array, dtype=float) for array in arrays]
    shape, some = tables[0].shape, np.unique(np.linspace(0, len(tables[0]) - 1, 7).astype(int))
    alone = [np.asarray(function(*(table[b].copy() for table in tables)), dtype=float) for b in some]
    if alone[0].shape != shape[1:]:
        raise ValueError(f"the rule gave {alone[0]!r} for one task: it must give {shape[1]} numbers, one an agent")
    try:
        many = np.asarray(function(*(table.copy() for table in tables)), dtype=float)
        if many.shape == shape and np.allclose(many[some], alone):
            return many
    except Exception:  # a function of one task fails on a batch in its own way
        pass
    return np.array([function(*(table[b] for table in tables)) for b in range(len(tables[0]))], dtype=float)
