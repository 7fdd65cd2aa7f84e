"""A bad day at the coordinator: what its own incentives are worth to somebody who attacks them.

`audit` asks of a rule which lie pays. Around the rule stands a coordinator, and it can be gamed too: by a new name, by
five names, by silence, by length. Each attack here is played by simulated agents, honest and attacking, with and
without what mends it, over many seeds. `measure` plays one; `bad_day` reads what `python -m mechlib.course.badday`
measured and kept beside this file, and `columns` turns it into a table.

Simulated agents are right with the chance that they believe, and say so unless the attack says otherwise. A task pays
out at most `BUDGET`. Simulated graders give a right answer about .75 and a wrong one about .35.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from mechlib.agents.protocol import FunctionAgent, FunctionGrader
from mechlib.agents.tasks import Task
from mechlib.course.statistics import Interval, over_seeds
from mechlib.course.tables import Table, table
from mechlib.desk.coordinator import Coordinator
from mechlib.desk.ledger import Ledger
from mechlib.desk.rounds import Round
from mechlib.mechanism import Award, Bools, Floats
from mechlib.rules.choice import best_mark, highest
from mechlib.rules.scoring import quadratic

__all__ = ["ATTACKS", "Attack", "Measured", "bad_day", "measure", "tables"]

TASKS, SEEDS, BUDGET = 30, 100, 100
FEW = 10  # tasks of a day on which no reputation decides anything: each is like the other
KEPT = Path(__file__).with_name("badday.json")
Play = Callable[[int, bool, bool], Awaitable[float]]

# How the coordinator was before: a newcomer is trusted fully, and one result decides.
TRUSTING: dict[str, Any] = {"newcomer": 1.0, "newcomer_weight": 0.0}


# Rules


def scored(reports: Any, found: Any) -> Award:
    """Pass on the highest report; pay every agent a proper score."""
    return Award(highest(reports), quadratic(reports, found))


def charged(reports: Any, found: Any, costs: Any) -> Award:
    """Pass on the highest report; pay every agent a proper score, less one for every thousand tokens."""
    return Award(highest(reports), quadratic(reports, found) - np.minimum(costs, 2000) / 1000)


def priced(reports: Any, found: Any) -> Award:
    """Pass on the highest report; pay a proper score less a fixed cost, and charge silence a fifth."""
    return Award(highest(reports), np.where(np.isnan(reports), -0.2, quadratic(reports, found) - 0.5))


def costly(reports: Any, found: Any) -> Award:
    """Pass on the highest report; pay a proper score less a fixed cost, and nothing for silence."""
    return Award(highest(reports), np.where(np.isnan(reports), 0.0, quadratic(reports, found) - 0.5))


def by_mark(reports: Any, found: Any) -> Award:
    """Pass on the answer with the best mark; pay every agent a proper score."""
    return Award(best_mark(reports, found[..., None, :]), quadratic(reports, found))


def by_mark_less_cost(reports: Any, found: Any, costs: Any) -> Award:
    """Pass on the answer with the best mark; pay every agent a proper score, less one for every thousand tokens."""
    chosen = best_mark(reports, found[..., None, :])
    return Award(chosen, quadratic(reports, found) - np.minimum(costs, 2000) / 1000)


def second(reports: Any, found: Any) -> Award:
    """Pass on the highest report; pay it what is found of it, less the second highest report."""
    first = highest(reports)
    others = np.nan_to_num(np.where(first > 0, np.nan, reports)).max(axis=-1, keepdims=True)
    return Award(first, first * (np.asarray(found) - others))


# Simulated agents and graders


@dataclass
class World:
    """What happens on every task of one seed, whoever is asked: beliefs, and who is right, (tasks, agents)."""

    seed: int
    skills: Sequence[float]
    beliefs: Floats = field(init=False)
    right: Bools = field(init=False)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(self.seed)
        shape = (TASKS, len(self.skills))
        self.beliefs = np.clip(np.array(self.skills) + rng.uniform(-0.25, 0.25, shape), 0.02, 0.98)
        self.right = rng.random(shape) < self.beliefs

    def answer(self, task: Task, k: int, name: str = "") -> str:
        """Return what agent k answers."""
        return str(task.key or "right") if self.right[int(task.id), k] else f"wrong, says {name or k}"

    def agent(self, name: str, k: int, says: Callable[[Task], Any] | None = None, **marks: Any) -> FunctionAgent:
        """Return agent k under a name: honest, unless `says` is what it hands in for a task."""

        async def answers(task: Task) -> Any:
            """Answer one task as the agent does, or as it was told to."""
            return says(task) if says else (self.answer(task, k, name), float(self.beliefs[int(task.id), k]), 20)

        return FunctionAgent(name, answers, marks.get("marks"))

    def mark(self, task: Task, answer: str, grader: str = "") -> float:
        """Return what an honest grader says of an answer: about .75 if it is right, and .35 if it is not."""
        letters = sum(ord(letter) for letter in grader + answer)
        noise = np.random.default_rng([self.seed, int(task.id), letters]).normal(0, 0.15)
        return float(np.clip((0.75 if answer.startswith("right") else 0.35) + noise, 0, 1))

    def grader(self, says: Callable[[Task, str], Any] | None = None) -> FunctionGrader:
        """Return a validator: honest, unless `says` is its mark."""

        async def marks(task: Task, answer: str) -> Any:
            """Mark one answer as the grader does, or as it was told to."""
            return says(task, answer) if says else self.mark(task, answer)

        return FunctionGrader("validator", marks)


def keyed(t: int) -> Task:
    """Return task number t, whose key is known."""
    return Task(str(t), "?", key="right")


def unkeyed(t: int) -> Task:
    """Return task number t, of which only graders can say something."""
    return Task(str(t), "?")


async def played(desk: Coordinator, task: Callable[[int], Task] = keyed) -> list[Round]:
    """Return the rounds of a day, in order: fewer where everybody is in every team."""
    everybody = desk.team_size == len(desk.agents)
    return [await desk.run(task(t)) for t in range(FEW if everybody else TASKS)]


def paid(rounds: Sequence[Round], *names: str) -> float:
    """Return what these agents were paid a task, all together."""
    return sum(float(done.payments[done.team.index(name)]) for done in rounds for name in names
               if name in done.team) / len(rounds)


def share(rounds: Sequence[Round], name: str) -> float:
    """Return on how much of the tasks an agent worked."""
    return float(np.mean([name in done.team for done in rounds]))


def shipped(rounds: Sequence[Round]) -> float:
    """Return how often the answer that was passed on was right."""
    return float(np.mean([done.answer == "right" for done in rounds]))


CROWD = (0.75, 0.7, 0.7, 0.65)


def crowd(world: World, **marks: Any) -> list[FunctionAgent]:
    """Return four honest agents, right about seven times in ten."""
    return [world.agent(f"agent {k}", k, **marks) for k in range(len(CROWD))]


# The attacks: each takes a seed, whether it is played or not, and whether it is mended, and returns what is measured


async def rejoining(seed: int, attack: bool, mended: bool) -> float:
    """A poor agent takes a new name after every wrong answer: its pay a task."""
    world, ledger = World(seed, (*CROWD, 0.35)), Ledger()
    names, rounds = ["drifter"], list[Round]()

    def desk() -> Coordinator:
        """Return a desk with the agents of one life."""
        return Coordinator([*crowd(world), world.agent(names[-1], 4)], scored, ledger, BUDGET, team_size=1, seed=seed,
                           **({} if mended else TRUSTING))

    now = desk()
    for t in range(TASKS):
        rounds.append(await now.run(keyed(t)))
        if attack and rounds[-1].team == (names[-1],) and not world.right[t, 4]:
            names.append(f"drifter {len(names)}")
            now = desk()
    return paid(rounds, *names)


async def unmarkable(seed: int, attack: bool, mended: bool) -> float:
    """A poor agent writes answers that no grader can mark: its share of the tasks."""
    world = World(seed, (*CROWD, 0.35))
    blur = world.agent("blur", 4, lambda task: ("?", 0.5, 20) if attack else (
        world.answer(task, 4), float(world.beliefs[int(task.id), 4]), 20))
    judge = world.grader(lambda task, answer: None if answer == "?" else world.mark(task, answer))
    old: dict[str, Any] = {} if mended else {**TRUSTING, "unmarked": "unknown"}
    desk = Coordinator([*crowd(world), blur], scored, budget=BUDGET, judge=judge, team_size=1, seed=seed, **old)
    return share(await played(desk, unkeyed), "blur")


async def five_names(seed: int, attack: bool, mended: bool) -> float:
    """One agent registers five times: its pay a task, all names together."""
    world = World(seed, (*CROWD, 0.7))
    names = [f"name {k}" for k in range(5 if attack else 1)]
    agents = [*crowd(world), *(world.agent(name, 4) for name in names)]
    owners = dict.fromkeys(names, "one") if mended else None
    desk = Coordinator(agents, scored, budget=BUDGET, team_size=3, seed=seed, owners=owners)
    return paid(await played(desk), *names)


async def colluding(seed: int, attack: bool, mended: bool) -> float:
    """Two of five peers mark each other 1 and everybody else 0, and report so: their pay a task."""
    world, pair = World(seed, (*CROWD[:3], 0.5, 0.5)), ("agent 3", "agent 4")

    def peer(k: int) -> FunctionAgent:
        """Return a peer that also grades."""
        name = f"agent {k}"
        friend = pair[1 - pair.index(name)] if name in pair else ""

        async def marks(task: Task, answer: str) -> float:
            """Mark as agreed among the colluders, or as it sees."""
            if attack and friend:
                return float(answer.endswith(friend))
            return world.mark(task, answer, name)

        def says(task: Task) -> Any:
            answer = world.answer(task, k, name)
            signed = f"{answer}, signed {name}" if attack and friend else answer
            return signed, float(world.beliefs[int(task.id), k]), 20

        return world.agent(name, k, says, marks=marks)

    desk = Coordinator([peer(k) for k in range(5)], by_mark, budget=BUDGET, graders="peers", seed=seed,
                       settle="key" if mended else "marks")
    return paid(await played(desk, signed if mended else unkeyed), *pair)


class Signed(Task):
    """A task whose key does not mind a signature."""

    def correct(self, answer: str) -> bool:
        """Return whether an answer begins with the key."""
        return answer.startswith(str(self.key))


def signed(t: int) -> Task:
    """Return task number t with its key, for answers that may be signed."""
    return Signed(str(t), "?", key="right")


async def constant_fee(seed: int, attack: bool, mended: bool) -> float:
    """The grader says .7 of every answer: its fee a task."""
    world = World(seed, CROWD)
    judge = world.grader((lambda task, answer: 0.7) if attack else None)
    desk = Coordinator(crowd(world), by_mark, budget=BUDGET, judge=judge, seed=seed, grading_share=0.2,
                       fees="skill" if mended else "score")
    return float(np.mean([done.fees["validator"] for done in await played(desk)]))


async def constant_choice(seed: int, attack: bool, mended: bool) -> float:
    """One grader says .7 of every answer: how often the answer that is passed on is right."""
    world = World(seed, CROWD)

    def peer(k: int) -> FunctionAgent:
        """Return a peer that also grades."""
        async def marks(task: Task, answer: str) -> float:
            """Mark every answer the same, or as it sees."""
            return 0.7 if attack and k == 0 else world.mark(task, answer, f"agent {k}")

        return world.agent(f"agent {k}", k, marks=marks)

    judge = world.grader((lambda task, answer: 0.7) if attack else None)
    if mended:
        desk = Coordinator([peer(k) for k in range(len(CROWD))], by_mark, budget=BUDGET, seed=seed, graders="peers",
                           choose=best_mark)
    else:
        desk = Coordinator(crowd(world), by_mark, budget=BUDGET, seed=seed, judge=judge)
    return shipped(await played(desk))


async def copying(seed: int, attack: bool, mended: bool) -> float:
    """A poor agent hands in the best one's answer and report, which leaked: its pay a task."""
    world = World(seed, (*CROWD, 0.35))
    source = 0 if attack else 4
    copy = world.agent("copy", 4, lambda task: (
        world.answer(task, source, "agent 0"), float(world.beliefs[int(task.id), source]), 20))
    desk = Coordinator([*crowd(world), copy], second if mended else scored, budget=BUDGET, seed=seed)
    return paid(await played(desk), "copy")


