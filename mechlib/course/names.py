"""One agent under many names at the coordinator: what its names earn on a day, and what they have to show for it.

`badday` plays the attacks of chapter 5, with what mends them. Here are the two that change names once more, by how many
names there are, so that a price for a name can be computed: a **bond**, which is paid for every name and comes back
once so many of its answers were checked and found right. `measure` plays, and `kept` reads what `python -m
mechlib.course.names` measured and stored beside this file.

All agents are simulated: those of `badday`, right with the chance that they believe.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from mechlib.course.badday import (
    BUDGET,
    CROWD,
    SEEDS,
    TASKS,
    World,
    crowd,
    keyed,
    played,
    scored,
    second,
    share,
)
from mechlib.desk.coordinator import Coordinator
from mechlib.desk.ledger import Ledger
from mechlib.desk.rounds import Round
from mechlib.mechanism import Floats, Rule, counted

__all__ = ["MOST", "WEIGHTS", "Days", "Luck", "kept", "lost", "measure", "smallest_bond"]

MOST = 5  # names of one agent
WEIGHTS = (1.0, 2.0, 4.0, 8.0, 16.0, 32.0)  # of what is known of newcomers, in results
KEPT = Path(__file__).with_name("names.json")
PAYING: dict[str, Rule] = {"scored": scored, "second": second}


class Days(NamedTuple):
    """What an agent earned on a day and how many answers of each of its names were found right, a row a seed."""

    paid: Floats  #: all names together, (seeds,), in units of the ledger
    right: tuple[tuple[int, ...], ...]  #: (seeds,) rows of one count a name that the agent had


class Luck(NamedTuple):
    """What it costs to be judged slowly, by the weight of what is known of newcomers: (weights, seeds) each."""

    lucky: Floats  #: tasks until a good agent works again whose first answer was right
    unlucky: Floats  #: the same, if it was wrong
    poor: Floats  #: the share of the tasks that a poor agent gets


def _day(rounds: Sequence[Round], names: Sequence[str]) -> tuple[float, tuple[int, ...]]:
    """Return what these names were paid in all, and how many answers of each were found right."""
    paid, right = 0.0, dict.fromkeys(names, 0)
    for done in rounds:
        for name in set(names) & set(done.team):
            place = done.team.index(name)
            paid += float(done.payments[place])
            right[name] += int(done.found[place] == 1)
    return paid, tuple(right.values())


async def several(seed: int, names: int, rule: str = "scored") -> tuple[float, tuple[int, ...]]:
    """Play a day on which one of five agents, as good as the others, has so many names that nobody can connect."""
    world = World(seed, (*CROWD, 0.7))
    mine = [f"name {k}" for k in range(names)]
    agents = [*crowd(world), *(world.agent(name, 4) for name in mine)]
    desk = Coordinator(agents, PAYING[rule], budget=BUDGET, team_size=3, seed=seed)
    return _day(await played(desk), mine)


async def drifting(seed: int, leaves: bool) -> tuple[float, tuple[int, ...]]:
    """Play a day of a poor agent that takes a new name after every wrong answer, or keeps the one it has."""
    world, ledger = World(seed, (*CROWD, 0.35)), Ledger()
    names, rounds = ["drifter"], list[Round]()
    for t in range(TASKS):
        agents = [*crowd(world), world.agent(names[-1], 4)]
        desk = Coordinator(agents, scored, ledger, BUDGET, team_size=1, seed=seed)
        rounds.append(await desk.run(keyed(t)))
        if leaves and rounds[-1].team == (names[-1],) and not world.right[t, 4]:
            names.append(f"drifter {len(names)}")
    return _day(rounds, names)


async def waiting(seed: int, lucky: bool, weight: float) -> float:
    """Return the tasks until a good agent works again, after a first answer that was right, or wrong."""
    world, ledger = World(seed, (*CROWD, 0.75)), Ledger()
    rng = np.random.default_rng([seed, 1])
    past = {f"agent {k}": [bool(right) for right in rng.random(3) < CROWD[k]] for k in range(4)}
    for name, results in (past | {"newcomer": [lucky]}).items():
        for right in results:
            number = ledger.begin("past")
            ledger.reward(number, name, 0.0, float(right))
            ledger.close(number)
    agents = [*crowd(world), world.agent("newcomer", 4)]
    desk = Coordinator(agents, scored, ledger, BUDGET, team_size=1, seed=seed, trust="drawn", newcomer_weight=weight)
    for t in range(TASKS):
        if (await desk.run(keyed(t))).team == ("newcomer",):
            return float(t + 1)
    return float(TASKS)


async def poor(seed: int, weight: float) -> float:
    """Return the share of a day's tasks that a poor agent gets."""
    world = World(seed, (*CROWD, 0.35))
    desk = Coordinator([*crowd(world), world.agent("poor", 4)], scored, budget=BUDGET, team_size=1, seed=seed,
                       trust="drawn", newcomer_weight=weight)
    return share(await played(desk), "poor")


