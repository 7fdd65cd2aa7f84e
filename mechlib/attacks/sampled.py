"""The auditor where a grid would be too large: random profiles, random lies."""

import functools
import math
from collections.abc import Callable
from concurrent.futures import Executor
from typing import Any

import numpy as np
from tqdm import tqdm

from mechlib.attacks.profiles import Function, batched, collected, plain, worth
from mechlib.attacks.report import Audit, Witness
from mechlib.mechanism import Floats, counted


def audit_sampled(
    mechanism: Function, sampler: Callable[[np.random.Generator, int], Any], samples: int = 10_000, lies: int = 8,
    utility: Function | None = None, *, executor: Executor | None = None, seed: int = 0, tolerance: float = 1e-9,
) -> Audit:
    """Look for profitable lies at random profiles, where a grid would be too large.

    At every sampled profile each agent tries `lies` random lies; the others report the profile. The best gain there
    is a lower bound on what a lie could gain; its mean comes with a standard error. No lie found is evidence, not
    proof: `Audit.is_dsic` is then None. A progress bar comes up after a second.

    ``sampler(rng, size)`` draws type profiles (size, n, ...) from a `numpy.random.Generator`, and so the lies; `seed`
    fixes every draw. An executor, for instance Dask's ``Client.get_executor()``, works out blocks of 128 profiles; in
    one of processes the mechanism and the utility must be importable. The rest, and the errors, are as in `audit`.
    """
    sizes = [min(128, samples - start) for start in range(0, counted("samples", samples), 128)]
    block = functools.partial(_block, mechanism, sampler, utility, counted("lies", lies))
    found = (executor.map if executor else map)(block, np.random.default_rng(seed).spawn(len(sizes)), sizes)
    bar = tqdm(found, desc="audit", total=len(sizes), unit="block", delay=1.0, leave=False)
    gains, truths, paid, worst = zip(*bar, strict=True)
    gain, money, best = np.concatenate(gains), np.concatenate(paid), max(worst, key=lambda lie: lie.gain)
    return Audit(
        getattr(mechanism, "__name__", "a rule"), "sampled", len(best.types), samples, samples * len(best.types) * lies,
        best if best.gain > tolerance else None, tolerance, min(truths), "of type" if utility else "worth",
        (float(money.min()), float(money.max())) if len(money) else None, float(money.mean()) if len(money) else None,
        mean_regret=float(gain.mean()),
        standard_error=float(gain.std(ddof=1) / math.sqrt(samples)) if samples > 1 else None,
    )


def _block(mechanism: Function, sampler: Callable[..., Any], utility: Function | None, lies: int,
           rng: np.random.Generator, size: int) -> tuple[Floats, float, Floats, Witness]:
    """Return a block's best gain at each profile, worst honest utility, sums of payments, and best lie."""
    types, drawn = np.asarray(sampler(rng, size)), np.asarray(sampler(rng, size * lies))
    if types.ndim < 2 or len(types) != size:
        raise ValueError(f"sampler(rng, {size}) returned shape {types.shape}: it must be ({size}, n), a profile a row")
    rule = batched(mechanism, utility, np.asarray(sampler(np.random.default_rng(0), 5 + (types.shape[1] == 5))))
    honest, tries = rule(types), np.repeat(types, lies, axis=0)
    best, worst, found = np.zeros(size), math.inf, Witness(0, tuple(map(plain, types[0])), None, 0.0)
    for i in range(types.shape[1]):
        told = tries.copy()
        told[:, i] = drawn[:, i]
        truth = worth(utility, i, types[:, i], honest)
        gain = worth(utility, i, tries[:, i], rule(told)) - np.repeat(truth, lies)
        if np.isnan(gain).any():
            raise ValueError(f"agent {i} has a utility that is NaN or infinite: neither can be averaged")
        best, worst = np.maximum(best, gain.reshape(size, lies).max(axis=1)), min(worst, float(truth.min()))
        b = int(gain.argmax())
        if gain[b] > found.gain:
            found = Witness(i, tuple(map(plain, tries[b])), plain(drawn[b, i]), float(gain[b]))
    return best, worst, collected(honest), found