async def silent(seed: int, attack: bool, mended: bool) -> float:
    """An agent never answers: its share of the tasks."""
    world = World(seed, (0.6, 0.6, 0.6, 0.6, 0.6))
    mute = world.agent("mute", 4, (lambda task: (None, None, 0)) if attack else None)
    desk = Coordinator([*crowd(world), mute], priced if mended else costly, budget=BUDGET, team_size=1, seed=seed,
                       reputation="found" if mended else "reward")
    return share(await played(desk), "mute")


def longer(answer: str) -> str:
    """Return an answer that says the same at length."""
    return answer + ", as will be seen from what follows" * 40


async def verbose(seed: int, attack: bool, mended: bool) -> float:
    """A poor agent writes at length for a grader that likes length, and reports what that is worth: its pay a task."""
    world = World(seed, (*CROWD, 0.35))

    def mark(task: Task, answer: str) -> float:
        """Mark an answer, and like it better if it is long."""
        return float(min(world.mark(task, answer) + 0.35 * (len(answer) > 200), 1.0))

    def expected(k: int, bonus: float) -> Callable[[Task], float]:
        """Return what an agent expects its answer to be marked."""
        return lambda task: 0.35 + 0.4 * float(world.beliefs[int(task.id), k]) + bonus

    def agent(k: int, name: str, long: bool) -> FunctionAgent:
        """Return an agent that answers briefly or at length."""
        sure = expected(k, 0.3 if long else 0.0)

        def says(task: Task) -> Any:
            answer = world.answer(task, k)
            return longer(answer) if long else answer, sure(task), 600 if long else 20

        return world.agent(name, k, says)

    agents = [*(agent(k, f"agent {k}", False) for k in range(4)), agent(4, "writer", attack)]
    desk = Coordinator(agents, by_mark_less_cost if mended else by_mark, budget=BUDGET, judge=world.grader(mark),
                       seed=seed)
    return paid(await played(desk, unkeyed), "writer")


