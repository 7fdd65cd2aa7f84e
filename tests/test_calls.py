"""What came of one call of an agent or a grader is written down as what it was, and in whose words."""

import asyncio
import math

import pytest

from mechlib.agents.protocol import Cost
from mechlib.desk.calls import Fault, Grading, Said, Submission, called, clean, graded, handed_in, played, shown


def of(call, timeout=1.0, stops=()):
    return asyncio.run(called(call, timeout, stops))


def test_a_call_returns_its_value_whether_it_is_awaited_or_not():
    async def answer():
        return "Paris", 0.9

    assert of(answer).value == of(lambda: ("Paris", 0.9)).value == ("Paris", 0.9)
    assert of(answer).problem is None and 0 < of(answer).seconds < 1


def test_a_call_that_is_too_slow_is_a_timeout_that_says_after_how_long():
    said = of(lambda: asyncio.sleep(5), timeout=0.01)
    assert (said.value, said.problem, said.detail) == (None, "timeout", "no reply after 0.01 s")
    assert 0.01 <= said.seconds < 1


@pytest.mark.parametrize(("error", "problem"), [
    (TimeoutError("after 3 tries"), "timeout"), (ValueError("no such page"), "error"), (SystemExit(3), "error"),
    (asyncio.CancelledError("by itself"), "error"),
])  # fmt: skip
def test_a_call_that_raises_is_told_in_the_error_s_own_words(error, problem):
    async def fails():
        raise error

    said = of(fails)
    assert (said.problem, said.detail) == (problem, repr(error))


def test_an_error_s_words_are_cut_at_two_hundred_characters():
    for error in (ValueError("x" * 500), TimeoutError("x" * 500)):
        async def fails(error=error):
            raise error

        assert of(fails).detail == repr(error)[:200]


def test_what_stops_a_run_is_raised():
    async def fails():
        raise LookupError("no recording")

    assert of(fails).problem == "error"
    with pytest.raises(LookupError, match="no recording"):
        of(fails, stops=(LookupError,))


def test_an_answer_is_handed_in_with_the_seconds_that_were_measured():
    plain = handed_in("a", Said(("Paris", 0.9), 2.0))
    assert plain == Submission("a", "Paris", 0.9, Cost(seconds=2.0), "answered", "") and plain.report == 0.9
    told = handed_in("a", Said(("Paris", 0.9, (120, 1.5, 7), "answered", "in a hurry"), 2.0))
    assert told == Submission("a", "Paris", 0.9, Cost(120, 1.5, 7), "answered", "in a hurry")
    assert handed_in("a", Said(["Paris", 0.9, 120], 2.0)).cost == Cost(120, 2.0, 0)


@pytest.mark.parametrize(("value", "status", "detail"), [
    ("Paris", "malformed", "it returned 'Paris', not (answer, confidence) or (answer, confidence, cost)"),
    (("Paris",), "malformed", "it returned ('Paris',), not (answer, confidence) or (answer, confidence, cost)"),
    (("a", 0.5, 1, "answered", "", 6), "malformed",
     "it returned ('a', 0.5, 1, 'answered', '', 6), not (answer, confidence) or (answer, confidence, cost)"),
    ((None, 0.9), "abstained", ""),
    ((None, 0.9, 0, "timeout", "slow"), "timeout", "slow"),
    (("", 0.9), "empty", ""),
    (("Paris", None), "malformed", "it states no confidence"),
    (("Paris", 1.5), "malformed", "it reports 1.5, which does not lie in [0, 1]"),
    (("Paris", "high"), "malformed", "it reports 'high', which does not lie in [0, 1]"),
    ((5, 0.9), "malformed", "it hands in 5, which is no text"),
    (("Paris", 0.9, 0, "sure"), "malformed", "it reports the status 'sure'; it must be one of"),
    (("Paris", 0.9, -1), "malformed", "it reports a cost of -1: ValueError('none of it may be negative"),
    (("Paris", 0.9, 1.5), "malformed", "it reports a cost of 1.5: ValueError('tokens and price must be whole"),
    (("Paris", 0.9, (1, 2, 3, 4)), "malformed", "it reports a cost of (1, 2, 3, 4): ValueError("),
])  # fmt: skip
def test_what_is_no_answer_is_silence_and_says_why(value, status, detail):
    submission = handed_in("a", Said(value, 2.0))
    assert submission.agent == "a" and submission.status == status and submission.detail.startswith(detail)
    assert bool(submission.detail) == bool(detail)
    assert math.isnan(submission.confidence) and math.isnan(submission.report) and submission.cost.seconds == 2.0


