"""Ask the models again: fifty recorded replies at temperature 0, drawn at random, live through the SDK.

Needs `make models` and `python -m mechlib serve`; `make bench` leaves it out. It prints every reply that came out
otherwise, and keeps the figure in results.json.
"""

import asyncio
import random
import sys
import time
from collections import Counter
from typing import Any

import httpx2
from table import Ratio, report

from mechlib.agents.folders import home
from mechlib.agents.llm import client
from mechlib.agents.recordings import read
from mechlib.agents.roster import Roster


def text(response: dict[str, Any]) -> Any:
    """Return what a reply says and why it ended."""
    if "choices" in response:
        return response["choices"][0]["message"]["content"], response["choices"][0]["finish_reason"]
    return response["content"], response["stop_reason"]


def odds(response: dict[str, Any]) -> Any:
    """Return the probabilities of a reply's tokens, to the last digit; None where none were asked for."""
    return response["choices"][0]["logprobs"] if "choices" in response else None


def draw(count: int, seed: int) -> list[tuple[str, dict[str, Any]]]:
    """Return some recorded calls at temperature 0, each with the name of its cassette."""
    tapes = sorted((home() / "recordings").glob("*.jsonl"))
    calls = [(tape.stem, entry) for tape in tapes for entry in read(tape)]
    fixed = [call for call in calls if call[1]["provenance"].get("temperature") == 0]
    fixed.sort(key=lambda call: (call[0], call[1]["key"]))
    return random.Random(seed).sample(fixed, count)


async def again(drawn: list[tuple[str, dict[str, Any]]]) -> dict[str, Any]:
    """Return what is said this time, by key; one call a model at a time."""
    llm = client("none", "live", max_retries=2)
    replies = {}

    async def ask(model: str) -> None:
        for _, entry in drawn:
            path, body = entry["request"]["path"], entry["request"]["body"]
            if body["model"] == model:
                # If the server still held this very prompt, it would compute the last token alone, with another kernel.
                fresh = {"cache_prompt": False} if "logprobs" in body else {}
                replies[entry["key"]] = await llm.post(path, body={**body, **fresh}, cast_to=object)

    await asyncio.gather(*(ask(model) for model in {entry["request"]["body"]["model"] for _, entry in drawn}))
    return replies


def main(count: int = 50, seed: int = 0) -> None:
    """Draw, ask, compare, report."""
    drawn = draw(count, seed)
    asked = Counter(entry["request"]["body"]["model"] for _, entry in drawn)
    roster = Roster.load()
    for name in asked:
        try:
            httpx2.get(f"http://127.0.0.1:{roster.models[name].port}/health", timeout=120, trust_env=False)
        except httpx2.TransportError:
            raise SystemExit(f"{name} is not served: run `python -m mechlib serve` first") from None
    start = time.perf_counter()
    replies = asyncio.run(again(drawn))
    taken = time.perf_counter() - start
    same: Counter[str] = Counter()
    known = exact = 0
    for tape, entry in drawn:
        model, then, now = entry["request"]["body"]["model"], entry["response"], replies[entry["key"]]
        same[model] += text(now) == text(then)
        known += odds(then) is not None
        exact += odds(then) is not None and odds(now) == odds(then)
        if text(now) != text(then) or odds(now) != odds(then):
            print(f"{tape} {entry['key'][:12]} {model}:\n  recorded {str(odds(then) or text(then))[:300]}")
            print(f"  now      {str(odds(now) or text(now))[:300]}")
    models = ", ".join(f"{name} {same[name]} of {number}" for name, number in sorted(asked.items()))
    report("reproduced", f"{count} recorded replies at temperature 0, drawn at random (seed {seed}), asked again",
           f"the same text: {models}; the same probabilities to the last digit: {exact} of {known}",
           {"all of them (wall)": taken},
           [Ratio("the same text / asked", same.total() / count, at_least=1),
            Ratio("the same probabilities / asked for", exact / max(known, 1), at_least=1)], ("anthropic", "xllamacpp"))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
