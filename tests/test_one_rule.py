"""One rule of four lines is audited, learnt, replayed, run and compared: the same object, unchanged."""

import asyncio
import math
from types import SimpleNamespace

import numpy as np
import pytest

from mechlib import (
    Agent,
    Award,
    Beliefs,
    Coordinator,
    Recorded,
    audit,
    audit_sampled,
    learn,
    quadratic,
    replay,
    scoreboard,
)
from mechlib.agents.tasks import Task
from mechlib.rules.choice import highest

GRID = [0.0, 0.25, 0.5, 0.75, 1.0]
RNG = np.random.default_rng(0)
BELIEFS = RNG.random((200, 3))
HONEST = Recorded(BELIEFS, RNG.random((200, 3)) < BELIEFS, costs=RNG.uniform(0, 0.1, (200, 3)))


def best_pays(reports, found):
    """Pass on the highest report, and pay everybody a proper score."""
    chosen = highest(reports)
    return Award(chosen, quadratic(reports, found))


def score_less_cost(reports, found, costs):
    """Pass on the highest report, and pay everybody a proper score less what its answer cost."""
    return Award(highest(reports), quadratic(reports, found) - costs)


def plain_python(reports, found):
    """The first rule, as somebody writes it who thinks of one task; who is silent says NaN, and is paid nothing."""
    claims = [-1.0 if math.isnan(r) else float(r) for r in reports]
    best = max(range(len(claims)), key=lambda i: claims[i])
    return Award([float(i == best and claims[i] >= 0) for i in range(len(claims))],
                 [f - (c - f) ** 2 if c >= 0 else 0.0 for c, f in zip(claims, found, strict=True)])


RULES = [best_pays, score_less_cost, plain_python]


@pytest.mark.no_cover
@pytest.mark.parametrize("rule", RULES)
def test_it_is_audited(rule):
    assert audit(rule, Beliefs(GRID, 3)).is_dsic
    prized = audit(rule, Beliefs(GRID, 3, prize=0.3))
    assert prized.sentence == (
        "agent 0, believing 0, gains 0.2375 by reporting 0.25 when the others report (0, 0.25)")
    assert audit_sampled(rule, Beliefs(GRID, 3, prize=0.3), 100).is_dsic is False


@pytest.mark.parametrize("rule", RULES)
def test_it_is_learnt(rule):
    honest, boastful = (
        learn(rule, Beliefs(GRID, 3, prize), who=[0], rounds=1000, lives=30).reports().mean(axis=0)
        for prize in (0.0, 0.6))
    assert np.abs(honest - GRID).max() < 0.15 and (boastful - honest)[1:4].min() > 0.05


@pytest.mark.parametrize("rule", RULES)
def test_it_is_replayed(rule):
    played = replay(rule, HONEST)
    expected = (HONEST.found * np.eye(3)[BELIEFS.argmax(axis=1)]).sum(axis=1)
    assert np.array_equal(played.right, expected)
    spent = HONEST.costs if rule is score_less_cost else 0.0
    assert played.rewards == pytest.approx(quadratic(BELIEFS, HONEST.found) - spent)


def test_it_stands_beside_others_on_the_scoreboard():
    board = scoreboard({rule.__name__: rule for rule in RULES}, Beliefs(GRID, 3), HONEST, rounds=200, lives=10)
    assert all(board.held(rule.__name__) for rule in RULES)
    assert board.findings["best_pays"] == board.findings["plain_python"] or np.allclose(
        [finding.value for finding in board.findings["best_pays"].values()],
        [finding.value for finding in board.findings["plain_python"].values()])


def test_costs_are_charged_only_by_the_rule_that_reads_them():
    setting = Beliefs(GRID, 3, costs=[0.1, 0.2, 0.3])
    assert audit(best_pays, setting).worst_utility == 0
    assert audit(score_less_cost, setting).worst_utility == pytest.approx(-0.3)


class Said:
    """A client of the SDK's shape, whose models state the belief of their row of BELIEFS and answer what was found."""

    def __init__(self, task):
        self.task = task
        self.messages = self

    async def create(self, *, model, **_):
        agent = int(model[-1])
        answer = "right" if HONEST.found[self.task, agent] else "wrong"
        text = f"ANSWER: {answer}\nCONFIDENCE: {BELIEFS[self.task, agent]:.12f}"
        tokens = dict.fromkeys(("cache_read_input_tokens", "cache_creation_input_tokens"), 0)
        usage = SimpleNamespace(input_tokens=1, output_tokens=1, **tokens)
        return SimpleNamespace(content=[SimpleNamespace(type="text", text=text)], usage=usage, stop_reason="end_turn")


@pytest.mark.parametrize("rule", RULES)
def test_it_runs_a_pipeline_that_ships_and_pays_as_the_replay_said(rule):
    agents = [Agent(f"agent{i}", f"model-{i}") for i in range(3)]
    played = replay(rule, HONEST._replace(costs=np.full(BELIEFS.shape, 0.0)))
    for task in range(3):
        desk = Coordinator(agents, rule, budget=30_000, client=Said(task))
        done = asyncio.run(desk.run(Task("t", "Well?", (), "right")))
        assert done.chosen == played.allocation[task].argmax()
        if rule is not score_less_cost:
            assert done.rewards == pytest.approx(played.rewards[task])
        else:
            assert done.rewards == pytest.approx(played.rewards[task] - done.costs)
