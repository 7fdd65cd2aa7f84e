"""Replies are data: what they say is read by position, and never guessed."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechlib.agents.tasks import Task, grading_prompt, load_tasks, parse_answer, parse_score

CHOICE = Task("t", "Which?", ("one", "two", "three", "four"), "B")
SHORT = Task("s", "How fast?", (), "O(V^3)", ("O(n^3)", "cubic"))


@pytest.mark.parametrize(
    ("text", "answer", "confidence", "status"),
    [
        ("ANSWER: B\nCONFIDENCE: 0.8", "B", 0.8, "answered"),
        ("**Answer:** B\n**Confidence:** 80%", "B", 0.8, "answered"),
        ("Sure!\nanswer: O(V^3)\nconfidence: .5", "O(V^3)", 0.5, "answered"),
        ("ANSWER: I do not know\nCONFIDENCE: 0.02", "I do not know", 0.02, "abstained"),
        ("ANSWER: N/A", "N/A", math.nan, "abstained"),
        ("ANSWER: B", "B", math.nan, "malformed"),
        ("ANSWER: B\nCONFIDENCE: 1.5", "B", math.nan, "malformed"),
        ("ANSWER: B\nCONFIDENCE: high", "B", math.nan, "malformed"),
        ("The answer is B.", "The answer is B.", math.nan, "malformed"),
        ("ANSWER:\nCONFIDENCE: 0.9", "ANSWER:\nCONFIDENCE: 0.9", math.nan, "malformed"),
        (" \n ", "", math.nan, "empty"),
    ],
)
def test_a_reply_is_reported_as_what_it_was(text: str, answer: str, confidence: float, status: str) -> None:
    reply = parse_answer(text)
    assert (reply.answer, reply.status) == (answer, status)
    assert reply.confidence == pytest.approx(confidence, nan_ok=True)


@pytest.mark.parametrize(
    ("text", "score"),
    [("SCORE: 0.7", 0.7), ("score: 70%", 0.7), ("**SCORE:** 1", 1.0), ("SCORE: 7", math.nan), ("0.9", math.nan),
     ("SCORE: 1e-3", 0.001), ("Agent A: SCORE: 1.0", math.nan), ("", math.nan)],
)  # fmt: skip
def test_a_mark_is_a_number_in_the_unit_interval_on_its_own_line_or_nothing(text: str, score: float) -> None:
    assert parse_score(text) == pytest.approx(score, nan_ok=True)


@pytest.mark.no_cover
@given(st.text())
def test_no_text_breaks_the_parsers(text: str) -> None:
    reply = parse_answer(text)
    assert math.isnan(reply.confidence) or 0 <= reply.confidence <= 1
    assert len(reply.answer) <= 500
    score = parse_score(text)
    assert math.isnan(score) or 0 <= score <= 1


@pytest.mark.parametrize("answer", ["B", "b", "B) two", "(B)", "**B**", "two", "Two."])
def test_the_right_option_is_right_however_it_is_written(answer: str) -> None:
    assert CHOICE.correct(answer)


@pytest.mark.parametrize("answer", ["A", "three", "", "Banana", "AB", "one or two"])
def test_a_wrong_option_is_wrong(answer: str) -> None:
    assert not CHOICE.correct(answer)


@pytest.mark.parametrize("answer", ["O(V^3)", "o(v³)", "O( n^3 )", "`Cubic`", "O(n^3)."])
def test_a_short_answer_is_right_in_any_accepted_spelling(answer: str) -> None:
    assert SHORT.correct(answer)


def test_a_minus_sign_counts() -> None:
    task = Task("m", "?", (), "-10")
    assert task.correct("-10") and task.correct("−10") and not task.correct("10")


def test_a_task_without_a_key_cannot_be_marked() -> None:
    with pytest.raises(ValueError, match="no key"):
        Task("x", "?").correct("anything")


def test_every_task_of_the_course_accepts_its_own_key_and_no_other_letter() -> None:
    tasks = load_tasks()
    assert len(tasks) >= 120
    for task in tasks:
        assert task.key is not None and task.correct(task.key)
        assert all(task.correct(text) for text in task.accept)
        if task.options:
            assert sum(task.correct(letter) for letter in "ABCD") == 1
            assert task.prompt.count("\n") >= len(task.options)


@given(st.text())
def test_an_answer_cannot_close_the_tags_it_stands_between(answer: str) -> None:
    prompt = grading_prompt("Q", answer)
    inside = prompt.removeprefix("Question: Q\n<answer>").removesuffix("</answer>")
    assert "<" not in inside and ">" not in inside
    assert grading_prompt("Q", answer, guarded=False).endswith(answer)
