"""What a run would ask, before anything is sent: a stand-in for each missing reply, a log of calls, a price.

With ``MECHLIB_LLM=plan`` a cassette replays what it has, and answers everything else with a stand-in. ``MECHLIB_CALLS``
names the file where calls are logged, one JSON line each. A request that holds a stand-in's words rests on a reply that
is not there yet: what will be asked in its place is not known, only that it will be.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mechlib.agents.recordings import model
from mechlib.agents.roster import Roster

STAND_IN = "stand-in-for-a-reply"
_CHARACTERS = 3.5  # of English in a token, at the least


@dataclass(frozen=True)
class Call:
    """One call of a run: where it is recorded, its key, how it was answered, and what it took or would take.

    `how` is ``"replayed"``, ``"recorded"`` or ``"planned"``. A planned call has its `request`, an estimate of its input
    tokens and the most that its output can be; `rests` says whether it was made from a stand-in.
    """

    tape: str
    key: str
    how: str
    model: str
    input_tokens: int
    output_tokens: int
    rests: bool = False
    request: Mapping[str, Any] | None = None


def log(tape: Path, key: str, how: str, asked: Mapping[str, Any], reply: Any = None) -> None:
    """Add one call to the log of this run, if there is one."""
    place = os.environ.get("MECHLIB_CALLS")
    if not place:
        return
    usage = (reply.get("usage") if isinstance(reply, Mapping) else None) or {}
    planned = how == "planned"
    given, said = _estimate(asked) if planned else (usage.get("input_tokens", 0), usage.get("output_tokens", 0))
    rests = STAND_IN in json.dumps(asked["body"]) if planned else False
    call = Call(str(tape), key, how, str(model(asked)), given, said, rests, asked if planned else None)
    with open(place, "a", encoding="utf-8") as file:
        file.write(json.dumps(call.__dict__) + "\n")


def calls(place: Path) -> list[Call]:
    """Return the calls of a log."""
    lines = place.read_text(encoding="utf-8").splitlines() if place.exists() else []
    return [Call(**json.loads(line)) for line in lines]


def _estimate(asked: Mapping[str, Any]) -> tuple[int, int]:
    """Return about how many tokens a request has, and how many its reply may have."""
    body = asked["body"] if isinstance(asked["body"], Mapping) else {}
    said = {name: body[name] for name in ("system", "messages", "tools") if name in body}
    return round(len(json.dumps(said, ensure_ascii=False)) / _CHARACTERS), int(body.get("max_tokens") or 0)


def stand_in(asked: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what stands in for the reply to a request; None where nothing can, as for a stream or a listing."""
    body = asked["body"]
    if asked["method"] != "post" or not isinstance(body, Mapping) or body.get("stream"):
        return None
    if asked["path"].endswith("/count_tokens"):
        return {"input_tokens": _estimate(asked)[0]}
    if asked["path"] != "/v1/messages":
        return None
    text = f"ANSWER: {STAND_IN}\nCONFIDENCE: 0.5\nSCORE: 0.5"
    return {
        "id": "msg_stand_in",
        "type": "message",
        "role": "assistant",
        "model": body.get("model"),
        "content": [{"type": "text", "text": text}],
        "stop_reason": "end_turn",
        "stop_sequence": None,
        "usage": {"input_tokens": 0, "output_tokens": 0},
    }


def missing(found: Iterable[Call]) -> list[Call]:
    """Return the planned calls, each request once."""
    return list({(call.tape, call.key): call for call in found if call.how == "planned"}.values())


def report(found: list[Call], roster: Roster, half: bool = False) -> str:
    """Return what planned calls take and cost, model by model; `half` the price for Message Batches."""
    planned, price = missing(found), 0.5 if half else 1.0
    lines = [f"{'model':24} {'calls':>6} {'input tokens':>14} {'output, at most':>16} {'cost, at most':>14}"]
    total = 0.0
    for name in sorted({call.model for call in planned}):
        mine = [call for call in planned if call.model == name]
        tokens = sum(call.input_tokens for call in mine), sum(call.output_tokens for call in mine)
        cost = price * roster.price(name, *tokens) if name in roster.models else 0.0
        total += cost
        lines.append(f"{name:24} {len(mine):6} {tokens[0]:14,} {tokens[1]:16,} {cost:14.2f}")
    rest = sum(call.rests for call in planned)
    kept = len(found) - sum(call.how == "planned" for call in found)
    lines.append(f"{'all':24} {len(planned):6} {'':14} {'':16} {total:14.2f}")
    lines.append(f"{kept} calls are recorded already. Input tokens are an estimate, {_CHARACTERS} characters each.")
    if rest:
        lines.append(f"{rest} of the calls rest on replies that are not there yet, and were counted with a stand-in.")
    return "\n".join(lines)
