"""The invented handbook: each question is answered by its own note and by no other."""

import json
import re
from pathlib import Path

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
