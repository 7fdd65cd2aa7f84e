"""The capstone's arena: a pipeline of five agents, and the attacks that a rule for it has to survive.

Five agents answer every task and each states a confidence; one answer is passed on. The buyer earns 1 if it is right,
and all five answers are graded later. To be passed on is worth about `SLOT` to an agent by itself: it brings the next
commission. A rule is ``rule(reports, found) -> Award``, and may pay out `BUDGET` for a task.

An attack is ``attack(rule, rng) -> (beliefs, reports)`` or None: what five agents believe, and what they say. Those who
say something else than they believe are the liars, one or two; `gain` says what they gain together.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mechlib.attacks.audit import audit
from mechlib.attacks.replay import Recorded, replay
from mechlib.attacks.scoreboard import Finding, Scoreboard, scoreboard
from mechlib.mechanism import Award, Floats, Lifted, Rule, checked, lift
from mechlib.settings import Beliefs, show

__all__ = ["AGENTS", "BELIEFS", "BUDGET", "FAR", "SLOT", "alone", "attack_fault", "board", "fresh", "gain", "in_pairs",
           "seats", "sentence", "weakness"]

AGENTS, SLOT, BUDGET = 5, 0.05, 1.0
BELIEFS = (0.0, 0.4, 0.5, 0.6, 1.0)
FAR = 0.4  #: a lie this far from the belief must not pay, although nobody knows exactly what the slot is worth

Attack = Callable[[Rule, np.random.Generator], Any]


def seats(reports: ArrayLike, found: ArrayLike, seed: int = 0) -> Recorded:
    """Give agents that were recorded the first seats, and simulated honest ones, right half of the time, the rest.

    Reports and what was found are (tasks, agents), for at most `AGENTS` agents; a report of NaN is silence.
    """
    said, right = np.asarray(reports, float), np.asarray(found, float)
    rng, empty = np.random.default_rng(seed), (len(said), AGENTS - said.shape[1])
    beliefs = rng.random(empty)
    return Recorded(np.concatenate([said, beliefs], axis=1),
                    np.concatenate([right, rng.random(empty) < beliefs], axis=1))


def gain(rule: Rule, beliefs: ArrayLike, reports: ArrayLike, prize: ArrayLike = SLOT) -> Floats:
    """Return what those who do not say what they believe expect to gain by that, in all.

    Exact: each answer is right as often as its agent believes, independently, and every outcome is counted.

    Parameters
    ----------
    rule : callable
    beliefs, reports : array_like (..., 5)
        Chances in [0, 1].
    prize : array_like (...)
        What being passed on is worth by itself.

    Returns
    -------
    array (...)
        0 where everybody is honest.

    Raises
    ------
    ValueError
        If beliefs and reports are not chances for `AGENTS` agents each, or differ in shape.
    """
    belief, said = checked("beliefs", beliefs), checked("reports", reports)
    if belief.shape != said.shape or belief.shape[-1:] != (AGENTS,) or (np.maximum(belief, said) > 1).any():
        raise ValueError(f"beliefs and reports have shapes {belief.shape} and {said.shape}: give chances in [0, 1] for "
                         f"{AGENTS} agents, (..., {AGENTS}) both")
    flat, told = belief.reshape(-1, AGENTS), said.reshape(-1, AGENTS)
    pay, passed_on = (part.reshape(said.shape[:-1]) for part in _gained(rule, flat, told))
    return np.asarray(pay + np.broadcast_to(prize, pay.shape) * passed_on)


def _gained(rule: Rule, beliefs: Floats, reports: Floats) -> tuple[Floats, Floats]:
    """Return what those who lie expect to gain by it, in all: in pay, and in times passed on, both (batch,)."""
    some = np.random.default_rng(0).random((6, AGENTS))
    play = lift(rule, some, (some > 0.5).astype(float))
    lie, truth = _expected(play, beliefs, reports), _expected(play, beliefs, beliefs)
    pay, passed_on = (((said - true) * (beliefs != reports)).sum(axis=1) for said, true in zip(lie, truth, strict=True))
    return pay, passed_on


def _expected(play: Lifted, beliefs: Floats, reports: Floats) -> tuple[Floats, Floats]:
    """Return each agent's expected pay, and how often it is passed on, both (batch, 5), over all that may be found."""
    pay, passed_on = np.zeros((2, *reports.shape))
    chance = np.stack([1 - beliefs.T, beliefs.T], axis=1)  # of each agent to be wrong, and to be right
    for pattern in itertools.product((0, 1), repeat=AGENTS):
        odds = math.prod(chance[k, hit] for k, hit in enumerate(pattern))[:, None]
        award: Award = play(reports, np.broadcast_to(np.array(pattern, float), reports.shape))
        pay += odds * np.asarray(award.rewards)
        passed_on += odds * np.asarray(award.allocation)
    return pay, passed_on


