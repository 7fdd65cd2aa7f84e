"""Audits by sampling, for spaces too large to enumerate, on any executor; and averages of random rules."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from tqdm import tqdm

from mechlib.audit_report import Audit, Witness
from mechlib.audit_rule import Array, Mechanism, Rule, Utility, collected, name_of, plain, take
from mechlib.outcome import Outcome

if TYPE_CHECKING:
    from concurrent.futures import Executor

BLOCK = 128
Sampler = Callable[[np.random.Generator, int], Any]


def audit_sampled(
    mechanism: Mechanism, sampler: Sampler, samples: int = 10_000, lies: int = 8, reports: Any = None,
    utility: Utility | None = None, *, executor: Executor | None = None, seed: int = 0,
    tolerance: float = 1e-9, progress: bool = True,
) -> Audit:
    """Look for profitable lies at random profiles.

    At every sampled profile each agent tries `lies` random lies; the others report the profile. The best gain there
    is a lower bound on what a lie could gain; its mean comes with a standard error. No lie found is evidence, not
    proof: `Audit.is_dsic` is then None.

    Raises a ValueError if `samples` or `lies` is less than 1, or the rule or the sampler cannot be used.

    Parameters
    ----------
    mechanism, utility, tolerance
        As in `mechlib.audit.audit`. For an executor of processes both functions must be importable.
    sampler : callable
        ``sampler(rng, size)`` draws type profiles (size, n, ...) from a `numpy.random.Generator`.
    samples, lies : int
        The number of profiles, and of lies an agent tries at each, drawn from `reports`, or else from the sampler.
    reports : array_like, shape (k,), optional
        What an agent may report, if that is not what the sampler draws.
    executor : concurrent.futures.Executor, optional
        Where the blocks of 128 profiles are worked out, for instance Dask's ``Client.get_executor()``.
    seed, progress : int, bool
        Fixes every draw, whatever the executor; and whether a progress bar comes up after a second.

    Returns
    -------
    Audit
        With `mean_regret`, `standard_error` and the worst lie found as `witness`.
    """
    if min(samples, lies) < 1:
        raise ValueError(f"samples is {samples} and lies is {lies}: both must be at least 1")
    sizes = [min(BLOCK, samples - start) for start in range(0, samples, BLOCK)]
    tasks = list(zip(np.random.SeedSequence(seed).spawn(len(sizes)), sizes, strict=True))
    block = functools.partial(_block, mechanism, sampler, utility, lies, None if reports is None else np.array(reports))
    bar = tqdm(total=len(tasks), desc="audit", unit="block", delay=1.0, leave=False, disable=not progress)
    futures = [executor.submit(block, task) for task in tasks] if executor else []
    blocks = []
    try:
        for found in (future.result() for future in futures) if executor else map(block, tasks):
            blocks.append(found)
            bar.update()
    finally:
        bar.close()
        for future in futures:
            future.cancel()
    gains, truths, paid, found = zip(*blocks, strict=True)
    gain, money, best = np.concatenate(gains), np.concatenate(paid), max(found, key=lambda lie: lie.gain)
    n, lying = len(best.types), best.gain > tolerance
    return Audit(
        name_of(mechanism), "sampled", n, samples, samples * n * lies, best.gain if lying else 0.0,
        best if lying else None, tolerance, min(truths), None, "not asked of a sample",
        (float(money.min()), float(money.max())) if len(money) else None, float(money.mean()) if len(money) else None,
        float(gain.mean()), float(gain.std(ddof=1) / math.sqrt(samples)) if samples > 1 else None,
        "worth" if utility is None else "of type",
    )


def _block(mechanism: Mechanism, sampler: Sampler, utility: Utility | None, lies: int, reports: Array | None,
           task: tuple[np.random.SeedSequence, int]) -> tuple[Array, float, Array, Witness]:
    """Return a block's best gain at each profile, worst honest utility, sums of payments, and best lie."""
    rng, size = np.random.default_rng(task[0]), task[1]
    types = _draw(sampler, rng, size)
    n = types.shape[1]
    rule = Rule(mechanism, _draw(sampler, np.random.default_rng(0), 5 + (n == 5)), utility)

    def worth(i: int, kinds: Array, outcomes: Any) -> Array:
        if rule.utility is None:
            return rule.worth(i, kinds, outcomes)
        return np.array([float(rule.utility(i, kind, take(outcomes, b))) for b, kind in enumerate(kinds)])

    honest = rule(types)
    best, worst, found = np.zeros(size), math.inf, Witness(0, tuple(map(plain, types[0])), None, 0.0)
    for i in range(n):
        tries = np.repeat(types, lies, axis=0)
        drawn = _draw(sampler, rng, size * lies)[:, i] if reports is None else rng.choice(reports, size * lies)
        tries = tries.astype(np.result_type(tries, drawn))
        tries[:, i] = drawn
        truth = worth(i, types[:, i], honest)
        worst = min(worst, float(truth.min()))
        gain = worth(i, np.repeat(types[:, i], lies, axis=0), rule(tries)) - np.repeat(truth, lies)
        if np.isnan(gain).any():
            raise ValueError(f"agent {i} has a utility that is NaN or infinite: neither can be averaged")
        best = np.maximum(best, gain.reshape(size, lies).max(axis=1))
        b = int(gain.argmax())
        if gain[b] > found.gain:
            found = Witness(i, tuple(map(plain, types[b // lies])), plain(drawn[b]), float(gain[b]))
    paid = collected(honest)
    return best, worst, np.zeros(0) if paid is None else paid, found


def _draw(sampler: Sampler, rng: np.random.Generator, size: int) -> Array:
    types = np.asarray(sampler(rng, size))
    if types.ndim < 2 or len(types) != size:
        raise ValueError(f"sampler(rng, {size}) returned shape {types.shape}: it must be ({size}, n), a profile a row")
    return types


def expected(mechanism: Callable[..., Any], draws: int, seed: int = 0) -> Mechanism:
    """Turn a random rule, ``mechanism(reports, rng)``, into one from reports (n,) to its average `Outcome`.

    Every profile meets the same `draws` tosses of the coins, which start at `seed`, so that a rule which is truthful
    for each toss stays exactly so. For one that is truthful only in expectation the average is an estimate: judge a
    small gain by repeating with more draws. Raises a ValueError if `draws` is less than 1.
    """
    if draws < 1:
        raise ValueError(f"draws is {draws}: it must be at least 1")

    @functools.wraps(mechanism)
    def average(reports: Any) -> Outcome:
        tosses = [mechanism(reports, np.random.default_rng([seed, toss])) for toss in range(draws)]
        return Outcome(*(np.mean([toss[part] for toss in tosses], axis=0) for part in (0, 1)))

    return average
