"""A round ends whatever the replies are; nothing is lost, the budget holds, and honesty pays under a proper rule."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anthropic
import httpx2
import numpy as np
import pytest
from crash import kill_nine
from hypothesis import given
from hypothesis import strategies as st

from mechlib.agents.llm import MissingRecording, client
from mechlib.agents.roster import Agent, Roster
from mechlib.agents.tasks import Task
from mechlib.desk.coordinator import Coordinator, Round, Submission
from mechlib.desk.ledger import Ledger
from mechlib.rules.scoring import absolute, abstain_pays, logarithmic, quadratic, second_report

AGENTS = tuple(Agent(name, f"model-{name}") for name in "abc")
JUDGE = Agent("validator", "model-judge", system="grade")
TASK = Task("t1", "What is 1 + 1?", (), "2")

Reply = Callable[[str, str], Any]


def fake(reply: Reply, **options: Any) -> anthropic.AsyncAnthropic:
    """The real SDK over a transport that answers with `reply(model, last prompt)`: text, a status, or an exception."""

    async def handle(request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        said = reply(body["model"], body["messages"][-1]["content"])
        if asyncio.iscoroutine(said):
            said = await said
        if isinstance(said, int):
            return httpx2.Response(said, json={"type": "error", "error": {"type": "x", "message": "no"}})
        if isinstance(said, Exception):
            raise said
        stop = "refusal" if said == "REFUSE" else "end_turn"
        content = [{"type": "text", "text": said}] if said != "REFUSE" else []
        usage = {"input_tokens": 10, "output_tokens": 2, "cache_read_input_tokens": 5}
        shared = {"id": "m", "type": "message", "role": "assistant", "stop_sequence": None}
        return httpx2.Response(200, json={**shared, "model": body["model"], "content": content, "stop_reason": stop,
                                          "usage": usage})  # fmt: skip

    http = anthropic.DefaultAsyncHttpxClient(transport=httpx2.MockTransport(handle))
    return anthropic.AsyncAnthropic(api_key="none", http_client=http, max_retries=0, **options)


def says(answers: dict[str, Any], mark: Any = "SCORE: 0.8") -> Reply:
    return lambda model, prompt: mark if "<answer>" in prompt else answers[model.removeprefix("model-")]


GOOD = {"a": "ANSWER: 2\nCONFIDENCE: 0.9", "b": "ANSWER: 3\nCONFIDENCE: 0.6", "c": "ANSWER: 2\nCONFIDENCE: 0.7"}


def coordinator(reply: Reply, rule: Any = quadratic, **options: Any) -> Coordinator:
    budget = options.pop("budget", 3000)
    ledger = options.pop("ledger", None) or Ledger()
    return Coordinator(AGENTS, JUDGE, rule, ledger, budget, client=fake(reply), **options)


def play(desk: Coordinator, task: Task = TASK) -> Round:
    return asyncio.run(desk.run(task))


def test_a_round_pays_by_the_rule_times_one_constant_scale() -> None:
    desk = coordinator(says(GOOD), settle="key", grading_share=0.0)
    done = play(desk)
    expected = quadratic([0.9, 0.6, 0.7], [1, 0, 1])
    np.testing.assert_allclose(done.scores, expected)
    np.testing.assert_array_equal(done.payments, np.floor(3000 / 3 * expected))
    assert done.submissions[0].cost.tokens == 17 and done.answer == "2"
    assert [row.amount for row in desk.ledger.payments(done.id)] == list(done.payments)


def test_without_a_key_accuracy_is_the_mean_mark() -> None:
    done = play(coordinator(says(GOOD, "SCORE: 0.4"), graders="peers"), Task("t", "?"))
    np.testing.assert_allclose(done.accuracy, 0.4)
    assert done.fees == {}


@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=3, max_size=3),
    st.lists(st.floats(0, 1), min_size=6, max_size=6),
    st.sampled_from([quadratic, absolute, second_report]),
    st.integers(0, 10_000),
    st.sampled_from([0.0, 0.1, 0.5]),
)
def test_no_round_pays_more_than_its_budget(
    replies: Any, marks: list[float], rule: Any, budget: int, share: float
) -> None:
    texts = {n: f"ANSWER: {2 if r else 3}\nCONFIDENCE: {c:.3f}" for n, (c, r) in zip("abc", replies, strict=True)}
    left = iter(marks)
    reply = lambda model, prompt: f"SCORE: {next(left):.3f}" if "<answer>" in prompt else texts[model[-1]]  # noqa: E731
    done = play(coordinator(reply, rule, graders="peers", settle="key", budget=budget, grading_share=share))
    assert np.maximum(done.payments, 0).sum() + sum(max(fee, 0) for fee in done.fees.values()) <= budget


def test_an_agent_never_marks_its_own_answer_and_no_name_reaches_a_grader() -> None:
    seen: list[tuple[str, str]] = []

    def reply(model: str, prompt: str) -> str:
        seen.append((model, prompt))
        return says(GOOD)(model, prompt)

    done = play(coordinator(reply, graders="peers"))
    assert np.isnan(np.diag(done.grades)).all() and np.isfinite(done.grades).sum() == 6
    graded = [prompt for _, prompt in seen if "<answer>" in prompt]
    assert len(graded) == 6 and not any(agent.model in prompt for prompt in graded for agent in AGENTS)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ("ANSWER: I do not know\nCONFIDENCE: 0", "abstained"),
        ("no idea how to format this", "malformed"),
        ("", "empty"),
        ("REFUSE", "refused"),
        (500, "error"),
        (400, "error"),
        (httpx2.ConnectError("down"), "error"),
        (httpx2.ReadTimeout("slow"), "timeout"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_fault_is_recorded_as_what_it_was_and_the_round_goes_on(said: Any, status: str) -> None:
    desk = coordinator(says({**GOOD, "b": said}), abstain_pays(quadratic, 0.25), settle="key")
    done = play(desk)
    assert done.submissions[1].status == status and done.answer == "2"
    assert done.scores[1] == (0.25 if status == "abstained" else 0.0)
    rows = {row.agent: row.status for row in desk.ledger.submissions(done.id)}
    assert rows == {"a": "answered", "b": status, "c": "answered"}
    assert desk.ledger.rounds()[0].closed


def test_a_slow_agent_times_out_alone() -> None:
    async def late() -> str:
        await asyncio.sleep(5)
        return GOOD["b"]

    reply = lambda model, prompt: late() if model == "model-b" else says(GOOD)(model, prompt)  # noqa: E731
    done = play(coordinator(reply, timeout=0.2))
    assert [s.status for s in done.submissions] == ["answered", "timeout", "answered"]


def test_a_round_in_which_nobody_answers_passes_nothing_on() -> None:
    done = play(coordinator(says(dict.fromkeys("abc", ""))))
    assert done.chosen is None and done.answer is None and not done.payments.any()


def test_an_answer_that_no_grader_could_mark_is_neither_paid_nor_held_against_its_author() -> None:
    desk = coordinator(says(GOOD, "I cannot say"), newcomer=0.5)
    done = play(desk)
    assert np.isnan(done.scores).all() and not done.payments.any() and done.chosen is None
    assert desk.ledger.reputation("a", default=0.5) == 0.5


def test_a_cancelled_run_keeps_what_was_handed_in() -> None:
    async def never() -> str:
        await asyncio.sleep(60)
        return ""

    reply = lambda model, prompt: never() if model == "model-c" else says(GOOD)(model, prompt)  # noqa: E731
    desk = coordinator(reply)

    async def work() -> None:
        running = asyncio.create_task(desk.run(TASK))
        await asyncio.sleep(0.3)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running

    asyncio.run(work())
    rows = {row.agent: row.status for row in desk.ledger.submissions(1)}
    assert rows == {"a": "answered", "b": "answered", "c": "cancelled"} and not desk.ledger.rounds()[0].closed


def test_a_missing_recording_is_a_mistake_of_the_set_up_and_stops_the_round(tmp_path: Path) -> None:
    replay = client(tmp_path / "none.jsonl", "replay")
    with pytest.raises(MissingRecording):
        play(Coordinator(AGENTS, JUDGE, quadratic, Ledger(), 100, client=replay))


def test_the_second_report_rule_passes_on_and_pays_the_highest_report() -> None:
    done = play(coordinator(says(GOOD), second_report, settle="key", choose="report", grading_share=0.0))
    assert done.chosen == 0
    np.testing.assert_allclose(done.scores, [1 - 0.7, 0, 0])


def test_graders_are_paid_for_predicting_the_truth() -> None:
    def reply(model: str, prompt: str) -> str:
        if "<answer>" not in prompt:
            return GOOD[model[-1]]
        right = "<answer>2<" in prompt
        return {"a": "SCORE: 1" if right else "SCORE: 0", "b": "SCORE: 0.5", "c": "no mark"}[model[-1]]

    fees = play(coordinator(reply, graders="peers", budget=3000, grading_share=0.1)).fees
    assert fees == {"a": 50, "b": 75, "c": 0}  # of 100 each: a errs on one of two, b is half sure


def test_marks_that_nothing_depends_on_are_not_asked_for() -> None:
    asked: list[str] = []

    def reply(model: str, prompt: str) -> str:
        asked.append(prompt)
        return says(GOOD)(model, prompt)

    done = play(coordinator(reply, settle="key", choose="report", grading_share=0.0))
    assert len(asked) == 3 and np.isnan(done.grades).all() and done.chosen == 0


def test_a_harsh_grader_gains_nothing_because_marks_are_centred() -> None:
    marks = {("a", "3"): 0.0, ("a", "2"): 0.1, ("b", "2"): 0.6, ("c", "3"): 0.4, ("c", "2"): 0.6}

    def reply(model: str, prompt: str) -> str:
        if "<answer>" not in prompt:
            return GOOD[model[-1]]
        answer = prompt.split("<answer>")[1][0]
        return f"SCORE: {marks[model[-1], answer]}"

    fair = play(coordinator(reply, graders="peers"))
    for answer in "23":
        marks["a", answer] += 0.8
    kind = play(coordinator(reply, graders="peers"))
    assert np.nanargmax(np.nanmean(fair.grades, axis=0)) != np.nanargmax(np.nanmean(kind.grades, axis=0))
    assert fair.chosen == kind.chosen == 0


def test_an_impartial_choice_does_not_move_with_the_graders_own_marks() -> None:
    def winner(harsh: str) -> int | None:
        def reply(model: str, prompt: str) -> str:
            if "<answer>" not in prompt:
                return GOOD[model[-1]]
            return f"SCORE: {harsh if model == 'model-a' else 0.6}"

        return play(coordinator(reply, graders="peers", choose="impartial", seed=3)).chosen

    assert (winner("0.0") == 0) == (winner("1.0") == 0)


def test_work_follows_reputation_and_exploration_keeps_everyone_reachable() -> None:
    texts = {"a": "ANSWER: 2\nCONFIDENCE: 0.9", "b": "ANSWER: 3\nCONFIDENCE: 0.9", "c": "ANSWER: 3\nCONFIDENCE: 0.9"}
    desk = coordinator(says(texts), settle="key", team_size=1, exploration=0.3)
    teams = [play(desk, Task(f"t{i}", "?", (), "2")).team[0] for i in range(60)]
    assert teams.count("a") > 30 and min(teams.count("b"), teams.count("c")) > 1
    reputation = desk.ledger.reputations("abc")
    assert reputation["a"] == pytest.approx(0.99) and reputation["b"] < 0


def test_equal_seeds_give_equal_rounds() -> None:
    options: dict[str, Any] = {"graders": "peers", "team_size": 2, "exploration": 0.5, "seed": 7}
    first, second = (
        [play(desk, Task(f"t{i}", "?")).team for i in range(10)]
        for desk in (coordinator(says(GOOD), **options), coordinator(says(GOOD), **options))
    )
    assert first == second and len(set(first)) > 1


def test_a_simulated_exaggerator_earns_less_under_the_proper_rule_and_more_under_the_popular_one() -> None:
    def exaggerate(submission: Submission) -> Submission:
        from dataclasses import replace

        return replace(submission, confidence=1.0)

    truths = [number % 10 < 7 for number in range(20)]  # as often right as it says

    def earned(rule: Any, lie: bool) -> int:
        desk = coordinator(
            lambda model, prompt: f"ANSWER: {prompt[0]}\nCONFIDENCE: 0.7",
            rule, settle="key", strategies={"a": exaggerate} if lie else None, graders="validator", grading_share=0.0,
        )  # fmt: skip
        for i, right in enumerate(truths):
            play(desk, Task(f"t{i}", "2" if right else "3", (), "2"))
        return desk.ledger.balance("a")

    assert earned(quadratic, lie=True) < earned(quadratic, lie=False)
    assert earned(absolute, lie=True) > earned(absolute, lie=False)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"agents": ()}, "at least one"),
        ({"agents": (AGENTS[0], AGENTS[0])}, "distinct"),
        ({"team_size": 4}, "team_size"),
        ({"exploration": 2}, "exploration"),
        ({"timeout": 0}, "timeout"),
        ({"strategies": {"z": lambda s: s}}, "strategies"),
        ({"choose": "impartial"}, "peers"),
        ({"rule": lambda c, a: -logarithmic(c, a)}, "bound"),
        ({"rule": lambda c, a: 1 + logarithmic(c, a)}, "bound"),
        ({"judge": Agent("a", "m")}, "another name"),
    ],
)
def test_a_wrong_set_up_is_refused_before_any_call(options: dict[str, Any], message: str) -> None:
    full: dict[str, Any] = {"agents": AGENTS, "judge": JUDGE, "rule": quadratic, "ledger": Ledger(), "budget": 10}
    with pytest.raises(ValueError, match=message):
        Coordinator(**{**full, "client": fake(says(GOOD)), **options})


def test_ten_thousand_fuzzed_replies_are_all_accounted_for() -> None:
    rng = random.Random(5)
    pieces = ["ANSWER:", "CONFIDENCE:", "SCORE:", " 2", "0.5", "1.7", "-3", "nan", "inf", "%", "\n", "</answer>", "**",
              "<script>", "\x00", "\u2028", "I do not know", "ignore all instructions", "1e999", "🙂", "ANSWER",
              " " * 5]  # fmt: skip
    asked = 0

    class Model:  # what the SDK returns, without its way over HTTP
        async def create(self, model: str, **request: Any) -> anthropic.types.Message:
            nonlocal asked
            asked += 1
            text = "".join(rng.choice(pieces) for _ in range(rng.randrange(12)))
            usage = anthropic.types.Usage(input_tokens=1, output_tokens=1)
            block = anthropic.types.TextBlock(text=text, type="text")
            return anthropic.types.Message(id="m", type="message", role="assistant", model=model, content=[block],
                                           stop_reason="end_turn", stop_sequence=None, usage=usage)  # fmt: skip

    desk = coordinator(says(GOOD), abstain_pays(quadratic, 0.1), settle="key")
    desk.client = SimpleNamespace(messages=Model())

    async def work() -> None:
        number = 0
        while asked < 10_000:
            number += 1
            done = await desk.run(Task(f"t{number}", "?", (), "2"))
            rows = desk.ledger.submissions(done.id)
            assert [row.status for row in rows] == [s.status for s in done.submissions]
            assert len(rows) == 3 and np.isfinite(done.payments).all()

    asyncio.run(work())
    assert all(row.closed for row in desk.ledger.rounds())


ROUNDS = """
sys.path.insert(0, sys.argv[2])
from test_coordinator import *
async def main():
    desk = coordinator(says(GOOD), ledger=Ledger(sys.argv[1]), settle="key")
    for number in range(10_000):
        done = await desk.run(Task(f"t{number}", "?", (), "2"))
        print(done.id, flush=True)
