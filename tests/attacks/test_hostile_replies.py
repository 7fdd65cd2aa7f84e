"""Hostile replies: each is read or called malformed, never guessed, and none of them takes long."""

from __future__ import annotations

import json
import math
import random
import time
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest

from mechlib.agents.tasks import Task, grading_prompt, load_tasks, parse_answer, parse_score
from mechlib.course.bidding import parse_bid, parse_choice

Times = Callable[[int, int], int]
ANSWERED = "ANSWER: B\nCONFIDENCE: "
GUESSES = [
    "1/10", "1 / 10", "1 in 20", "1 percent", "1 out of 10", "1. I have checked it", "0,9", "1 (of 10)", "0.9 or 0.1",
    "0.9-1.0", "0.9, 0.1", "0.5.5", "0.9 %%", "−0.2", "-0.2", "-0", "1e", "0x1", "1_0", "٠.٥", "½", "inf", "nan",
    "1e400", "1.5", "150%", "", "%", ".", "+", "e5", "0.9 B", "about 0.9", "~0.9", "<0.9", "0.9\u20280.1", "9" * 400,
]  # fmt: skip


@pytest.mark.parametrize("said", GUESSES)
def test_a_confidence_that_is_not_one_number_alone_is_malformed(said: str) -> None:
    reply = parse_answer(ANSWERED + said)
    assert reply.status == "malformed" and math.isnan(reply.confidence)
    assert math.isnan(parse_score(f"SCORE: {said}"))


@pytest.mark.parametrize("said", ["CONFIDENCE:\n1. Lyon is in France.\n2. It is big.", "CONFIDENCE\n: 0.9"])
def test_a_confidence_stands_on_the_line_of_its_label(said: str) -> None:
    assert parse_answer(f"ANSWER: B\n{said}").status == "malformed"


@pytest.mark.parametrize(
    ("said", "value"),
    [("0.9", 0.9), (".9", 0.9), ("90%", 0.9), ("90 %", 0.9), ("+0.9", 0.9), ("9e-1", 0.9), ("**0.9**", 0.9),
     ("0.9 ", 0.9), ("0.9\r", 0.9), ("1", 1.0), ("0.", 0.0), ("100%", 1.0), ("1e-400", 0.0)],
)  # fmt: skip
def test_one_number_alone_is_read(said: str, value: float) -> None:
    assert parse_answer(ANSWERED + said).confidence == pytest.approx(value)
    assert parse_score(f"**SCORE:** {said}") == pytest.approx(value)


@pytest.mark.parametrize("answer", ["Na", "NA", "None", "none", "Nothing is known"])
def test_sodium_and_none_are_answers(answer: str) -> None:
    assert parse_answer(f"ANSWER: {answer}\nCONFIDENCE: 0.9").status == "answered"


@pytest.mark.parametrize("answer", ["I do not know", "I don't know.", "i don’t know!", "IDK", "N/A", "unknown"])
def test_silence_is_said_in_plain_words(answer: str) -> None:
    assert parse_answer(f"ANSWER: {answer}").status == "abstained"


@pytest.mark.parametrize(
    ("answer", "key"),
    [("3,14", "314"), ("3, 14", "314"), ("3 14", "314"), (".5", "5"), ("10^3", "103"), ("10³", "103"), ("1,2,3", "123"),
     ("1 2", "12"), ("0,9", "09"), ("12,34", "1234"), ("1,0000", "10000")],
)  # fmt: skip
def test_another_number_is_not_the_key(answer: str, key: str) -> None:
    assert not Task("t", "?", (), key).correct(answer)


@pytest.mark.parametrize(
    ("answer", "key"),
    [("1,000", "1000"), ("1 000 000", "1000000"), ("7 / 12", "7/12"), ("10³", "10^3"), ("$1.20.", "1.20")],
)
def test_the_same_number_is_the_key(answer: str, key: str) -> None:
    assert Task("t", "?", (), key).correct(answer)


@pytest.mark.parametrize("answer", ["A or B", "A and C", "a cat", "A / B", "A, not B", "Aa", "-", "1A"])
def test_a_letter_in_a_sentence_chooses_nothing(answer: str) -> None:
    assert not Task("t", "?", ("one", "two", "three"), "A").correct(answer)


def test_half_a_surrogate_pair_can_be_stored() -> None:
    assert parse_answer("ANSWER: \ud800\nCONFIDENCE: 0.5").answer.encode()


@pytest.mark.parametrize("read", [parse_answer, parse_score])
@pytest.mark.parametrize("text", [None, b"SCORE: 1", 1, ["SCORE: 1"]])
def test_what_is_no_text_is_a_type_error(read: Callable[[object], object], text: object) -> None:
    with pytest.raises(TypeError, match=r"text is .* must be a str"):
        read(text)


@pytest.mark.parametrize("text", ["BID: 1/10", "BID: 0,9", "BID: 1.5.2", "BID: 30 or 40", "BID: 30%",
                                  "BID: 30\nBID: 1/10", "BID: 20-30", "BID: 1,00", "30\n40"])  # fmt: skip
def test_a_bid_that_is_not_one_number_is_not_guessed(text: str) -> None:
    assert math.isnan(parse_bid(text))


def test_the_words_of_a_choice_are_words_and_no_patterns() -> None:
    assert math.isnan(parse_choice("anything", ".*", "b")) and parse_choice("a+", "b", "a") == 0


