"""Train an adapter by gradient ascent on what a rule pays: ``python training/train.py quadratic``.

Every agent is the same model with another document. For each task the rule is evaluated at all profiles of stated
digits, with what is known about who is right, and weighed with the three agents' own chances of stating them. Each
agent climbs its own expected payment. Answers stay the model's own. An interrupted run goes on where it stopped.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import json
import time
from pathlib import Path

import gguf
import numpy as np
import torch
from frozen import CACHE, FIRST, Adapter, Example, Frozen
from read import MODEL, ROSTER, examples, frozen
from rules import find
from torch import Tensor
from tqdm import tqdm

from mechlib.agents.roster import Roster
from mechlib.course.paid import FINE, RULES, payoffs

RESULTS, ADAPTERS = Path("training/results"), Path("adapters")
KINDS = ("fact", "last year", "neither")
GOALS = {"auc": 0.87, "brier": 0.14, "highest_right": 0.82}


def expected(table: Tensor, right: Tensor, chances: Tensor) -> Tensor:
    """Return what each agent expects, shape (tasks, 3), with gradients of each through its own chances alone.

    Parameters
    ----------
    table : (2, 2, 2, 11, 11, 11, 3), as `rules.payoffs` returns it
    right : (tasks, 3), whose answer is right
    chances : (tasks, 3, 11), how likely each agent states what
    """
    a, b, c = right.long().unbind(-1)
    paid, earned = table[a, b, c], []
    for agent in range(3):
        mine = [chances[:, i] if i == agent else chances[:, i].detach() for i in range(3)]
        earned.append(torch.einsum("tabc,ta,tb,tc->t", paid[..., agent], *mine))
    return torch.stack(earned, -1)


def chances(model: Frozen, rows: list[Example], adapter: Adapter | None) -> Tensor:
    """Return how likely each example states each digit, and anything else, shape (examples, 11)."""
    digits = model.state(rows, adapter)[:, model.digits].exp()
    return torch.cat([digits, (1 - digits.sum(-1, keepdim=True)).clamp(min=0)], -1)


def grouped(rows: list[Example]) -> list[list[Example]]:
    """Return the examples of each task."""
    return [rows[at : at + 3] for at in range(0, len(rows), 3)]


@torch.no_grad()
def measure(model: Frozen, rows: list[Example], adapter: Adapter | None, table: Tensor) -> dict[str, object]:
    """Return what the likeliest digits are worth: AUC, Brier score, how often the highest report is right, means."""
    said = torch.cat([chances(model, rows[at : at + 24], adapter) for at in range(0, len(rows), 24)])
    right = torch.tensor([row.right for row in rows])
    report = said[:, :10].argmax(-1).double().numpy() / 10
    a, kinds = right.numpy(), np.array([row.kind for row in rows])
    higher, same = report[a == 1][:, None] > report[a == 0], report[a == 1][:, None] == report[a == 0]
    chosen = report.reshape(-1, 3).argmax(1)
    paid = expected(table, right.view(-1, 3), said.view(-1, 3, 11))
    return {
        "auc": round(float((higher + same / 2).mean()), 4),
        "brier": round(float(((report - a) ** 2).mean()), 4),
        "highest_right": round(float(a.reshape(-1, 3)[np.arange(len(chosen)), chosen].mean()), 4),
        "paid": round(float(paid.mean()), 4),
        "malformed": round(float(said[:, 10].mean()), 4),
        "stated": {kind: round(float(report[kinds == kind].mean()), 3) for kind in KINDS},
        "right": {kind: round(float(a[kinds == kind].mean()), 3) for kind in KINDS},
    }


def write(adapter: Adapter, invocation: list[int], path: Path) -> str:
    """Write an adapter as llama.cpp reads it, in 16 bits, and return its SHA-256."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = gguf.GGUFWriter(path, "qwen2")
    file.add_type("adapter")
    file.add_string("adapter.type", "lora")
    file.add_float32("adapter.lora.alpha", adapter.alpha)
    kind = gguf.GGUFValueType
    file.add_key_value("adapter.alora.invocation_tokens", invocation, kind.ARRAY, sub_type=kind.UINT32)
    for place in adapter.a:
        layer, name = place.split(" ")
        for part, weight in (("a", adapter.a[place]), ("b", adapter.b[place])):
            file.add_tensor(f"blk.{layer}.{name}.weight.lora_{part}", weight.detach().half().numpy())
    file.write_header_to_file()
    file.write_kv_data_to_file()
    file.write_tensors_to_file()
    file.close()
    return hashlib.sha256(path.read_bytes()).hexdigest()


