"""What is said where no reply can be had: none was recorded, or the roster's models do not offer what is asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import anthropic

from mechlib.agents.folders import find
from mechlib.agents.recordings import Tape, model
from mechlib.agents.roster import Roster, chosen

_COMPARED = 2000  # recordings of the same model that a miss is compared with, at most


class MissingRecording(anthropic.AnthropicError, LookupError):
    """A request in replay mode that no recording answers."""


class NotOffered(anthropic.AnthropicError):
    """Something that the models of a roster do not have, such as token probabilities or sampling profiles."""

    def _render_traceback_(self) -> list[str]:
        """In a notebook the sentence says it all; IPython would take a second to draw the way to it."""
        return [f"{type(self).__name__}: {self}"]


def not_offered(asked: Mapping[str, Any], roster: str | Path | Roster) -> str | None:
    """Return in a sentence why no model of a roster can be asked so; None if one can, or if nobody knows."""
    if not isinstance(roster, Roster):
        if chosen(roster) == "open":
            return None
        try:
            roster = Roster.load(roster)
        except OSError:
            return None
    name, body = str(model(asked)), asked["body"]
    player, warm = roster.models.get(name), roster.models.get(name.partition("@")[0])
    if warm is not None and warm.weights is None:
        if "logprobs" in body:
            return f"{warm.id} gives no token probabilities, so what rests on them is left out here."
        if player is None:
            return f"{warm.id} takes no temperature, so what rests on its samples is left out here."
    if player is None and warm is None and name in _open_models():
        return f"The roster {roster.name!r} has no model {name}, so what {name} does is left out here."
    return None


def _open_models() -> Mapping[str, Any]:
    return Roster.load(find("rosters/open.toml")).models


def explained(tape: Tape, asked: Mapping[str, Any]) -> str:
    """Return which reply is missing, how the nearest recording differs, and what can be done."""
    body = asked["body"] if isinstance(asked["body"], Mapping) else {}
    messages = body.get("messages") or [{"content": ""}]
    prompt = " ".join(str(messages[-1].get("content", "")).split())[:80]
    what = f"of {body.get('model')!r} to {prompt!r}" if body else f"to {asked['method'].upper()} {asked['path']}"
    near = _nearest(tape, asked)
    return (
        f"{tape.path.name} has no reply {what}, and replay makes no calls. {near}Two ways out: "
        "run `make models` and `python -m mechlib serve`, then again with MECHLIB_LLM=record (open models, here); "
        "or set ANTHROPIC_API_KEY and MECHLIB_ROSTER=claude with MECHLIB_LLM=record."
    )


def _nearest(tape: Tape, asked: Mapping[str, Any]) -> str:
    wanted, best = dict(_leaves(asked)), None
    name = str(model(asked) or asked["path"])
    near = [entry for entry, _ in zip(tape.entries(name), range(_COMPARED), strict=False)]
    for entry in near or [entry for entry, _ in zip(tape.entries(), range(_COMPARED), strict=False)]:
        have = dict(_leaves(entry["request"]))
        differs = [place for place in {**wanted, **have} if wanted.get(place) != have.get(place)]
        score = (len(differs), -sum(_shared(wanted.get(place), have.get(place)) for place in differs))
        if best is None or score < best[0]:
            best = (score, entry["key"][:12], differs, have)
    if best is None:
        return "Nothing is recorded there. "
    _, name, differs, have = best
    shown = "; ".join(f"{place} is {_cut(wanted, have, place)} there" for place in differs[:3])
    more = f", and {len(differs) - 3} more" if len(differs) > 3 else ""
    return f"The nearest recording, {name}, differs: {shown}{more}. "


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, Mapping):
        for name, part in value.items():
            yield from _leaves(part, f"{place}.{name}" if place and place != "body" else str(name))
    elif isinstance(value, list):
        for number, part in enumerate(value):
            yield from _leaves(part, f"{place}[{number}]")
    else:
        yield place, value


def _shared(one: Any, other: Any) -> int:
    """Return how many characters two texts have in common at their beginning and end."""
    if not isinstance(one, str) or not isinstance(other, str):
        return 0
    pairs, backwards = zip(one, other, strict=False), zip(reversed(one), reversed(other), strict=False)
    return sum(next((n for n, (a, b) in enumerate(both) if a != b), 0) for both in (list(pairs), list(backwards)))


def _cut(wanted: Mapping[str, Any], have: Mapping[str, Any], place: str) -> str:
    """Return two values of one field, texts from a little before the place where they part."""
    one, other = wanted.get(place), have.get(place)
    if isinstance(one, str) and isinstance(other, str):
        at = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
        start = max(at - 10, 0)
        one, other = (("..." if start else "") + text[start : start + 40] for text in (one, other))
    return f"{one!r} here, {other!r}"