async def spending(seed: int, attack: bool, mended: bool) -> float:
    """An agent uses thirty times the tokens for the same answers: its pay a task."""
    world = World(seed, (*CROWD, 0.7))
    lavish = world.agent("lavish", 4, lambda task: (
        world.answer(task, 4), float(world.beliefs[int(task.id), 4]), 600 if attack else 20))
    desk = Coordinator([*crowd(world), lavish], charged if mended else scored, budget=BUDGET, seed=seed)
    return paid(await played(desk), "lavish")


async def listed_first(seed: int, attack: bool, mended: bool) -> float:
    """All report .8, and one agent sees to it that it is listed first: how often its answer is passed on."""
    world = World(seed, (0.8,) * 5)
    names = ["eager", *(f"agent {k}" for k in range(1, 5))]

    def says(k: int) -> Callable[[Task], Any]:
        """Return how an agent answers: always with the same confidence."""
        return lambda task: (world.answer(task, k), 0.8, 20)

    agents = [world.agent(name, k, says(k)) for k, name in enumerate(names)]
    order = agents if attack else [*agents[1:], agents[0]]
    desk = Coordinator(order, scored, budget=BUDGET, seed=seed, ties="drawn" if mended else "listed")
    rounds = await played(desk)
    return float(np.mean([done.chosen is not None and done.team[done.chosen] == "eager" for done in rounds]))


