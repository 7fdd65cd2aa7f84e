"""Compute and keep what the frozen model holds of the training and validation tasks, 25 tasks a file; resumable."""

from __future__ import annotations

import argparse
import tomllib
from pathlib import Path

import torch
from frozen import CACHE, Example, Frozen
from tqdm import tqdm

from mechlib.agents.roster import Agent, Roster
from mechlib.course.worlds import Split, documents

ROSTER, MODEL, CHUNK = Path("rosters/documents.toml"), "qwen2.5-coder-0.5b", 25


def frozen() -> tuple[Frozen, Agent]:
    """Return the model that is trained, and the agent that it plays."""
    weights = tomllib.loads(ROSTER.read_text())["weights"][MODEL]
    return Frozen(Path(".models") / weights["file"]), Roster.load(ROSTER).agents[0]


def examples(model: Frozen, agent: Agent, split: Split, tasks: int) -> list[Example]:
    """Return the examples of the first tasks of a split, computing those that no file holds yet."""
    folder = CACHE / MODEL / split
    folder.mkdir(parents=True, exist_ok=True)
    cases, found = documents(split, tasks=tasks), []
    for first in tqdm(range(0, tasks, CHUNK), desc=f"reading {split}", mininterval=10):
        file = folder / f"{first:04d}.pt"
        if not file.exists():
            read = model.read(agent, cases[first : first + CHUNK], first)
            torch.save([vars(example) for example in read], file.with_suffix(".part"))
            file.with_suffix(".part").rename(file)
        found += [Example(**fields) for fields in torch.load(file)]
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--train", type=int, default=600)
    parser.add_argument("--validation", type=int, default=100)
    given = parser.parse_args()
    model, agent = frozen()
    examples(model, agent, "validation", given.validation)
    examples(model, agent, "train", given.train)