def alone(rng: np.random.Generator, tries: int) -> tuple[Floats, Floats]:
    """Return profiles of beliefs, and of reports in which one agent lies: both (tries, 5), drawn at random."""
    return _liars(rng, tries, 1)


def in_pairs(rng: np.random.Generator, tries: int) -> tuple[Floats, Floats]:
    """Return profiles of beliefs, and of reports in which two agents lie: both (tries, 5), drawn at random."""
    return _liars(rng, tries, 2)


def _liars(rng: np.random.Generator, tries: int, count: int) -> tuple[Floats, Floats]:
    """Draw beliefs, and for each liar a lie: anything, near the belief, near another's belief, 0 or 1."""
    beliefs = rng.random((tries, AGENTS))
    others = rng.permuted(beliefs, axis=1)
    close = rng.uniform(-0.08, 0.08, beliefs.shape)
    ends = rng.integers(0, 2, beliefs.shape).astype(float)
    kinds = np.stack([rng.random(beliefs.shape), beliefs + close, others + close, ends])
    which = rng.integers(len(kinds), size=(1, *beliefs.shape))
    lies = np.clip(np.take_along_axis(kinds, which, axis=0)[0], 0, 1)
    who = rng.permuted(np.tile(np.arange(AGENTS) < count, (tries, 1)), axis=1)
    return beliefs, np.where(who, lies, beliefs)


def sentence(rule: Rule, beliefs: ArrayLike, reports: ArrayLike, prize: float = SLOT) -> str:
    """Say what one profile of lies gains: who believes what, what they report, and beside whom."""
    belief, said = np.asarray(beliefs, float), np.asarray(reports, float)
    liars, won = np.flatnonzero(belief != said), float(gain(rule, belief, said, prize))
    rest = ", ".join(f"{x:.3g}" for x in np.delete(belief, liars))
    believed, told = (" and ".join(f"{x:.3g}" for x in values[liars]) for values in (belief, said))
    if len(liars) == 1:
        return f"agent {liars[0]}, believing {believed}, gains {won:.2g} by reporting {told} beside ({rest})"
    names = " and ".join(map(str, liars))
    return f"agents {names}, believing {believed}, gain {won:.2g} together by reporting {told} beside ({rest})"


def weakness(rule: Rule, rng: np.random.Generator, draws: int = 1, tries: int = 2000) -> str | None:
    """Return the first fault that is found in a rule, as a sentence, or None. Every attack draws its numbers afresh.

    In this order: whether the rule passes on at most one answer, keeps to the budget whatever is found, and passes on
    the best answer if all are honest; the auditor, on beliefs of each agent's own; whether an honest agent may expect a
    loss; one liar, `tries` times; two liars, who share what they gain; and lies of `FAR` and more where the slot is
    worth up to a fifth more or less than `SLOT`, which a rule to which no report matters does not survive. A fault that
    is narrower than these draws are dense may stay unseen.
    """
    if (fault := _plain_faults(rule, rng)) is not None:
        return fault
    loses = None  # said last: where the charge is too high, most draws show a lie that avoids it
    for _ in range(draws):
        report = audit(rule, fresh(rng, SLOT), tolerance=1e-9)
        if not report.is_dsic:
            return f"The auditor broke it: {report.sentence}"
        most = -report.budget[0] if report.budget else 0.0
        if most > BUDGET + 1e-9:
            return f"It is over budget: it can pay {most:.3g} for one task"
        loses = loses or (None if report.is_ir else f"An honest agent can expect {report.worst_utility:.3g}")
    best, (beliefs, reports) = _best(rule, *alone(rng, tries))
    if best > 1e-9:
        return f"One liar broke it: {sentence(rule, beliefs, reports)}"
    best, (beliefs, reports) = _best(rule, *in_pairs(rng, tries))
    if best > 1e-9:
        return f"Two liars broke it: {sentence(rule, beliefs, reports)}"
    unsure = SLOT * rng.uniform(0.8, 1.2, tries)
    belief, said = alone(rng, tries)
    far = (np.abs(said - belief) >= FAR).any(axis=1)
    won = gain(rule, belief[far], said[far], unsure[far])
    if won.max() > 1e-9:
        at = int(won.argmax())
        prize = float(unsure[far][at])
        said_so = sentence(rule, belief[far][at], said[far][at], prize)
        return f"A big lie pays where the slot is worth {prize:.3f}: {said_so}"
    return loses


def _best(rule: Rule, beliefs: Floats, reports: Floats) -> tuple[float, tuple[Floats, Floats]]:
    """Return what the best of some profiles of lies gains, and that profile."""
    won = gain(rule, beliefs, reports)
    at = int(won.argmax())
    return float(won[at]), (beliefs[at], reports[at])