async def unlucky(seed: int, attack: bool, mended: bool) -> float:
    """A good agent's first answer is wrong (the attack is bad luck): the tasks until it works again."""
    world, ledger = World(seed, (*CROWD, 0.75)), Ledger()
    rng = np.random.default_rng([seed, 1])
    past = {f"agent {k}": [bool(right) for right in rng.random(3) < CROWD[k]] for k in range(4)}
    for name, results in (past | {"unlucky": [not attack]}).items():
        for right in results:
            number = ledger.begin("past")
            ledger.reward(number, name, 0.0, float(right))
            ledger.close(number)
    how: dict[str, Any] = {"trust": "drawn"} if mended else TRUSTING
    agents = [*crowd(world), world.agent("unlucky", 4)]
    desk = Coordinator(agents, scored, ledger, BUDGET, team_size=1, seed=seed, **how)
    for t in range(TASKS):
        if (await desk.run(keyed(t))).team == ("unlucky",):
            return float(t + 1)
    return float(TASKS)


@dataclass(frozen=True)
class Attack:
    """One attack: what is measured, what mends it, and how it is played."""

    name: str
    measured: str
    mend: str
    play: Play


ATTACKS = (
    Attack("a new name after every wrong answer", "pay a task",
           "a newcomer is worth what newcomers were: newcomer=\"known\"", rejoining),
    Attack("answers that cannot be marked", "share of the tasks",
           "they count as not right: unmarked=\"wrong\"", unmarkable),
    Attack("five names for one agent", "pay a task",
           "one owner, one place: owners=. Names that nobody vouches for stay five", five_names),
    Attack("two peers that mark each other up", "pay a task",
           "the key settles: settle=\"key\". Without a key nothing here stops them", colluding),
    Attack("a grader that always says .7", "its fee a task",
           "fees for more than one number earns: fees=\"skill\"", constant_fee),
    Attack("a grader that always says .7", "right answers",
           "several graders, each measured from its own mean: graders=\"peers\", best_mark", constant_choice),
    Attack("a copy of the best agent's answer", "pay a task",
           "answers go in blind; a rule that pays for what the others did not say: second report", copying),
    Attack("silence, always", "share of the tasks",
           "reputation=\"found\", and a rule that charges for silence", silent),
    Attack("length, for a grader that likes it", "pay a task",
           "a rule that reads costs charges for tokens", verbose),
    Attack("thirty times the tokens", "pay a task",
           "a rule that reads costs charges for tokens", spending),
    Attack("a place at the head of the list", "share passed on",
           "agents that say the same are in random order: ties=\"drawn\"", listed_first),
    Attack("bad luck with the first answer", "tasks until the next",
           "trust that is drawn, and widely where little is known: trust=\"drawn\"", unlucky),
)