def train(given: argparse.Namespace) -> dict[str, object]:
    """Train under one rule from one seed, epoch by epoch; keep the epoch that is paid most on the validation tasks.

    Where agents compete for a prize, what all are paid says nothing about who plays better: there the last is kept.
    """
    name, paid = f"{given.rule.split(':')[-1]}-{given.seed}", find(given.rule)
    table = torch.tensor(payoffs(paid), dtype=torch.float32)
    model, agent = frozen()
    model.begin(agent)
    held_out = examples(model, agent, "validation", given.validation)
    tasks = grouped(examples(model, agent, "train", given.tasks))
    adapter = Adapter(model, given.seed, given.rank, 2.0 * given.rank)
    ascent = torch.optim.Adam(adapter.parameters(), lr=given.rate)
    settings = {k: v for k, v in vars(given).items() if k not in ("rule", "seed", "epochs", "into")} | {"fine": FINE}
    kept = CACHE / f"{given.rule.replace('/', ' ')}-{given.seed}.pt"
    state = torch.load(kept, weights_only=False) if kept.exists() else None
    if state is not None and state["settings"] == settings:
        adapter.load_state_dict(state["adapter"])
        ascent.load_state_dict(state["ascent"])
        curve, best, seconds = state["curve"], state["best"], state["seconds"]
        if paid.prize:
            state["best"] = best = {"epoch": len(curve) - 1, "adapter": state["adapter"]}
    else:
        curve, best, seconds = [{"epoch": 0, **measure(model, held_out, adapter, table)}], None, 0.0
        print(json.dumps(curve[0]), flush=True)
    per_epoch = -(-len(tasks) // given.batch)
    for epoch in range(len(curve), given.epochs + 1):
        start = time.perf_counter()
        order = np.random.default_rng([given.seed, epoch]).permutation(len(tasks))
        for at in tqdm(range(0, len(tasks), given.batch), desc=f"{name}, epoch {epoch}", mininterval=10):
            rows = [row for place in order[at : at + given.batch] for row in tasks[place]]
            said = chances(model, rows, adapter)
            right = torch.tensor([row.right for row in rows]).view(-1, 3)
            digits = said[:, :10].clamp(min=1e-9)
            entropy = -(digits * digits.log()).sum(-1).mean()
            gain = expected(table, right, said.view(-1, 3, 11)).mean() + given.bonus * entropy
            step = (epoch - 1) * per_epoch + at // given.batch + 1
            for group in ascent.param_groups:
                group["lr"] = given.rate * min(1.0, step / given.warm_up)
            ascent.zero_grad()
            (-gain).backward()
            torch.nn.utils.clip_grad_norm_(adapter.parameters(), 1.0)
            ascent.step()
        seconds += time.perf_counter() - start
        curve.append({"epoch": epoch, **measure(model, held_out, adapter, table)})
        print(json.dumps(curve[-1]), flush=True)
        if best is None or paid.prize or curve[-1]["paid"] > curve[best["epoch"]]["paid"]:
            best = {"epoch": epoch, "adapter": {k: v.clone() for k, v in adapter.state_dict().items()}}
        state = {"settings": settings, "adapter": adapter.state_dict(), "ascent": ascent.state_dict(), "curve": curve,
                 "best": best, "seconds": seconds}  # fmt: skip
        torch.save(state, kept.with_suffix(".part"))
        kept.with_suffix(".part").rename(kept)
        finish(given, name, settings, model, state)
    return finish(given, name, settings, model, state)


def finish(given: argparse.Namespace, name: str, settings: dict[str, object], model: Frozen,
           state: dict[str, object]) -> dict[str, object]:  # fmt: skip
    """Write the best epoch's adapter, and what there is to know about it."""
    best = Adapter(model, given.seed, given.rank, 2.0 * given.rank)
    best.load_state_dict(state["best"]["adapter"])
    file = ADAPTERS / f"{name}.gguf"
    written = given.into / file
    result = {
        "rule": given.rule, "seed": given.seed, "settings": settings, "first_layer": FIRST,
        "weights": Roster.load(ROSTER).weights[MODEL]["sha256"], "adapter": str(file),
        "sha256": write(best, model.invocation, written), "bytes": written.stat().st_size,
        "best_epoch": state["best"]["epoch"], "curve": state["curve"], "seconds": round(state["seconds"]),
        "date": datetime.date.today().isoformat(), "torch": torch.__version__,
    }  # fmt: skip
    (given.into / RESULTS).mkdir(parents=True, exist_ok=True)
    (given.into / RESULTS / f"{name}.json").write_text(json.dumps(result, indent=1) + "\n")
    return result


def compare(result: dict[str, object], committed: Path) -> None:
    """Print what the run reached on the validation tasks, beside what the committed one did and what was aimed at."""
    curve, at = result["curve"], result["best_epoch"]
    before = json.loads(committed.read_text()) if committed.exists() else None
    print(f"epoch {at} of {len(curve) - 1}; likeliest digits, {result['settings']['validation']} validation tasks:")
    print(f"{'':14}{'untrained':>11}{'this run':>11}{'committed':>11}{'aimed at':>11}")
    for what in ("auc", "brier", "highest_right", "paid"):
        known = f"{before['curve'][before['best_epoch']][what]:.3f}" if before else "none"
        aim = f"{GOALS[what]:.2f}" if result["rule"] == "quadratic" and what in GOALS else ""
        print(f"{what:14}{curve[0][what]:11.3f}{curve[at][what]:11.3f}{known:>11}{aim:>11}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rule", help=f"{', '.join(RULES)}, or a function of your own, as my_rules.py:my_rule")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--tasks", type=int, default=600)
    parser.add_argument("--validation", type=int, default=100)
    parser.add_argument("--rank", type=int, default=4)
    parser.add_argument("--rate", type=float, default=5e-4)
    parser.add_argument("--bonus", type=float, default=0.03)
    parser.add_argument("--batch", type=int, default=8)
    parser.add_argument("--warm-up", type=int, default=10)
    parser.add_argument("--into", type=Path, default=Path(), help="the folder for adapters/ and training/results/")
    given = parser.parse_args()
    result = train(given)
    compare(result, RESULTS / f"{given.rule.split(':')[-1]}-{given.seed}.json")
    print(f"the adapter: {given.into / str(result['adapter'])}")