def test_a_call_that_failed_is_handed_in_as_that():
    submission = handed_in("a", Said(None, 3.0, "timeout", "no reply \ud800"))
    assert (submission.answer, submission.status, submission.detail) == ("", "timeout", "no reply ?")
    assert submission.cost == Cost(seconds=3.0) and math.isnan(submission.confidence)


def test_a_mark_is_a_number_or_comes_with_its_cost():
    assert graded("g", "a", Said(0.8, 2.0)) == Grading("g", "a", 0.8, Cost(seconds=2.0), "answered", "")
    assert graded("g", "a", Said((0.8, (9, 1.0, 2)), 2.0)).cost == Cost(9, 1.0, 2)
    assert graded("g", "a", Said([1, 9, "answered", "sure"], 2.0)) == Grading(
        "g", "a", 1.0, Cost(9, 2.0), "answered", "sure")


@pytest.mark.parametrize(("value", "status", "detail"), [
    ((), "malformed", "it returned (), not a mark or (mark, cost)"),
    ((0.5, 1, "answered", "", 5), "malformed", "it returned (0.5, 1, 'answered', '', 5), not a mark"),
    (None, "malformed", "its mark is None, which does not lie in [0, 1]"),
    (1.01, "malformed", "its mark is 1.01, which does not lie in [0, 1]"),
    (-0.01, "malformed", "its mark is -0.01, which"),
    ("0.5", "malformed", "its mark is '0.5', which"),
    ((0.5, 0, "sure"), "malformed", "it reports the status 'sure'"),
    ((0.5, 0, "abstained", "who knows"), "abstained", "who knows"),
])  # fmt: skip
def test_what_is_no_mark_is_none_and_says_why(value, status, detail):
    grading = graded("g", "a", Said(value, 2.0))
    assert (grading.grader, grading.agent, grading.status) == ("g", "a", status)
    assert grading.detail.startswith(detail) and math.isnan(grading.mark) and grading.cost.seconds == 2.0


def test_a_cost_that_cannot_be_read_costs_the_mark_nothing_but_is_told():
    grading = graded("g", "a", Said((0.5, -1), 2.0))
    assert grading.cost == Cost(seconds=2.0) and grading.detail.startswith("it reports a cost of -1: ValueError(")


def test_a_strategy_changes_a_submission_but_not_whose_it_is():
    wrong = []
    mine = Submission("a", "Paris", 0.5, Cost(1, 2.0, 3))
    shouted = played(lambda s: Submission("b", s.answer, 1.0, s.cost), mine, wrong)
    assert shouted == Submission("a", "Paris", 1.0, Cost(1, 2.0, 3)) and wrong == []


def test_a_strategy_that_fails_is_a_fault_in_the_error_s_words():
    wrong, mine = [], Submission("a", "Paris", 0.5, Cost(1, 2.0, 3))
    failed = played(lambda s: 1 / 0, mine, wrong)
    told = "its strategy failed: ZeroDivisionError('division by zero')"
    assert wrong == [Fault("strategy", "a", told)]
    assert (failed.agent, failed.answer, failed.status, failed.detail) == ("a", "", "error", told)
    assert failed.cost == mine.cost and math.isnan(failed.confidence)
    played(lambda s: 0.9, mine, wrong)
    assert "a strategy returns a Submission, not 0.9" in wrong[1].error
    loud = played(lambda s: Submission("a", s.answer, 7.0), mine, wrong)
    assert loud.status == "malformed" and loud.detail == "its strategy reports 7.0, which does not lie in [0, 1]"


def test_an_object_is_shown_by_its_beginning_and_one_that_will_not_by_its_type():
    class Hostile:
        def __repr__(self):
            raise RuntimeError

    assert shown("x" * 100) == repr("x" * 100)[:80] and len(shown("x" * 100)) == 80
    assert shown(Hostile()) == "a Hostile"


def test_half_a_character_becomes_a_mark():
    assert clean("a\ud800b") == "a?b" and clean(5) == "5"


@pytest.mark.parametrize("said", [("x", 0.5), ("x", 0.5, None), ("x", 0.5, ())])
def test_who_reports_no_cost_has_spent_the_seconds_that_were_measured(said):
    assert handed_in("a", Said(said, seconds=0.5)).cost == Cost(0, 0.5, 0)
