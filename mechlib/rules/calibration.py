"""How good stated confidence is: the parts of the Brier score, reliability by bins, and discrimination.

`confidence` and `correct` are arrays of one shape, read as one flat sample; `correct` is 1 (True) for right, 0 for
wrong. A pair whose confidence is `nan` (the agent abstained) is left out. What leaves [0, 1], or does not match in
shape, is a ValueError.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import Floats, Ints, counted, numbers


def unit(name: str, value: ArrayLike, nan: bool = False) -> Floats:
    """Return an array of numbers in [0, 1], or raise a ValueError; where `nan` is allowed, it means an abstention."""
    array = numbers(name, value)
    if array.size and array.min() >= 0 and array.max() <= 1:  # NaN is neither
        return array
    wrong = ~((array >= 0) & (array <= 1)) & ~(nan & np.isnan(array))
    if wrong.any():
        hint = " (nan: abstained)" if nan else ""
        raise ValueError(f"{name} must lie in [0, 1]{hint}, but holds {array[wrong].flat[0]}; clip or rescale it first")
    return array


def _sample(confidence: ArrayLike, correct: ArrayLike) -> tuple[Floats, Floats]:
    c, y = unit("confidence", confidence, nan=True), unit("correct", correct, nan=True)
    if c.shape != y.shape:
        raise ValueError(f"confidence {c.shape} and correct {y.shape} must have one shape; give one of each an answer")
    spoke = ~np.isnan(c)
    if not spoke.any():
        raise ValueError("confidence must hold at least one number, but it is empty or all nan (abstained)")
    return c[spoke], unit("correct", y[spoke])


class Brier(NamedTuple):
    """Brier loss (lower is better) and its parts: `loss = reliability - resolution + uncertainty`.

    `reliability`: the squared distance of confidence from the hit rate (0: calibrated). `resolution`: how far apart the
    hit rates of different confidences lie (0: confidence tells nothing). `uncertainty`: the base rate's variance.
    """

    loss: float
    reliability: float
    resolution: float
    uncertainty: float


def brier_decomposition(confidence: ArrayLike, correct: ArrayLike) -> Brier:
    """Split the Brier loss, the mean of `(confidence - correct)**2`, exactly: Murphy's decomposition (Siegert 2017).

    Answers are grouped by equal confidence. Where every confidence is different each group is one answer, and the split
    says nothing: round the confidences first.

    Parameters
    ----------
    confidence : array_like
        In [0, 1], NaN where the agent abstained.
    correct : array_like
        1 for right, 0 for wrong; of the same shape.

    Returns
    -------
    Brier

    Raises
    ------
    ValueError
        If a number leaves [0, 1], the shapes differ, or nobody spoke.
    """
    c, y = _sample(confidence, correct)
    level, group, count = np.unique(c, return_inverse=True, return_counts=True)
    hits = np.bincount(group, weights=y) / count
    weight = count / y.size
    within = float(np.mean((y - hits[group]) ** 2))  # what is left inside a group
    resolution = float(weight @ (hits - y.mean()) ** 2)
    return Brier(float(np.mean((c - y) ** 2)), float(weight @ (level - hits) ** 2), resolution, within + resolution)


def wilson(successes: ArrayLike, trials: ArrayLike) -> tuple[Floats, Floats]:
    """Return the ends of Wilson's (1927) interval of 95% for a proportion.

    Parameters
    ----------
    successes, trials : array_like (...)
        Counts, which broadcast against each other.

    Returns
    -------
    low, high : array (...)
        NaN without trials.

    Raises
    ------
    ValueError
        If there are fewer than 0 successes, or more than trials.
    """
    k, n, z = numbers("successes", successes), numbers("trials", trials), 1.959963984540054
    try:
        np.broadcast_shapes(k.shape, n.shape)
    except ValueError:
        raise ValueError(f"successes has shape {k.shape}, and trials {n.shape}: give one of each") from None
    if not (np.isfinite(n).all() and ((k >= 0) & (k <= n)).all()):
        raise ValueError("successes must lie between 0 and trials; did you swap the two?")
    with np.errstate(divide="ignore", invalid="ignore"):
        rate = k / n
        centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
        half = z / (1 + z**2 / n) * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2))
    return np.clip(centre - half, 0.0, 1.0), np.clip(centre + half, 0.0, 1.0)


class Reliability(NamedTuple):
    """A reliability diagram's numbers, one entry a bin (`edges` has one more); empty bins are nan.

    `counts` answers fell in the bin, `confidence` is the mean stated there, `accuracy` the share that was right, `low`
    and `high` its Wilson interval.
    """

    edges: Floats
    counts: Ints
    confidence: Floats
    accuracy: Floats
    low: Floats
    high: Floats

    @property
    def calibration_error(self) -> float:
        """The expected calibration error, the mean of ``|confidence - accuracy|`` over bins, weighted by count."""
        full = self.counts > 0
        return float(np.average(np.abs(self.confidence - self.accuracy)[full], weights=self.counts[full]))


def reliability(confidence: ArrayLike, correct: ArrayLike, bins: int = 10) -> Reliability:
    """Compare stated confidence with the share that was right, in `bins` bins of equal width over [0, 1].

    Bins are closed on the left, the last one on both sides: with ten of them .3 is in the fourth.

    Parameters
    ----------
    confidence, correct : array_like
        As in `brier_decomposition`.
    bins : int
        At least 1.

    Returns
    -------
    Reliability

    Raises
    ------
    ValueError
        As in `brier_decomposition`, and if `bins` is not a whole number of at least 1.
    """
    counted("bins", bins, most=10**6)
    c, y = _sample(confidence, correct)
    edges = np.arange(bins + 1) / bins  # 3 / 10 is .3; three times a tenth is a little more
    group = np.clip(np.searchsorted(edges, c, side="right") - 1, 0, bins - 1)
    count = np.bincount(group, minlength=bins)
    hits = np.bincount(group, weights=y, minlength=bins)
    with np.errstate(invalid="ignore"):
        mean = np.bincount(group, weights=c, minlength=bins) / count
        rate = hits / count
    return Reliability(edges, count, mean, rate, *wilson(hits, count))


def auc(confidence: ArrayLike, correct: ArrayLike) -> float:
    """Return the chance that a right answer was stated with more confidence than a wrong one (ties count half).

    The area under the ROC curve: 1/2 says that confidence carries no signal.

    Parameters
    ----------
    confidence, correct : array_like
        As in `brier_decomposition`. An answer graded above 1/2 counts as right.

    Returns
    -------
    float
        NaN where all answers are right or all wrong.

    Raises
    ------
    ValueError
        As in `brier_decomposition`.
    """
    c, y = _sample(confidence, correct)
    right, wrong = c[y > 0.5], np.sort(c[y <= 0.5])
    if right.size == 0 or wrong.size == 0:
        return float("nan")
    below, upto = np.searchsorted(wrong, right, "left"), np.searchsorted(wrong, right, "right")
    return float((below + upto).mean() / (2 * wrong.size))
