"""Agents whose stated confidence was trained: the model answers as it is, then an adapter states how sure it is.

The adapter is active from ``CONFIDENCE:`` on (llama.cpp calls that an activated adapter), so training moves what an
agent reports and never what it answers. Asking takes two calls: the first is that of the untrained agent, word for word
and in its recordings; the second hands its answer back and asks for one more token, the digit after ``CONFIDENCE: 0.``.
"""

from __future__ import annotations

import re
from typing import Any

import anthropic

from mechlib.agents.roster import Agent
from mechlib.agents.sending import send

__all__ = ["ask", "statement"]


def statement(agent: Agent, model: str, prompt: str, reply: str) -> dict[str, Any]:
    """Return the arguments of ``messages.create`` by which a trained model states the confidence of a given reply.

    Parameters
    ----------
    agent : Agent
        Who answered; its prompt format is kept.
    model : str
        The serving profile with the adapter, such as ``qwen2.5-coder-0.5b+quadratic-0``.
    prompt, reply : str
        What was asked, and what the agent replied. Of the reply, the answer is kept and the confidence is not.
    """
    request = agent.request(prompt)
    found = re.search(r"ANSWER:[ \t]*(.*)", reply)
    answer = (found.group(1) if found else reply.strip().split("\n")[0]).strip()
    given = {"role": "assistant", "content": f"ANSWER: {answer}\nCONFIDENCE: 0."}
    return {**request, "model": model, "max_tokens": 1, "messages": [*request["messages"], given]}


async def ask(
    client: anthropic.AsyncAnthropic, trained: anthropic.AsyncAnthropic, agent: Agent, model: str, prompt: str
) -> anthropic.types.Message:
    """Ask an agent, then let the trained model state its confidence; return the second message, with both lines.

    The two clients may be one; recordings keep the untrained model's replies and the adapters' apart.
    """
    reply = (await agent.ask(client, prompt)).content[0]
    text = reply.text if isinstance(reply, anthropic.types.TextBlock) else ""
    return await send(trained, statement(agent, model, prompt, text))
