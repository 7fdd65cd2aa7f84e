"""A round ends whatever the replies are; nothing is lost, the budget holds, and honesty pays under a proper rule."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections.abc import Callable
from dataclasses import replace
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

from mechlib import Award, Beliefs, Outcome, Recorded, audit, replay, second_price
from mechlib.agents.llm import MissingRecording, client
from mechlib.agents.roster import Agent, Model, Roster
from mechlib.agents.tasks import Task, grading_prompt
from mechlib.desk.calls import Submission
from mechlib.desk.coordinator import Coordinator
from mechlib.desk.ledger import Ledger
from mechlib.desk.rounds import Round
from mechlib.desk.terms import draw
from mechlib.rules.choice import highest
from mechlib.rules.scoring import absolute, abstain_pays, logarithmic, quadratic, second_report

AGENTS = tuple(Agent(name, f"model-{name}") for name in "abc")
JUDGE = Agent("validator", "model-judge", system="grade")
TASK = Task("t1", "What is 1 + 1?", (), "2")
KEYLESS = Task("t1", "What is 1 + 1?")


def mechanism(score: Any) -> Any:
    """The rule that passes on the highest report and pays a score."""

    def rule(reports: Any, found: Any) -> Award:
        return Award(highest(reports), score(reports, found))

    return rule


proper = mechanism(quadratic)


def best_marked(reports: Any, found: Any) -> Award:
    """Pass on what is known to be best, share ties out, pay quadratic scores."""
    worth = np.where(np.isnan(reports), -1.0, found)
    best = (worth == worth.max(axis=-1, keepdims=True)) & ~np.isnan(reports)
    return Award(best / np.maximum(best.sum(axis=-1, keepdims=True), 1), quadratic(reports, found))


def lottery(reports: Any, found: Any) -> Award:
    """Pass on any answer, each as likely; pay quadratic scores."""
    speaks = ~np.isnan(reports)
    return Award(speaks / np.maximum(speaks.sum(axis=-1, keepdims=True), 1), quadratic(reports, found))


Reply = Callable[[str, str], Any]


class Instant:
    """What stands for the SDK: it answers at once with `reply(model, last prompt)`, and keeps what was asked."""

    def __init__(self, reply: Reply, tokens: dict[str, int] | None = None) -> None:
        self.reply, self.tokens, self.messages = reply, tokens or {}, self
        self.asked: list[dict[str, Any]] = []

    async def create(self, **request: Any) -> anthropic.types.Message:
        self.asked.append(request)
        said = self.reply(request["model"], request["messages"][-1]["content"])
        said = await said if asyncio.iscoroutine(said) else said
        return message(said, request["model"], self.tokens.get(request["model"], 2))


def fake(reply: Reply) -> anthropic.AsyncAnthropic:
    """The real SDK over a transport that answers with `reply(model, last prompt)`: text, a status, or an exception."""

    async def handle(request: httpx2.Request) -> httpx2.Response:
        body = json.loads(request.content)
        said = reply(body["model"], body["messages"][-1]["content"])
        if isinstance(said, int):
            return httpx2.Response(said, json={"type": "error", "error": {"type": "x", "message": "no"}})
        if isinstance(said, Exception):
            raise said
        return httpx2.Response(200, json=message(said, body["model"]).model_dump())

    http = anthropic.DefaultAsyncHttpxClient(transport=httpx2.MockTransport(handle))
    return anthropic.AsyncAnthropic(api_key="none", http_client=http, max_retries=0)


def message(text: str, model: str, tokens: int = 2) -> anthropic.types.Message:
    """What the Messages API returns."""
    content = [anthropic.types.TextBlock(text=text, type="text")] if text != "REFUSE" else []
    usage = anthropic.types.Usage(input_tokens=10, output_tokens=tokens, cache_read_input_tokens=5)
    stop = "refusal" if text == "REFUSE" else "end_turn"
    return anthropic.types.Message(id="m", type="message", role="assistant", model=model, content=content,
                                   stop_reason=stop, stop_sequence=None, usage=usage)  # fmt: skip


def says(answers: dict[str, Any], mark: Any = "SCORE: 0.8") -> Reply:
    return lambda model, prompt: mark if "<answer>" in prompt else answers[model.removeprefix("model-")]


GOOD = {"a": "ANSWER: 2\nCONFIDENCE: 0.9", "b": "ANSWER: 3\nCONFIDENCE: 0.6", "c": "ANSWER: 2\nCONFIDENCE: 0.7"}


def coordinator(reply: Reply, rule: Any = proper, **options: Any) -> Coordinator:
    options = {"budget": 3000, "judge": JUDGE, "client": Instant(reply)} | options
    return Coordinator(AGENTS, rule, **options)


def play(desk: Coordinator, task: Task = TASK) -> Round:
    return asyncio.run(desk.run(task))


def listened(reply: Reply) -> tuple[Reply, list[tuple[str, str]]]:
    """The same replies, and a list of who was asked what, in order."""
    asked: list[tuple[str, str]] = []

    def heard(model: str, prompt: str) -> Any:
        asked.append((model, prompt))
        return reply(model, prompt)

    return heard, asked


def marking(table: dict[tuple[str, str], float], answers: dict[str, str] = GOOD) -> Reply:
    """Replies with these marks, by grader and answer."""

    def reply(model: str, prompt: str) -> str:
        if "<answer>" not in prompt:
            return answers[model[-1]]
        return f"SCORE: {table[model[-1], prompt.split('<answer>')[1][0]]}"

    return reply


# One rule, and what it says


def second(reports: Any, found: Any) -> Award:
    """Four lines: the highest report is passed on, and earns what is found of it, less the second highest report."""
    first = highest(reports)
    others = np.nan_to_num(np.where(first > 0, np.nan, reports)).max(axis=-1, keepdims=True)
    return Award(first, first * (np.asarray(found) - others))


def test_the_rule_that_is_audited_is_the_rule_that_runs_and_the_rule_that_is_replayed() -> None:
    assert audit(second, Beliefs([0.1, 0.4, 0.7, 1.0], 3)).is_dsic
    desk = coordinator(says(GOOD), second, grading_share=0.0)
    rounds = [play(desk), play(desk, Task("t2", "What is 1 + 2?", (), "3"))]
    assert [done.answer for done in rounds] == ["2", "2"]
    recorded = Recorded(*(np.array([getattr(done, name) for done in rounds]) for name in ("reports", "found", "costs")))
    replayed = replay(second, recorded)
    for row, done in enumerate(rounds):
        np.testing.assert_allclose(done.chances, replayed.allocation[row])
        np.testing.assert_allclose(done.rewards, replayed.rewards[row])
        np.testing.assert_array_equal(done.payments, np.floor(desk.scale * done.rewards + 1e-6))
    np.testing.assert_allclose(rounds[0].rewards, [1 - 0.7, 0, 0])
    np.testing.assert_allclose(rounds[1].rewards, [0 - 0.7, 0, 0])


def test_a_round_pays_by_the_rule_times_one_constant_scale() -> None:
    desk = coordinator(says(GOOD), grading_share=0.0)
    done = play(desk)
    assert desk.scale == 1000
    np.testing.assert_array_equal(done.found, [1, 0, 1])
    np.testing.assert_allclose(done.rewards, quadratic([0.9, 0.6, 0.7], [1, 0, 1]))
    np.testing.assert_array_equal(done.payments, [990, -360, 910])
    assert done.submissions[0].cost.tokens == 17 and done.answer == "2" and done.chosen == 0
    paid = [(row.agent, row.amount, row.reason) for row in desk.ledger.payments(done.id)]
    assert [row for row in paid if row[2] != "grading"] == [*zip("abc", done.payments, ["answer"] * 3, strict=True)]
    assert desk.ledger.rewards(done.id) == [*zip("abc", done.rewards, done.found, strict=True)]


def test_part_of_the_budget_is_kept_for_graders_if_there_are_any() -> None:
    assert coordinator(says(GOOD), grading_share=0.25).scale == 750
    assert coordinator(says(GOOD), grading_share=0.25, judge=None).scale == 1000
    assert coordinator(says(GOOD), grading_share=0.25, team_size=1).scale == 2250


def test_a_rule_of_reports_alone_and_payments_by_the_agents_are_as_good() -> None:
    def posted(reports: Any) -> Outcome:
        best = highest(reports)
        return Outcome(best, -0.5 * best)

    done = play(coordinator(says(GOOD), posted, grading_share=0.0))
    assert done.answer == "2" and list(done.rewards) == [0.5, 0, 0] and list(done.payments) == [1000, 0, 0]


def test_a_rule_that_only_charges_charges_no_more_than_the_budget() -> None:
    def charges(reports: Any) -> Outcome:
        best = highest(reports)
        return Outcome(best, 2.0 * best)

    desk = coordinator(says(GOOD), charges, grading_share=0.0)
    assert list(play(desk).payments) == [-1000, 0, 0]
    assert coordinator(says(GOOD), lambda reports: Award(highest(reports), np.zeros(np.shape(reports)))).scale == 0


def quality_less_cost(reports: Any, found: Any, costs: Any) -> Award:
    """What the judge says, less a hundredth a token: the best of it is passed on, and the rest of it paid."""
    worth = np.where(np.isnan(reports), 0.0, found - costs / 100)
    return Award(highest(np.where(np.isnan(reports), np.nan, worth)), worth)


def test_a_rule_may_read_the_judge_s_mark_and_the_cost_of_an_answer() -> None:
    texts = {**GOOD, "c": "ANSWER: 4\nCONFIDENCE: 0.7"}
    table = {("e", "2"): 0.8, ("e", "3"): 0.6, ("e", "4"): 0.75}
    tokens = {"model-a": 40, "model-b": 5, "model-c": 10}
    models = Instant(marking(table, texts), tokens)
    desk = coordinator(models.reply, quality_less_cost, client=models, settle="marks", grading_share=0.0)
    done = play(desk)
    assert list(done.costs) == [55, 20, 25] and done.answer == "4"
    np.testing.assert_allclose(done.rewards, [0.8 - 0.55, 0.6 - 0.2, 0.75 - 0.25])
    assert desk.scale == 1000  # the best there is: right, for nothing
    repays = lambda reports, found, costs: Award(highest(reports), np.minimum(costs, 500) * found)  # noqa: E731
    assert coordinator(says(GOOD), repays, grading_share=0.0).scale == 2
    with pytest.raises(ValueError, match="grow with the costs"):
        coordinator(says(GOOD), lambda reports, found, costs: Award(highest(reports), costs * found))
    with pytest.raises(ValueError, match="grow with the costs"):
        coordinator(says(GOOD), lambda reports, found, costs: Award(highest(reports), costs.max() - costs))


# Whose answer is passed on


def test_the_choice_is_made_by_the_marks_and_the_payment_by_the_key() -> None:
    table = {("e", "2"): 0.3, ("e", "3"): 0.8}
    done = play(coordinator(marking(table), best_marked))
    assert done.answer == "3"  # the best mark, and wrong
    np.testing.assert_allclose(done.mean_marks, [0.3, 0.8, 0.3])
    np.testing.assert_array_equal(done.found, [1, 0, 1])
    np.testing.assert_allclose(done.rewards, quadratic([0.9, 0.6, 0.7], [1, 0, 1]))


def test_an_answer_that_nobody_could_mark_is_known_to_be_worth_nothing_when_one_is_chosen() -> None:
    reply = lambda model, prompt: "no" if "<answer>2" in prompt else says(GOOD, "SCORE: 0.1")(model, prompt)  # noqa: E731
    done = play(coordinator(reply, best_marked))
    assert np.isnan(done.marks[0, [0, 2]]).all() and done.chosen == 1


@pytest.mark.no_cover
def test_ties_and_lotteries_are_drawn_anew_in_every_round_whatever_the_task_is_called() -> None:
    desk = coordinator(says(GOOD, "SCORE: 0.5"), best_marked, budget=0)
    rounds = [play(desk) for _ in range(60)]
    counts = np.bincount([done.chosen or 0 for done in rounds], minlength=3)
    assert all(np.allclose(done.chances, 1 / 3) for done in rounds) and counts.min() >= 8
    again = coordinator(says(GOOD, "SCORE: 0.5"), best_marked, budget=0)
    assert [play(again).chosen for _ in range(60)] == [done.chosen for done in rounds]
    other = coordinator(says(GOOD, "SCORE: 0.5"), best_marked, budget=0, seed=1)
    assert [play(other).chosen for _ in range(60)] != [done.chosen for done in rounds]


@pytest.mark.parametrize("chances", [[0.2, 0.5, 0.3], [0.1, 0.0, 0.4], [0.0, 0.0, 0.0]])
def test_answers_are_drawn_by_their_chances_and_what_is_left_passes_nothing_on(chances: list[float]) -> None:
    rng = np.random.default_rng(1)
    drawn = [draw(np.array(chances), rng) for _ in range(4000)]
    shares = [drawn.count(k) / 4000 for k in (0, 1, 2, None)]
    np.testing.assert_allclose(shares, [*chances, 1 - sum(chances)], atol=0.03)
    assert all(share == 0 for share, chance in zip(shares, chances, strict=False) if chance == 0)


@pytest.mark.parametrize(("point", "drawn"), [(0.0, 1), (0.249, 1), (0.25, 2), (0.749, 2), (0.75, None)])
def test_what_has_no_chance_is_not_drawn_at_the_edges_either(point: float, drawn: int | None) -> None:
    rng: Any = SimpleNamespace(random=lambda: point)
    assert draw(np.array([0.0, 0.25, 0.5]), rng) == drawn


def test_a_certain_choice_takes_no_draw() -> None:
    rng, untouched = np.random.default_rng(1), np.random.default_rng(1)
    assert draw(np.array([0.0, 1.0, 0.0]), rng) == 1 and rng.random() == untouched.random()


def test_silence_and_faults_have_no_answer_to_pass_on() -> None:
    always_b = lambda reports: Award(np.array([0.0, 1.0, 0.0]), np.zeros(3))  # noqa: E731
    assert play(coordinator(says(GOOD), always_b)).answer == "3"
    for said in ("ANSWER: I do not know\nCONFIDENCE: 0", "what?", "REFUSE"):
        done = play(coordinator(says({**GOOD, "b": said}), always_b))
        assert done.chosen is None and done.answer is None and not done.chances.any()
        assert np.isnan(done.reports[1]) and np.isfinite(done.reports[[0, 2]]).all()


def test_a_choice_of_one_s_own_replaces_the_rule_s_and_sees_every_grader_s_marks() -> None:
    seen = []

    def harshest(reports: Any, marks: Any) -> Any:
        seen.append((reports, marks))
        return np.arange(3) == np.nanargmin(np.nan_to_num(np.nanmean(marks, axis=0), nan=2.0))

    table = {("a", "3"): 0.0, ("a", "2"): 0.9, ("b", "2"): 0.6, ("c", "3"): 0.4, ("c", "2"): 0.8}
    done = play(coordinator(marking(table), choose=lambda r, m: harshest(r, np.where(np.isnan(m).all(), 0.5, m)),
                            graders="peers"))  # fmt: skip
    reports, marks = seen[-1]
    np.testing.assert_array_equal(reports, [0.9, 0.6, 0.7])
    np.testing.assert_allclose(marks, [[np.nan, 0, 0.9], [0.6, np.nan, 0.6], [0.8, 0.4, np.nan]])
    assert done.chosen == 1 and list(done.chances) == [0, 1, 0]


def test_with_a_choice_of_one_s_own_the_rule_only_pays() -> None:
    pays = lambda reports, found: Award(np.full(np.shape(reports), 7.0), quadratic(reports, found))  # noqa: E731
    assert play(coordinator(says(GOOD), pays, choose=lambda reports, marks: [0, 1, 0])).answer == "3"


def from_the_other_group(reports: Any, marks: Any) -> Any:
    """The choice between the first and the last is the middle one's: nobody's marks reach its own chance."""
    return np.array([marks[1, 0] >= marks[1, 2], False, marks[1, 0] < marks[1, 2]], float)


@pytest.mark.parametrize("harsh", [0.0, 1.0])
def test_an_impartial_choice_does_not_move_with_the_graders_own_marks(harsh: float) -> None:
    answers = {**GOOD, "c": "ANSWER: 4\nCONFIDENCE: 0.7"}
    table = dict.fromkeys([("a", "3"), ("a", "4"), ("c", "2"), ("c", "3")], harsh) | {("b", "2"): 0.1, ("b", "4"): 0.6}
    done = play(coordinator(marking(table, answers), best_marked, graders="peers", choose=from_the_other_group))
    assert done.answer == "4"  # by the mean marks it would be a's or b's
    table |= {("b", "2"): 0.9}
    done = play(coordinator(marking(table, answers), best_marked, graders="peers", choose=from_the_other_group))
    assert done.answer == "2"


def test_with_peers_the_team_s_marks_come_first_in_its_own_order() -> None:
    table = {(a, b): ("abc".index(a) + 1) / 10 + ("234".index(b) + 1) / 100 for a in "abc" for b in "234"}
    answers = {**GOOD, "c": "ANSWER: 4\nCONFIDENCE: 0.7"}
    desk = coordinator(marking(table, answers), graders="peers", team_size=2, exploration=1.0)
    teams = set()
    for _ in range(20):
        done = play(desk)
        teams.add(done.team)
        assert done.graders[:2] == done.team and len(done.graders) == 3
        assert len(desk.ledger.marks(done.id)) == 4
        for row in desk.ledger.marks(done.id):
            assert row.mark == done.marks[done.graders.index(row.grader), done.team.index(row.agent)]
        for g, grader in enumerate(done.graders):
            for j, agent in enumerate(done.team):
                said = table[grader, answers[agent][8]]
                np.testing.assert_allclose(done.marks[g, j], np.nan if grader == agent else said)
    assert teams == {("a", "b"), ("a", "c"), ("b", "c")}


# Money


@pytest.mark.no_cover
@given(
    st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=3, max_size=3),
    st.lists(st.floats(0, 1), min_size=6, max_size=6),
    st.sampled_from([quadratic, absolute, second_report]),
    st.integers(0, 10_000),
    st.sampled_from([0.0, 0.1, 0.5]),
    st.sampled_from(["key", "marks"]),
)
def test_no_round_pays_more_than_its_budget(
    replies: Any, marks: list[float], score: Any, budget: int, share: float, settle: str
) -> None:
    texts = {n: f"ANSWER: {2 if r else 3}\nCONFIDENCE: {c:.3f}" for n, (c, r) in zip("abc", replies, strict=True)}
    left = iter(marks)
    reply = lambda model, prompt: f"SCORE: {next(left):.3f}" if "<answer>" in prompt else texts[model[-1]]  # noqa: E731
    options = {"graders": "peers", "settle": settle, "budget": budget, "grading_share": share}
    done = play(coordinator(reply, mechanism(score), **options))
    assert np.maximum(done.payments, 0).sum() + sum(max(fee, 0) for fee in done.fees.values()) <= budget


def test_a_reward_that_jumps_above_the_bound_between_all_that_was_tried_is_cut_and_noted() -> None:
    def spike(reports: Any, found: Any) -> Award:
        there = np.abs(np.nan_to_num(reports) - 0.33333) < 1e-6
        return Award(highest(reports), np.where(there, 50.0, quadratic(reports, found)))

    desk = coordinator(says({**GOOD, "b": "ANSWER: 3\nCONFIDENCE: 0.33333"}), spike, grading_share=0.0)
    done = play(desk)
    assert desk.scale == 1000 and done.rewards[1] == 50 and done.payments[1] == 1000
    (cut,) = desk.ledger.trail("reward.cut")
    assert cut.data == {"round": done.id, "agent": "b", "reward": 50.0, "bound": 1.0} and desk.ledger.rounds()[0].closed


def relative(confidence: Any, found: Any) -> Any:
    """A quadratic score, less the mean of all."""
    scores = quadratic(confidence, found)
    return scores - scores.mean(axis=-1, keepdims=True)


@pytest.mark.parametrize(
    ("score", "agents", "best"),
    [(quadratic, 1, 1), (quadratic, 12, 1), (second_report, 12, 1), (relative, 2, 1), (relative, 3, 4 / 3),
     (relative, 12, 2 - 2 / 12), (relative, 40, 2 - 2 / 40), (abstain_pays(quadratic, 3.0), 5, 3)],
)  # fmt: skip
def test_a_team_of_any_size_is_bounded_at_its_ends(score: Any, agents: int, best: float) -> None:
    team = [Agent(f"agent {i}", "m") for i in range(agents)]
    desk = Coordinator(team, mechanism(score), budget=1200, client=Instant(says(GOOD)))
    assert desk.terms.best == pytest.approx(best) and desk.scale == pytest.approx(1200 / agents / best)


def test_without_a_key_what_is_found_is_the_mean_mark() -> None:
    table = {("a", "2"): 0.2, ("a", "3"): 0.3, ("b", "2"): 0.6, ("c", "2"): 1.0, ("c", "3"): 0.5}
    desk = coordinator(marking(table), graders="peers")
    done = play(desk, KEYLESS)
    np.testing.assert_allclose(done.found, [0.8, 0.4, 0.4])
    np.testing.assert_allclose(done.rewards, quadratic([0.9, 0.6, 0.7], [0.8, 0.4, 0.4]))
    assert done.fees == {}
    assert [row.found for row in desk.ledger.rewards(done.id)] == pytest.approx([0.8, 0.4, 0.4])


def test_marks_may_settle_what_a_key_could() -> None:
    done = play(coordinator(says(GOOD, "SCORE: 0.4"), settle="marks"))
    np.testing.assert_allclose(done.found, 0.4)
    assert done.fees == {"validator": round(300 * (0.64 - 0.16 + 0.64) / 3)}  # the key is known, and pays the grader


def test_graders_are_paid_for_predicting_the_truth() -> None:
    def reply(model: str, prompt: str) -> str:
        if "<answer>" not in prompt:
            return GOOD[model[-1]]
        right = "<answer>2<" in prompt
        return {"a": "SCORE: 1" if right else "SCORE: 0", "b": "SCORE: 0.5", "c": "no mark"}[model[-1]]

    desk = coordinator(reply, graders="peers", budget=3001, grading_share=0.1)
    done = play(desk)
    assert done.fees == {"a": 50, "b": 75, "c": 0}  # of 100.03 each, rounded down: a errs on one of two, b is half sure
    paid = [(row.agent, row.amount) for row in desk.ledger.payments(done.id) if row.reason == "grading"]
    assert paid == [*done.fees.items()]
    assert play(coordinator(reply, graders="peers", grading_share=0.0)).fees == {}


# Grading is blind


def test_an_agent_never_marks_its_own_answer_and_no_name_reaches_a_grader() -> None:
    agents = [Agent("Ada Lovelace", "model-a"), Agent("Bob Hope", "model-b"), Agent("Cid Campeador", "model-c")]
    reply, asked = listened(says(GOOD))
    done = play(Coordinator(agents, best_marked, client=Instant(reply), judge=JUDGE, graders="peers"))
    assert np.isnan(np.diag(done.marks)).all() and np.isfinite(done.marks).sum() == 6
    graded = [prompt for _, prompt in asked if "<answer>" in prompt]
    assert sorted(graded) == [grading_prompt(TASK.prompt, answer) for answer in "222233"]


def test_marks_are_asked_for_in_no_order_that_tells_whose_answer_it_is() -> None:
    answers = {name: f"ANSWER: {name}\nCONFIDENCE: 0.9" for name in "abc"}
    reply, asked = listened(says(answers))
    desk = coordinator(reply)
    for _ in range(30):
        play(desk)
    graded = [prompt.split("<answer>")[1][0] for _, prompt in asked if "<answer>" in prompt]
    orders = {"".join(graded[k : k + 3]) for k in range(0, 90, 3)}
    assert len(orders) >= 4 and all(sorted(order) == [*"abc"] for order in orders)


def test_peers_mark_by_their_own_models_under_the_judge_s_persona() -> None:
    judge = Agent("validator", "model-judge", system="You grade.", examples=(("q", "SCORE: 1"),), max_tokens=9)
    for graders, models in (("peers", {"model-a", "model-b", "model-c"}), ("validator", {"model-judge"})):
        client = Instant(says(GOOD))
        play(coordinator(client.reply, client=client, judge=judge, graders=graders))
        graded = [request for request in client.asked if "<answer>" in request["messages"][-1]["content"]]
        assert {request["model"] for request in graded} == models
        assert all(request["system"] == "You grade." and request["max_tokens"] == 9 for request in graded)
        assert all(request["messages"][0]["content"] == "q" for request in graded)


@pytest.mark.parametrize(
    ("options", "calls"),
    [
        ({"grading_share": 0.0}, 3),
        ({"grading_share": 0.1}, 6),
        ({"grading_share": 0.0, "rule": best_marked}, 6),
        ({"grading_share": 0.0, "settle": "marks"}, 6),
        ({"grading_share": 0.0, "choose": lambda reports, marks: np.full(3, 1 / 3)}, 6),
        ({"grading_share": 0.0, "graders": "peers"}, 3),
        ({"graders": None}, 3),
        ({"judge": None}, 3),
    ],
)
def test_marks_that_nothing_depends_on_are_not_asked_for(options: dict[str, Any], calls: int) -> None:
    reply, asked = listened(says(GOOD))
    done = play(coordinator(reply, **options))
    assert len(asked) == calls and np.isfinite(done.marks).any() == (calls > 3)


def test_a_task_without_a_key_needs_marks_and_gets_them() -> None:
    reply, asked = listened(says(GOOD, "SCORE: 0.4"))
    desk = coordinator(reply, grading_share=0.0)
    assert len(asked) == 0 and np.isfinite(play(desk, KEYLESS).found).all() and len(asked) == 6
    silent = coordinator(says(GOOD), judge=None)
    with pytest.raises(ValueError, match=r"'t1' has no key.*judge="):
        play(silent, KEYLESS)
    assert silent.ledger.rounds() == []


# Silence and faults


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
    reply = says({**GOOD, "b": said})
    desk = coordinator(reply, mechanism(abstain_pays(quadratic, 0.25)), client=fake(reply))
    done = play(desk)
    assert done.submissions[1].status == status and done.answer == "2"
    assert done.rewards[1] == (0.25 if status == "abstained" else 0.0) and np.isnan(done.found[1])
    rows = {row.agent: row.status for row in desk.ledger.submissions(done.id)}
    assert rows == {"a": "answered", "b": status, "c": "answered"}
    assert desk.ledger.rewards(done.id)[1] == ("b", done.rewards[1], 0.0)
    assert desk.ledger.rounds()[0].closed


def test_a_slow_agent_times_out_alone() -> None:
    async def late() -> str:
        await asyncio.sleep(5)
        return GOOD["b"]

    reply = lambda model, prompt: late() if model == "model-b" else says(GOOD)(model, prompt)  # noqa: E731
    done = play(coordinator(reply, timeout=0.2))
    assert [s.status for s in done.submissions] == ["answered", "timeout", "answered"]
    assert done.submissions[1].cost.seconds >= 0.2 and "0.2 s" in done.submissions[1].detail


def test_a_round_in_which_nobody_answers_passes_nothing_on() -> None:
    done = play(coordinator(says(dict.fromkeys("abc", ""))))
    assert done.chosen is None and done.answer is None and not done.payments.any() and done.fees == {"validator": 0}


@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_an_answer_that_no_grader_could_be_reached_for_is_neither_paid_nor_held_against_its_author() -> None:
    reply = says(GOOD, 500)
    desk = coordinator(reply, newcomer=0.5, client=fake(reply))
    done = play(desk, KEYLESS)
    assert np.isnan(done.rewards).all() and np.isnan(done.found).all() and not done.payments.any()
    assert done.answer == "2"  # the rule chooses by the reports, and those are known
    assert desk.ledger.rewards(done.id) == [] and desk.ledger.reputation("a", default=0.5) == 0.5
    assert [fault.part for fault in done.faults] == ["grader"] * 3 and "500" in done.faults[0].error


def test_an_answer_that_a_grader_read_and_could_not_mark_is_not_paid_and_not_right() -> None:
    reply = lambda model, prompt: "no mark" if "<answer>3" in prompt else says(GOOD)(model, prompt)  # noqa: E731
    desk = coordinator(reply)
    done = play(desk, KEYLESS)
    assert np.isnan(done.rewards[1]) and done.payments[1] == 0 and np.isfinite(done.rewards[[0, 2]]).all()
    assert [row.found for row in desk.ledger.rewards(done.id)] == pytest.approx([0.8, 0.0, 0.8])
    keyed = play(desk)  # where the key says what is right, a grader that cannot read it changes nothing
    assert keyed.found[1] == 0 and keyed.rewards[1] == pytest.approx(-0.36)


def test_an_agent_that_is_always_silent_has_no_reputation_for_being_right() -> None:
    answers = {"a": "ANSWER: 2\nCONFIDENCE: 0.1", "b": "ANSWER: I do not know\nCONFIDENCE: 0", "c": "what?"}
    desk = coordinator(says(answers))
    for task in (TASK, Task("t", "?", (), "7"), Task("t", "?", (), "7")):
        play(desk, task)  # a is right once, and wrong twice
    assert desk.ledger.reputations([*"abc"], 1.0, of="found") == {"a": pytest.approx(1 / 3), "b": 0, "c": 0}
    for reputation, works in (("found", "a"), ("reward", "b")):
        chosen = coordinator(says(answers), ledger=Ledger(), reputation=reputation, exploration=0.0, team_size=1)
        for name in "abc":
            with_a_past(chosen.ledger, name, {"a": (-0.5, 0.4), "b": (0.0, 0.0), "c": (-0.1, 0.0)}[name])
        assert play(chosen).team == (works,)


# Reputation


def with_a_past(ledger: Ledger, agent: str, *results: tuple[float, float]) -> None:
    """Rounds of the past, oldest first, in which an agent had these rewards and was found so right."""
    for reward, found in results:
        number = ledger.begin("past")
        ledger.reward(number, agent, reward, found)
        ledger.close(number)


def first_team(pasts: dict[str, list[tuple[float, float]]], **options: Any) -> tuple[str, ...]:
    desk = coordinator(says(GOOD), ledger=Ledger(), exploration=0.0, team_size=1, **options)
    for name, results in pasts.items():
        with_a_past(desk.ledger, name, *results)
    return play(desk).team


def test_the_planner_discounts_the_past_and_trusts_newcomers_as_much_as_it_is_told_to() -> None:
    early, late = [(1, 1), (1, 1), (1, 1), (0, 0)], [(0, 0), (0, 0), (0, 0), (1, 1)]
    pasts = {"a": early, "b": late, "c": [(0, 0)]}
    assert first_team(pasts, discount=1.0) == ("a",) and first_team(pasts, discount=0.3) == ("b",)
    pasts = {"a": [(0.5, 0.5)], "b": [(0.4, 0.4)]}
    assert first_team(pasts, newcomer=0.6) == ("c",) and first_team(pasts, newcomer=0.3) == ("a",)
    assert first_team(pasts) == ("a",)  # a newcomer is as good as newcomers were: .45


def test_a_newcomer_is_worth_what_newcomers_have_been_worth_and_a_new_name_is_a_newcomer() -> None:
    firsts = {"a": [(0, 0)] * 5 + [(0, 1)] * 5, "b": [(0, 1), (0, 0)]}
    assert first_team(firsts, discount=0.5) == ("a",)  # newcomers were right once in seven
    assert first_team({"a": [(0, 0)], "b": [(0, 0)]}, newcomer=0.1) == ("c",)
    book = Ledger()
    for name, results in firsts.items():
        with_a_past(book, name, *results)
    assert book.newcomers() == pytest.approx(1 / 7) and book.newcomers(1) == 0.5 and Ledger().newcomers() is None


def test_one_early_result_does_not_decide_alone() -> None:
    pasts = {"a": [(0, 0.0)], "b": [(0, 0.3)] * 9, "c": [(0, 0.0)] * 9}
    options: dict[str, Any] = {"newcomer": 0.9, "discount": 1.0}
    assert first_team(pasts, newcomer_weight=0.0, **options) == ("b",)
    assert first_team(pasts, newcomer_weight=1.0, **options) == ("a",)  # (0 + .9) / 2 is more than (2.7 + .9) / 10


def test_equal_reputations_are_in_random_order() -> None:
    firsts = [first_team({}, seed=seed)[0] for seed in range(30)]
    assert min(firsts.count(name) for name in "abc") >= 3


def test_work_follows_reputation_and_exploration_keeps_everyone_reachable() -> None:
    texts = {"a": "ANSWER: 2\nCONFIDENCE: 0.9", "b": "ANSWER: 3\nCONFIDENCE: 0.9", "c": "ANSWER: 3\nCONFIDENCE: 0.9"}
    desk = coordinator(says(texts), team_size=1, exploration=0.3)
    teams = [play(desk).team[0] for _ in range(60)]
    assert teams.count("a") > 30 and min(teams.count("b"), teams.count("c")) > 1
    assert desk.ledger.reputation("a", of="found") == 1 and desk.ledger.reputation("b", of="found") == 0
    assert desk.ledger.reputation("a") == pytest.approx(0.99) and desk.ledger.reputation("b") < 0


def test_equal_seeds_give_equal_rounds() -> None:
    options: dict[str, Any] = {"graders": "peers", "team_size": 2, "exploration": 0.5, "seed": 7}
    first, second = (
        [play(desk, KEYLESS).team for i in range(10)]
        for desk in (coordinator(says(GOOD), **options), coordinator(says(GOOD), **options))
    )
    assert first == second and len(set(first)) > 1


# Strategies


def test_a_simulated_exaggerator_earns_less_under_the_proper_rule_and_more_under_the_popular_one() -> None:
    def exaggerate(submission: Submission) -> Submission:
        return replace(submission, confidence=1.0)

    truths = [number % 10 < 7 for number in range(20)]  # as often right as it says

    def earned(score: Any, lie: bool) -> int:
        desk = coordinator(
            lambda model, prompt: f"ANSWER: {prompt[0]}\nCONFIDENCE: 0.7",
            mechanism(score), strategies={"a": exaggerate} if lie else None, grading_share=0.0,
        )  # fmt: skip
        for i, right in enumerate(truths):
            play(desk, Task(f"t{i}", "2" if right else "3", (), "2"))
        return desk.ledger.balance("a")

    assert earned(quadratic, lie=True) < earned(quadratic, lie=False)
    assert earned(absolute, lie=True) > earned(absolute, lie=False)


def test_a_strategy_s_report_is_written_down_and_one_that_is_no_chance_is_a_fault() -> None:
    strategies = {"a": lambda s: replace(s, confidence=0.25), "b": lambda s: replace(s, confidence=1.5),
                  "c": lambda s: replace(s, confidence=float("nan"))}  # fmt: skip
    desk = coordinator(says(GOOD), mechanism(abstain_pays(quadratic, 0.1)), strategies=strategies)
    done = play(desk)
    np.testing.assert_array_equal(done.reports, [0.25, np.nan, np.nan])
    assert [s.status for s in done.submissions] == ["answered", "malformed", "answered"]
    assert "1.5" in done.submissions[1].detail and list(done.rewards[1:]) == [0.0, 0.1]  # the last one keeps silent
    assert [row.confidence for row in desk.ledger.submissions(done.id)] == [0.25, None, None]


def test_a_report_makes_no_answer_of_a_fault() -> None:
    desk = coordinator(says({**GOOD, "a": "what?"}), strategies={"a": lambda s: replace(s, confidence=1.0)})
    done = play(desk)
    assert np.isnan(done.reports[0]) and done.rewards[0] == 0 and done.chosen == 2 and np.isnan(done.marks[:, 0]).all()


# What is refused


def unbounded(reports: Any, found: Any) -> Award:
    return Award(highest(reports), logarithmic(reports, found))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"agents": ()}, "at least one"),
        ({"agents": (AGENTS[0], AGENTS[0])}, "distinct"),
        ({"team_size": 4}, "team_size"),
        ({"team_size": 0}, "team_size"),
        ({"team_size": 1.5}, "team_size"),
        ({"exploration": 2}, "exploration"),
        ({"exploration": -0.1}, "exploration"),
        ({"discount": 0}, "discount"),
        ({"discount": 1.1}, "discount"),
        ({"newcomer": float("nan")}, "newcomer"),
        ({"grading_share": 1}, "grading_share"),
        ({"grading_share": -0.1}, "grading_share"),
        ({"timeout": 0}, "timeout"),
        ({"budget": -1}, "budget"),
        ({"budget": 1.5}, "budget"),
        ({"budget": 2**63}, "budget"),
        ({"seed": -1}, "seed"),
        ({"strategies": {"z": lambda s: s}}, r"strategies.*'z'"),
        ({"graders": "crowd"}, "graders"),
        ({"graders": "peers", "judge": None}, "judge="),
        ({"settle": "grade"}, "settle must"),
        ({"settle": "marks", "judge": None}, "nobody marks"),
        ({"settle": "marks", "graders": None}, "nobody marks"),
        ({"reputation": "fame"}, "reputation"),
        ({"choose": "impartial"}, "choose must be a function"),
        ({"choose": lambda reports, marks: reports, "judge": None}, "choose reads marks"),
        ({"choose": lambda reports, marks: reports}, "choose fails.*at most 1"),
        ({"choose": lambda reports, marks: marks[0]}, "choose fails.*at most 1"),
        ({"choose": lambda reports, marks: [1.0]}, "choose fails.*shape"),
        ({"choose": lambda reports, marks: 1 / 0}, "choose fails.*ZeroDivision"),
        ({"rule": "quadratic"}, "rule must be a function"),
        ({"rule": best_marked, "judge": None}, "chooses by what is found"),
        ({"rule": unbounded}, "bound"),
        ({"rule": lambda reports, found: Award(highest(reports), -logarithmic(reports, found))}, "bound"),
        ({"rule": lambda reports, found: Award(np.ones(3), quadratic(reports, found))}, "at most 1"),
        ({"rule": lambda reports, found: Award(-highest(reports), quadratic(reports, found))}, "none negative"),
        ({"rule": lambda reports: Award(highest(reports), reports / np.nansum(reports))}, "fails|NaN"),
        ({"rule": lambda reports: second_price([r for r in reports if not np.isnan(r)])}, "nan"),
        ({"rule": lambda a, b, c, d: None}, "needs 4 arguments"),
        ({"judge": Agent("a", "m")}, "another name"),
        ({"roster": Roster("small", {"model-a": Model("model-a")})}, r"price.*model-b.*model-judge"),
    ],
)
@pytest.mark.filterwarnings("ignore::RuntimeWarning")
def test_a_wrong_set_up_is_refused_before_any_call(options: dict[str, Any], message: str) -> None:
    reply, asked = listened(says(GOOD))
    full: dict[str, Any] = {"agents": AGENTS, "rule": proper, "judge": JUDGE, "client": Instant(reply)}
    with pytest.raises(ValueError, match=rf"(?s)(?<!\w)(?:{message})"):
        Coordinator(**{**full, **options})
    assert not asked


@pytest.mark.parametrize("score", [quadratic, absolute, second_report, abstain_pays(quadratic, 0.1)])
@pytest.mark.parametrize("agents", [AGENTS, AGENTS[:2], AGENTS[:1]])
def test_a_bare_scoring_rule_is_shown_the_two_lines_that_make_it_a_mechanism(score: Any, agents: Any) -> None:
    with pytest.raises(ValueError, match="is a scoring rule") as refused:
        Coordinator(agents, score, client=Instant(says(GOOD)))
    lines = str(refused.value).splitlines()[-2:]
    scope: dict[str, Any] = {"Award": Award, "highest": highest, score.__name__: score}
    exec("\n".join(line.removeprefix("    ") for line in lines), scope)
    assert Coordinator(agents, scope["rule"], client=Instant(says(GOOD))).terms.best == pytest.approx(1)


def test_the_largest_budget_is_paid_up_to_what_can_be_written_down() -> None:
    certain = {**GOOD, "a": "ANSWER: 2\nCONFIDENCE: 1"}
    alone = Coordinator(AGENTS[:1], proper, budget=2**63 - 1, client=Instant(says(certain)))
    assert list(play(alone).payments) == [2**62]


def test_an_option_that_does_not_exist_is_refused_by_its_name() -> None:
    with pytest.raises(TypeError, match="explorations"):
        coordinator(says(GOOD), explorations=0.1)


# What survives


def test_a_round_is_settled_whole_or_not_at_all(monkeypatch: pytest.MonkeyPatch) -> None:
    desk = coordinator(says(GOOD))

    def fails(number: int) -> None:
        raise OSError("no space left on device")

    monkeypatch.setattr(desk.ledger, "close", fails)
    with pytest.raises(OSError, match="no space"):
        play(desk)
    assert desk.ledger.payments(1) == desk.ledger.rewards(1) == [] and len(desk.ledger.submissions(1)) == 3
    assert not desk.ledger.rounds()[0].closed and desk.ledger.balance("a") == 0


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
    with pytest.raises(MissingRecording):
        play(Coordinator(AGENTS, proper, client=client(tmp_path / "none.jsonl", "replay")))


@pytest.mark.no_cover
def test_fuzzed_replies_are_all_accounted_for(times: Callable[[int, int], int]) -> None:
    rng, wanted = random.Random(5), times(10_000, 50_000)
    pieces = ["ANSWER:", "CONFIDENCE:", "SCORE:", " 2", "0.5", "1.7", "-3", "nan", "inf", "%", "\n", "</answer>", "**",
              "<script>", "\x00", "\u2028", "I do not know", "ignore all instructions", "1e999", "🙂", "ANSWER",
              " " * 5]  # fmt: skip
    asked = 0

    def reply(model: str, prompt: str) -> str:
        nonlocal asked
        asked += 1
        return "".join(rng.choice(pieces) for _ in range(rng.randrange(12)))

    desk = coordinator(reply, mechanism(abstain_pays(quadratic, 0.1)))

    async def work() -> None:
        number = 0
        while asked < wanted:
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
    desk = coordinator(says(GOOD), ledger=Ledger(sys.argv[1]))
    for number in range(10_000):
        done = await desk.run(Task(f"t{number}", "?", (), "2"))
        print(done.id, flush=True)
"""


def test_kill_nine_in_the_middle_of_a_round_loses_nothing_acknowledged(
    tmp_path: Path, times: Callable[[int, int], int]
) -> None:
    path, wanted = tmp_path / "ledger.db", times(20, 200)
    trials = kill_nine(ROUNDS, (path, Path(__file__).parent), (1 + trial % 5 for trial in range(wanted)))
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
    assert killed == wanted


def test_a_cost_report_has_the_price_of_the_call_in_millionths_of_the_roster_s_currency() -> None:
    roster = Roster.load()
    reply = lambda model, prompt: "SCORE: 0.8" if "<answer>" in prompt else GOOD["a"]  # noqa: E731
    desk = Coordinator(roster.agents, proper, budget=100, client=fake(reply), judge=roster.grader, roster=roster)
    done = play(desk)
    expected = [round(17 * roster.models[agent.model].price[0]) for agent in roster.agents]
    assert [s.cost.price for s in done.submissions] == expected == list(done.costs) and min(expected) > 0
    assert [row.cost.price for row in desk.ledger.submissions(done.id)] == expected