def lost(days: Days, answers: int | None) -> Floats:
    """Return how many bonds do not come back on a day, (seeds,): of names with fewer right answers than that.

    With None no bond ever comes back: it is a fee.
    """
    if answers is None:
        return np.array([len(row) for row in days.right], float)
    needed = counted("answers", answers)
    return np.array([sum(right < needed for right in row) for row in days.right], float)


def smallest_bond(days: Sequence[Days], answers: int | None) -> float:
    """Return the least bond for a name at which none of the later days leaves the agent more than the first one.

    Parameters
    ----------
    days : sequence of Days
        The honest day, and then those with more names.
    answers : int or None
        After how many right answers a bond comes back; None for never.

    Returns
    -------
    float
        Infinity where a day pays better and loses no more bonds: then no bond is large enough.

    Raises
    ------
    ValueError
        If there is no other day than the honest one, or `answers` is no count.
    """
    if len(days) < 2:
        raise ValueError(f"days has {len(days)} entries; give the honest day and one with more names at least")
    honest, *others = [(day.paid.mean(), lost(day, answers).mean()) for day in days]
    bond = 0.0
    for paid, bonds in others:
        more, further = paid - honest[0], bonds - honest[1]
        if more > 0:
            bond = max(bond, float(more / further) if further > 0 else np.inf)
    return bond


def measure(seeds: Sequence[int]) -> dict[str, Any]:
    """Play everything on some seeds. It starts event loops of its own: call it outside of one."""
    run = asyncio.run
    days = {f"{rule} {m}": [run(several(seed, m, rule)) for seed in seeds]
            for rule in PAYING for m in tqdm(range(1, MOST + 1), desc=rule)}
    days |= {name: [run(drifting(seed, leaves)) for seed in seeds]
             for name, leaves in (("stays", False), ("drifts", True))}
    luck = {"lucky": [[run(waiting(seed, True, w)) for seed in seeds] for w in WEIGHTS],
            "unlucky": [[run(waiting(seed, False, w)) for seed in seeds] for w in WEIGHTS],
            "poor": [[round(run(poor(seed, w)), 6) for seed in seeds] for w in WEIGHTS]}
    return {"days": days, "luck": luck}


def kept(path: Path | None = None) -> tuple[dict[str, Days], Luck]:
    """Return what was measured: the days by name, such as "scored 5" or "drifts"; and what bad luck costs."""
    stored = json.loads((path or KEPT).read_text(encoding="utf-8"))
    days = {name: Days(np.array([paid for paid, _ in rows]), tuple(tuple(right) for _, right in rows))
            for name, rows in stored["days"].items()}
    return days, Luck(**{name: np.array(rows) for name, rows in stored["luck"].items()})


def main(path: Path | None = None, seeds: int = SEEDS) -> None:
    """Measure, and keep the numbers beside this file."""
    found = measure(range(seeds))
    lines = [f'"{part}": {{\n' + ",\n".join(f"{json.dumps(name)}: {json.dumps(rows)}" for name, rows in table.items())
             + "\n}" for part, table in found.items()]
    (path or KEPT).write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
