"""Documents hold what their kind says, keys stand in exactly one of them, and splits and domains never meet."""

from __future__ import annotations

import re
from itertools import combinations

import pytest

from mechlib.course.worlds import DOMAINS, STALE, UNCHANGED, Case, Split, documents

SPLITS: tuple[Split, ...] = ("train", "validation", "test")
ALL = {(split, domain): documents(split, domain, 150) for split in SPLITS for domain in DOMAINS}
EVERY = [case for cases in ALL.values() for case in cases]
PAST = re.compile(r"[Ll]ast year|year ago")


def asked(case: Case) -> tuple[str, str]:
    """Return the quantity and the name that a question asks for."""
    found = re.match(r"What is the (.*) of (\w+) this year\?", case.task.question)
    assert found
    return found.group(1), found.group(2)


def about(case: Case, agent: int) -> list[str]:
    """Return the sentences of a document that speak of what is asked."""
    quantity, name = asked(case)
    sentences = re.split(r"(?<=\.) ", case.documents[agent])
    return [each for each in sentences if quantity in each and re.search(rf"\b{name}\b", each)]


def numbers(case: Case) -> set[str]:
    return {number for text in case.documents for number in re.findall(r"\d+(?:\.\d)?", text)}


def names(case: Case) -> set[str]:
    said = {word for text in case.documents for word in re.findall(r"\b[A-Z][a-z]+\b", text)}
    return said - {"The", "This", "Last", "A", "In"}


def test_exactly_one_agent_holds_the_fact_and_the_key_is_its_value() -> None:
    for case in EVERY:
        assert case.kinds.count("fact") == 1
        (sentence,) = about(case, case.kinds.index("fact"))
        assert not PAST.search(sentence)
        assert re.findall(r"\d+(?:\.\d)?", sentence) == [case.task.key]


def test_last_years_value_is_marked_as_such_and_neither_holds_nothing_of_what_is_asked() -> None:
    for case in EVERY:
        for agent, kind in enumerate(case.kinds):
            said = about(case, agent)
            assert len(said) == (kind != "neither")
            assert kind != "last year" or PAST.search(said[0])
            assert kind != "neither" or case.task.key not in re.findall(r"\d+(?:\.\d)?", case.documents[agent])


def test_all_who_hold_last_years_value_hold_the_same_one() -> None:
    for case in EVERY:
        stale = {about(case, agent)[0].rstrip(".").split()[-1] for agent, kind in enumerate(case.kinds)
                 if kind == "last year" and about(case, agent)[0].rstrip(".")[-1].isdigit()}  # fmt: skip
        assert len(stale) <= 1


def test_every_document_has_near_misses_and_is_short() -> None:
    for case in EVERY:
        quantity, name = asked(case)
        for text in case.documents:
            assert re.search(rf"\b{name}\b", text) or quantity in text
            assert 15 <= len(text.split()) <= 40


@pytest.mark.no_cover
def test_last_years_value_is_still_true_six_times_in_ten_and_held_by_a_third_of_the_others() -> None:
    cases = documents("train", tasks=3000)
    held = [(case, agent) for case in cases for agent in range(3) if case.kinds[agent] == "last year"]
    assert len(held) / 6000 == pytest.approx(STALE, abs=0.03)
    still = sum(str(case.task.key) in about(case, agent)[0] for case, agent in held) / len(held)
    assert still == pytest.approx(UNCHANGED, abs=0.03)
    knows = [case.kinds.index("fact") for case in cases]
    assert all(knows.count(agent) / 3000 == pytest.approx(1 / 3, abs=0.04) for agent in range(3))


@pytest.mark.parametrize("one, other", list(combinations(ALL, 2)))
def test_splits_and_domains_share_neither_names_nor_numbers(one: tuple[Split, str], other: tuple[Split, str]) -> None:
    assert not set().union(*map(names, ALL[one])) & set().union(*map(names, ALL[other]))
    assert not set().union(*map(numbers, ALL[one])) & set().union(*map(numbers, ALL[other]))


def test_the_same_arguments_give_the_same_world_and_more_tasks_only_add() -> None:
    assert documents("test", tasks=20) == documents("test", tasks=200)[:20]
    assert documents("test", tasks=5, seed=1) != documents("test", tasks=5)
    assert documents("test", tasks=1)[0].prompts[0] == (
        "Last year the pager extension of Rudgate was 337. Thalstead now has a rack number of 679. The pager extension "
        "of Thalstead is 918.\nQuestion: What is the pager extension of Thalstead this year? Answer with a number."
    )


def test_what_is_not_there_is_said() -> None:
    with pytest.raises(ValueError, match="it must be one of"):
        documents("dev")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="it must be one of"):
        documents("test", "kitchen")
