"""The coordinator: a planner, agents in parallel, blind cross-evaluation, payments, reputation. Plain asyncio.

One round. The planner announces a task and picks a team by reputation. The team answers in parallel: each member hands
in an answer, a confidence and a cost report. Graders mark the answers blind, one answer a call. The rule, the very
function that `mechlib.audit` takes with `Beliefs`, says whose answer is passed on, by the marks; and later, once it is
found who was right, what each member is rewarded with. Rewards are turned into money, and the ledger keeps it all.

Four words, one meaning each. A *mark* is what a grader says of an answer. What is *found* is what turned out: the key's
verdict, or the mean mark where there is no key. A *score* is what a scoring rule makes of a confidence and of what was
found. A *reward* is what the mechanism grants for a round, whether it is a score or not.

Payments are positive TO the agents, in integer minor units. A round pays at most its budget, because rewards are
multiplied by one constant that is fixed before the round from the rule's bounds. Dividing the budget by the rewards, or
clipping them at zero, would keep it too, and would make lying profitable.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
import time
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeVar

import anthropic
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechlib.agents.roster import Agent, Roster
from mechlib.agents.tasks import Reply, Status, Task, grading_prompt, parse_answer, parse_score
from mechlib.desk.ledger import Cost, Ledger
from mechlib.desk.terms import as_chances, draw, terms
from mechlib.mechanism import Floats, Rule, counted, real
from mechlib.rules.scoring import quadratic

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

    @property
    def report(self) -> float:
        """What the rule reads: the confidence, or NaN, which is silence, where there is no answer."""
        return self.confidence if self.status == "answered" else math.nan


Strategy = Callable[[Submission], Submission]
Choice = Callable[[Floats, Floats], ArrayLike]


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
    reports : ndarray, shape (n,)
        The confidences as the rule read them; NaN is silence, or a fault.
    costs : ndarray, shape (n,)
        What each answer cost: its price where the coordinator has a roster, else its tokens.
    graders : tuple of str
    marks : ndarray, shape (graders, n)
        What each grader said of each answer, in [0, 1]; NaN where it said nothing (its own answer, no answer, a mark
        that cannot be read).
    chances : ndarray, shape (n,)
        How likely each answer was to be passed on.
    chosen : int or None
        Index in `team` of the answer that was.
    found : ndarray, shape (n,)
        How right each answer turned out: by the key, or else the mean mark.
    rewards : ndarray, shape (n,)
        What the rule granted, in its own units; NaN for an answer of which nothing was found.
    payments : ndarray of int, shape (n,)
        Paid TO the team for their answers, minor units.
    fees : mapping of str to int
        Paid TO the graders, for how well they predicted a key that is known; empty where it is not.
    """

    id: int
    task: Task
    team: tuple[str, ...]
    submissions: tuple[Submission, ...]
    reports: Floats
    costs: Floats
    graders: tuple[str, ...]
    marks: Floats
    chances: Floats
    chosen: int | None
    found: Floats
    rewards: Floats
    payments: NDArray[np.int64]
    fees: Mapping[str, int]

    @property
    def answer(self) -> str | None:
        """The answer that is passed on, or None where there is none."""
        return None if self.chosen is None else self.submissions[self.chosen].answer

    @property
    def mean_marks(self) -> Floats:
        """The mean mark of each answer, shape (n,); NaN where nobody marked it."""
        return _mean(self.marks)


