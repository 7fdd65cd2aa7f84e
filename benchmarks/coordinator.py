"""The coordinator: a live round against its slowest path, its own work in replay, and a replayed call."""

import asyncio
import json
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anthropic
import numpy as np
from table import Ratio, best_of, report

from mechlib.agents.llm import client
from mechlib.agents.roster import Agent
from mechlib.agents.tasks import Task
from mechlib.desk.coordinator import Coordinator
from mechlib.desk.rounds import Round
from mechlib.mechanism import Award
from mechlib.rules.choice import highest
from mechlib.rules.scoring import quadratic

AGENTS = tuple(Agent(name, name) for name in ("quick", "middling", "slow"))
SECONDS = {"quick": 0.2, "middling": 0.3, "slow": 0.4}
JUDGE = Agent("judge", "quick", system="grade")
PACKAGES = ("numpy", "anthropic")
TASKS = [Task(f"task {number}", f"What is {number} + 1?", (), str(number + 1)) for number in range(120)]


def message(body: dict[str, Any]) -> dict[str, Any]:
    """Reply as the Messages API does: a mark to a grader, an answer and a confidence to anybody else."""
    text = "SCORE: 0.8" if "<answer>" in body["messages"][-1]["content"] else "ANSWER: 2\nCONFIDENCE: 0.7"
    return {"id": "m", "type": "message", "role": "assistant", "model": body["model"], "stop_reason": "end_turn",
            "stop_sequence": None, "content": [{"type": "text", "text": text}],
            "usage": {"input_tokens": 50, "output_tokens": 10}}


class Sleeper(BaseHTTPRequestHandler):
    """A model server that thinks for as long as its model does, and can think of many things at once."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    sleep = True

    def do_POST(self) -> None:
        """Sleep, then reply."""
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        time.sleep(SECONDS[body["model"]] * self.sleep)
        data = json.dumps(message(body)).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Instant:
    """What the SDK returns, at once: whatever a round then takes is the coordinator's own work."""

    async def create(self, **body: Any) -> anthropic.types.Message:
        """Reply without a server, a cassette or the SDK's own work."""
        body.pop("extra_headers")
        return anthropic.types.Message.model_validate(message(body))


@contextmanager
def served(sleep: bool) -> Iterator[str]:
    """Serve in a thread, and give the address."""
    handler = type("Handler", (Sleeper,), {"sleep": sleep})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.01,)).start()
        yield f"http://127.0.0.1:{server.server_address[1]}"
        server.shutdown()


def rule(reports: Any, found: Any) -> Award:
    """Pass on the highest report, and pay everybody a quadratic score."""
    return Award(highest(reports), quadratic(reports, found))


def desk(llm: Any) -> Coordinator:
    """Put three agents round a table: each answers, and marks the other two."""
    return Coordinator(AGENTS, rule, budget=3000, client=llm, judge=JUDGE, graders="peers", settle="marks")


async def rounds(llm: Any, tasks: list[Task]) -> list[Round]:
    """Run one round a task."""
    table = desk(llm)
    return [await table.run(task) for task in tasks]


def live() -> None:
    """Nine calls a round: three answers at once, then six marks at once."""

    async def work(url: str) -> tuple[float, float, Round]:
        async with client("none", "live", base_url=url) as llm:
            table, best = desk(llm), float("inf")
            for task in TASKS[:10]:
                start = time.perf_counter()
                done = await table.run(task)
                best = min(best, time.perf_counter() - start)
            start = time.perf_counter()
            for name in [*SECONDS, *SECONDS, *SECONDS]:  # the same nine calls, each after the other
                await llm.messages.create(model=name, max_tokens=64, messages=[{"role": "user", "content": "x"}])
            return best, time.perf_counter() - start, done

    with served(sleep=True) as url:
        best, one_by_one, done = asyncio.run(work(url))
    slowest = 2 * max(SECONDS.values())
    assert (done.rewards > 0).all() and np.isfinite(done.marks).sum() == 6
    report("coordinator_live", "3 agents that take 0.2, 0.3 and 0.4 s to answer, and as long for each of two marks",
           "every answer handed in, every mark given, everybody paid",
           {"a round (wall)": best, "its slowest path: an answer, then a mark": slowest,
            "the nine calls one by one (wall)": one_by_one},
           [Ratio("a round / its slowest path", best / slowest, at_most=1.05),
            Ratio("one by one / a round", one_by_one / best)], PACKAGES)


def timed(count: int, work: Callable[[], Any]) -> tuple[float, Any]:
    """Return the least process time of `count` things, each, and the last result."""
    seconds, result = best_of(lambda: asyncio.run(work()), times=5)
    return seconds / count, result


def replay() -> None:
    """A hundred and twenty rounds of nine calls, recorded first."""

    async def record() -> list[Round]:
        async with client(tape, "record", base_url=url) as llm:
            return await rounds(llm, TASKS)

    with tempfile.TemporaryDirectory() as scratch:
        tape = Path(scratch) / "tape.jsonl"
        with served(sleep=False) as url:
            recorded = asyncio.run(record())
        llm = client(tape, "replay")
        whole, again = timed(len(TASKS), lambda: rounds(llm, TASKS))
        for first, second in zip(recorded, again, strict=True):
            np.testing.assert_array_equal(first.payments, second.payments)

        async def calls() -> None:
            for task in TASKS:
                for agent in AGENTS:
                    await agent.ask(llm, task.prompt)

        call, _ = timed(len(TASKS) * len(AGENTS), calls)
    own, _ = timed(len(TASKS), lambda: rounds(SimpleNamespace(messages=Instant()), TASKS))
    report("coordinator_replay", "120 rounds of 3 agents, each of whom answers and marks the others: 9 calls a round",
           "payments as when they were recorded",
           {"the coordinator's own work, a round": own, "a round in replay, its calls included": whole,
            "a replayed call": call},
           [Ratio("own work, milliseconds a round", own * 1e3, at_most=5),
            Ratio("a replayed call, milliseconds", call * 1e3, at_most=0.6)], PACKAGES)


if __name__ == "__main__":
    live()
    replay()
