"""Who gets the work: planners over many orders of recorded tasks."""

import asyncio
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from mechlib import Agent, Award, Coordinator, quadratic
from mechlib.agents.tasks import Task
from mechlib.course.planner import dispatch
from mechlib.rules.choice import highest

RNG = np.random.default_rng(0)
SKILLED = (RNG.random((150, 3)) < [0.2, 0.8, 0.5]).astype(float)  # the second agent is the best
PLANNERS = ("lot", "leader", "bandit", "reputation")


@pytest.mark.parametrize("planner", PLANNERS)
def test_every_task_of_every_order_is_given_to_one_agent_and_counted(planner: Any) -> None:
    worker, right = done = dispatch(planner, SKILLED, orders=20)
    assert worker.shape == right.shape == (20, 150) and set(np.unique(worker)) == {0, 1, 2}
    assert set(np.unique(right)) == {0.0, 1.0} and done.share == pytest.approx(right.mean(axis=1))
    assert np.array_equal(dispatch(planner, SKILLED, orders=20).worker, worker)
    assert not np.array_equal(dispatch(planner, SKILLED, orders=20, seed=1).worker, worker)


def test_a_lot_is_right_as_often_as_the_agents_are_and_a_leader_as_the_best_one_is() -> None:
    assert dispatch("lot", SKILLED).share.mean() == pytest.approx(SKILLED.mean(), abs=0.01)
    leader, bandit, reputation = (dispatch(planner, SKILLED).share.mean() for planner in PLANNERS[1:])
    best = SKILLED.mean(axis=0).max()
    assert best - 0.02 < leader <= best and SKILLED.mean() + 0.1 < min(bandit, reputation) < best


def test_where_all_are_alike_no_planner_helps() -> None:
    turns = np.eye(3)[RNG.permutation(150) % 3]  # somebody knows each time, and nobody more often than others
    for planner in PLANNERS:
        assert dispatch(planner, turns).share.mean() == pytest.approx(1 / 3, abs=0.06)  # type: ignore[arg-type]


def test_an_optimistic_newcomer_is_tried_and_a_pessimistic_one_waits_for_chance() -> None:
    found = np.tile([0.3, 0.9], (50, 1))
    tried = dispatch("reputation", found, exploration=0, newcomer=1)
    assert {len(set(row)) for row in tried.worker.tolist()} == {2}
    stuck = dispatch("reputation", found, exploration=0.0, newcomer=0.0)
    assert {len(set(row)) for row in stuck.worker.tolist()} == {1}


def test_a_long_memory_forgives_one_failure_and_a_short_one_does_not() -> None:
    found = np.column_stack([np.arange(60) % 4 > 0, np.full(60, 0.6)])  # right three times in four; .6 each time
    kept, dropped = (dispatch("reputation", found, exploration=0.0, discount=d).worker for d in (1, 0.05))
    assert (kept == 0).mean() > 2 * (dropped == 0).mean()


def test_a_worth_that_starts_at_zero_for_silence_outranks_losses() -> None:
    """Silence earns 0 and the others' scores are below it: they are passed over for who never answers."""
    worth, found = np.tile([0.0, -0.2, -0.3], (100, 1)), np.tile([0.0, 0.6, 0.5], (100, 1))
    assert (dispatch("reputation", found, worth).worker[:, -30:] == 0).mean() > 0.85
    assert (dispatch("reputation", found).worker[:, -30:] == 0).mean() < 0.15


def test_reputation_is_that_of_the_coordinator() -> None:
    """The same tasks in the same order, without exploration or ties, go to the same agents."""
    found = np.array([[1.0, 0, 0], [0, 0, 1], [0, 1, 1], [1, 1, 0], [0, 0, 1], [1, 0, 1], [0, 1, 1], [1, 0, 0]])
    tasks = np.arange(len(found))

    class Said:
        task = 0

        def __init__(self) -> None:
            self.messages = self

        async def create(self, *, model: str, **_: Any) -> Any:
            answer = "right" if found[self.task, int(model)] else "wrong"
            content = [SimpleNamespace(type="text", text=f"ANSWER: {answer}\nCONFIDENCE: 0.5")]
            usage = SimpleNamespace(input_tokens=1, output_tokens=1, cache_read_input_tokens=0,
                                    cache_creation_input_tokens=0)
            return SimpleNamespace(content=content, usage=usage, stop_reason="end_turn")

    def rule(reports: Any, found: Any) -> Award:
        return Award(highest(reports), quadratic(reports, found))

    said: Any = Said()
    desk = Coordinator([Agent(str(k), str(k)) for k in range(3)], rule, client=said, team_size=1, exploration=0,
                       newcomer=1.0, newcomer_weight=0.0)
    worked = []
    for task in tasks:
        said.task = task
        worked.append(int(asyncio.run(desk.run(Task("t", "?", (), "right"))).team[0]))
    reputation = [[] for _ in range(3)]  # type: list[list[float]]
    for task, k in zip(tasks, worked, strict=True):
        weights = [0.95 ** np.arange(len(past))[::-1] for past in reputation]
        trust = [w @ past / w.sum() if len(past) else 1.0 for w, past in zip(weights, reputation, strict=True)]
        assert trust[k] == pytest.approx(max(trust))
        reputation[k].append(float(found[task, k]))


@pytest.mark.parametrize("call, says", [
    (lambda: dispatch("boss", SKILLED), "planner is 'boss'; it must be one of"),  # type: ignore[arg-type]
    (lambda: dispatch("lot", SKILLED[0]), r"found has shape \(3,\)"),
    (lambda: dispatch("lot", SKILLED, SKILLED[:5]), r"worth \(5, 3\); both must be \(tasks, agents\)"),
])  # fmt: skip
def test_errors_name_the_argument(call: Any, says: str) -> None:
    with pytest.raises(ValueError, match=says):
        call()
