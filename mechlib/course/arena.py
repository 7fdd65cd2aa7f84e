"""The capstone's arena: a pipeline of five agents, and the attacks that a rule for it has to survive.

Five agents answer every task and each states a confidence; one answer is passed on. The buyer earns 1 if it is right,
and all five answers are graded later. To be passed on is worth about `SLOT` to an agent by itself: it brings the next
commission. A rule is ``rule(reports, found) -> Award``, and may pay out `BUDGET` for a task.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from mechlib.attacks.audit import audit
from mechlib.attacks.replay import Recorded, replay
from mechlib.mechanism import Floats, Rule
from mechlib.settings import Beliefs

AGENTS, SLOT, BUDGET = 5, 0.05, 1.0
BELIEFS = (0.0, 0.4, 0.5, 0.6, 1.0)


def seats(reports: ArrayLike, found: ArrayLike, seed: int = 0) -> Recorded:
    """Give agents that were recorded the first seats, and simulated honest ones, right half of the time, the rest.

    Reports and what was found are (tasks, agents), for at most `AGENTS` agents; a report of NaN is silence.
    """
    said, right = np.asarray(reports, float), np.asarray(found, float)
    rng, empty = np.random.default_rng(seed), (len(said), AGENTS - said.shape[1])
    beliefs = rng.random(empty)
    return Recorded(np.concatenate([said, beliefs], axis=1),
                    np.concatenate([right, rng.random(empty) < beliefs], axis=1))


def weakness(rule: Rule, rng: np.random.Generator, draws: int = 2) -> str | None:
    """Return the first fault that is found in a rule, as a sentence, or None.

    On random reports: whether it passes on at most one answer, keeps to the budget whatever is found, and passes on the
    best answer if all are honest. Then audits, `draws` times over at beliefs drawn afresh: with the slot worth `SLOT`,
    where nobody honest may lose either, and with it worth a fifth more and less. Beliefs lie further apart than that,
    so a rule that makes a lie costly stays truthful, and one to which nobody's report matters does not. A
    fault that is narrower than these beliefs are apart may stay unseen.
    """
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
    loses = None  # said last: where the charge is too high, most draws show a lie that avoids it
    for _ in range(draws):
        for part in (0.0, rng.uniform(0.1, 0.2), -rng.uniform(0.1, 0.2)):
            prize = SLOT * (1 + part)
            report = audit(rule, fresh(rng, prize), tolerance=1e-9)
            if not report.is_dsic:
                worth = f" where the slot is worth {prize:.3f}" if part else ""
                return f"The auditor broke it: {report.sentence}{worth}"
            if not part and not report.is_ir:
                loses = f"An honest agent can expect {report.worst_utility:.3g}"
            most = -report.budget[0] if report.budget else 0.0
            if most > BUDGET + 1e-9:
                return f"It is over budget: it can pay {most:.3g} for one task"
    return loses


def fresh(rng: np.random.Generator, prize: float) -> Beliefs:
    """Return a setting with beliefs of its own for each agent, drawn at random and apart by .024 and more.

    Each agent has three; it may also report one more, that is nobody's belief, or 0, or 1.
    """
    spread: Floats = (np.arange(4 * AGENTS) + rng.uniform(0.25, 0.75, 4 * AGENTS)) / (4 * AGENTS)
    own = rng.permutation(spread).reshape(AGENTS, 4)
    more = np.where(rng.random(AGENTS) < 0.5, own[:, 3], rng.integers(0, 2, AGENTS))
    return Beliefs(own[:, :3], AGENTS, prize, reports=more[:, None])
