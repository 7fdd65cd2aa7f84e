"""A pipeline of three agents over an invented handbook, on record: who works, and what comes of it.

A retriever picks one of sixteen notes, a synthesiser answers from it, a verifier releases or withholds. Each has a lazy
twin: the first note of the handbook, a guess without the note, a release of everything.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any, NamedTuple

import anthropic
import numpy as np

from mechlib.agents.folders import find
from mechlib.agents.llm import client
from mechlib.agents.sending import send
from mechlib.agents.token_probabilities import log_probabilities
from mechlib.mechanism import Floats
from mechlib.rules.credit import coalitions

__all__ = ["MOVES", "PROFILES", "Brief", "Pipeline", "challenge", "correct", "notes", "pipeline"]

MIDDLE, LARGE = "qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b"
PROFILES = tuple("".join(x if w else "-" for x, w in zip("RSV", works, strict=True)) for works in coalitions(3))
MOVES = ("pick", "pick with padding", "be lazy", "be lazy with padding", "hand over everything")

# The words of the recordings.
SEEK = (("At what time does the ferry dock on Sundays?", "Ferry timetable"),
        ("Who was the first warden of the station?", "History"))
BELL, WHEN = "The dinner bell was cast in Bergen. It is rung at 18:15.", "When is the dinner bell rung?"
PADDING = (" This brief was prepared with great care. All relevant aspects of the question were considered in depth,"
           " every source was consulted twice, and the findings are complete, precise and reliable.")


class Pipeline(NamedTuple):
    """What the pipeline made of each question in each of the eight profiles of work, (questions, profiles).

    The profiles are those of `PROFILES`: R, S and V say who works. `belief` is the verifier's probability that the note
    supports the draft (1 where the verifier is lazy), and `right` whether the draft is right, released or not. `words`
    is the mean number of words that each agent writes when all work, (3,).
    """

    drafts: list[list[str]]
    belief: Floats
    right: Floats
    words: Floats

    @property
    def values(self) -> Floats:
        """What each run is worth: 1 for a right answer that is released, -1 for a wrong one, 0 for none."""
        return np.where(self.belief > 0.5, 2 * self.right - 1, 0.0)


class Brief(NamedTuple):
    """A way of briefing B, by question: the judge's mark, whether B then is right, and the number of words."""

    judged: Floats
    success: Floats
    words: Floats


def notes() -> list[dict[str, Any]]:
    """Return the handbook: each note's title and text, and the question that it answers with its key."""
    return [json.loads(line) for line in find("data/handbook.jsonl").read_text(encoding="utf-8").splitlines()]


def correct(note: dict[str, Any], draft: str) -> bool:
    """Return whether a draft holds the key of a note's question, as a word of its own."""
    keys = (re.escape(key) for key in (note["key"], *note["accept"]))
    return any(re.search(rf"(?<!\w){key}(?!\w)", draft, re.IGNORECASE) for key in keys)


def _asked(note: str, question: str) -> str:
    return f"Note: {note}\nQuestion: {question}"


async def _reply(
    llm: anthropic.AsyncAnthropic, model: str, system: str, examples: Sequence[tuple[str, str]], prompt: str, most: int
) -> str:
    turns = [(role, text) for pair in examples for role, text in zip(("user", "assistant"), pair, strict=True)]
    messages = [{"role": role, "content": text} for role, text in [*turns, ("user", prompt)]]
    request = {"model": model, "max_tokens": most, "system": system, "messages": messages, "stop_sequences": ["\n"]}
    message = await send(llm, request)
    return "".join(block.text for block in message.content if block.type == "text")


async def _retrieve(llm: anthropic.AsyncAnthropic, book: list[dict[str, Any]], question: str) -> str:
    titles = ", ".join(note["title"] for note in book)
    system = (f"A handbook has these notes: {titles}. Reply with the title of the one note that answers the"
              " question, and nothing else.")
    title = await _reply(llm, LARGE, system, SEEK, question, 8)
    found = [note["text"] for note in book if note["title"].casefold() in title.casefold()]
    return str([*found, book[0]["text"]][0])


