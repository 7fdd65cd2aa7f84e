"""Audits by sampling, for spaces too large to enumerate; on any executor, with the same result to the last bit."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np

from mechlib.audit_report import Audit, Witness
from mechlib.audit_rule import Array, Batched, Mechanism, Utility, name_of, plain, sums, take

if TYPE_CHECKING:
    from concurrent.futures import Executor

BLOCK = 128
Sampler = Callable[[np.random.Generator, int], Any]
Found = tuple[list[float], tuple[float, Witness | None], int, float, list[float]]


def audit_sampled(
    mechanism: Mechanism, sampler: Sampler, samples: int = 10_000, lies: int = 8, reports: Any = None,
    utility: Utility | None = None, *, executor: Executor | None = None, seed: int = 0,
    tolerance: float = 1e-9, progress: bool = True,
) -> Audit:
    """Look for profitable lies at random profiles.

    At every sampled profile each agent tries `lies` random lies; the others report the profile. The best gain there
    is a lower bound on what a lie could gain; its mean comes with a standard error. No lie found is evidence, not
    proof: `Audit.is_dsic` is then None.

    Parameters
    ----------
    mechanism, utility, tolerance
        As in `mechlib.audit.audit`. For an executor of processes both functions must be importable.
    sampler : callable
        ``sampler(rng, size)`` draws type profiles (size, n, ...) from a `numpy.random.Generator`.
    samples : int
        The number of profiles.
    lies : int
        The number of lies an agent tries at a profile, drawn from `reports`, or else from the sampler.
    reports : array_like, shape (k,), optional
        What an agent may report, if that is not what the sampler draws.
    executor : concurrent.futures.Executor, optional
        Where the blocks of 128 profiles are worked out, for instance Dask's ``Client.get_executor()``.
    seed : int
        Fixes every draw, whatever the executor.
    progress : bool
        Whether to show a progress bar once it takes longer than a second.

    Returns
    -------
    Audit
        With `mean_regret`, `standard_error` and the worst lie found as `witness`.

    Raises
    ------
    ValueError
        If `samples` or `lies` is less than 1, or the rule or the sampler cannot be used.
    """
    for name, number in (("samples", samples), ("lies", lies)):
        if number < 1:
            raise ValueError(f"{name} is {number}: it must be at least 1")
    sizes = [min(BLOCK, samples - start) for start in range(0, samples, BLOCK)]
    seeds = np.random.SeedSequence(seed).spawn(len(sizes))
    job = (mechanism, sampler, utility, lies, None if reports is None else np.asarray(reports))
    n = _draw(sampler, np.random.default_rng(0), 3).shape[1]
    if executor is None:
        blocks = list(_bar((_block(*job, s, size) for s, size in zip(seeds, sizes, strict=True)), len(sizes), progress))
    else:
        futures = [executor.submit(_block, *job, s, size) for s, size in zip(seeds, sizes, strict=True)]
        try:
            blocks = [future.result() for future in _bar(futures, len(sizes), progress)]
        finally:
            for future in futures:
                future.cancel()
    gains = np.array([gain for block in blocks for gain in block[0]])
    top, witness = max((block[1] for block in blocks), key=lambda found: found[0])
    paid = [p for block in blocks for p in block[4]]
    return Audit(
        name_of(mechanism), "sampled", n, samples, sum(block[2] for block in blocks),
        top if top > tolerance else 0.0, witness if top > tolerance else None, tolerance,
        min(block[3] for block in blocks), None, "not asked of a sample",
        (min(paid), max(paid)) if paid else None, math.fsum(paid) / len(paid) if paid else None,
        float(gains.mean()), float(gains.std(ddof=1) / math.sqrt(samples)) if samples > 1 else None,
        "worth" if utility is None else "of type",
    )


def _draw(sampler: Sampler, rng: np.random.Generator, size: int) -> Array:
    types = np.asarray(sampler(rng, size))
    if types.ndim < 2 or len(types) != size:
        raise ValueError(f"sampler(rng, {size}) returned shape {types.shape}: it must be ({size}, n), a profile a row")
    return types


def _block(mechanism: Mechanism, sampler: Sampler, utility: Utility | None, lies: int, reports: Array | None,
           seed: np.random.SeedSequence, size: int) -> Found:
    """Return the best gains of one block, its worst lie, and what else a report needs."""
    rng = np.random.default_rng(seed)
    types = _draw(sampler, rng, size)
    n = types.shape[1]
    rule = Batched(mechanism, _draw(sampler, np.random.default_rng(0), 5 + (n == 5)), utility)
    honest = rule(types)
    best, worst = np.zeros(size), math.inf
    found: tuple[float, Witness | None] = (0.0, None)
    for i in range(n):
        tries = np.repeat(types, lies, axis=0)
        drawn = _draw(sampler, rng, size * lies)[:, i] if reports is None else rng.choice(reports, size * lies)
        tries = tries.astype(np.result_type(tries, drawn))
        tries[:, i] = drawn
        told = rule(tries)
        truth = _worth(rule, i, types[:, i], honest)
        gain = _worth(rule, i, np.repeat(types[:, i], lies, axis=0), told) - np.repeat(truth, lies)
        if np.isnan(gain).any():
            raise ValueError(f"agent {i} has a utility that is NaN or infinite: neither can be averaged")
        best = np.maximum(best, gain.reshape(size, lies).max(axis=1))
        worst = min(worst, float(truth.min()))
        b = int(gain.argmax())
        if gain[b] > found[0]:
            profile = tuple(map(plain, types[b // lies]))
            found = (float(gain[b]), Witness(i, profile, plain(drawn[b]), float(gain[b])))
    paid = sums(honest)
    return best.tolist(), found, size * n * lies, worst, [] if paid is None else paid.tolist()


def _worth(rule: Batched, i: int, kinds: Array, outcomes: Any) -> Array:
    """Return agent i's utility of each outcome, its type differing from one to the next."""
    if rule.utility is None and kinds.ndim == 1:
        return np.asarray(kinds * outcomes.allocation[:, i] - outcomes.payments[:, i], float)
    if rule.utility is None:
        return rule.utilities(i, kinds, outcomes)
    return np.array([float(rule.utility(i, kind, take(outcomes, b))) for b, kind in enumerate(kinds)])


def _bar(items: Iterable[Any], total: int, progress: bool) -> Iterable[Any]:
    if not progress:
        return items
    from tqdm.auto import tqdm

    bar: Iterable[Any] = tqdm(items, total=total, desc="audit", unit="block", delay=1.0, leave=False)
    return bar
