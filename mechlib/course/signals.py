"""Other numbers that a desk could be judged by: how likely its answer's tokens were, and whether samples agree.

A reply states a confidence. The model that wrote it also had a probability for every token of the answer, and asked
again at temperature .8 it may or may not say the same. Neither is a report: nobody chose it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import anthropic
import numpy as np

from mechlib.agents.roster import Agent
from mechlib.agents.sending import post
from mechlib.agents.tasks import parse_answer
from mechlib.course.desks import desks
from mechlib.course.worlds import Case
from mechlib.mechanism import Floats

__all__ = ["agreement", "answer_probability", "token_request"]


def token_request(agent: Agent, prompt: str) -> dict[str, Any]:
    """Return the request that asks for the answer alone with the probability of each of its tokens."""
    asked = agent.request(prompt)
    messages = [{"role": "system", "content": asked["system"]}, *asked["messages"]]
    return {"model": agent.model, "messages": messages, "max_tokens": 8, "logprobs": True, "top_logprobs": 1}


async def answer_probability(
    cases: Sequence[Case], agents: Sequence[Agent], client: anthropic.AsyncAnthropic
) -> Floats:
    """Return how likely the tokens of each desk's answer were together, (cases, desks).

    The tokens are those after ``ANSWER:``, to the end of the line or of the eight that were asked for.
    """
    chances = np.zeros((len(cases), len(agents)))
    for row, case in enumerate(cases):
        for column, (agent, prompt) in enumerate(zip(agents, case.prompts, strict=True)):
            reply = await post(client, "/v1/chat/completions", token_request(agent, prompt))
            chances[row, column] = math.exp(_log_chance(reply["choices"][0]["logprobs"]["content"]))
    return chances


def _log_chance(tokens: Sequence[Any]) -> float:
    """Add up the log probabilities of the tokens between ``ANSWER:`` and the end of the line."""
    text, total = "", 0.0
    for token in tokens:
        inside = text.lstrip().upper().startswith("ANSWER:")
        if inside and "\n" in str(token["token"]):
            break
        total += float(token["logprob"]) * inside
        text += str(token["token"])
    return total


async def agreement(
    cases: Sequence[Case], agents: Sequence[Agent], plain: anthropic.AsyncAnthropic,
    samples: anthropic.AsyncAnthropic, count: int = 4,
) -> Floats:
    """Return the share of samples at temperature .8 that repeat each desk's answer, (cases, desks)."""
    shares = np.zeros((len(cases), len(agents)))
    for row, case in enumerate(cases):
        for column, desk in enumerate(desks(case, agents)):
            first = await _answer(desk, case, plain)
            warm = replace(desk, model=f"{desk.model}@t0.8")
            said = [await _answer(warm, case, samples, number) for number in range(1, count + 1)]
            shares[row, column] = np.mean([answer == first for answer in said])
    return shares


async def _answer(desk: Agent, case: Case, client: anthropic.AsyncAnthropic, sample: int = 0) -> str:
    message = await desk.ask(client, case.task.prompt, sample)
    return parse_answer("".join(block.text for block in message.content if block.type == "text")).answer.casefold()
