"""Tasks with a known key, and what a reply to one says.

A reply is data that somebody else wrote: it is parsed by position, and escaped before another model reads it.
"""

from __future__ import annotations

import html
import json
import math
import re
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Literal

from mechlib.agents.folders import find

Status = Literal["answered", "abstained", "malformed", "empty", "refused", "timeout", "error", "cancelled"]

# A label stands at the beginning of a line, perhaps in Markdown, and its value on the same line. No class holds a line
# break, and between two of them stands a letter or a colon: so each character of a reply is looked at a few times only.
_MARKS = r"[ \t\r\f\v\xa0*_#>-]*"
_ANSWER, _CONFIDENCE, _SCORE = (
    re.compile(f"^{_MARKS}{label}{_MARKS}:(.*)", re.IGNORECASE | re.MULTILINE)
    for label in ("ANSWER", "CONFIDENCE", "SCORE")
)
_NUMBER = re.compile(r"\+?([0-9]+\.?[0-9]*|\.[0-9]+)(e[-+]?[0-9]+)?[ \t]*(%?)", re.IGNORECASE)
_ABSTAIN = re.compile(r"(i do not know|i don['’]?t know|unknown|idk|n/a|unsure)\W*", re.IGNORECASE)
_LETTER = re.compile(r"\W{0,9}([A-H])(\W{0,9}$|[).:*])", re.IGNORECASE | re.MULTILINE)
_THOUSANDS = re.compile(r"(?<![0-9.,])[0-9]{1,3}(?:[ ,][0-9]{3})+(?![0-9,])")
_SPELLINGS = str.maketrans({"³": "^3", "²": "^2", "·": "*", "×": "*", "−": "-"})
_AROUND = " \t\r\f\v\xa0*_"
_LONGEST_ANSWER, _LONGEST_NUMBER = 500, 40
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
        answer = answer[:_LONGEST_ANSWER]
        if self.options:
            if letter := _LETTER.match(answer):
                return letter.group(1).upper() == self.key
            return _normal(answer) == _normal(self.options["ABCDEFGH".index(self.key)])
        return _normal(answer) in {_normal(text) for text in (self.key, *self.accept)}


def load_tasks(path: str | Path | None = None) -> tuple[Task, ...]:
    """Read tasks from a JSON Lines file, by default the course's own ``data/questions.jsonl``."""
    if not isinstance(path, str | PathLike | None):
        raise TypeError(f"path is {path!r:.80}: it must be the name of a JSON Lines file")
    text = Path(path or find("data/questions.jsonl")).read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.split("\n") if line.strip()]  # splitlines() also splits at U+2028
    return tuple(
        Task(r["id"], r["question"], tuple(r["options"] or ()), r["key"], tuple(r["accept"]), *(r[k] for k in _LABELS))
        for r in rows
    )


def _normal(text: str) -> str:
    """Return what is compared: spaces and commas count only between digits: 3,14 is not 314, but 1,000 is 1000."""
    text = text.strip("`*\"'$ \t\n").rstrip(".`*\"'$ \t\n").casefold().translate(_SPELLINGS).replace("**", "^")
    text = " ".join(text.split()).replace(" ,", ",").replace(", ", ",")
    text = _THOUSANDS.sub(lambda number: number[0].replace(",", "").replace(" ", ""), text)
    return re.sub(r"(?<![0-9])[ ,]|[ ,](?![0-9])", "", text)


@dataclass(frozen=True)
class Reply:
    """What a reply says: the answer, the stated confidence in [0, 1] (NaN if none), and how it was read."""

    answer: str
    confidence: float
    status: Status


def parse_answer(text: str) -> Reply:
    """Read the ANSWER and CONFIDENCE lines of a reply; anything else is reported as what it is, never guessed.

    The confidence is a number in [0, 1] or a percentage, alone on its line: `1/10`, `1 in 20` and `0,9` are malformed.
    """
    text = _text(text)
    if not text.strip():
        return Reply("", math.nan, "empty")
    found = _ANSWER.search(text)
    answer = found[1].strip(_AROUND)[:_LONGEST_ANSWER] if found else ""
    if not answer:
        return Reply(text.strip()[:_LONGEST_ANSWER], math.nan, "malformed")
    confidence = _number(_CONFIDENCE, text)
    if _ABSTAIN.fullmatch(answer):
        return Reply(answer, confidence, "abstained")
    return Reply(answer, confidence, "malformed" if math.isnan(confidence) else "answered")


def parse_score(text: str) -> float:
    """Read the SCORE line of a grader's reply; NaN where there is no number in [0, 1], or percentage, alone on it."""
    return _number(_SCORE, _text(text))


def _text(text: str) -> str:
    if not isinstance(text, str):
        raise TypeError(f"text is {text!r:.80}: it must be a str, what a reply says")
    return text if text.isascii() else text.encode("utf-8", "replace").decode()  # half a surrogate pair is no text


def _number(pattern: re.Pattern[str], text: str) -> float:
    found = pattern.search(text)
    said = found[1].strip(_AROUND) if found else ""
    number = _NUMBER.fullmatch(said) if len(said) <= _LONGEST_NUMBER else None
    if not number:
        return math.nan
    value = float(number[1] + (number[2] or "")) / (100 if number[3] else 1)
    return value if 0 <= value <= 1 else math.nan


def grading_prompt(prompt: str, answer: str, guarded: bool = True) -> str:
    """Return what a grader reads: one question and one answer, without its author.

    With `guarded`, the answer is escaped between tags, so that it can neither close them nor pass for an instruction
    of ours. Without, it is pasted in as many tutorials do, to show what then happens.
    """
    if guarded:
        return f"Question: {prompt}\n<answer>{html.escape(answer, quote=False)}</answer>"
    return f"Question: {prompt}\nAnswer: {answer}"