def _plain_faults(rule: Rule, rng: np.random.Generator) -> str | None:
    """Return what is wrong with a rule before anybody lies: too much passed on or paid, or not the best answer."""
    beliefs = rng.random((4000, AGENTS))
    corners = np.where(rng.random(beliefs.shape) < 0.3, beliefs.round(), beliefs)
    played = replay(rule, Recorded(corners, rng.random(beliefs.shape) < 0.5))
    passed_on = played.allocation
    if (passed_on < -1e-9).any() or (passed_on.sum(axis=1) > 1 + 1e-9).any():
        return f"It passes on {passed_on[passed_on.sum(axis=1).argmax()].tolist()}: at most one answer, in all"
    if played.paid.max() > BUDGET + 1e-9:
        at = int(played.paid.argmax())
        return (f"It is over budget: it pays {played.paid[at]:.3g} for one task, at the reports "
                f"{corners[at].round(2).tolist()}")
    honest = replay(rule, Recorded(beliefs, rng.random(beliefs.shape) < beliefs))
    lost = float((beliefs.max(axis=1) - (honest.allocation * beliefs).sum(axis=1)).mean())
    if lost > 0.005:
        return f"If all are honest, what is passed on is right {lost:.3f} less often than the best belief"
    return None


def fresh(rng: np.random.Generator, prize: float) -> Beliefs:
    """Return a setting with beliefs of its own for each agent, drawn at random and apart by .024 and more.

    Each agent has three; it may also report one more, that is nobody's belief, or 0, or 1.
    """
    spread: Floats = (np.arange(4 * AGENTS) + rng.uniform(0.25, 0.75, 4 * AGENTS)) / (4 * AGENTS)
    own = rng.permutation(spread).reshape(AGENTS, 4)
    more = np.where(rng.random(AGENTS) < 0.5, own[:, 3], rng.integers(0, 2, AGENTS))
    return Beliefs(own[:, :3], AGENTS, prize, reports=more[:, None])


def board(
    rules: dict[str, Rule], recorded: Recorded | None = None, attacks: dict[str, Attack] | None = None, seed: int = 0
) -> Scoreboard:
    """Set the rules side by side: what `scoreboard` finds, and what one liar, two liars and a big lie gain at best.

    `attacks` are more attackers, by name: what each finds is counted by `gain`.
    """
    plain = scoreboard(rules, Beliefs(BELIEFS, AGENTS, prize=SLOT), recorded, budget=BUDGET, seed=seed)
    findings = {}
    for name, rule in rules.items():
        rng = np.random.default_rng(seed)
        belief, said = alone(rng, 5000)
        unsure = SLOT * rng.uniform(0.8, 1.2, len(belief))
        far = (np.abs(said - belief) >= FAR).any(axis=1)
        pay, passed_on = _gained(rule, belief, said)
        worst = {
            "one liar gains": (pay + SLOT * passed_on).max(),
            "a big lie gains, slot unsure": (pay + unsure * passed_on)[far].max(),
            "two liars gain": gain(rule, *in_pairs(rng, 5000)).max(),
        }
        for attacker, attack in (attacks or {}).items():
            lies = attack(rule, rng)
            worst[f"{attacker} gains"] = 0.0 if lies is None else gain(rule, *lies)
        more = {question: Finding(float(won), held=bool(won <= 1e-9)) for question, won in worst.items()}
        findings[name] = {**more, **plain.findings[name]}
    return Scoreboard(findings)


def attack_fault(attack: Attack, rules: dict[str, tuple[Rule, bool]], rng: np.random.Generator) -> str | None:
    """Return what is wrong with an attack, as a sentence, or None.

    Parameters
    ----------
    attack : callable
    rules : mapping of names to (rule, whether a lie pays under it)
        An attack must find a lie that pays wherever there is one, and claim none where there is none.
    rng : numpy.random.Generator
        Each rule is attacked with a generator of its own, spawned from it.
    """
    for (name, (rule, breaks)), own in zip(rules.items(), rng.spawn(len(rules)), strict=True):
        found = attack(rule, own)
        if found is None:
            if breaks:
                return f"It finds nothing against {name}, under which a lie pays"
            continue
        if not isinstance(found, (tuple, list)) or len(found) != 2:
            return f"It returned {show(found)}: return (beliefs, reports), five numbers each, or None"
        beliefs, reports = (np.asarray(part, float) for part in found)
        if beliefs.shape != (AGENTS,) or reports.shape != (AGENTS,):
            return f"It returned shapes {beliefs.shape} and {reports.shape}: beliefs and reports are five numbers each"
        liars = int((beliefs != reports).sum())
        if not 1 <= liars <= 2:
            return f"Against {name} it lets {liars} agents lie: one or two may"
        won = float(gain(rule, beliefs, reports))
        if won <= 1e-9:
            return (f"Against {name} it claims a lie that gains {won:.2g}: return None where nothing pays, and "
                    "count by `gain`")
    return None