class Measured(NamedTuple):
    """What one attack came to, over seeds: honest and attacked, before the mend and with it, (seeds,) each."""

    honest: Floats
    attacked: Floats
    honest_mended: Floats
    attacked_mended: Floats

    def gain(self, mended: bool = False) -> Interval:
        """Return what the attack changes, seed by seed, with its 95% interval."""
        pair = (self.attacked_mended, self.honest_mended) if mended else (self.attacked, self.honest)
        return over_seeds(pair[0] - pair[1]).mean


def measure(attack: Attack, seeds: Sequence[int]) -> Measured:
    """Play one attack on some seeds, all four ways. It starts an event loop of its own: call it outside of one."""
    ways = [(played, mended) for mended in (False, True) for played in (False, True)]
    return Measured(*(np.array([asyncio.run(_one(attack.play, seed, *way)) for seed in seeds]) for way in ways))


async def _one(play: Play, seed: int, attack: bool, mended: bool) -> float:
    return round(await play(seed, attack, mended), 6)


def bad_day(path: Path | None = None) -> dict[tuple[str, str], Measured]:
    """Return what was measured, by attack and by what is measured: by default what the package keeps."""
    rows = json.loads((path or KEPT).read_text(encoding="utf-8"))
    return {(row["attack"], row["measured"]): Measured(*(np.array(row[part]) for part in Measured._fields))
            for row in rows}


def tables(kept: Mapping[tuple[str, str], Measured] | None = None) -> list[Table]:
    """Return three tables with a row an attack: what it changes, what it changes once it is mended, and the mend.

    Numbers are means with 95% intervals over seeds. Side by side the three would be twice as wide as a page.
    """
    measured = bad_day() if kept is None else kept
    rows = [measured[attack.name, attack.measured] for attack in ATTACKS]
    names = [attack.name for attack in ATTACKS]
    apart = [f"{name}: {attack.measured}" if names.count(name) > 1 else name
             for name, attack in zip(names, ATTACKS, strict=True)]

    def means(part: str) -> list[Interval]:
        return [over_seeds(np.asarray(getattr(row, part))).mean for row in rows]

    before: dict[str, Sequence[Any]] = {
        "attack": names,
        "measured": [attack.measured for attack in ATTACKS],
        "honest": means("honest"),
        "attacked": means("attacked"),
    }
    after: dict[str, Sequence[Any]] = {
        "attack": apart,
        "honest": means("honest_mended"),
        "attacked": means("attacked_mended"),
        "change by the attack": [row.gain(mended=True) for row in rows],
    }
    mends = {"attack": apart, "what mends it": [attack.mend for attack in ATTACKS]}
    played = f"Attacks by simulated agents, {len(rows[0].honest)} seeds each; at most {BUDGET} units are paid a task"
    return [table(before, played), table(after, "The same attacks, mended"), table(mends, "The mends")]


def main(path: Path | None = None, seeds: int = SEEDS) -> None:
    """Measure every attack that is not kept yet, and keep its numbers before the next one."""
    path = path or KEPT
    rows = json.loads(path.read_text(encoding="utf-8")) if path.exists() else []
    kept = {(row["attack"], row["measured"]) for row in rows}
    order = [(attack.name, attack.measured) for attack in ATTACKS]
    for attack in tqdm([attack for attack in ATTACKS if (attack.name, attack.measured) not in kept], desc="attacks"):
        parts = {part: values.tolist() for part, values in measure(attack, range(seeds))._asdict().items()}
        rows.append({"attack": attack.name, "measured": attack.measured, **parts})
        rows.sort(key=lambda row: order.index((row["attack"], row["measured"])))
        path.write_text("[\n" + ",\n".join(json.dumps(row) for row in rows) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
