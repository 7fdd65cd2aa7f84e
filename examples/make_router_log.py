"""Make the sample log of a router, ``data/router.jsonl``: ``python examples/make_router_log.py``.

The replies are real: three open models answered the course's questions, and stated how sure they were
(``recordings/answers.jsonl``). Their costs are those of the roster, in millionths of a credit, and who was right is
what the keys say. The choices are those of a rule that we made up: the highest stated score less cost, where a right
answer is worth 10,000. The report should find it.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np

from mechlib import Roster, client, load_tasks, parse_answer
from mechlib.rules.choice import highest

WORTH = 10_000
TARGET = Path(__file__).resolve().parent.parent / "data" / "router.jsonl"


async def lines() -> list[str]:
    """Return one line a question."""
    roster, ask = Roster.load("open"), client("answers", "replay")
    names = [agent.model for agent in roster.agents]
    made = []
    for task in load_tasks():
        scores, costs, found = [], [], []
        for agent in roster.agents:
            message: Any = await agent.ask(ask, task.prompt)
            reply = parse_answer(message.content[0].text if message.content else "")
            spoke = reply.status == "answered"
            entered = message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0)
            scores.append(reply.confidence if spoke else np.nan)
            costs.append(round(1e6 * roster.price(agent.model, entered, message.usage.output_tokens), 1))
            found.append(int(spoke and task.correct(reply.answer)))
        chosen = int(highest(np.array(scores) - np.array(costs) / WORTH).argmax())
        spoken = [None if np.isnan(score) else score for score in scores]
        tables = {name: dict(zip(names, column, strict=True))
                  for name, column in (("scores", spoken), ("costs", costs), ("found", found))}
        made.append(json.dumps({"id": task.id, **tables, "chosen": names[chosen]}))
    return made


if __name__ == "__main__":
    TARGET.write_text("\n".join(asyncio.run(lines())) + "\n", encoding="utf-8")
    print(f"{TARGET.name}: {len(TARGET.read_text(encoding='utf-8').splitlines())} decisions")
