"""The rules that models are trained under: the functions that the auditor takes, and what is paid beside them."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mechlib.mechanism import Award, Outcome, transfers
from mechlib.rules.choice import highest
from mechlib.rules.scoring import absolute, abstain_pays, second_report
from mechlib.rules.scoring import quadratic as brier
from mechlib.settings import rule_of_reports_and_found

Array = NDArray[np.float64]
PRIZE = 0.3
SILENCE = 0.25
FINE = 0.1


def metric(reports: Array, found: Array) -> Award:
    """Pay the stated number: what the first pipeline of the course rewards."""
    return Award(highest(reports), np.nan_to_num(reports))


def popular(reports: Array, found: Array) -> Award:
    """Pay `a - |c - a|`."""
    return Award(highest(reports), absolute(reports, found))


def quadratic(reports: Array, found: Array) -> Award:
    """Pay `a - (c - a)**2`: the reward of RLCR (Damani et al., arXiv 2507.16806)."""
    return Award(highest(reports), brier(reports, found))


def silence(reports: Array, found: Array) -> Award:
    """Pay the quadratic score, and a fixed price for saying nothing: worth it below a chance of one half."""
    return Award(highest(reports), abstain_pays(brier, SILENCE)(reports, found))


def priced(reports: Array, found: Array) -> Award:
    """Charge whoever ships the best other report and what shipping is worth: the mend of `slot`."""
    chosen = highest(reports)
    return Award(chosen, second_report(reports, found) - PRIZE * chosen)


@dataclass(frozen=True)
class Paid:
    """A rule, what shipping is worth by itself, and whether a stated 0.0 is read as silence."""

    rule: Callable[..., Award | Outcome]
    prize: float = 0.0
    zero_is_silence: bool = False


RULES = {
    "metric": Paid(metric),
    "popular": Paid(popular),
    "quadratic": Paid(quadratic),
    "silence": Paid(silence, zero_is_silence=True),
    "slot": Paid(quadratic, prize=PRIZE),
    "priced": Paid(priced, prize=PRIZE),
}


def find(name: str) -> Paid:
    """Return a rule of the table above, or any function from reports (and what is found) to an `Award` or `Outcome`.

    Such a function is named by its file, ``path/to/my_rules.py:my_rule``: the one that `audit`, `learn`, `replay` and
    `Coordinator` take. A name that leads to none is a ValueError.
    """
    if name in RULES:
        return RULES[name]
    file, _, function = name.rpartition(":")
    spec = importlib.util.spec_from_file_location(Path(file).stem, file) if Path(file).is_file() else None
    if spec is None or spec.loader is None:
        raise ValueError(f"RULE={name} is none of {', '.join(RULES)}; or name a function, as in my_rules.py:my_rule")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not callable(rule := getattr(module, function, None)):
        raise ValueError(f"RULE={name}: {file} has no function {function}")
    return Paid(rule)


def payoffs(paid: Paid) -> Array:
    """Return what each agent earns, shape (2, 2, 2, 11, 11, 11, 3): by who is right, then by what each of them states.

    The first ten reports are the digits of ``0.d``, the last is a malformed one. The rule reads it as silence, and it
    earns what silence does, but never more than nothing, less a fine. Without the fine it earns what a stated 0 earns
    under most rules, and some of the agents that know nothing drift to it.
    """
    stated = np.append(np.arange(10) / 10, np.nan)
    if paid.zero_is_silence:
        stated[0] = np.nan
    right = np.array([0.0, 1.0])
    *found, a, b, c = np.meshgrid(right, right, right, *[np.arange(11)] * 3, indexing="ij")
    said = np.stack([a, b, c], axis=-1)
    reports, truths = stated[said].reshape(-1, 3), np.stack(found, axis=-1).reshape(-1, 3)
    award = rule_of_reports_and_found(paid.rule, reports, truths, np.zeros_like(reports))(
        reports, truths, np.zeros_like(reports)
    )
    earned = (transfers(award) + paid.prize * np.asarray(award.allocation)).reshape(said.shape)
    return np.where(said == 10, np.minimum(earned, 0.0) - FINE, earned)
