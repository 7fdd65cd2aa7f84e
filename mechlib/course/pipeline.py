"""The three agents of chapter 0: what their stages show of them, and who is kept if agents copy who is paid more."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechlib.course import plots
from mechlib.mechanism import counted, generator, numbers

Floats = NDArray[np.float64]

SUCCESS = np.array([0.5, 0.95])  #: how likely a stage is to succeed, without effort and with it
BELONG = 0.6  #: the share of the ten documents found that belong to the question
SLIP = 0.5  #: the share of drafts that hold a slip, which a verifier that works sends back nine times in ten


SEATS = ("retriever", "synthesiser", "verifier")


class Day(NamedTuple):
    """What is measured at each stage, and what nobody measures: shares of the questions of one day."""

    documents: float  #: passed on by the retriever, of those it found
    confidence: float  #: stated by the synthesiser
    passed: float  #: passed by the verifier at first sight, of all drafts
    right: float  #: right answers

    @property
    def metrics(self) -> Floats:
        """Each agent's own metric, in the order retriever, synthesiser, verifier."""
        return np.array(self[:3])


def day(efforts: ArrayLike, questions: int, rng: np.random.Generator) -> Day:
    """Simulate a day of a retriever, a synthesiser and a verifier that work (1) or do not (0), efforts (3,).

    A retriever that does not read passes on all it found, and half of the time the answer drowns in it. A synthesiser
    that does not check is right half of the time, and says that it is sure; one that checks says how often it is right.
    A verifier that does not look passes all drafts, half of which hold a slip.

    Raises
    ------
    ValueError
        If the efforts are not three of 0 and 1, or `questions` is no whole number of at least 1.
    """
    works = numbers("efforts", efforts)
    if works.shape != (3,) or not np.isin(works, (0, 1)).all():
        raise ValueError(f"efforts is {efforts!r:.80}: give three numbers, 1 for an agent that works, else 0")
    counted("questions", questions)
    generator("rng", rng)
    reads, checks, looks = works.astype(int)
    found = rng.binomial(10, BELONG, questions) / 10
    slips = rng.random(questions) < SLIP
    seen = rng.random(questions) < (1 - (1 - SUCCESS[1]) / SLIP) * looks
    drafted = rng.random((questions, 2)) < SUCCESS[[reads, checks]]
    return Day(
        documents=float(found.mean()) if reads else 1.0,
        confidence=float(drafted[:, 1].mean()) if checks else 0.99,
        passed=float(1 - (slips & seen).mean()),
        right=float((drafted.all(axis=1) & ~(slips & ~seen)).mean()),
    )


def imitate(
    earns: Callable[[NDArray[np.int64]], ArrayLike], start: float, rounds: int = 400, pool: int = 40, runs: int = 200,
    seed: int = 0,
) -> Floats:
    """Return the shares of agents that work, over time, where agents copy who is paid more (simulated).

    Each of three seats has a pool of agents. Every round the agents of the pools meet in teams of three and are paid.
    Then each looks at one other of its pool, and copies it with a chance that is the difference of what they earned, if
    the other earned more. On average over many agents this is the replicator equation (Schlag 1998).

    Parameters
    ----------
    earns : callable
        From the efforts of teams (..., 3), 1 or 0, to what each agent earns, net of effort, (..., 3).
    start : float
        The share of each pool that works at the start.
    rounds, pool, runs, seed : int
        How many rounds; how many agents a seat; how many independent runs.

    Returns
    -------
    array (rounds + 1, runs, 3)

    Raises
    ------
    ValueError
        If `start` does not lie between 0 and 1, or a count is no whole number of at least 1.
    """
    if not 0 <= start <= 1:
        raise ValueError(f"start is {start}: it must be a share, between 0 and 1")
    for name, count in (("rounds", rounds), ("pool", pool), ("runs", runs)):
        counted(name, count)
    rng = np.random.default_rng(seed)
    table = np.array([earns(np.array(team)) for team in np.ndindex(2, 2, 2)], dtype=float)  # teams of 0 and 1, in order
    if table.shape != (8, 3):
        raise ValueError(f"earns gave {table.shape[1:]} for a team: it must give three numbers, what each agent earns")
    works = np.zeros((runs, 3, pool), dtype=np.int8)
    works[..., : round(start * pool)] = 1
    path = np.empty((rounds + 1, runs, 3))
    path[0] = works.mean(axis=2)
    moving = np.arange(runs)
    for t in range(rounds):
        path[t + 1] = path[t]
        still = np.isin(path[t, moving], (0, 1)).all(axis=1)  # each pool is of one kind: nobody copies anything new
        moving, works = moving[~still], works[~still]
        works = rng.permuted(works, axis=2)  # who meets whom, and who looks at whom: the next in line
        teams = 4 * works[:, 0] + 2 * works[:, 1] + works[:, 2]
        paid = table.T[:, teams].swapaxes(0, 1)
        other, others = np.roll(works, 1, axis=2), np.roll(paid, 1, axis=2)
        works = np.where(rng.random(works.shape) < others - paid, other, works)
        path[t + 1, moving] = works.mean(axis=2)
    return path


def draw(paths: Mapping[str, Floats], alt: str, caption: str, by_seat: bool = False) -> None:
    """Draw what `imitate` returned, a panel a name: every run as a faint line, the mean over its three seats.

    By seat: the mean over the runs, and where nine of ten lie.
    """
    drawn, grid = plots.figure(columns=len(paths), width=max(5.0, 3.0 * len(paths)), height=3.2)
    for k, (axes, (title, path)) in enumerate(zip(np.atleast_1d(grid), paths.items(), strict=True)):
        time = np.arange(len(path))
        labels: dict[str, Any] = {"title": title, "xlabel": "round", "ylim": (-0.03, 1.03)}
        labels["ylabel"] = None if k else "share that works"
        if by_seat:
            low, high = np.quantile(path, (0.05, 0.95), axis=1)
            means = dict(zip(SEATS, path.mean(axis=1).T, strict=True))
            bands = dict(zip(SEATS, zip(low.T, high.T, strict=True), strict=True))
            plots.lines(time, means, bands=bands, axes=axes, **labels)
            place = "lower right" if len(paths) > 1 else "center right"
            axes.legend(loc=place, labelcolor=plots.INK).set_visible(k == 0)
        else:
            axes.plot(time, path.mean(axis=2), color=plots.COLOURS[0], linewidth=0.6, alpha=0.25)
            axes.set(**labels)
    plots.show(drawn, alt, caption)
