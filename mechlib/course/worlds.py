"""A world of private documents: what each agent of a pipeline alone can read, and a question that one of them answers.

Three agents hold one short document each. The value that is asked for stands in exactly one of them ("fact"). Another
may hold last year's value, which is still true six times in ten ("last year"); the others hold neither ("neither").
Every document also holds near misses: another quantity of the same thing, and mostly the same quantity of another.
Names and numbers are invented, and those of two splits or of two domains never meet.

>>> case = documents("test", tasks=1)[0]
>>> case.kinds.count("fact"), case.task.correct(case.task.key)
(1, True)
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal, TypeVar, get_args

from mechlib.agents.tasks import Task

__all__ = ["DOMAINS", "UNCHANGED", "Case", "Domain", "Kind", "Split", "documents"]

Kind = Literal["fact", "last year", "neither"]
Split = Literal["train", "validation", "test"]
T = TypeVar("T")

UNCHANGED = 0.6  # how often last year's value is still this year's
STALE = 0.36  # how often an agent without the fact holds last year's value; the others hold neither
AGENTS = 3


@dataclass(frozen=True)
class Case:
    """One task and what its agents know.

    Attributes
    ----------
    task : Task
        The question, with the value of this year as its key.
    documents : tuple of str
        What each agent alone can read.
    kinds : tuple of {"fact", "last year", "neither"}
        What each document holds of what is asked.
    """

    task: Task
    documents: tuple[str, ...]
    kinds: tuple[Kind, ...]

    def prompt(self, agent: int) -> str:
        """Return what one agent reads: its document, then the question."""
        return f"{self.documents[agent]}\nQuestion: {self.task.prompt}"

    @property
    def prompts(self) -> tuple[str, ...]:
        """What each agent reads."""
        return tuple(self.prompt(agent) for agent in range(len(self.documents)))


@dataclass(frozen=True)
class Domain:
    """What a world speaks of: quantities, first and second halves of its names, and how its numbers are written."""

    quantities: tuple[str, ...]
    starts: tuple[str, ...]
    ends: tuple[str, ...]
    number: Callable[[int], str]


DOMAINS = {
    "data centre": Domain(
        ("port", "timeout", "storage quota", "rack number", "memory limit", "pager extension"),
        ("Bel", "Cor", "Dar", "Fen", "Gar", "Hal", "Jor", "Kel", "Lum", "Mar", "Nor", "Pel", "Quin", "Ros", "Sel",
         "Tam", "Ul", "Ver", "Wil", "Zan", "Ash", "Brin", "Cal", "Dun", "Eld", "Fal", "Gil", "Hex", "Isk", "Jas", "Kip",
         "Lon", "Mos", "Nim", "Or", "Pru", "Rud", "Stav", "Thal", "Yor"),
        ("dor", "wick", "mont", "gate", "ford", "stead", "ling", "ham", "brook", "mere", "well", "by"),
        str,
    ),
    "field station": Domain(
        ("water depth", "battery voltage", "wind speed", "sample mass", "mast height", "soil temperature"),
        ("Aka", "Bori", "Chuma", "Dele", "Eno", "Fumi", "Goro", "Hiku", "Imo", "Juri", "Kato", "Lio", "Miru", "Nalo",
         "Oki", "Puno", "Rika", "Suma", "Tovu", "Yano", "Abe", "Baru", "Cida", "Doru", "Ebi", "Futa", "Gamo", "Hode",
         "Ika", "Jomo", "Kiri", "Luma", "Mabo", "Neku", "Oru", "Pemi", "Rono", "Sato", "Teku", "Zuri"),
        ("ra", "vik", "sund", "tarn", "nes", "lund", "tun", "dal", "holm", "berg", "skar", "fell"),
        lambda n: f"{n / 10:.1f}",
    ),
}  # fmt: skip

# Twentieths of the first halves of the names, and of the numbers 100 to 999, that belong to each split.
_SHARES: dict[Split, range] = {"train": range(12), "validation": range(12, 15), "test": range(15, 20)}

_NOW = (
    "The {quantity} of {name} is {value}.",
    "{name} has a {quantity} of {value}.",
    "This year the {quantity} of {name} is {value}.",
    "{name} now has a {quantity} of {value}.",
)
_BEFORE = (
    "Last year the {quantity} of {name} was {value}.",
    "{name} had a {quantity} of {value} last year.",
    "A year ago the {quantity} of {name} was {value}.",
    "In last year's list {name} has a {quantity} of {value}.",
)


def documents(split: Split = "test", domain: str = "data centre", tasks: int = 200, seed: int = 0) -> tuple[Case, ...]:
    """Return tasks of one split and domain, the same for the same arguments.

    Parameters
    ----------
    split : {"train", "validation", "test"}
        Names and numbers of two splits are disjoint.
    domain : {"data centre", "field station"}
        So are those of two domains.
    tasks, seed : int
        How many, and which; the first ten of twenty are the first ten of ten.
    """
    if split not in get_args(Split):
        raise ValueError(f"split is {split!r}; it must be one of {get_args(Split)}")
    if domain not in DOMAINS:
        raise ValueError(f"domain is {domain!r}; it must be one of {tuple(DOMAINS)}")
    chance = random.Random(f"{domain}, {split}, {seed}")
    names = (f"{domain} {split} {seed}-{number:04d}" for number in range(tasks))
    return tuple(_case(name, DOMAINS[domain], split, chance) for name in names)


def _case(name: str, world: Domain, split: Split, chance: random.Random) -> Case:
    """Draw one task: what is asked, this year's and last year's value, who holds which, and what else they read."""
    numbers = _shuffled([n for n in range(100, 1000) if n % 20 in _SHARES[split]], chance)
    starts = [start for place, start in enumerate(world.starts) if place % 20 in _SHARES[split]]
    quantity, *others = _shuffled(world.quantities, chance)
    asked, *rivals = [start + _pick(world.ends, chance) for start in _shuffled(starts, chance)]
    value = world.number(numbers.pop())
    before = value if chance.random() < UNCHANGED else world.number(numbers.pop())
    knows = int(chance.random() * AGENTS)

    def say(forms: Sequence[str], what: str, whose: str, number: str) -> str:
        return _pick(forms, chance).format(quantity=what, name=whose, value=number)

    def miss(what: str, whose: str) -> str:
        return say(_NOW if chance.random() < 0.7 else _BEFORE, what, whose, world.number(numbers.pop()))

    held, kinds = [], []
    for agent in range(AGENTS):
        kind: Kind = "fact" if agent == knows else "last year" if chance.random() < STALE else "neither"
        sentences = [miss(others[agent], asked), miss(others[-1] if kind == "last year" else quantity, rivals.pop())]
        if kind == "fact":
            sentences.append(say(_NOW, quantity, asked, value))
        elif kind == "last year":
            sentences.append(say(_BEFORE, quantity, asked, before))
        else:
            sentences.append(miss(quantity, rivals.pop()))
        held.append(" ".join(_shuffled(sentences, chance)))
        kinds.append(kind)
    question = f"What is the {quantity} of {asked} this year? Answer with a number."
    return Case(Task(name, question, key=value, domain=name.rsplit(" ", 2)[0]), tuple(held), tuple(kinds))


# `random()` is the one method whose sequence Python promises to keep, so everything is drawn from it alone.
def _pick(items: Sequence[T], chance: random.Random) -> T:
    return items[int(chance.random() * len(items))]


def _shuffled(items: Sequence[T], chance: random.Random) -> list[T]:
    return sorted(items, key=lambda _: chance.random())
