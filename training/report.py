"""Say what recorded statements are worth, from the recordings alone: ``python training/report.py [test | field]``.

For the model as it is and for each adapter, on the tasks that all three agents answered: AUC and Brier score of the
stated number, how often the highest report is right (ties go to the lowest index), and means by kind of knowledge. In
brackets, 95% intervals over resampled tasks; for the adapters also of the difference to the model as it is.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from record import cases

from mechlib.agents.recordings import read
from mechlib.agents.tasks import parse_answer

KINDS = ("fact", "last year", "neither")
Array = NDArray[np.float64]


def table(what: str) -> dict[str, dict[int, Array]]:
    """Return, by model and task, right and stated of each agent, shape (3, 2); malformed states nothing, read as 0."""
    said: dict[str, dict[str, str]] = defaultdict(dict)
    for entry in read(Path(f"recordings/documents_{what}.jsonl")) + read(Path("recordings/documents_trained.jsonl")):
        body = entry["request"]["body"]
        prompt = [m["content"] for m in body["messages"] if m["role"] == "user"][-1]
        said[body["model"]][prompt] = entry["response"]["content"][0]["text"]
    found: dict[str, dict[int, Array]] = {}
    for model, replies in sorted(said.items()):
        found[model] = {}
        for number, case in enumerate(cases(what)):
            if all(prompt in replies for prompt in case.prompts):
                read_as = [parse_answer(replies[prompt]) for prompt in case.prompts]
                found[model][number] = np.array(
                    [(bool(r.answer) and case.task.correct(r.answer), np.nan_to_num(r.confidence)) for r in read_as]
                )
    return found


def figures(rows: Array) -> Array:
    """Return AUC, Brier score, and how often the highest report and the best single agent are right."""
    right, stated = rows[..., 0], rows[..., 1]
    good, bad = np.sort(stated[right == 1]), np.sort(stated[right == 0])
    below, upto = np.searchsorted(bad, good, "left"), np.searchsorted(bad, good, "right")
    auc = (below + upto).sum() / 2 / (len(good) * len(bad))
    chosen = np.take_along_axis(right, stated.argmax(1)[:, None], 1)
    return np.array([auc, ((stated - right) ** 2).mean(), chosen.mean(), right.mean(0).max()])


if __name__ == "__main__":
    what = sys.argv[1] if len(sys.argv) > 1 else "test"
    found, names = table(what), ("auc", "brier", "highest_right", "best_agent")
    kinds = np.array([case.kinds for case in cases(what)])
    plain, told, draw = found["qwen2.5-coder-0.5b"], {}, np.random.default_rng(0)
    for model, replies in found.items():
        tasks = sorted(set(replies) & set(plain))
        if not tasks:
            continue
        rows, base = (np.stack([each[task] for task in tasks]) for each in (replies, plain))
        samples = [draw.integers(len(tasks), size=len(tasks)) for _ in range(1000)]
        resampled = np.array([(figures(rows[s]), figures(base[s])) for s in samples])
        span = np.quantile(resampled[:, 0], [0.025, 0.975], axis=0)
        gain = np.quantile(resampled[:, 0] - resampled[:, 1], [0.025, 0.975], axis=0)
        values, before = figures(rows), figures(base)
        told[model] = {
            "tasks": len(tasks), "someone_right": round(float(rows[..., 0].max(1).mean()), 3),
            **{name: [round(float(x), 3) for x in (values[i], *span[:, i])] for i, name in enumerate(names)},
            **{f"{name}_gain": [round(float(x), 3) for x in (values[i] - before[i], *gain[:, i])]
               for i, name in enumerate(names[:3])},
            **{name: {kind: round(float(rows[..., i][kinds[tasks] == kind].mean()), 3) for kind in KINDS}
               for i, name in enumerate(("right", "stated"))},
        }  # fmt: skip
        print(f"{model}: {json.dumps(told[model])}")
    Path("training/results").mkdir(exist_ok=True)
    Path(f"training/{what}.json").write_text(json.dumps(told, indent=1) + "\n")