class Coordinator:
    """Runs rounds and keeps the books.

    The rule is tried before anything is asked of anybody: on a team of this size, on silence, and for a bound.

    Parameters
    ----------
    agents : sequence of Agent
        Distinct names.
    rule : callable
        As in `audit` with `Beliefs`: of (reports), (reports, found) or (reports, found, costs), each (n,), to an
        `Award` or an `Outcome`. It is called twice a round. Its allocation, with the mean marks for what is found (0
        where nobody marked), is the chance that each answer is passed on; its rewards, with what was found later, are
        what is paid. A report of NaN is silence, and a rule may put a price on it; a fault (no reply, or one that
        cannot be read) looks the same to the rule and earns nothing. Costs are prices where there is a roster, in its
        unit of a call's price, else tokens.
    ledger : Ledger, optional
        Where everything is written; by default one in memory.
    budget : int
        The minor units that a round may pay out, at most.
    client : anthropic.AsyncAnthropic
        Who is called.
    judge : Agent, optional
        The persona that marks. Without it nobody marks: then the rule has to choose by the reports alone, and every
        task needs a key.
    roster : Roster, optional
        The price of each call, in millionths of the roster's currency; without it calls are free.
    graders : {"validator", "peers"} or None
        Whether the judge marks every answer by its own model, or each agent those of the others by the agent's model
        under the judge's persona, never its own; or nobody. Marks that nothing depends on are not asked for.
    choose : callable, optional
        ``choose(reports (n,), marks (graders, n)) -> chances (n,)``, in place of the rule's allocation, for a choice
        that needs every grader's marks. With peers, row i holds those of team member i; agents outside the team follow.
    settle : {"key", "marks"}
        What counts as found: the task's key where it has one, else the mean mark; or the mean mark always.
    reputation : {"found", "reward"}
        The planner trusts the discounted mean of how right an agent's answers were found (silence and faults count as
        not right), or that of its rewards. Rewards bring the work into the game: an agent may then report for a
        reputation, which `audit` knows nothing of, and silence outranks whoever lost something.
    team_size, exploration : int, float, optional
        How many agents get each task, by default all; and the probability that a place in the team is drawn at random
        and not by reputation: > 0 keeps everyone reachable. Equal reputations are in random order.
    discount, newcomer : float
        Of reputation; and the reputation of an agent without any.
    grading_share, timeout : float
        Part of the budget kept for the graders; and the seconds that one call may take.
    strategies : mapping of str to callable, optional
        What an agent makes of its model's reply before it hands it in: a simulated manipulation, by agent name.
    seed : int
        With a round's number, the seed of all that is drawn in it.

    Attributes
    ----------
    scale : float
        What one unit of reward is paid, in minor units.

    Raises
    ------
    ValueError
        If an argument is out of range, or the rule fails, is a bare scoring rule, or has no bound; it says which.

    Examples
    --------
    >>> from mechlib import Award, Beliefs, audit, quadratic
    >>> from mechlib.rules.choice import highest
    >>> def rule(reports, found):
    ...     return Award(highest(reports), quadratic(reports, found))
    >>> audit(rule, Beliefs([0.1, 0.5, 0.9], n=2)).is_dsic
    True
    >>> agents = [Agent("ada", "model-a"), Agent("bob", "model-b")]
    >>> Coordinator(agents, rule, budget=100, client=anthropic.AsyncAnthropic(api_key="none")).scale
    50.0
    """

    def __init__(
        self, agents: Sequence[Agent], rule: Rule, ledger: Ledger | None = None, budget: int = 1000, *,
        client: anthropic.AsyncAnthropic, judge: Agent | None = None, roster: Roster | None = None,
        graders: Literal["validator", "peers"] | None = "validator", choose: Choice | None = None,
        settle: Literal["key", "marks"] = "key", reputation: Literal["found", "reward"] = "found",
        team_size: int | None = None, exploration: float = 0.1, discount: float = 0.95, newcomer: float = 1.0,
        grading_share: float = 0.1, timeout: float = 60.0, strategies: Mapping[str, Strategy] | None = None,
        seed: int = 0,
    ) -> None:
        sound = isinstance(agents, Sequence) and all(isinstance(agent, Agent) for agent in agents)
        _require(sound, f"agents must be several Agent; they are {agents!r:.80}")
        for name, given, kind in (("ledger", ledger, Ledger), ("judge", judge, Agent), ("roster", roster, Roster),
                                  ("strategies", strategies, Mapping)):
            _require(given is None or isinstance(given, kind), f"{name} must be a {kind.__name__}; it is {given!r:.80}")
        names = [agent.name for agent in agents]
        self.agents = dict(zip(names, agents, strict=True))
        self.strategies = dict(strategies or {})
        self.team_size = len(names) if team_size is None else counted("team_size", team_size)
        self.budget, self.seed = counted("budget", budget, 0, 2**63 - 1), counted("seed", seed, 0)
        _require(names and len(self.agents) == len(names),
                 f"agents must have distinct names, at least one; the names are {names}")
        _require(callable(rule),
                 f"rule must be a function of (reports), (reports, found) or (reports, found, costs), not {rule!r:.80}")
        _require(judge is None or judge.name not in names,
                 f"judge is called {judge and judge.name!r} like an agent: give it another name")
        _require(graders in ("validator", "peers", None),
                 f'graders must be "validator", "peers" or None; it is {graders!r}')
        _require(graders != "peers" or judge is not None,
                 'graders="peers" needs a judge=: the persona under which they mark')
        _require(choose is None or callable(choose),
                 f"choose must be a function of (reports, marks), like mechlib.rules.choice.impartial, not {choose!r}")
        _require(settle in ("key", "marks"),
                 f'settle must be "key" or "marks"; it is {settle!r}')
        _require(reputation in ("found", "reward"),
                 f'reputation must be "found" or "reward"; it is {reputation!r}')
        _require(self.team_size <= len(names),
                 f"team_size must lie in 1..{len(names)}; it is {team_size}")
        real("exploration", exploration, "[0, 1]"), real("discount", discount, "(0, 1]"), real("newcomer", newcomer)
        real("grading_share", grading_share, "[0, 1)"), real("timeout", timeout, "(0, inf)")
        _require(all(map(callable, self.strategies.values())),
                 f"strategies must be functions, by agent name; they are {strategies!r:.80}")
        _require(set(self.strategies) <= set(names),
                 f"strategies name {sorted(set(self.strategies) - set(names))}, but the agents are {names}")
        called = {agent.model for agent in (*agents, *([judge] if judge else []))}
        unpriced = called - set(roster.models if roster else called)
        _require(not unpriced,
                 f"roster {roster and roster.name!r} has no price for the models {sorted(unpriced)}")
        self.ledger = Ledger() if ledger is None else ledger
        self.client, self.judge, self.roster, self.rule = client, judge, roster, rule
        self.graders = graders if judge is not None else None
        self.choose, self.settle, self.reputation = choose, settle, reputation
        self.exploration, self.discount, self.newcomer, self.timeout = exploration, discount, newcomer, timeout
        self.grading_share = grading_share if self.graders else 0.0
        self.terms = terms(rule, self.team_size, choice=choose is None)
        self.scale = self.terms.scale(self.budget * (1 - self.grading_share), self.team_size)
        self._try_choice()

    def _try_choice(self) -> None:
        """Refuse what needs marks where nobody marks; where somebody does, try `choose` on marks that nobody made."""
        why = "nobody marks: give a judge=, and do not set graders=None"
        marked = self.graders is not None
        _require(marked or self.choose is None,
                 f"choose reads marks, but {why}")
        _require(marked or self.settle == "key",
                 f'settle="marks", but {why}')
        _require(marked or self.choose is not None or not self.terms.by_found,
                 f"the rule chooses by what is found; until it is, marks stand for it, but {why}")
        if self.choose is None:
            return
        team = tuple(self.agents)[: self.team_size]
        own = np.array([[grader == name for name in team] for grader in self._graders(team)])
        for report, mark in ((0.5, 0.5), (0.5, math.nan), (math.nan, math.nan)):
            reports, marks = np.full(len(team), report), np.where(own, math.nan, mark)
            try:
                self._chances(reports, marks, np.zeros(len(team)))
            except Exception as error:  # the author's own code may raise anything
                raise ValueError(f"choose fails on the reports {reports.tolist()} and the marks {marks.tolist()}, a "
                                 f"row a grader: {error!r}") from error

    async def run(self, task: Task) -> Round:
        """Run one round to its end; whatever goes wrong in a reply is recorded as what it was.

        A task without a key is a ValueError where nobody marks.
        """
        keyed = self._keyed(task)
        _require(keyed or self.graders is not None, f"task {task.id!r} has no key, and nobody marks: give a judge=")
        number = await self.ledger.soon(lambda: self.ledger.begin(task.id, self.budget))
        rng = np.random.default_rng([self.seed, number])
        team = self._team(rng)
        submissions = await _all(self._submit(number, task, name) for name in team)
        reports = np.array([s.report for s in submissions])
        costs = np.array([s.cost.price if self.roster else s.cost.tokens for s in submissions], float)
        graders = self._graders(team)
        marks = await self._marks(number, task, submissions, graders, rng)
        chances = self._chances(reports, marks, costs)
        chosen = draw(chances, rng)
        found = _verdicts(task, submissions) if keyed else _mean(marks)
        rewards = self._rewards(submissions, found, costs)
        payments = self._payments(rewards)
        fees = self._fees(task, submissions, graders, marks)
        done = Round(number, task, team, submissions, reports, costs, tuple(graders), marks, chances, chosen, found,
                     rewards, payments, fees)
        await self.ledger.soon(lambda: self._settle(done))
        return done

    def _keyed(self, task: Task) -> bool:
        """Whether the task's key says what is found."""
        return self.settle == "key" and task.key is not None

    def _team(self, rng: np.random.Generator) -> tuple[str, ...]:
        """Pick a team: each place goes to the best reputation left, or now and then to anybody."""
        names = list(self.agents)
        reputation = self.ledger.reputations(names, self.discount, self.newcomer, self.reputation)
        shuffled = [names[k] for k in rng.permutation(len(names))]
        rest = sorted(shuffled, key=lambda name: -reputation[name])
        team = []
        for _ in range(self.team_size):
            team.append(rest.pop(int(rng.integers(len(rest))) if rng.random() < self.exploration else 0))
        return tuple(sorted(team, key=names.index))

    async def _submit(self, number: int, task: Task, name: str) -> Submission:
        """Ask one agent, read its reply, let its strategy have its way, and write down what it hands in."""
        submission = Submission(name, "", math.nan, Cost(), "cancelled")
        try:
            said = await self._call(self.agents[name], task.prompt)
            reply = parse_answer(said.text) if said.problem is None else Reply("", math.nan, said.problem)
            confidence = reply.confidence if reply.status == "answered" else math.nan
            submission = Submission(name, reply.answer, confidence, said.cost, reply.status, said.detail)
            if name in self.strategies:
                submission = _played(self.strategies[name], submission)
        finally:  # also when the run is cancelled: nothing that was handed in is lost
            s = submission
            handed_in = (number, name, s.answer or None, s.confidence, s.cost, s.status)
            await self.ledger.soon(lambda: self.ledger.submit(*handed_in))
        return submission

    async def _call(self, agent: Agent, prompt: str) -> _Said:
        """Call a model once, and say what it said, what that cost, and what went wrong."""
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

    def _graders(self, team: Sequence[str]) -> dict[str, Agent]:
        """Return who marks, by name: nobody, the validator, or all agents, those of the team first."""
        if self.graders is None or self.judge is None:
            return {}
        if self.graders == "validator":
            return {self.judge.name: self.judge}
        names = sorted(self.agents, key=lambda name: name not in team)
        return {name: dataclasses.replace(self.judge, model=self.agents[name].model) for name in names}

    async def _marks(
        self, number: int, task: Task, submissions: Sequence[Submission], graders: Mapping[str, Agent],
        rng: np.random.Generator,
    ) -> Floats:
        """Have every answer marked by every grader but its author, if anything depends on it."""
        marks = np.full((len(graders), len(submissions)), math.nan)
        if self._keyed(task) and self.choose is None and not self.terms.by_found and not self.grading_share:
            return marks
        names, personas = list(graders), list(graders.values())
        pairs = np.argwhere(_asked(submissions, names))
        pairs = rng.permutation(pairs)  # blind: in no order that an answer's author could use
        calls = (self._call(personas[g], grading_prompt(task.prompt, submissions[j].answer)) for g, j in pairs)
        for (g, j), said in zip(pairs, await _all(calls), strict=True):
            marks[g, j] = parse_score(said.text)
            if not math.isnan(marks[g, j]):
                given = (number, names[g], submissions[j].agent, float(marks[g, j]))
                await self.ledger.soon(lambda given=given: self.ledger.mark(*given))  # type: ignore[misc]
        return marks

    def _chances(self, reports: Floats, marks: Floats, costs: Floats) -> Floats:
        """Return how likely each answer is to be passed on, by what is known now; silence has nothing to pass on."""
        if self.choose is not None:
            chances = as_chances("what choose returns", self.choose(reports.copy(), marks.copy()), len(reports))
        else:
            chances = self.terms.chances(reports, np.nan_to_num(_mean(marks)), costs)
        return np.where(np.isnan(reports), 0.0, chances)

    def _rewards(self, submissions: Sequence[Submission], found: Floats, costs: Floats) -> Floats:
        """Return what the rule grants by what was found: nothing for a fault, NaN for an answer nothing is known of."""
        reports = np.array([s.report for s in submissions])
        rewards = self.terms.rewards(reports, np.nan_to_num(found), costs)
        faulty = [s.status not in ("answered", "abstained") for s in submissions]
        unknown = ~np.isnan(reports) & np.isnan(found)
        return np.where(faulty, 0.0, np.where(unknown, math.nan, rewards))

    def _payments(self, rewards: Floats) -> NDArray[np.int64]:
        """Return rewards in whole minor units, rounded down; what lies above the bound that was found is cut off."""
        paid = self.scale * np.minimum(np.nan_to_num(rewards), max(self.terms.best, 0.0))
        return np.floor(paid + 1e-6).astype(np.int64)  # a rounding error is no unit less

    def _fees(
        self, task: Task, submissions: Sequence[Submission], graders: Mapping[str, Agent], marks: Floats
    ) -> dict[str, int]:
        """Return what graders are paid for predicting a key: by the mean quadratic score of their marks."""
        if task.key is None or not self.grading_share:
            return {}
        asked = _asked(submissions, list(graders))
        scores = quadratic(marks, np.nan_to_num(_verdicts(task, submissions)))  # 0 where no mark could be read
        means = scores.sum(axis=1) / np.maximum(asked.sum(axis=1), 1)
        share = self.budget * self.grading_share / len(graders)
        return {name: math.floor(share * mean + 1e-6) for name, mean in zip(graders, means, strict=True)}

    def _settle(self, done: Round) -> None:
        """Write down what a round came to, pay, and close it: all at once, or not at all."""
        with self.ledger.transaction():
            for s, reward, found, amount in zip(done.submissions, done.rewards, done.found, done.payments, strict=True):
                if not math.isnan(reward):
                    self.ledger.reward(done.id, s.agent, float(reward), 0.0 if math.isnan(s.report) else float(found))
                if reward > self.terms.best + 1e-9:
                    self.ledger.note("reward.cut", round=done.id, agent=s.agent, reward=reward, bound=self.terms.best)
                self.ledger.pay(done.id, s.agent, int(amount), "answer")
            for name, amount in done.fees.items():
                self.ledger.pay(done.id, name, amount, "grading")
            self.ledger.close(done.id)


