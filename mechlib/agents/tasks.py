"""Tasks with a known key, and what a reply to one says.

A reply is data that somebody else wrote: it is parsed by position, and escaped before another model reads it.
"""

from __future__ import annotations

import html
import json
import math
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from mechlib.agents.folders import find

Status = Literal["answered", "abstained", "malformed", "empty", "refused", "timeout", "error", "cancelled"]

_ANSWER = re.compile(r"^[\s*_#>-]*ANSWER[\s*_]*:[ \t*_]*(.*?)[\s*_]*$", re.IGNORECASE | re.MULTILINE)
_NUMBER = r"[\s*_]*:[\s*_]*([-+]?(?:\d+\.?\d*|\.\d+)(?:e[-+]?\d+)?)[ \t]*(%?)"
_CONFIDENCE = re.compile(r"^[\s*_#>-]*CONFIDENCE" + _NUMBER, re.IGNORECASE | re.MULTILINE)
_SCORE = re.compile(r"^[\s*_#>-]*SCORE" + _NUMBER, re.IGNORECASE | re.MULTILINE)
_ABSTAIN = re.compile(r"^(i do not know|i don.t know|unknown|idk|n/?a|none|unsure)\W*$", re.IGNORECASE)
_LONGEST_ANSWER = 500
_LABELS = ("domain", "difficulty")


@dataclass(frozen=True)
class Task:
    """A question, its options if it has any, and its key if it is known.

    Attributes
    ----------
    id, question : str
        The name of the task and its text.
    options : tuple of str
        Lettered A, B, C, ... in the prompt; empty for a short answer.
    key : str or None
        The right letter or the right short answer; None where nobody knows.
    accept : tuple of str
        Other spellings of the key.
    domain : str
    difficulty : int
    """

    id: str
    question: str
    options: tuple[str, ...] = ()
    key: str | None = None
    accept: tuple[str, ...] = ()
    domain: str = ""
    difficulty: int = 0

    @property
    def prompt(self) -> str:
        """The question as an agent reads it."""
        lettered = zip("ABCDEFGH", self.options, strict=False)
        return "\n".join([self.question, *(f"{letter}) {text}" for letter, text in lettered)])

    def correct(self, answer: str) -> bool:
        """Return whether an answer is right: its letter, or one of the accepted spellings.

        Raises
        ------
        ValueError
            If the task has no key.
        """
        if self.key is None:
            raise ValueError(f"task {self.id!r} has no key, so no answer to it can be marked")
        if self.options:
            letter = re.match(r"^\W*([A-Ha-h])\b", answer)
            if letter:
                return letter.group(1).upper() == self.key
            return _normal(answer) == _normal(self.options["ABCDEFGH".index(self.key)])
        return _normal(answer) in {_normal(text) for text in (self.key, *self.accept)}


def load_tasks(path: str | Path | None = None) -> tuple[Task, ...]:
    """Read tasks from a JSON Lines file, by default the course's own ``data/questions.jsonl``."""
    lines = Path(path or find("data/questions.jsonl")).read_text(encoding="utf-8").splitlines()
    rows = [json.loads(line) for line in lines if line.strip()]
    return tuple(
        Task(r["id"], r["question"], tuple(r["options"] or ()), r["key"], tuple(r["accept"]), *(r[k] for k in _LABELS))
        for r in rows
    )


def _normal(text: str) -> str:
    text = re.sub(r"\s+", "", text.strip().strip("`*\"'.$").casefold().replace(",", "").replace("^", ""))
    return text.translate(str.maketrans("³²·×−", "32**-"))


@dataclass(frozen=True)
class Reply:
    """What a reply says: the answer, the stated confidence in [0, 1] (NaN if none), and how it was read."""

    answer: str
    confidence: float
    status: Status


def parse_answer(text: str) -> Reply:
    """Read the ANSWER and CONFIDENCE lines of a reply; anything else is reported as what it is, never guessed."""
    if not text.strip():
        return Reply("", math.nan, "empty")
    found = _ANSWER.search(text)
    answer = found.group(1)[:_LONGEST_ANSWER] if found else ""
    if not answer:
        return Reply(text.strip()[:_LONGEST_ANSWER], math.nan, "malformed")
    confidence = _number(_CONFIDENCE, text)
    if _ABSTAIN.match(answer):
        return Reply(answer, confidence, "abstained")
    return Reply(answer, confidence, "malformed" if math.isnan(confidence) else "answered")


def parse_score(text: str) -> float:
    """Read the SCORE line of a grader's reply; NaN where there is none in [0, 1]."""
    return _number(_SCORE, text)


def _number(pattern: re.Pattern[str], text: str) -> float:
    found = pattern.search(text)
    if not found:
        return math.nan
    value = float(found.group(1)) / (100 if found.group(2) else 1)
    return value if 0 <= value <= 1 else math.nan


def grading_prompt(prompt: str, answer: str, guarded: bool = True) -> str:
    """Return what a grader reads: one question and one answer, without its author.

    With `guarded`, the answer is escaped between tags, so that it can neither close them nor pass for an instruction
    of ours. Without, it is pasted in as many tutorials do, to show what then happens.
    """
    if guarded:
        return f"Question: {prompt}\n<answer>{html.escape(answer, quote=False)}</answer>"
    return f"Question: {prompt}\nAnswer: {answer}"