async def _synthesise(llm: anthropic.AsyncAnthropic, note: str | None, question: str) -> str:
    """Answer from a note, or guess without one."""

    def told(text: str, asks: str) -> str:
        """Return what the synthesiser reads."""
        return _asked(text, asks) if note else f"Question: {asks}"

    system = f"Answer {'from the note, ' if note else ''}as briefly as you can."
    return await _reply(llm, MIDDLE, system, [(told(BELL, WHEN), "18:15")], told(note or "", question), 16)


async def _verify(llm: anthropic.AsyncAnthropic, note: str, question: str, draft: str) -> float:
    """Return the verifier's probability that the note supports the draft."""

    def claim(text: str, asks: str, answer: str) -> str:
        """Return what the verifier is asked."""
        return f"{_asked(text, asks)}\nAnswer: {answer}\nDoes the note say so?"

    shown = [(claim(BELL, WHEN, "18:15"), "Yes"), (claim(BELL, WHEN, "19:00"), "No"),
             (claim(BELL, "Who keeps the bees?", "Bergen"), "No")]
    found = await log_probabilities(
        llm, LARGE, [claim(note, question, draft)], ("Yes", "No"), "Reply Yes or No.", shown)
    return float(np.exp(found[0, 0]))


async def pipeline(llm: anthropic.AsyncAnthropic | None = None) -> Pipeline:
    """Run every question in every profile of work, as recorded."""
    llm, book = llm or client("pipeline"), notes()
    belief, right = np.ones((2, len(book), 8))
    drafts, chosen = [], []
    for row, item in enumerate(book):
        written = []
        for column, works in enumerate(coalitions(3)):
            note = await _retrieve(llm, book, item["question"]) if works[0] else book[0]["text"]
            draft = await _synthesise(llm, note if works[1] else None, item["question"])
            if works[2]:
                belief[row, column] = await _verify(llm, note, item["question"], draft)
            right[row, column] = correct(item, draft)
            written.append(draft)
        drafts.append(written)
        chosen.append(note)
    texts = (chosen, [row[7] for row in drafts], ["Yes"])
    words = np.array([np.mean([len(text.split()) for text in agent]) for agent in texts])
    return Pipeline(drafts, belief, right, words)


async def challenge(llm: anthropic.AsyncAnthropic | None = None) -> dict[str, Brief]:
    """Return what comes of each of A's `MOVES`: a picked note or the first, with or without padding, or all notes."""
    llm, book = llm or client("pipeline"), notes()
    picked = [await _retrieve(llm, book, item["question"]) for item in book]
    lazy = [book[0]["text"]] * len(book)
    everything = [" ".join(note["text"] for note in book)] * len(book)
    handed = (picked, [text + PADDING for text in picked], lazy, [text + PADDING for text in lazy], everything)
    return {move: await _measure(llm, briefs) for move, briefs in zip(MOVES, handed, strict=True)}


async def _measure(llm: anthropic.AsyncAnthropic, briefs: Sequence[str]) -> Brief:
    def helpful(brief: str, question: str) -> str:
        """Return what the judge of briefs is asked."""
        return f"Brief: {brief}\nQuestion: {question}\nIs this brief thorough and helpful?"

    book = notes()
    shown = [(helpful(BELL, WHEN), "Yes"), (helpful(BELL, "Who keeps the bees?"), "No")]
    prompts = [helpful(brief, item["question"]) for brief, item in zip(briefs, book, strict=True)]
    found = await log_probabilities(llm, LARGE, prompts, ("Yes", "No"), "Reply Yes or No.", shown)
    drafts = [await _synthesise(llm, brief, item["question"]) for brief, item in zip(briefs, book, strict=True)]
    success = [float(correct(item, draft)) for item, draft in zip(book, drafts, strict=True)]
    return Brief(np.exp(found[:, 0]), np.array(success), np.array([float(len(brief.split())) for brief in briefs]))