@dataclass(frozen=True)
class _Said:
    text: str
    cost: Cost
    problem: Status | None = None
    detail: str = ""


def _require(condition: Any, sentence: str) -> None:
    if not condition:
        raise ValueError(sentence)


def _played(strategy: Strategy, submission: Submission) -> Submission:
    """Return what a strategy makes of a submission; a confidence that is no chance cannot be read."""
    handed_in = strategy(submission)
    if 0 <= handed_in.confidence <= 1 or math.isnan(handed_in.confidence):
        return handed_in
    detail = f"its strategy reports {handed_in.confidence}, which does not lie in [0, 1]"
    return dataclasses.replace(handed_in, confidence=math.nan, status="malformed", detail=detail)


def _asked(submissions: Sequence[Submission], graders: Sequence[str]) -> NDArray[np.bool_]:
    """Return who is asked to mark whom, (graders, n): everybody every answer, but for its author."""
    asked = [[not math.isnan(s.report) and s.agent != grader for s in submissions] for grader in graders]
    return np.array(asked, bool).reshape(len(graders), len(submissions))


def _verdicts(task: Task, submissions: Sequence[Submission]) -> Floats:
    """Return what the key says of each answer, 1 or 0; NaN where there is none."""
    return np.array([math.nan if math.isnan(s.report) else float(task.correct(s.answer)) for s in submissions])


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
