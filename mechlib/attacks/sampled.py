"""The auditor for what no grid can hold: random profiles, random lies, and a climb from the best of them."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from mechlib.attacks.audit import tolerated
from mechlib.attacks.report import Audit, Witness, plain, sentence
from mechlib.mechanism import Array, Floats, Lifted, Rule, counted, function
from mechlib.settings import Priced, Setting, biggest, of_reports_alone

Sampler = Callable[[np.random.Generator, int], Any]

_BLOCK = 128  # profiles that are worked out at once
_STEPS = 10  # of the climb; each halves the distance


def audit_sampled(
    rule: Rule, setting: Setting | Sampler, samples: int = 10_000, lies: int = 8,
    utility: Callable[..., Any] | None = None, *, executor: Executor | None = None, seed: int = 0,
    tolerance: float | None = None,
) -> Audit:
    """Look for profitable lies at random profiles, where a grid would be too large.

    At every sampled profile each agent tries `lies` random lies, and then climbs from the best of them, or from the
    truth where none of them gains, if reports are numbers: a step up or down, and half of it, and half of that; the
    others report the profile. The best gain there is
    a lower bound on what a lie could gain; its mean comes with a standard error. No lie found is evidence, not proof:
    a rule with a narrow lie at every profile may pass. `Audit.is_dsic` is then None. A progress bar comes up after a
    second.

    Parameters
    ----------
    rule, utility, tolerance
        As in `audit`.
    setting : Setting or callable
        A setting, of which types and lies are drawn alike; or ``sampler(rng, size)``, which draws values (size, n, ...)
        from a `numpy.random.Generator`, and so the lies.
    samples, lies : int
    executor : concurrent.futures.Executor, optional
        Works out blocks of 128 profiles, for instance Dask's ``Client.get_executor()``. In one of processes the rule,
        the setting and the utility must be importable.
    seed : int
        Fixes every draw.

    Raises
    ------
    ValueError
        As in `audit`, and for a sampler that does not return profiles of that many rows.
    """
    drawn = setting if isinstance(setting, Setting) else Drawn(function("setting", setting))
    played = drawn if utility is None else Priced(drawn, function("utility", utility))
    tolerated(tolerance, 0.0)
    function("rule", rule), counted("samples", samples, most=10**8), counted("lies", lies, most=10**6)
    seed = counted("seed", seed, 0)
    if executor is not None and not hasattr(executor, "map"):
        raise TypeError(f"executor is {executor!r:.80}: it must have a method map, as concurrent.futures has it")
    sizes = [min(_BLOCK, samples - start) for start in range(0, counted("samples", samples), _BLOCK)]
    block = functools.partial(_block, rule, played, drawn, counted("lies", lies))
    found = (executor.map if executor else map)(block, np.random.default_rng(seed).spawn(len(sizes)), sizes)
    blocks = list(tqdm(found, desc="audit", total=len(sizes), unit="block", delay=1.0, leave=False))
    gain, money = np.concatenate([b.gains for b in blocks]), np.concatenate([b.paid for b in blocks])
    best = max((b.witness for b in blocks), key=lambda lie: lie.gain)
    largest = max(b.largest for b in blocks)
    rounding = tolerated(tolerance, largest)
    witness = best if best.gain > rounding else None
    if witness is not None:
        _play_again(rule, played, witness, 1e-9 * largest)
    return Audit(
        rule=getattr(rule, "__name__", "a rule"),
        kind="sampled",
        agents=len(best.types),
        profiles=samples,
        lies=sum(b.lies for b in blocks),
        witness=witness,
        sentence="" if witness is None else sentence(witness, played, blocks[0].sells),
        tolerance=rounding,
        rounds=tolerance is None,
        worst_utility=min(b.worst for b in blocks),
        sells=blocks[0].sells,
        budget=(float(money.min()), float(money.max())) if len(money) else None,
        expected_revenue=float(money.mean()) if len(money) else None,
        mean_regret=float(gain.mean()),
        standard_error=float(gain.std(ddof=1) / math.sqrt(samples)) if samples > 1 else None,
    )


@dataclass(frozen=True)
class Drawn(Setting):
    """Values without a grid: ``sampler(rng, size)`` draws profiles of them, (size, n, ...)."""

    sampler: Sampler

    def draw(self, rng: np.random.Generator, size: int) -> Array:
        """Draw type profiles (size, n, ...)."""
        try:
            profiles = np.asarray(self.sampler(rng, size))
        except Exception as error:  # the caller's own code may raise anything
            raise ValueError(f"setting is a sampler that fails on (rng, {size}): {error!r}") from error
        if profiles.ndim < 2 or len(profiles) != size:
            raise ValueError(f"sampler(rng, {size}) returned shape {profiles.shape}: it must be ({size}, n), a profile "
                             "a row")
        return profiles

    draw_reports = draw

    def some(self) -> Array:
        """Return a few profiles to try a rule on, never as many as there are agents."""
        size = 5 + (self.draw(np.random.default_rng(0), 1).shape[1] == 5)
        return self.draw(np.random.default_rng(0), size)

    def play(self, rule: Rule) -> Lifted:
        """Return what each profile is worth to the agents, as in `Values`."""
        return of_reports_alone(rule, self.some())

    def of(self, agent: int, kind: Any) -> str:
        """Say what the type is."""
        return f"worth {kind:.4g}" if isinstance(kind, float | int) else f"of type {kind}"


class _Block(NamedTuple):
    """What a block of profiles came to: the best gain at each, the sums of payments, and the best lie of all."""

    gains: Floats
    paid: Floats
    worst: float
    largest: float
    lies: int
    sells: bool
    witness: Witness


def _block(rule: Rule, setting: Setting, drawn: Setting, lies: int, rng: np.random.Generator, size: int) -> _Block:
    types, drawn_reports = drawn.draw(rng, size), drawn.draw_reports(rng, size * lies)
    play = setting.play(rule)
    honest, rows = play(types), np.arange(size)
    gains, tried, worst, largest = np.zeros(size), 0, math.inf, honest.largest(types)
    witness = Witness(0, tuple(map(plain, types[0])), None, 0.0)
    for agent in range(types.shape[1]):
        truth = honest.own(agent, types[:, agent])

        def gain(reports: Array, agent: int = agent, truth: Floats = truth) -> Floats:
            """Return what each report (m,) of the agent gains, m a multiple of the block's size."""
            told = np.repeat(types, len(reports) // size, axis=0)
            kinds = told[:, agent].copy()
            told[:, agent] = reports
            found = play(told).own(agent, kinds) - np.repeat(truth, len(reports) // size)
            if np.isnan(found).any():
                raise ValueError(f"agent {agent} has a utility that is NaN or infinite: neither can be averaged")
            return np.asarray(found)

        reports = drawn_reports[:, agent]
        found = gain(reports).reshape(size, lies)
        chosen = found.argmax(axis=1)
        best, lie = found[rows, chosen], reports.reshape(size, lies, *reports.shape[1:])[rows, chosen]
        tried += found.size
        if reports.ndim == 1 and reports.dtype.kind == "f":
            # if no random lie gains, one close to the truth may
            best, lie = _climb(gain, np.maximum(best, 0.0), np.where(best > 0, lie, types[:, agent]), reports)
            tried += 2 * _STEPS * size
        gains, worst = np.maximum(gains, best), min(worst, float(truth.min()))
        largest = max(largest, biggest(best))
        top = int(best.argmax())
        if best[top] > witness.gain:
            witness = Witness(agent, tuple(map(plain, types[top])), plain(lie[top]), float(best[top]))
    return _Block(gains, honest.mean, worst, largest, tried, honest.rewards, witness)


def _play_again(rule: Rule, setting: Setting, witness: Witness, rounding: float) -> None:
    """Play a lie and the truth once more: what is random in one place only was not seen when the rule was tried."""
    agent, types, lie, _ = witness
    honest, told = np.array([types]), np.array([[*types[:agent], lie, *types[agent + 1 :]]])
    play, own = setting.play(rule), honest[:, agent]
    (lied,), (true,) = (play(reports).own(agent, own) for reports in (told, honest))
    if not math.isclose(lied - true, witness.gain, rel_tol=1e-9, abs_tol=rounding):
        raise ValueError(f"the rule gave two different results for the same reports, such as {told[0].tolist()}: it is "
                         "random. Audit its mean over many draws, or draw from a generator with a fixed seed.")


def _climb(gain: Callable[[Array], Floats], best: Floats, lie: Floats, seen: Floats) -> tuple[Floats, Floats]:
    """Move each lie by ever smaller steps, as long as one of them gains more; none leaves the range that was drawn."""
    low, high = np.nanmin(seen), np.nanmax(seen)
    step = (high - low) / 4
    for _ in range(_STEPS):
        for move in (-step, step):
            moved = np.clip(lie + move, low, high)
            moved = np.where(np.isnan(moved), lie, moved)
            found = gain(moved)
            lie, best = np.where(found > best, moved, lie), np.maximum(found, best)
        step /= 2
    return best, lie