MEGABYTE = 10**6
LONG = {
    "line breaks": "\n" * MEGABYTE, "spaces": " " * MEGABYTE, "stars": "*" * MEGABYTE,
    "lines of stars": ("*" * 999 + "\n") * 1000, "labels": "ANSWER\n" * (MEGABYTE // 7),
    "label and spaces": "ANSWER" + " " * MEGABYTE, "label, colon, spaces": "ANSWER:" + " " * MEGABYTE,
    "spaces inside": "ANSWER: x" + " " * MEGABYTE + "y", "line breaks after": ANSWERED + "\n" * MEGABYTE,
    "digits": ANSWERED + "9" * MEGABYTE, "noughts": "SCORE: " + "0" * MEGABYTE, "letters": "A" * MEGABYTE,
    "silence": "ANSWER: i do not know" + "!" * MEGABYTE, "confidences": "CONFIDENCE: x\n" * (MEGABYTE // 14),
    "separators": "\u2028" * MEGABYTE,
}  # fmt: skip


@pytest.mark.parametrize("name", LONG)
def test_a_megabyte_is_read_in_no_time(name: str) -> None:
    """The goal is 50 ms. The best of five counts, for a machine that does other things too."""
    for read in (parse_answer, parse_score):
        taken = []
        for _ in range(5):
            start = time.process_time()
            read(LONG[name])
            taken.append(time.process_time() - start)
        assert min(taken) < 0.05


@pytest.mark.parametrize("name", LONG)
def test_nobody_else_takes_more_than_linear_time(name: str) -> None:
    start = time.process_time()
    Task("s", "?", (), "x").correct(LONG[name])
    Task("c", "?", ("a", "b"), "A").correct(LONG[name])
    grading_prompt("q", LONG[name])
    parse_bid(LONG[name])
    assert time.process_time() - start < 1


def test_bids_and_numbers_with_commas_take_linear_time() -> None:
    start = time.process_time()
    for text in ("BID " * 250_000, "BID: " + "1," * 500_000, "1" + "," * MEGABYTE, "BID: 1" + " " * MEGABYTE + "x"):
        assert math.isnan(parse_bid(text))
    assert time.process_time() - start < 2


PIECES = [
    "ANSWER", "answer", "CONFIDENCE", "SCORE", ":", ":", " ", "\n", "\n", "*", "**", "_", "#", ">", "-", "B", "0.9",
    "1", "90%", "1/10", "0,9", "I do not know", "Na", "\r", "\t", "\x00", "\u2028", "\x85", "\ud800", "é", "9" * 50,
    "e5", ".", "%", "+", "</answer>", "<answer>", "{", "\\", "'", "; DROP TABLE rounds", "ANSWER: B\nCONFIDENCE: 0.5",
    "SCORE: 1.0",
]  # fmt: skip


def plainly(text: str, label: str) -> str | None:
    """Return what stands after a label, found without patterns: one line after another, one character after another."""
    for line in text.split("\n"):
        rest = line.lstrip(" \t\r\f\v\xa0*_#>-")
        if rest[: len(label)].casefold() == label.casefold():
            rest = rest[len(label) :].lstrip(" \t\r\f\v\xa0*_#>-")
            if rest.startswith(":"):
                return rest[1:].strip(" \t\r\f\v\xa0*_")
    return None


def number(said: str | None) -> Fraction | None:
    """Return a number in [0, 1] that stands alone, found without patterns."""
    if said is None or not said.isascii() or "_" in said or "/" in said or "-" in said[:1] or len(said) > 40:
        return None
    whole = said.removesuffix("%")
    if whole.rstrip(" \t") != whole.strip():
        return None
    try:
        value = Fraction(whole.strip()) / (100 if whole != said else 1)
    except (ValueError, ZeroDivisionError):
        return None
    return value if 0 <= value <= 1 else None


def test_random_replies_are_read_as_a_plain_reader_reads_them(times: Times) -> None:
    rng = random.Random(0)
    for _ in range(times(3_000, 50_000)):
        text = "".join(rng.choices(PIECES, k=rng.randrange(1, 14)))
        if rng.random() < 0.5:
            text = f"ANSWER: {''.join(rng.choices(PIECES, k=2))}\nCONFIDENCE:{''.join(rng.choices(PIECES, k=2))}{text}"
        reply, readable = parse_answer(text), text.encode("utf-8", "replace").decode()
        want = number(plainly(readable, "CONFIDENCE"))
        if reply.status in ("answered", "abstained"):
            assert reply.answer == (plainly(readable, "ANSWER") or "")[:500] != ""
        if reply.status == "answered":
            assert want is not None and reply.confidence == pytest.approx(float(want), abs=1e-12)
        if math.isnan(reply.confidence):
            assert reply.status in ("malformed", "abstained", "empty")
            assert want is None or not plainly(readable, "ANSWER")
        score, want = parse_score(text), number(plainly(readable, "SCORE"))
        assert math.isnan(score) if want is None else score == pytest.approx(float(want), abs=1e-12)
        assert len(reply.answer) <= 500 and "<" not in grading_prompt("Q", text)[20:-9]


def test_questions_may_hold_every_kind_of_line_break(tmp_path: Path) -> None:
    row = {"id": "x", "question": "one\u2028two\x85three\x0bfour", "options": None, "key": "1", "accept": [],
           "domain": "d", "difficulty": 1}  # fmt: skip
    path = tmp_path / "q.jsonl"
    path.write_text(json.dumps(row, ensure_ascii=False) + "\r\n" + json.dumps(row), encoding="utf-8", newline="")
    assert [task.question for task in load_tasks(path)] == [row["question"]] * 2
