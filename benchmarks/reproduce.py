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

from mechlib.llm import client, home
from mechlib.recordings import read
from mechlib.roster import Roster


def said(response: dict[str, Any]) -> Any:
    """Return what a reply says: its text and why it ended, or its probabilities; not its number or its cost."""
    if "choices" in response:
        return response["choices"]
    return response["content"], response["stop_reason"]


def draw(count: int, seed: int) -> list[tuple[str, dict[str, Any]]]:
    """Return some recorded calls at temperature 0, each with the name of its cassette."""
    tapes = sorted((home() / "recordings").glob("*.jsonl"))
    calls = [(tape.stem, entry) for tape in tapes for entry in read(tape)]
    fixed = [call for call in calls if call[1]["provenance"].get("temperature") == 0]
    fixed.sort(key=lambda call: (call[0], call[1]["key"]))
    return random.Random(seed).sample(fixed, count)


async def again(drawn: list[tuple[str, dict[str, Any]]]) -> list[tuple[str, dict[str, Any], Any]]:
    """Return the calls that came out otherwise, with what was said this time; one call a model at a time."""
    llm = client("none", "live", max_retries=2)
    changed = []

    async def ask(model: str) -> None:
        for tape, entry in drawn:
            request = entry["request"]
            if request["body"]["model"] == model:
                response = await llm.post(request["path"], body=request["body"], cast_to=object)
                if said(response) != said(entry["response"]):
                    changed.append((tape, entry, said(response)))

    await asyncio.gather(*(ask(model) for model in {entry["request"]["body"]["model"] for _, entry in drawn}))
    return changed


def main(count: int = 50, seed: int = 0) -> None:
    """Draw, ask, compare, report."""
    drawn = draw(count, seed)
    models = Counter(entry["request"]["body"]["model"] for _, entry in drawn)
    roster = Roster.load()
    for name in models:
        try:
            httpx2.get(f"http://127.0.0.1:{roster.models[name].port}/health", timeout=120, trust_env=False)
        except httpx2.TransportError:
            raise SystemExit(f"{name} is not served: run `python -m mechlib serve` first") from None
    start = time.perf_counter()
    changed = asyncio.run(again(drawn))
    for tape, entry, now in changed:
        print(f"{tape} {entry['key'][:12]} {entry['request']['body']['model']}:")
        print(f"  recorded {str(said(entry['response']))[:300]}\n  now      {str(now)[:300]}")
    others = Counter(entry["request"]["body"]["model"] for _, entry, _ in changed)
    asked = ", ".join(f"{name} {number - others[name]} of {number}" for name, number in sorted(models.items()))
    report("reproduced", f"{count} recorded replies at temperature 0, drawn at random (seed {seed}), asked again",
           f"the same: {asked}", {"all of them (wall)": time.perf_counter() - start},
           [Ratio("the same / asked", 1 - len(changed) / count, at_least=1)], ("anthropic", "xllamacpp"))


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
