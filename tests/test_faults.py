"""Whatever one agent, grader, strategy or rule does, the round closes, it is said what it was, the others are paid."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import anthropic
import httpx2
import numpy as np
import pytest
from test_coordinator import (
    AGENTS,
    GOOD,
    JUDGE,
    KEYLESS,
    TASK,
    Instant,
    best_marked,
    coordinator,
    message,
    play,
    proper,
    says,
)

from mechlib import Award, Coordinator, FunctionAgent, Ledger, quadratic
from mechlib.agents.protocol import FunctionGrader
from mechlib.agents.tasks import Task
from mechlib.desk.calls import Submission
from mechlib.desk.rounds import Round
from mechlib.rules.choice import highest

pytestmark = pytest.mark.filterwarnings("ignore::RuntimeWarning", "ignore::pydantic.PydanticDeprecatedSince20")


def body(**changes: Any) -> bytes:
    """A sound message of the Messages API, with changes."""
    return json.dumps(message(GOOD["b"], "model-b").model_dump() | changes).encode()


def reply(content: bytes, status: int = 200, kind: str = "application/json", **headers: str) -> httpx2.Response:
    return httpx2.Response(status, content=content, headers={"content-type": kind, **headers})


def problem(status: int) -> httpx2.Response:
    return reply(json.dumps({"type": "error", "error": {"type": "x", "message": "no"}}).encode(), status)


class Torn(httpx2.AsyncByteStream):
    """A body whose connection breaks off in the middle."""

    async def __aiter__(self) -> Any:
        yield body()[:40]
        raise httpx2.ReadError("connection reset by peer")


def text(said: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": said}]}


TRANSPORT: dict[str, Any] = {
    "the connection is refused": httpx2.ConnectError("refused"),
    "the name is not found": httpx2.ConnectError("[Errno -2] Name or service not known"),
    "the connection times out": httpx2.ConnectTimeout("slow"),
    "the reply times out": httpx2.ReadTimeout("slow"),
    "the request times out": httpx2.WriteTimeout("slow"),
    "no connection is free": httpx2.PoolTimeout("full"),
    "the connection breaks off before the reply": httpx2.RemoteProtocolError("disconnected"),
    "the connection breaks off within the reply": lambda: httpx2.Response(200, stream=Torn()),
    "a proxy fails": httpx2.ProxyError("bad gateway"),
    "the operating system refuses": OSError("too many open files"),
    **{f"status {status}": lambda status=status: problem(status)
       for status in (400, 401, 403, 404, 413, 422, 429, 500, 503, 529)},
    "a redirect to itself": lambda: reply(b"", 307, location="/v1/messages"),
    "a page of HTML": lambda: reply(b"<html>welcome to the hotel</html>", kind="text/html"),
    "a page of HTML that calls itself JSON": lambda: reply(b"<html>welcome</html>"),
    "an empty body": lambda: reply(b""),
    "half a reply": lambda: reply(body()[:60]),
    "an error that calls itself a success": lambda: reply(b'{"type": "error", "error": {"type": "x"}}'),
    "null": lambda: reply(b"null"),
    "a list": lambda: reply(b"[1, 2]"),
    "bytes that are no text": lambda: reply(b"\xff\xfe\x00\x80"),
    "a body that is not packed as it says": lambda: reply(body(), **{"content-encoding": "gzip"}),
    "no content": lambda: reply(body(content=None)),
    "content that is a number": lambda: reply(body(content=7)),
    "a block without text": lambda: reply(body(**text(None))),
    "no usage": lambda: reply(body(usage=None)),
    "a negative count of tokens": lambda: reply(body(usage={"input_tokens": -3, "output_tokens": 2})),
    "a count of tokens that is a word": lambda: reply(body(usage={"input_tokens": "many", "output_tokens": 2})),
    "a count of tokens beyond all bounds": lambda: reply(body(usage={"input_tokens": 10**30, "output_tokens": 2})),
    "half a character": lambda: reply(body(**text("ANSWER: \ud800\nCONFIDENCE: x"))),
    "a refusal": lambda: reply(body(content=[], stop_reason="refusal")),
    "ten million characters": lambda: reply(body(**text("A" * 10_000_000))),
    "a confidence beyond 1": lambda: reply(body(**text("ANSWER: 3\nCONFIDENCE: 1e999"))),
}


async def hangs(task: Task) -> Any:
    await asyncio.sleep(60)


async def will_not_be_stopped(task: Task) -> Any:
    for _ in range(3):
        try:
            await asyncio.sleep(2)  # longer than a call may take
        except asyncio.CancelledError:
            continue


async def cancels_itself(task: Task) -> Any:
    raise asyncio.CancelledError("I give up")


async def fails_in_a_group(task: Task) -> Any:
    async with asyncio.TaskGroup() as group:
        group.create_task(raises(task))


async def exits(task: Task) -> Any:
    sys.exit(3)


async def raises(task: Task) -> Any:
    raise Unprintable


def not_asynchronous(task: Task) -> Any:
    raise RuntimeError("I am no coroutine")


class Unprintable(Exception):
    def __repr__(self) -> str:
        raise ValueError("no")


class Odd:
    def __float__(self) -> float:
        raise KeyError("no")


def returns(said: Any) -> Callable[[Task], Any]:
    async def agent(task: Task) -> Any:
        return said

    return agent


FUNCTIONS: dict[str, Callable[[Task], Any]] = {
    "it hangs": hangs,
    "it hangs and will not be stopped": will_not_be_stopped,
    "it cancels itself": cancels_itself,
    "it leaves the interpreter": exits,
    "a task of its own fails": fails_in_a_group,
    "it raises what cannot be shown": raises,
    "it is not asynchronous, and fails": not_asynchronous,
    "it returns nothing": returns(None),
    "it returns a text": returns("Paris"),
    "it returns one part": returns(("Paris",)),
    "it returns six parts": returns(("Paris", 0.9, 1, "answered", "", 7)),
    "its answer is a number": returns((7, 0.9)),
    "its answer is empty": returns(("", 0.9)),
    "its answer is half a character, its confidence a word": returns(("\ud800", "high")),
    "its confidence is below 0": returns(("2", -0.1)),
    "its confidence is infinite": returns(("2", float("inf"))),
    "its confidence is missing": returns(("2", None)),
    "its confidence is an object that fails": returns(("2", Odd())),
    "its cost is below 0": returns(("2", 0.9, -5)),
    "its cost is no number": returns(("2", 0.9, "cheap")),
    "its cost is infinite": returns(("2", 0.9, (float("inf"), 0.0, 0))),
    "its cost is beyond all bounds": returns(("2", 0.9, 10**30)),
    "its status is unknown": returns(("2", 0.9, 5, "brilliant")),
}


def closed_and_paid(desk: Coordinator, done: Round) -> None:
    """The round is closed, b is at fault and earns nothing, a and c are paid as if nothing had been."""
    (row,) = desk.ledger.rounds()
    assert row.closed and done.id == row.id
    statuses = {s.agent: s.status for s in done.submissions}
    assert statuses["a"] == statuses["c"] == "answered" and statuses["b"] not in ("answered", "abstained", "cancelled")
    assert {row.agent: row.status for row in desk.ledger.submissions(done.id)} == statuses
    np.testing.assert_array_equal(done.payments, [990, 0, 910])
    assert [row.amount for row in desk.ledger.payments(done.id)] == [990, 0, 910] and done.answer == "2"
    if statuses["b"] in ("error", "timeout"):
        (fault,) = done.faults
        assert (fault.part, fault.who, fault.error) == ("agent", "b", done.submissions[1].detail) and fault.error
        assert [event.data["error"] for event in desk.ledger.trail("fault")] == [fault.error]


def test_there_are_at_least_thirty_nine_kinds_of_broken_transport_or_reply() -> None:
    assert len(TRANSPORT) >= 39


@pytest.mark.parametrize("kind", TRANSPORT)
def test_a_broken_transport_or_reply_of_one_agent_harms_nobody_else(kind: str) -> None:
    broken = TRANSPORT[kind]

    async def handle(request: httpx2.Request) -> httpx2.Response:
        model = json.loads(request.content)["model"]
        if model != "model-b":
            return httpx2.Response(200, json=message(GOOD[model[-1]], model).model_dump())
        if isinstance(broken, Exception):
            raise broken
        sent: httpx2.Response = broken()
        return sent

    http = anthropic.DefaultAsyncHttpxClient(transport=httpx2.MockTransport(handle))
    sdk = anthropic.AsyncAnthropic(api_key="none", http_client=http, max_retries=0)
    desk = coordinator(says(GOOD), client=sdk, grading_share=0.0)
    closed_and_paid(desk, play(desk))


@pytest.mark.parametrize("kind", FUNCTIONS)
def test_an_agent_that_is_a_function_may_do_anything(kind: str) -> None:
    agents = [AGENTS[0], FunctionAgent("b", FUNCTIONS[kind]), AGENTS[2]]
    desk = Coordinator(agents, proper, budget=3000, client=Instant(says(GOOD)), timeout=1.0)

    async def work() -> Round:
        return await desk.run(TASK)

    closed_and_paid(desk, asyncio.run(work()))


@pytest.mark.parametrize("said", [None, "high", -1, float("nan"), (0.5, "cheap"), (0.5, 0, "odd"), Odd(), [], 1.5])
def test_a_grader_may_say_anything(said: Any) -> None:
    async def grade(task: Task, answer: str) -> Any:
        return said

    desk = coordinator(says(GOOD), judge=FunctionGrader("crowd", grade))
    done = play(desk)
    assert desk.ledger.rounds()[0].closed and [done.submissions[0].agent, *done.payments] == ["a", 891, -324, 819]
    assert not desk.ledger.marks(1) or said == (0.5, "cheap")
    assert done.fees in ({"crowd": 0}, {"crowd": 125})


def test_a_grader_that_fails_on_one_answer_marks_the_others_and_its_calls_are_counted() -> None:
    async def grade(task: Task, answer: str) -> Any:
        if answer == "3":
            raise RecursionError("too deep")
        return 0.8, (30, 1.5, 7)

    desk = coordinator(says(GOOD), judge=FunctionGrader("crowd", grade))
    done = play(desk)
    np.testing.assert_allclose(done.marks, [[0.8, np.nan, 0.8]])
    assert [(f.part, f.who) for f in done.faults] == [("grader", "crowd")] and "too deep" in done.faults[0].error
    assert done.spent.tokens == 3 * 17 + 2 * 30 and done.spent.price == 14
    assert sorted(event.data["cost"][0] for event in desk.ledger.trail("grading")) == [0, 30, 30]


def test_tokens_that_a_cache_held_or_took_in_count() -> None:
    client = Instant(says(GOOD))
    sound = client.create

    async def cached(**request: Any) -> anthropic.types.Message:
        said = await sound(**request)
        said.usage.cache_creation_input_tokens = 100
        return said

    client.create = cached  # type: ignore[method-assign]
    done = play(coordinator(says(GOOD), client=client))
    assert list(done.costs) == [117, 117, 117] and done.spent.tokens == 6 * 117


@pytest.mark.parametrize("strategy", [lambda s: None, lambda s: 1 / 0, lambda s: replace(s, answer=None),
                                      lambda s: replace(s, confidence="high"), lambda s: replace(s, status="odd")])
def test_a_strategy_that_fails_is_a_fault_of_its_agent(strategy: Any) -> None:
    desk = coordinator(says(GOOD), strategies={"b": strategy}, grading_share=0.0)
    done = play(desk)
    assert done.submissions[1].status in ("error", "malformed") and done.submissions[1].detail
    assert [event.data["part"] for event in desk.ledger.trail("fault")] == [fault.part for fault in done.faults]
    np.testing.assert_array_equal(done.payments, [990, 0, 910])
    assert desk.ledger.rounds()[0].closed


def test_a_strategy_cannot_hand_in_under_another_name() -> None:
    done = play(coordinator(says(GOOD), strategies={"b": lambda s: replace(s, agent="a", answer="2")}))
    assert [s.agent for s in done.submissions] == ["a", "b", "c"] and done.found[1] == 1


ODD = {**GOOD, "b": "ANSWER: 3\nCONFIDENCE: 0.61"}


def sometimes(fails: Callable[[Any, Any], Any]) -> Any:
    """A sound rule that goes wrong at one report, which nobody tries before the round."""

    def rule(reports: Any, found: Any) -> Award:
        award = Award(highest(reports), quadratic(reports, found))
        return fails(award, found) if 0.61 in reports else award

    return rule


def raising(award: Award, found: Any) -> Award:
    raise ZeroDivisionError("no weights")


@pytest.mark.parametrize(
    ("fails", "said"),
    [(raising, "no weights"), (lambda award, found: None, "returned None"),
     (lambda award, found: Award(award.allocation * 2, award.rewards), "at most 1"),
     (lambda award, found: Award(award.allocation, award.rewards * np.inf), "finite"),
     (lambda award, found: Award(award.allocation, award.rewards * np.nan), "must be an Outcome")],
)
def test_a_rule_that_fails_in_the_round_is_recorded_and_the_round_closes(fails: Any, said: str) -> None:
    desk = coordinator(says(ODD), sometimes(fails), grading_share=0.1)
    done = play(desk)
    assert desk.ledger.rounds()[0].closed and {fault.part for fault in done.faults} == {"rule"}
    assert said in done.faults[-1].error and {fault.who for fault in done.faults} == {""}
    assert desk.ledger.trail("fault")[-1].data["part"] == "rule"
    assert done.fees["validator"] > 0  # whoever does not depend on the rule is paid


def test_rewards_far_below_all_that_was_tried_are_charged_at_the_bound() -> None:
    desk = coordinator(says(ODD), sometimes(lambda award, found: Award(award.allocation, award.rewards - 1e30)),
                       grading_share=0.0)  # fmt: skip
    assert list(play(desk).payments) == [-1000, -1000, -1000]
    assert [event.data["bound"] for event in desk.ledger.trail("reward.cut")] == [desk.terms.worst] * 3


def test_a_choice_that_fails_in_the_round_passes_nothing_on_and_everybody_is_paid() -> None:
    def choose(reports: Any, marks: Any) -> Any:
        if 0.9 in reports:
            raise LookupError("no such agent")
        return highest(reports)

    desk = coordinator(says(GOOD), choose=choose, grading_share=0.0)
    done = play(desk)
    assert done.answer is None and list(done.payments) == [990, -360, 910]
    assert [fault.part for fault in done.faults] == ["choose"] and desk.ledger.rounds()[0].closed


class Compiled(Task):
    def correct(self, answer: str) -> bool:
        if answer == "3":
            raise TimeoutError("the tests of this code never end")
        return super().correct(answer)


def test_a_key_that_fails_on_one_answer_says_nothing_of_it() -> None:
    desk = coordinator(says(GOOD))
    done = play(desk, Compiled("t", "?", (), "2"))
    assert np.isnan(done.found[1]) and list(done.payments) == [891, 0, 819]
    assert [(fault.part, fault.who) for fault in done.faults] == [("key", "b")]
    assert [row.agent for row in desk.ledger.rewards(1)] == ["a", "c"]  # nothing is held against b


def test_a_payment_that_the_ledger_refuses_is_a_fault_and_the_others_are_paid() -> None:
    desk = coordinator(says(GOOD), grading_share=0.0)

    def strategy(submission: Submission) -> Submission:
        desk.ledger.pay(1, "a friend", 2900, "behind the coordinator's back")
        return submission

    desk.strategies = {"a": strategy}
    done = play(desk)
    assert desk.ledger.rounds()[0].closed and list(done.payments) == [0, -360, 0]
    assert {(fault.part, fault.who) for fault in done.faults} == {("payment", "a"), ("payment", "c")}


@pytest.mark.parametrize("agents", [1, 2, 3, 5])
def test_a_bounded_reward_for_the_team_is_paid_in_teams_of_any_size(agents: int) -> None:
    def team_reward(reports: Any, found: Any) -> Award:
        together = np.where(np.isnan(reports), 0.0, found).sum(axis=-1, keepdims=True)
        return Award(highest(reports), together * np.ones(np.shape(reports)))

    team = [FunctionAgent(f"agent {k}", returns(("2", 0.9))) for k in range(agents)]
    desk = Coordinator(team, team_reward, budget=999)
    done = asyncio.run(desk.run(TASK))
    assert desk.ledger.rounds()[0].closed and list(done.payments) == [999 // agents] * agents


def test_a_rule_that_cannot_bear_silence_or_this_team_is_refused_before_any_call() -> None:
    def for_two(reports: Any, found: Any) -> Award:
        return Award(highest(reports), quadratic(reports, found)[..., :2])

    def by_percent(reports: Any, found: Any) -> Award:
        return Award(highest([int(100 * report) for report in reports]), quadratic(reports, found))

    for rule in (for_two, by_percent):
        reply = Instant(says(GOOD))
        with pytest.raises(ValueError, match=r"fails|must be"):
            coordinator(says(GOOD), rule, client=reply)
        assert not reply.asked


# Calls in flight, plans, and rounds that were cut off


def test_no_more_calls_are_under_way_than_allowed_and_the_wait_is_no_timeout() -> None:
    under_way, most = 0, 0

    async def answer(task: Task, answer: str = "") -> Any:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await asyncio.sleep(0.05)
        under_way -= 1
        return (0.5 if answer else ("2", 0.9))

    agents = [FunctionAgent(f"agent {k}", answer, answer) for k in range(6)]
    desk = Coordinator(agents, proper, in_flight=4, timeout=0.7, graders="peers")

    async def work() -> tuple[Round, ...]:
        return tuple(await asyncio.gather(*(desk.run(TASK) for _ in range(3))))

    for _ in range(2):  # each loop has a gate of its own
        for done in asyncio.run(work()):
            assert {s.status for s in done.submissions} == {"answered"} and np.isfinite(done.marks).sum() == 30
    assert most == 4


def test_a_dry_run_counts_calls_tokens_and_price_and_calls_nobody() -> None:
    from mechlib.agents.roster import Roster

    roster, client = Roster.load(), Instant(says(GOOD))
    tasks = [TASK, replace(TASK, id="t2")]
    desk = Coordinator(roster.agents, best_marked, client=client, judge=roster.grader, roster=roster)
    plan = desk.dry_run(tasks)
    assert (plan.answers, plan.marks, plan.calls) == (6, 6, 12) and not client.asked and not desk.ledger.rounds()
    assert plan.written == 2 * (sum(agent.max_tokens for agent in roster.agents) + 3 * roster.grader.max_tokens)
    assert plan.price > 0 and not plan.unknown
    done = [play(Coordinator(roster.agents, best_marked, judge=roster.grader, roster=roster,
                             client=Instant(lambda model, prompt: GOOD["a"]))) for _ in tasks]  # fmt: skip
    assert plan.calls == sum(len(d.submissions) + len(d.gradings) for d in done)
    peers = Coordinator(roster.agents, best_marked, client=client, judge=roster.grader, graders="peers", team_size=2)
    assert (peers.dry_run(tasks).answers, peers.dry_run(tasks).marks) == (4, 8)
    assert coordinator(says(GOOD), grading_share=0.0).dry_run(tasks).marks == 0
    short = replace(roster.agents[0], max_tokens=1)
    assert Coordinator([short], proper, client=client).dry_run([TASK]).written == 1
    prices = [replace(roster.models[agent.model], price=price)
              for agent, price in zip(roster.agents, [(3.0, 0.0), (0.0, 5.0), (1.0, 2.0)], strict=True)]
    dear = replace(roster, models={model.id: model for model in prices})
    for agent, model in zip(roster.agents, prices, strict=True):
        alone = Coordinator([agent], proper, client=client, roster=dear).dry_run([TASK])
        assert alone.price == model.price[0] * alone.entered + model.price[1] * alone.written
    free = Coordinator([FunctionAgent("f", returns(("2", 0.9)))], proper).dry_run(tasks)
    assert free == (2, 0, 0, 0, 0, ("f",)) and "not known of f" in str(free)


def cut_off(desk: Coordinator, after: int, task: Task = TASK) -> None:
    """Run a round, and cancel it once so many calls were made."""

    async def work() -> None:
        running = asyncio.create_task(desk.run(task))
        while len(CALLED) < after:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.05)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    CALLED.clear()
    asyncio.run(work())


CALLED: list[str] = []


def counting(slow: str) -> list[FunctionAgent]:
    """Three agents that answer and mark; what `slow` names takes for ever, unless it is nothing."""

    def agent(name: str) -> FunctionAgent:
        async def answers(task: Task) -> Any:
            CALLED.append(name)
            await asyncio.sleep(60 if slow == name else 0)
            return "2" if name == "a" else "3", {"a": 0.9, "b": 0.6, "c": 0.9}[name], 10

        async def marks(task: Task, answer: str) -> Any:
            CALLED.append(f"{name} marks")
            await asyncio.sleep(60 if slow == f"{name} marks" else 0)
            return {"a": 0.3, "b": 0.5, "c": 0.7}[name], 5

        return FunctionAgent(name, answers, marks)

    return [agent(name) for name in "abc"]


@pytest.mark.parametrize(("slow", "calls", "again"), [("b", 3, 1 + 6), ("c marks", 3 + 6, 2)])
def test_a_round_that_was_cut_off_is_taken_up_where_it_stopped(
    slow: str, calls: int, again: int, tmp_path: Path
) -> None:
    options: dict[str, Any] = {"graders": "peers", "budget": 3000, "seed": 5}
    whole = asyncio.run(Coordinator(counting(""), best_marked, **options).run(TASK))
    cut_off(Coordinator(counting(slow), best_marked, Ledger(tmp_path / "book.db"), **options), calls)
    CALLED.clear()
    desk = Coordinator(counting(""), best_marked, Ledger(tmp_path / "book.db"), **options)
    (left,) = [row.id for row in desk.ledger.rounds() if not row.closed]
    done = asyncio.run(desk.resume(left, TASK))
    assert len(CALLED) == again and desk.ledger.rounds()[0].closed
    assert (done.chosen, done.fees, list(done.payments)) == (whole.chosen, whole.fees, list(whole.payments))
    np.testing.assert_allclose(done.marks, whole.marks)
    assert done.spent[::2] == whole.spent[::2] and len(desk.ledger.payments(left)) == 6
    with pytest.raises(ValueError, match="not an open round"):
        asyncio.run(desk.resume(left, TASK))


def test_a_resumed_round_has_the_team_it_began_with() -> None:
    book, options = Ledger(), {"team_size": 2, "exploration": 0.0, "discount": 0.5}
    cut_off(Coordinator(counting("b"), proper, book, newcomer=0.5, owners={"a": "x", "c": "x"}, **options), 2)
    team = book.trail("round")[0].data["team"]
    for _ in range(3):
        book.reward(number := book.begin("past"), team[0], 0.0, 0.0)
        book.close(number)
    done = asyncio.run(Coordinator(counting(""), proper, book, **options).resume(1, TASK))
    assert [*done.team] == team and book.rounds()[0].closed


@pytest.mark.parametrize(
    ("options", "number", "task", "words"),
    [({}, 7, TASK, "not an open round"), ({}, 1, replace(TASK, id="other"), "begun for the task 't1'"),
     ({"budget": 5}, 1, TASK, "budget of 1000"), ({"team_size": 2}, 1, TASK, "other agents")],
)
def test_a_round_is_resumed_as_what_it_was(options: Any, number: int, task: Task, words: str) -> None:
    book = Ledger()
    cut_off(Coordinator(counting("b"), proper, book), 3)
    with pytest.raises(ValueError, match=words):
        asyncio.run(Coordinator(counting(""), proper, book, **options).resume(number, task))
    begun = book.begin("t1", 1000)
    with pytest.raises(ValueError, match="other agents"):
        asyncio.run(Coordinator(counting(""), proper, book).resume(begun, TASK))


# Ties, owners, fees


def test_a_tie_that_the_rule_gives_to_the_first_is_drawn_and_who_wins_it_is_paid() -> None:
    def winner(reports: Any, found: Any) -> Award:
        first = highest(reports)
        return Award(first, first * quadratic(reports, found))

    agents = [FunctionAgent(name, returns((answer, sure))) for name, answer, sure in
              (("a", "2", 0.8), ("b", "2", 0.8), ("c", "3", 0.8), ("d", "2", 0.5))]  # fmt: skip
    desk = Coordinator(agents, winner, budget=400)
    rounds = [asyncio.run(desk.run(TASK)) for _ in range(90)]
    won = np.bincount([done.chosen for done in rounds], minlength=4)
    assert won[3] == 0 and won[:3].min() >= 18
    for done in rounds:
        assert done.payments[done.chosen] == (-64 if done.chosen == 2 else 96)
        assert np.count_nonzero(done.payments) == 1


def test_ties_may_be_left_as_they_are_listed() -> None:
    agents = [FunctionAgent(name, returns(("2", 0.8))) for name in "ab"]
    assert {asyncio.run(Coordinator(agents, proper, seed=k, ties="listed").run(TASK)).chosen for k in range(9)} == {0}


def test_what_a_grader_could_not_mark_may_count_for_nothing() -> None:
    for unmarked, results in (("wrong", [("a", 0.0), ("c", 0.0)]), ("unknown", [])):
        desk = coordinator(says({**GOOD, "b": "what?"}, "no mark"), unmarked=unmarked)
        play(desk, KEYLESS)
        assert [(row.agent, row.found) for row in desk.ledger.rewards(1) if row.agent != "b"] == results


def test_drawn_trust_gives_work_to_the_little_known_and_mean_trust_to_the_best_so_far() -> None:
    def first(trust: Any, results: int) -> list[str]:
        book = Ledger()
        for name, found in (("a", 0.7), ("b", 0.4)):
            for _ in range(results):
                number = book.begin("past")
                book.reward(number, name, 0.0, found)
                book.close(number)
        agents = [FunctionAgent(name, returns(("2", 0.8))) for name in "ab"]
        options: dict[str, Any] = {"team_size": 1, "exploration": 0.0, "trust": trust}
        desks = [Coordinator(agents, proper, book, seed=k, **options) for k in range(60)]
        return [desk.planner.team(7, np.random.default_rng(k))[0] for k, desk in enumerate(desks)]

    assert first("mean", 1).count("b") == 0 < first("drawn", 60).count("b") < first("drawn", 1).count("b") < 30
    for option in ("trust", "ties", "unmarked"):
        with pytest.raises(ValueError, match=f"{option} must be"):
            coordinator(says(GOOD), **{option: "blind"})


def test_a_tie_counts_costs_where_the_rule_reads_them() -> None:
    def cheap(reports: Any, found: Any, costs: Any) -> Award:
        return Award(highest(reports), quadratic(reports, found) - np.minimum(costs, 100) / 100)

    agents = [FunctionAgent("a", returns(("2", 0.8, 50))), FunctionAgent("b", returns(("2", 0.8, 10)))]
    assert {asyncio.run(Coordinator(agents, cheap, seed=k).run(TASK)).chosen for k in range(20)} == {0}
    assert {asyncio.run(Coordinator(agents, proper, seed=k).run(TASK)).chosen for k in range(20)} == {0, 1}


def test_agents_of_one_owner_take_one_place_in_a_team_and_do_not_mark_each_other() -> None:
    owners = {"a": "one", "b": "one"}
    desk = Coordinator(counting(""), best_marked, graders="peers", owners=owners, team_size=2, exploration=0.5)
    teams = set()
    for _ in range(30):
        done = asyncio.run(desk.run(TASK))
        teams.add(done.team)
        for mark in desk.ledger.marks(done.id):
            assert owners.get(mark.grader, mark.grader) != owners.get(mark.agent, mark.agent)
    assert teams == {("a", "c"), ("b", "c")}
    with pytest.raises(ValueError, match=r"owners are 2.*1\.\.2"):
        Coordinator(counting(""), proper, owners=owners)
    with pytest.raises(ValueError, match=r"owners name \['z'\]"):
        Coordinator(counting(""), proper, owners={"z": "one"})


def test_by_skill_one_number_for_all_answers_earns_nothing_and_knowledge_does() -> None:
    def fees(grade: Callable[[str], float], how: Any) -> int:
        async def judge(task: Task, answer: str) -> float:
            return grade(answer)

        desk = Coordinator(AGENTS, proper, client=Instant(says(GOOD)), judge=FunctionGrader("judge", judge), fees=how)
        for _ in range(12):
            play(desk)
        return desk.ledger.balance("judge")

    assert fees(lambda answer: 2 / 3, "score") == 12 * 44 and abs(fees(lambda answer: 2 / 3, "skill")) <= 12
    assert fees(lambda answer: float(answer == "2"), "skill") > 12 * 20
    assert fees(lambda answer: float(answer == "3"), "skill") < 0
    with pytest.raises(ValueError, match="fees must be"):
        coordinator(says(GOOD), fees="tips")


def test_an_agent_or_judge_that_is_none_is_refused_by_name() -> None:
    for agents in ([object()], [returns(("2", 0.9))], [*AGENTS, "ada"]):
        with pytest.raises(ValueError, match="is no agent and no grader"):
            Coordinator(agents, proper, client=Instant(says(GOOD)))
    with pytest.raises(ValueError, match=r"client= is missing.*model-a"):
        Coordinator(AGENTS, proper)
    with pytest.raises(ValueError, match="'b' cannot mark"):
        Coordinator([*AGENTS[:1], FunctionAgent("b", returns(("2", 1)))], proper, client=Instant(says(GOOD)),
                    judge=JUDGE, graders="peers")  # fmt: skip
    for option, wrong in (("newcomer", "good"), ("newcomer_weight", -1), ("in_flight", 0)):
        with pytest.raises(ValueError, match=option):
            coordinator(says(GOOD), **{option: wrong})


def test_agents_of_several_kinds_sit_in_one_team_and_mark_each_other() -> None:
    agents = [AGENTS[0], counting("")[1]]
    done = play(Coordinator(agents, best_marked, client=Instant(says(GOOD)), judge=JUDGE, graders="peers"), KEYLESS)
    np.testing.assert_allclose(done.marks, [[np.nan, 0.8], [0.5, np.nan]])


def test_equal_personas_under_several_names_are_samples_of_their_own() -> None:
    client = Instant(lambda model, prompt: GOOD["a"])
    play(Coordinator([replace(AGENTS[0], name=name) for name in "xyz"], proper, client=client))
    headers = [request["extra_headers"] for request in client.asked]
    assert sorted(str(h["x-mechlib-sample"]) if h else "0" for h in headers) == ["0", "1", "2"]
