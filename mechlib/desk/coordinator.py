"""The coordinator: a planner, agents in parallel, blind cross-evaluation, payments, reputation. Plain asyncio.

One round. The planner announces a task and a budget and picks a team by reputation. The team answers in parallel:
each member hands in an answer, a confidence and a cost report. Graders mark the answers blind, one answer a call. A
rule, which is a function of the confidences and the accuracies, says what each member is paid. The ledger keeps it all.

Payments are positive TO the agents, in integer minor units. A round pays at most its budget, because scores are
multiplied by one constant that is fixed before the round from the rule's bounds. Dividing the budget by the scores, or
clipping them at zero, would keep it too, and would make lying profitable.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import time
import zlib
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import anthropic
import numpy as np
from numpy.typing import NDArray

from mechlib.agents.roster import Agent, Roster
from mechlib.agents.tasks import Reply, Status, Task, grading_prompt, parse_answer, parse_score
from mechlib.desk.ledger import Cost, Ledger
from mechlib.rules.peer import select_impartially
from mechlib.rules.scoring import Rule, bounds, quadratic

Floats = NDArray[np.float64]
T = TypeVar("T")


@dataclass(frozen=True)
class Submission:
    """What an agent hands in: an answer, its stated confidence (NaN if none), a cost report, and how it was read."""

    agent: str
    answer: str
    confidence: float
    cost: Cost = field(default_factory=Cost)
    status: Status = "answered"
    detail: str = ""


Strategy = Callable[[Submission], Submission]


@dataclass(frozen=True)
class Round:
    """One finished round. Arrays are in the order of `team`; NaN marks what there was nothing to say about.

    Attributes
    ----------
    id : int
        Its number in the ledger.
    task : Task
    team : tuple of str
    submissions : tuple of Submission
    graders : tuple of str
    grades : ndarray, shape (graders, n)
        Marks in [0, 1]; NaN where a grader did not mark (its own answer, no answer, an unreadable mark).
    accuracy : ndarray, shape (n,)
        What the rule was given: the mean mark, or the truth.
    scores : ndarray, shape (n,)
        What the rule made of each report.
    payments : ndarray of int, shape (n,)
        Paid TO the team for their answers, minor units.
    fees : mapping of str to int
        Paid TO the graders, for how well they predicted a truth that is known; empty where it is not.
    chosen : int or None
        Index in `team` of the answer that is passed on.
    """

    id: int
    task: Task
    team: tuple[str, ...]
    submissions: tuple[Submission, ...]
    graders: tuple[str, ...]
    grades: Floats
    accuracy: Floats
    scores: Floats
    payments: NDArray[np.int64]
    fees: Mapping[str, int]
    chosen: int | None

    @property
    def answer(self) -> str | None:
        """The answer that is passed on, or None where nobody gave one."""
        return None if self.chosen is None else self.submissions[self.chosen].answer


class Coordinator:
    """Runs rounds and keeps the books.

    Raises a ValueError if names repeat, a number is out of range, or the rule has no finite bound.

    Parameters
    ----------
    agents, judge : sequence of Agent, Agent
        Distinct names; and the grading persona. With ``graders="validator"`` it marks every answer by its own model;
        with ``"peers"`` each agent marks the others' answers, by its own model under this persona, and never its own.
    rule : callable
        ``rule(confidence (n,), accuracy (n,)) -> scores (n,)``, bounded; a NaN confidence is an abstention or a fault.
    ledger, budget : Ledger, int
        Where everything is written, and the minor units that a round may pay out, at most.
    client, roster : anthropic.AsyncAnthropic, Roster, optional
        Who is called, and the price of each call, in millionths of the roster's currency; without it calls are free.
    graders : {"validator", "peers"}
    choose : {"grade", "report", "impartial"}
        Which answer is passed on: the best marked (after centring each grader's marks, so that a harsh one gains
        nothing), the one with the highest stated confidence, or by `select_impartially` (peers only).
    settle : {"grade", "key"}
        What counts as accuracy in the rule: the mean mark, or the task's key.
    team_size, exploration : int, float, optional
        How many agents get each task, by default all; and the probability that a place in the team is drawn at random
        and not by reputation: > 0 keeps everyone reachable.
    discount, newcomer : float
        Of reputation, a discounted mean of scores; and the reputation of an agent without scores.
    grading_share, timeout : float
        Part of the budget kept for the graders; and the seconds that one call may take.
    strategies : mapping of str to callable, optional
        What an agent makes of its model's reply before it hands it in: a simulated manipulation, by agent name.
    seed : int
    """

    def __init__(
        self, agents: Sequence[Agent], judge: Agent, rule: Rule, ledger: Ledger, budget: int, *,
        client: anthropic.AsyncAnthropic, roster: Roster | None = None,
        graders: Literal["validator", "peers"] = "validator", choose: Literal["grade", "report", "impartial"] = "grade",
        settle: Literal["grade", "key"] = "grade", team_size: int | None = None, exploration: float = 0.1,
        discount: float = 0.95, newcomer: float = 1.0, grading_share: float = 0.1, timeout: float = 60.0,
        strategies: Mapping[str, Strategy] | None = None, seed: int = 0,
    ) -> None:
        self.agents = {agent.name: agent for agent in agents}
        self.judge, self.rule, self.ledger, self.budget = judge, rule, ledger, int(budget)
        self.client, self.roster, self.graders, self.choose, self.settle = client, roster, graders, choose, settle
        self.team_size = len(self.agents) if team_size is None else team_size
        self.exploration, self.discount, self.newcomer = exploration, discount, newcomer
        self.grading_share, self.timeout, self.seed = grading_share, timeout, seed
        self.strategies = dict(strategies or {})
        if len(self.agents) != len(agents) or not agents:
            raise ValueError(f"agents must have distinct names, at least one; got {[a.name for a in agents]}")
        if not 1 <= self.team_size <= len(self.agents):
            raise ValueError(f"team_size must lie in 1..{len(self.agents)}, but is {team_size}")
        if not (0 <= exploration <= 1 and 0 <= grading_share < 1 and self.budget >= 0 and timeout > 0):
            raise ValueError("exploration in [0, 1], grading_share in [0, 1), budget >= 0 and timeout > 0 are required")
        if unknown := set(self.strategies) - set(self.agents):
            raise ValueError(f"strategies name {sorted(unknown)}, but the agents are {sorted(self.agents)}")
        if judge.name in self.agents:
            raise ValueError(f"the judge is called {judge.name!r} like an agent: give it another name")
        if choose == "impartial" and graders != "peers":
            raise ValueError("choose='impartial' protects against graders who compete: it needs graders='peers'")
        worst, best = bounds(rule, agents=2)
        if not math.isfinite(worst) or not 0 < best < math.inf:
            raise ValueError(f"the rule's scores run from {worst} to {best}; they must be bounded, and some above 0")
        self.scale = self.budget * (1 - grading_share) / (best * self.team_size)

    async def run(self, task: Task) -> Round:
        """Run one round to its end; whatever goes wrong in a reply is recorded as what it was."""
        round_id = self.ledger.begin(task.id, self.budget)
        rng = np.random.default_rng([self.seed, zlib.crc32(task.id.encode())])
        team = self._team(rng)
        submissions = await _all(self._submit(round_id, task, name) for name in team)
        graders, grades = await self._grades(round_id, task, submissions, rng)
        accuracy = self._accuracy(task, submissions, grades)
        confidence = np.where(np.isnan(accuracy), math.nan, [s.confidence for s in submissions])
        scores = np.asarray(self.rule(confidence, np.nan_to_num(accuracy)), dtype=float)
        status = np.array([s.status for s in submissions])
        scores[~np.isin(status, ("answered", "abstained"))] = 0.0  # a fault earns nothing
        scores[(status == "answered") & np.isnan(accuracy)] = math.nan  # nobody could mark it
        payments = np.floor(self.scale * np.nan_to_num(scores)).astype(np.int64)
        fees = self._fees(task, submissions, graders, grades)
        chosen = self._chosen(confidence, graders, grades, team, rng)
        with self.ledger.transaction():
            for name, score, amount in zip(team, scores, payments, strict=True):
                if not math.isnan(score):
                    self.ledger.score(round_id, name, float(score))
                self.ledger.pay(round_id, name, int(amount), "answer")
            for name, amount in fees.items():
                self.ledger.pay(round_id, name, amount, "grading")
            self.ledger.close(round_id)
        return Round(round_id, task, team, submissions, graders, grades, accuracy, scores, payments, fees, chosen)

    def _team(self, rng: np.random.Generator) -> tuple[str, ...]:
        names = list(self.agents)
        reputation = self.ledger.reputations(names, self.discount, self.newcomer)
        rest = sorted(names, key=lambda name: -reputation[name])
        team = []
        for _ in range(self.team_size):
            team.append(rest.pop(int(rng.integers(len(rest))) if rng.random() < self.exploration else 0))
        return tuple(sorted(team, key=names.index))

    async def _submit(self, round_id: int, task: Task, name: str) -> Submission:
        submission = Submission(name, "", math.nan, Cost(), "cancelled")
        try:
            said = await self._call(self.agents[name], task.prompt)
            reply = parse_answer(said.text) if said.problem is None else Reply("", math.nan, said.problem)
            confidence = reply.confidence if reply.status == "answered" else math.nan
            submission = Submission(name, reply.answer, confidence, said.cost, reply.status, said.detail)
            if name in self.strategies:
                submission = self.strategies[name](submission)
        finally:  # also when the run is cancelled: nothing that was handed in is lost
            s = submission
            self.ledger.submit(round_id, name, s.answer or None, s.confidence, s.cost, s.status)
        return submission

    async def _call(self, agent: Agent, prompt: str) -> _Said:
        start = time.perf_counter()
        try:
            async with asyncio.timeout(self.timeout):
                message = await agent.ask(self.client, prompt)
        except (TimeoutError, anthropic.APITimeoutError) as error:
            return _Said("", Cost(seconds=time.perf_counter() - start), "timeout", f"{error!r} after {self.timeout} s")
        except anthropic.APIError as error:
            return _Said("", Cost(seconds=time.perf_counter() - start), "error", repr(error)[:200])
        text = "".join(block.text for block in message.content or () if block.type == "text")
        entered = message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0)
        price = self.roster.price(agent.model, entered, message.usage.output_tokens) if self.roster else 0.0
        seconds = getattr(message, "recorded_seconds", time.perf_counter() - start)
        cost = Cost(entered + message.usage.output_tokens, seconds, round(1e6 * price))
        return _Said(text, cost, "refused" if message.stop_reason == "refusal" else None)

    async def _grades(
        self, round_id: int, task: Task, submissions: Sequence[Submission], rng: np.random.Generator
    ) -> tuple[tuple[str, ...], Floats]:
        if self.graders == "validator":
            graders = {self.judge.name: self.judge}
        else:
            graders = {name: dataclasses.replace(self.judge, model=agent.model) for name, agent in self.agents.items()}
        unread = self.settle == "key" and self.choose == "report" and not self.grading_share  # no mark is asked for
        pairs = [
            (g, j) for g, name in enumerate(graders) for j, s in enumerate(submissions)
            if s.status == "answered" and s.agent != name and not unread
        ]  # fmt: skip
        pairs = [pairs[k] for k in rng.permutation(len(pairs))]  # blind: in no order that an answer's author could use
        personas = list(graders.values())
        calls = (self._call(personas[g], grading_prompt(task.prompt, submissions[j].answer)) for g, j in pairs)
        grades = np.full((len(graders), len(submissions)), math.nan)
        for (g, j), said in zip(pairs, await _all(calls), strict=True):
            grades[g, j] = parse_score(said.text)
            if not math.isnan(grades[g, j]):
                self.ledger.grade(round_id, list(graders)[g], submissions[j].agent, float(grades[g, j]))
        return tuple(graders), grades

    def _accuracy(self, task: Task, submissions: Sequence[Submission], grades: Floats) -> Floats:
        if self.settle == "grade":
            return _mean(grades)
        return np.array([float(task.correct(s.answer)) if s.status == "answered" else math.nan for s in submissions])

    def _fees(
        self, task: Task, submissions: Sequence[Submission], graders: Sequence[str], grades: Floats
    ) -> Mapping[str, int]:
        if task.key is None or not self.grading_share:
            return {}
        truth = np.array([float(task.correct(s.answer)) for s in submissions])
        asked = np.array([[s.status == "answered" and s.agent != g for s in submissions] for g in graders])
        share = self.budget * self.grading_share / len(graders)
        marks = np.where(asked, quadratic(grades, truth), 0.0)  # a mark that cannot be read earns nothing
        means = marks.sum(axis=1) / np.maximum(asked.sum(axis=1), 1)
        return {name: math.floor(share * mean) for name, mean in zip(graders, means, strict=True)}

    def _chosen(
        self, confidence: Floats, graders: Sequence[str], grades: Floats, team: Sequence[str], rng: np.random.Generator
    ) -> int | None:
        report = np.where(np.isnan(confidence), -1.0, confidence)
        able = np.flatnonzero(report >= 0)
        if len(able) == 0:
            return None
        if self.choose == "report":
            return int(np.argmax(report))
        if self.choose == "impartial" and len(able) > 1:
            rows = np.array([list(graders).index(team[int(j)]) for j in able])
            return int(able[select_impartially(grades[rows][:, able], 1, rng)[0]])
        centred = np.nan_to_num(_mean(grades - _mean(grades.T)[:, None]), nan=-2.0)
        return int(max(able, key=lambda j: (centred[j], report[j], -j)))


@dataclass(frozen=True)
class _Said:
    text: str
    cost: Cost
    problem: Status | None = None
    detail: str = ""


async def _all(calls: Iterable[Coroutine[Any, Any, T]]) -> tuple[T, ...]:
    try:
        async with asyncio.TaskGroup() as group:
            jobs = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return tuple(job.result() for job in jobs)


def _mean(marks: Floats) -> Floats:
    count = np.sum(~np.isnan(marks), axis=0)
    return np.where(count > 0, np.nansum(marks, axis=0) / np.maximum(count, 1), math.nan)
