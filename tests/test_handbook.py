"""The invented handbook: each question is answered by its own note and by no other; and the pipeline that reads it."""

import asyncio
import json
import re
from pathlib import Path

import numpy as np

from mechlib import client
from mechlib.course import handbook
from mechlib.rules.credit import coalitions

NOTES = [json.loads(line) for line in (Path(__file__).parents[1] / "data" / "handbook.jsonl").read_text().splitlines()]


def says(text: str, answer: str) -> bool:
    return re.search(rf"(?<!\w){re.escape(answer)}s?(?!\w)", text, re.IGNORECASE) is not None


def test_there_are_sixteen_notes_with_distinct_titles() -> None:
    assert len({note["title"] for note in NOTES}) == len({note["id"] for note in NOTES}) == len(NOTES) == 16


def test_each_key_is_in_its_own_note_and_in_no_other() -> None:
    for note in NOTES:
        assert [other["id"] for other in NOTES if says(other["text"], note["key"])] == [note["id"]]


def test_no_question_gives_its_answer_away() -> None:
    assert not [note["id"] for note in NOTES if any(says(note["question"], a) for a in (note["key"], *note["accept"]))]


RUNS = asyncio.run(handbook.pipeline(client("pipeline", "replay")))
BRIEFS = asyncio.run(handbook.challenge(client("pipeline", "replay")))


def test_profiles_name_who_works_in_the_order_of_the_coalitions() -> None:
    for name, works in zip(handbook.PROFILES, coalitions(3), strict=True):
        assert [letter in name for letter in "RSV"] == works.tolist()


def test_what_is_withheld_is_worth_nothing_and_a_lazy_verifier_withholds_nothing() -> None:
    verifies = coalitions(3)[:, 2]
    assert (RUNS.belief[:, ~verifies] == 1).all() and set(np.unique(RUNS.values)) == {-1, 0, 1}
    assert (RUNS.values[:, ~verifies] != 0).all() and (RUNS.values[:, verifies] == 0).any()
    assert np.array_equal(RUNS.values == 1, (RUNS.right == 1) & (RUNS.belief > 0.5))


def test_a_draft_is_right_if_it_holds_the_key_as_a_word() -> None:
    note = {"key": "31", "accept": ["thirty-one"]}
    assert handbook.correct(note, "It is 31 metres.") and handbook.correct(note, "Thirty-one")
    assert not handbook.correct(note, "1310 metres") and not handbook.correct(note, "")


def test_padding_is_read_by_the_judge_and_changes_nothing_for_b() -> None:
    assert tuple(BRIEFS) == handbook.MOVES
    for move in ("pick", "be lazy"):
        plain, padded = BRIEFS[move], BRIEFS[f"{move} with padding"]
        assert ((padded.words - plain.words) == 30).all() and np.array_equal(padded.success, plain.success)
        assert padded.judged.mean() > plain.judged.mean()
    assert BRIEFS["hand over everything"].success.all()
    assert np.array_equal(BRIEFS["pick"].success, RUNS.right[:, 3])  # B reads the note that R picked