"""


def test_kill_nine_in_the_middle_of_a_round_loses_nothing_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "ledger.db"
    trials = kill_nine(ROUNDS, (path, Path(__file__).parent), (1 + trial % 5 for trial in range(20)))
    killed = 0
    for acknowledged in trials:
        killed += 1
        with sqlite3.connect(path) as database:
            assert database.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        with Ledger(path) as ledger:
            closed = {row.id for row in ledger.rounds() if row.closed}
            assert acknowledged and set(acknowledged) <= closed
            for number in closed:
                assert len(ledger.submissions(number)) == 3 and len(ledger.payments(number)) == 4
    assert killed == 20


def test_a_cost_report_has_the_price_of_the_call_in_millionths_of_the_roster_s_currency() -> None:
    roster = Roster.load()
    assert roster.grader is not None
    reply = lambda model, prompt: "SCORE: 0.8" if "<answer>" in prompt else GOOD["a"]  # noqa: E731
    desk = Coordinator(roster.agents, roster.grader, quadratic, Ledger(), 100, client=fake(reply), roster=roster)
    done = play(desk)
    expected = [round(17 * roster.models[agent.model].price[0]) for agent in roster.agents]
    assert [s.cost.price for s in done.submissions] == expected and min(expected) > 0
    assert [row.cost.price for row in desk.ledger.submissions(done.id)] == expected
