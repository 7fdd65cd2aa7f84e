"""Record what served models answer in the world of documents, in the order of the tasks, so that a part is useful too.

Run it as ``python training/record.py WHAT [MODEL ...]`` beside a server for each model. What is recorded is not asked
again.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable
from dataclasses import replace

from tqdm import tqdm

from mechlib.agents.llm import client
from mechlib.agents.roster import Agent, Roster
from mechlib.course.signals import token_request
from mechlib.course.worlds import Case, documents

ROSTER = "rosters/documents.toml"


def cases(what: str) -> tuple[Case, ...]:
    """Return the tasks of a set."""
    domain = "field station" if what == "field" else "data centre"
    return documents("test", domain, 100 if what == "field" else 200)


async def test(agent: Agent, what: str, tasks: int) -> None:
    """Ask every agent for its answer and stated confidence."""
    tape = client(f"documents_{what}", "record", ROSTER)
    for case in tqdm(cases(what)[:tasks], desc=f"{agent.model}, {what}", mininterval=20):
        for prompt in case.prompts:
            await agent.ask(tape, prompt)


async def tokens(agent: Agent, what: str, tasks: int) -> None:
    """Ask how likely the tokens of each answer were."""
    tape = client("documents_tokens", "record", ROSTER)
    for case in tqdm(cases("test")[:tasks], desc=f"{agent.model}, {what}", mininterval=20):
        for prompt in case.prompts:
            await tape.post("/v1/chat/completions", body=token_request(agent, prompt), cast_to=object)


async def samples(agent: Agent, what: str, tasks: int) -> None:
    """Ask for four samples of each reply; the profile of the model sets the temperature."""
    tape = client("documents_samples", "record", ROSTER)
    for case in tqdm(cases("test")[:tasks], desc=f"{agent.model}, samples", mininterval=20):
        for prompt in case.prompts:
            for number in range(1, 5):
                await agent.ask(tape, prompt, sample=number)


async def variants(agent: Agent, what: str, tasks: int) -> None:
    """Ask every variant of the agent's prompt for its answer and stated confidence; the first is in `test` already."""
    tape = client("documents_variants", "record", ROSTER)
    for variant in Roster.load("rosters/variants.toml").agents[1:]:
        for case in tqdm(cases("test")[:tasks], desc=variant.name, mininterval=20):
            for prompt in case.prompts:
                await variant.ask(tape, prompt)


async def record(what: str, models: Iterable[str], tasks: int) -> None:
    """Record one set with each of the models."""
    agent = Roster.load(ROSTER).agents[0]
    for model in models:
        ask = {"samples": samples, "tokens": tokens, "variants": variants}.get(what, test)
        await ask(replace(agent, model=model), what, tasks)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["test", "field", "samples", "tokens", "variants"])
    parser.add_argument("models", nargs="*", default=["qwen2.5-coder-0.5b"])
    parser.add_argument("--tasks", type=int, default=200)
    given = parser.parse_args()
    asyncio.run(record(given.what, given.models, given.tasks))
