"""Desks with private documents: what they read, who states the confidence, and what a coordinator makes of them."""

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from mechlib import Award, Coordinator, Ledger, Recorded, Roster, client, quadratic, replay
from mechlib.course.desks import desks, hear, hear_trained
from mechlib.course.worlds import documents
from mechlib.rules.choice import highest

CASES = documents()[:12]
AGENTS = Roster.load("documents").agents


def recorded(adapter: str = "") -> Recorded:
    tapes = client("documents_test", "replay"), client("documents_trained", "replay")
    return asyncio.run(hear(CASES, AGENTS, tapes[0], adapter, tapes[1] if adapter else None))


def rule(reports: Any, found: Any) -> Award:
    return Award(highest(reports, ties="lot"), quadratic(reports, found))


def test_a_desk_reads_its_own_document_and_then_the_question() -> None:
    case = CASES[0]
    for desk, agent, prompt in zip(desks(case, AGENTS), AGENTS, case.prompts, strict=True):
        read: list[dict[str, Any]] = []

        class Messages:
            async def create(self, _read: list[dict[str, Any]] = read, **request: Any) -> None:
                _read.append(request)

        told: Any = type("Client", (), {"messages": Messages()})()
        asyncio.run(desk.ask(told, case.task.prompt))
        assert read == [{**agent.request(prompt), "extra_headers": None}]


def test_training_moves_what_a_desk_states_and_not_what_it_answers() -> None:
    plain, trained = recorded(), recorded("quadratic-0")
    assert np.array_equal(np.asarray(plain.found), np.asarray(trained.found))
    said = np.asarray(plain.reports), np.asarray(trained.reports)
    assert not np.array_equal(*said) and all(((x >= 0) & (x < 1)).all() for x in said)
    assert (np.asarray(plain.costs) > 100).all()
    kinds = np.array([case.kinds for case in CASES])
    assert said[1][kinds == "fact"].mean() > said[1][kinds == "neither"].mean() + 0.3


def test_many_adapters_are_heard_in_one_go_as_one_by_one() -> None:
    tapes = client("documents_test", "replay"), client("documents_trained", "replay")
    heard = asyncio.run(hear_trained(CASES, AGENTS, tapes[0], ("metric-0", "quadratic-0"), tapes[1]))
    assert list(heard) == ["metric-0", "quadratic-0"]
    for adapter, together in heard.items():
        assert all(map(np.array_equal, together, recorded(adapter)))


def test_a_coordinator_asks_desks_like_any_other_agents_and_one_ledger_keeps_the_books() -> None:
    played, ledger = replay(rule, recorded("quadratic-0")), Ledger()
    plain, trained = client("documents_test", "replay"), client("documents_trained", "replay")
    for row, case in enumerate(CASES):
        team = desks(case, AGENTS, "quadratic-0", trained)
        desk = Coordinator(team, rule, ledger, budget=3000, client=plain)
        done = asyncio.run(desk.run(case.task))
        assert done.chances.tolist() == played.allocation[row].tolist()
        assert done.rewards == pytest.approx(played.rewards[row])
    reputation = ledger.reputations([agent.name for agent in AGENTS], 1.0, of="found")
    assert list(reputation.values()) == pytest.approx(np.asarray(recorded().found).mean(axis=0))


def test_a_silent_reply_reports_nothing_and_is_not_right() -> None:
    class Silent:
        messages: Any

        async def create(self, **_: Any) -> Any:
            usage = type("Usage", (), {"input_tokens": 4, "cache_read_input_tokens": 1, "output_tokens": 2})
            block = type("Block", (), {"type": "text", "text": "ANSWER: unknown\nCONFIDENCE: 0.9"})
            return type("Message", (), {"content": [block], "usage": usage})

    told: Any = Silent()
    told.messages = told
    found = asyncio.run(hear(CASES[:1], AGENTS, told))
    assert np.isnan(np.asarray(found.reports)).all() and not np.asarray(found.found).any()
    assert np.asarray(found.costs).tolist() == [[7, 7, 7]]


def test_there_is_one_desk_for_each_document() -> None:
    with pytest.raises(ValueError, match="there are 2 agents for 3 documents"):
        desks(CASES[0], AGENTS[:2])
    named = desks(CASES[0], [replace(agent, name=f"desk {k}") for k, agent in enumerate(AGENTS)])
    assert [desk.name for desk in named] == ["desk 0", "desk 1", "desk 2"]
