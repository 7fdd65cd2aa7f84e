"""What a model would have said: token probabilities over a few possible first tokens."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Sequence

import anthropic
import numpy as np
from numpy.typing import NDArray

from mechlib.agents.sending import post

_FLOOR = 1e-6  # probability of a choice that is not among the tokens the server lists


async def log_probabilities(
    client: anthropic.AsyncAnthropic,
    model: str,
    prompts: Sequence[str],
    choices: Sequence[str],
    system: str = "",
    examples: Sequence[tuple[str, str]] = (),
) -> NDArray[np.float64]:
    """Return log P(choice | prompt, reply is one of the choices), shape (prompts, choices).

    One reply token is asked for, and the 20 likeliest first tokens are read. Case and spaces do not matter; a choice
    that is not among them gets a probability of one in a million before all are scaled to sum to 1. Only servers that
    speak ``/v1/chat/completions`` report token probabilities: the open models do, Claude does not.

    Parameters
    ----------
    client, model
        As `mechlib.client` returns it; a serving profile of the roster.
    prompts : sequence of str
        What the user asks, one call each. One that was never recorded is a `MissingRecording`.
    choices : sequence of str
        Possible first tokens, for instance ``"ABCD"`` or ``("Yes", "No")``.
    system, examples : str, sequence of (user, assistant) pairs
        What stands before every prompt.
    """
    names = [choice.casefold() for choice in choices]
    start = [{"role": "system", "content": system}] if system else []
    for user, assistant in examples:
        start += [{"role": "user", "content": user}, {"role": "assistant", "content": assistant}]

    async def one(prompt: str) -> list[float]:
        """Return the probabilities of the choices after one prompt."""
        messages = [*start, {"role": "user", "content": prompt}]
        body = {"model": model, "messages": messages, "max_tokens": 1, "logprobs": True, "top_logprobs": 20}
        reply = await post(client, "/v1/chat/completions", body)
        mass = dict.fromkeys(names, 0.0)
        for token in reply["choices"][0]["logprobs"]["content"][0]["top_logprobs"]:
            if (text := str(token["token"]).strip().casefold()) in mass:
                mass[text] += math.exp(float(token["logprob"]))
        return [max(mass[name], _FLOOR) for name in names]

    mass = np.array(await asyncio.gather(*(one(prompt) for prompt in prompts))).reshape(len(prompts), len(choices))
    return np.asarray(np.log(mass / mass.sum(axis=1, keepdims=True)))
