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

A round ends whatever an agent, a grader, a strategy, the rule or a choice does: what it raises is written down as what
it was, a `Fault`, and everybody else is paid. Only a round that is cut off from outside stays open: the process was
killed, the run cancelled, the disk full, or a recording is missing. `Coordinator.resume` takes it up again.
"""

from __future__ import annotations

import asyncio
import dataclasses
import math
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar, cast

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechlib.agents.protocol import Answerer, Cost, Grader
from mechlib.agents.roster import Agent, Roster
from mechlib.agents.tasks import Status, Task
from mechlib.desk.calls import (
    Fault,
    Grading,
    Said,
    Strategy,
    Submission,
    called,
    clean,
    graded,
    handed_in,
    played,
    shown,
)
from mechlib.desk.ledger import Ledger, LedgerError
from mechlib.desk.planner import Planner
from mechlib.desk.rounds import Plan, Round, mean_marks
from mechlib.desk.terms import as_chances, draw, terms, tied
from mechlib.mechanism import Floats, Ints, Rule, counted, real
from mechlib.rules.scoring import quadratic

if TYPE_CHECKING:
    import anthropic

    from mechlib.agents.personas import PersonaAgent, PersonaGrader

T = TypeVar("T")


Choice = Callable[[Floats, Floats], ArrayLike]


class Coordinator:
    """Runs rounds and keeps the books.

    The rule is tried before anything is asked of anybody: on a team of this size, on silence, and for a bound.

    Parameters
    ----------
    agents : sequence of Agent, or of anything with a name and an asynchronous call
        Distinct names. See `mechlib.agents.protocol`; an `Agent` of a roster is asked through `client`.
    rule : callable
        As in `audit` with `Beliefs`: of (reports), (reports, found) or (reports, found, costs), each (n,), to an
        `Award` or an `Outcome`. It is called twice a round. Its allocation, with the mean marks for what is found (0
        where nobody marked), is the chance that each answer is passed on; its rewards, with what was found later, are
        what is paid. A report of NaN is silence, and a rule may put a price on it; a fault (no reply, or one that
        cannot be read) looks the same to the rule and earns nothing. Costs are prices where there is a roster, in its
        unit of a call's price, else tokens. Agents with equal reports, and equal costs if it reads those, stand in
        random order before it: a tie that it gives to the first is drawn.
    ledger : Ledger, optional
        Where everything is written; by default one in memory.
    budget : int
        The minor units that a round may pay out, at most.
    client : anthropic.AsyncAnthropic, optional
        Who is called for the agents of a roster, and for a judge that is one.
    judge : Agent, or anything with a name and an asynchronous call, optional
        Who marks. Without it nobody marks: then the rule has to choose by the reports alone, and every task needs a
        key.
    roster : Roster, optional
        The price of each call, in millionths of the roster's currency; without it calls are free.
    graders : {"validator", "peers"} or None
        Whether the judge marks every answer, or each agent those of the others, never its own: one of a roster by its
        own model under the judge's persona, any other by its method `grader`; or nobody. Marks that nothing depends on
        are not asked for.
    choose : callable, optional
        ``choose(reports (n,), marks (graders, n)) -> chances (n,)``, in place of the rule's allocation, for a choice
        that needs every grader's marks. With peers, row i holds those of team member i; agents outside the team follow.
    settle : {"key", "marks"}
        What counts as found: the task's key where it has one, else the mean mark; or the mean mark always.
    unmarked : {"wrong", "unknown"}
        What an answer without a key counts for that a grader read and could not mark: as not right, or not at all.
        Nobody is blamed for a grader that could not be reached.
    ties : {"drawn", "listed"}
        Whether agents that say the same stand before the rule in random order, or as they are listed.
    reputation : {"found", "reward"}
        The planner trusts the discounted mean of how right an agent's answers were found (silence and faults count as
        not right), or that of its rewards. Rewards bring the work into the game: an agent may then report for a
        reputation, which `audit` knows nothing of, and silence outranks whoever lost something.
    team_size, exploration : int, float, optional
        How many agents get each task, by default all; and the probability that a place in the team is drawn at random
        and not by reputation: > 0 keeps everyone reachable. Equal reputations are in random order.
    discount : float
        Of reputation.
    newcomer : float or "known"
        The reputation of an agent without any: by default the mean of the first five results of every agent in the
        ledger. So a new name is worth what new names have been worth.
    newcomer_weight : float
        How many results that counts for beside an agent's own: with 0 the first one decides alone.
    trust : {"mean", "drawn"}
        Whether a place goes to the best mean, or to the best of one draw for each agent from a normal distribution
        around its mean, which is the wider the fewer results it rests on (Thompson 1933). Drawn, a few unlucky results
        do not lock an agent out.
    owners : mapping of str to str, optional
        Who is behind an agent, by its name, where that is known: agents of one owner take one place in a team, by
        their common reputation, and do not mark each other.
    grading_share, timeout : float
        Part of the budget kept for the graders; and the seconds that one call may take.
    fees : {"score", "skill"}
        Whether a grader is paid the quadratic score of its marks, or what that is more than the score of one number
        for all answers: how often they were right so far. By skill, who always says one number earns nothing.
    in_flight : int
        How many calls may be under way at once, over all rounds of this coordinator.
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
    >>> from mechlib.agents.protocol import FunctionAgent
    >>> from mechlib.rules.choice import highest
    >>> def rule(reports, found):
    ...     return Award(highest(reports), quadratic(reports, found))
    >>> audit(rule, Beliefs([0.1, 0.5, 0.9], n=2)).is_dsic
    True
    >>> async def knows(task):
    ...     return "Paris", 0.9
    >>> async def guesses(task):
    ...     return "Lyon", 0.5
    >>> team = [FunctionAgent("ada", knows), FunctionAgent("bob", guesses)]
    >>> desk = Coordinator(team, rule, budget=100)
    >>> done = asyncio.run(desk.run(Task("t1", "The capital of France?", key="Paris")))
    >>> done.answer, desk.scale, done.payments.tolist()
    ('Paris', 50.0, [49, -13])
    """

    def __init__(
        self, agents: Sequence[Agent | Answerer], rule: Rule, ledger: Ledger | None = None, budget: int = 1000, *,
        client: anthropic.AsyncAnthropic | None = None, judge: Agent | Grader | None = None,
        roster: Roster | None = None, graders: Literal["validator", "peers"] | None = "validator",
        choose: Choice | None = None, settle: Literal["key", "marks"] = "key",
        unmarked: Literal["wrong", "unknown"] = "wrong", ties: Literal["drawn", "listed"] = "drawn",
        reputation: Literal["found", "reward"] = "found", team_size: int | None = None, exploration: float = 0.1,
        discount: float = 0.95, newcomer: float | Literal["known"] = "known", newcomer_weight: float = 1.0,
        trust: Literal["mean", "drawn"] = "mean", owners: Mapping[str, str] | None = None, grading_share: float = 0.1,
        fees: Literal["score", "skill"] = "score", timeout: float = 60.0, in_flight: int = 64,
        strategies: Mapping[str, Strategy] | None = None, seed: int = 0,
    ) -> None:
        _require(isinstance(agents, Sequence) and not isinstance(agents, (str, bytes)),
                 f"agents must be several agents; they are {agents!r:.80}")
        for name, given, kind in (("ledger", ledger, Ledger), ("roster", roster, Roster), ("owners", owners, Mapping),
                                  ("strategies", strategies, Mapping)):
            _require(given is None or isinstance(given, kind), f"{name} must be a {kind.__name__}; it is {given!r:.80}")
        for name, who in (*(("agents", agent) for agent in agents), *([("judge", judge)] if judge is not None else [])):
            _require(isinstance(getattr(who, "name", None), str) and (isinstance(who, Agent) or callable(who)),
                     f"{name} holds {who!r:.80}, which is no agent and no grader: it needs a name and an asynchronous "
                     "call, as FunctionAgent(name, function) has")
        names = [agent.name for agent in agents]
        _require(all(isinstance(owner, str) for owner in (owners or {}).values()),
                 f"owners must be texts, by agent name; they are {owners!r:.80}")
        self.strategies, self.owners = dict(strategies or {}), {name: name for name in names} | dict(owners or {})
        self.team_size = len(names) if team_size is None else counted("team_size", team_size)
        self.budget, self.seed = counted("budget", budget, 0, 2**63 - 1), counted("seed", seed, 0)
        self.in_flight = counted("in_flight", in_flight, 1, 10**6)
        _require(names and len(set(names)) == len(names),
                 f"agents must have distinct names, at least one; the names are {names}")
        _require(callable(rule),
                 f"rule must be a function of (reports), (reports, found) or (reports, found, costs), not {rule!r:.80}")
        _require(judge is None or judge.name not in names,
                 f"judge is called {judge and judge.name!r} like an agent: give it another name")
        _require(graders in ("validator", "peers", None),
                 f'graders must be "validator", "peers" or None; it is {graders!r}')
        _require(choose is None or callable(choose),
                 f"choose must be a function of (reports, marks), like mechlib.rules.choice.impartial, not {choose!r}")
        _require(settle in ("key", "marks"),
                 f'settle must be "key" or "marks"; it is {settle!r}')
        _require(unmarked in ("wrong", "unknown"),
                 f'unmarked must be "wrong" or "unknown"; it is {unmarked!r}')
        _require(ties in ("drawn", "listed"),
                 f'ties must be "drawn" or "listed"; it is {ties!r}')
        _require(fees in ("score", "skill"),
                 f'fees must be "score" or "skill"; it is {fees!r}')
        real("grading_share", grading_share, "[0, 1)"), real("timeout", timeout, "(0, inf)")
        _require(all(map(callable, self.strategies.values())),
                 f"strategies must be functions, by agent name; they are {strategies!r:.80}")
        _require(set(self.strategies) <= set(names),
                 f"strategies name {sorted(set(self.strategies) - set(names))}, but the agents are {names}")
        _require(set(self.owners) <= set(names),
                 f"owners name {sorted(set(self.owners) - set(names))}, but the agents are {names}")
        called = {who.model for who in (*agents, judge) if isinstance(who, Agent)}
        unpriced = called - set(roster.models if roster else called)
        _require(not unpriced,
                 f"roster {roster and roster.name!r} has no price for the models {sorted(unpriced)}")
        _require(client is not None or not called,
                 f"client= is missing: the models {sorted(called)} are asked through it")
        self.ledger = Ledger() if ledger is None else ledger
        self.client, self.roster, self.rule = client, roster, rule
        self.agents = dict(zip(names, self._seated(agents), strict=True))
        self.judge = self._grader(judge) if isinstance(judge, Agent) else judge
        self.graders = graders if judge is not None or graders == "peers" else None
        self.planner = Planner(self.ledger, self.owners, self.team_size, exploration, discount, newcomer,
                               newcomer_weight, reputation, trust, self.seed)
        self.choose, self.settle, self.fees = choose, settle, fees
        self.unmarked, self.ties, self.timeout = unmarked, ties, timeout
        self.peers = self._peers() if self.graders == "peers" else {}
        self.grading_share = grading_share if self.graders else 0.0
        self.terms = terms(rule, self.team_size, choice=choose is None)
        self.scale = self.terms.scale(self.budget * (1 - self.grading_share), self.team_size)
        self._gates: tuple[Any, asyncio.Semaphore] | None = None
        self._try_choice()

    def _seated(self, agents: Sequence[Agent | Answerer]) -> list[Answerer]:
        """Return the agents as they are called; equal requests of several agents of a roster are samples of their own.
        """
        seated: list[Answerer] = []
        personas: list[Agent] = []
        for agent in agents:
            if isinstance(agent, Agent):
                same = dataclasses.replace(agent, name="")
                seated.append(self._persona(agent, sample=personas.count(same)))
                personas.append(same)
            else:
                seated.append(agent)
        return seated

    def _persona(self, agent: Agent, sample: int) -> PersonaAgent:
        from mechlib.agents.personas import PersonaAgent  # needs the SDK, which other agents do not

        assert self.client is not None
        return PersonaAgent(agent, self.client, price=self._price(agent), sample=sample)

    def _grader(self, judge: Agent) -> PersonaGrader:
        from mechlib.agents.personas import PersonaGrader

        assert self.client is not None
        return PersonaGrader(judge, self.client, price=self._price(judge))

    def _price(self, agent: Agent) -> tuple[float, float]:
        return self.roster.models[agent.model].price if self.roster else (0.0, 0.0)

    def _peers(self) -> dict[str, Grader]:
        """Return who marks in each agent's name: itself, or its model under the judge's persona."""
        graders: dict[str, Grader] = {}
        alike: dict[Any, int] = {}
        for name, agent in self.agents.items():
            own = getattr(agent, "grader", None)
            grader = own() if callable(own) else None
            if grader is None and hasattr(agent, "persona") and hasattr(self.judge, "of"):
                grader = cast(Any, self.judge).of(agent)
                model = agent.persona.model
                alike[model] = alike.get(model, -1) + 1
                grader = dataclasses.replace(grader, sample=alike[model])
            _require(grader is not None,
                     f'graders="peers", but {name!r} cannot mark: give it a method `grader`, as FunctionAgent(name, '
                     "function, marks) has; or, for agents of a roster, a judge=: the persona under which they mark")
            graders[name] = cast(Grader, grader)
        return graders

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
                self._chances(reports, marks, np.zeros(len(team)), np.arange(len(team)))
            except Exception as error:  # the author's own code may raise anything
                raise ValueError(f"choose fails on the reports {reports.tolist()} and the marks {marks.tolist()}, a "
                                 f"row a grader: {error!r}") from error

    def dry_run(self, tasks: Iterable[Task]) -> Plan:
        """Return how many calls and tokens some tasks will take, and their price, and call nobody.

        Where a team is smaller than the roster, the team that costs most is taken.
        """
        answers = marks = entered = written = price = 0
        unknown: dict[str, None] = {}
        for task in tasks:
            sizes = {name: _size(agent, unknown, task) for name, agent in self.agents.items()}
            team = sorted(sizes, key=lambda name: -sum(sizes[name][:2]))[: self.team_size]
            calls = [sizes[name] for name in team]
            answers += len(calls)
            if self._marks_matter(task):
                reply = {name: "x" * (3 * sizes[name][1]) for name in team}
                calls += [_size(grader, unknown, task, reply[name]) for own, grader in self._graders(team).items()
                          for name in team if self._may_mark(own, name)]
            marks += len(calls) - len(team)
            entered += sum(call[0] for call in calls)
            written += sum(call[1] for call in calls)
            price += sum(call[2] for call in calls)
        return Plan(answers, marks, entered, written, price, tuple(unknown))

    async def run(self, task: Task) -> Round:
        """Run one round to its end; whatever goes wrong in it is recorded as what it was.

        A task without a key is a ValueError where nobody marks.
        """
        self._require_verdict(task)
        number, team, rng = await self.ledger.soon(lambda: self._begin(task))
        return await self._round(number, task, team, rng)

    def _begin(self, task: Task) -> tuple[int, tuple[str, ...], np.random.Generator]:
        """Open a round and pick its team, which is written down with it: all at once, or not at all."""
        with self.ledger.transaction():
            number = self.ledger.begin(task.id, self.budget)
            rng = np.random.default_rng([self.seed, number])
            team = self.planner.team(number, rng)
            self.ledger.note("round", round=number, team=list(team))
        return number, team, rng

    async def resume(self, number: int, task: Task) -> Round:
        """Take up a round that was cut off, with the same task, and run it to its end.

        The open rounds of a ledger are ``[row for row in ledger.rounds() if not row.closed]``. What was handed in and
        marked before stands, and is not asked for again; a call that was cancelled is.

        Raises
        ------
        ValueError
            If there is no such round, it is closed, or was begun for another task, budget or other agents.
        """
        self._require_verdict(task)
        row = next((row for row in self.ledger.rounds() if row.id == number), None)
        _require(row is not None and not row.closed,
                 f"number {number!r} is not an open round of this ledger")
        assert row is not None
        _require(row.task == task.id,
                 f"round {number} was begun for the task {row.task!r}, not for {task.id!r}")
        _require(row.budget == self.budget,
                 f"round {number} has a budget of {row.budget}, and this coordinator one of {self.budget}")
        begun = next((event.data for event in self.ledger.trail("round") if event.data["round"] == number), None)
        _require(begun is not None and set(begun["team"]) <= set(self.agents)
                 and len(begun["team"]) == self.team_size,
                 f"round {number} was begun by other agents than {list(self.agents)}, in teams of {self.team_size}: "
                 f"{begun and begun['team']}")
        assert begun is not None
        rng = np.random.default_rng([self.seed, number])
        self.planner.team(number, rng)  # draws what was drawn when the round began; the team is what it was then
        return await self._round(number, task, tuple(begun["team"]), rng)

    async def _round(self, number: int, task: Task, team: tuple[str, ...], rng: np.random.Generator) -> Round:
        faults: list[Fault] = []
        here = self._handed_in_before(number)
        asked = await _all(self._submit(number, task, name, faults) for name in team if name not in here)
        here |= {submission.agent: submission for submission in asked}
        submissions = tuple(here[name] for name in team)
        reports = np.array([s.report for s in submissions])
        costs = np.array([s.cost.price if self.roster else s.cost.tokens for s in submissions], float)
        order = np.arange(len(team))
        if self.ties == "drawn":
            alike = costs if self.terms.by_cost else None
            order = tied(reports, alike, np.random.default_rng([self.seed, number, 1]))
        graders = self._graders(team)
        gradings = await self._marks(number, task, submissions, graders, rng, faults)
        marks = np.full((len(graders), len(team)), math.nan)
        for grading in gradings:
            marks[list(graders).index(grading.grader), team.index(grading.agent)] = grading.mark
        chances = self._chosen_by(reports, marks, costs, order, faults)
        chosen = draw(chances, rng)
        verdicts = self._verdicts(task, submissions, faults)
        found = verdicts if self._keyed(task) else mean_marks(marks)
        rewards = self._rewards(submissions, found, costs, order, faults)
        payments = self._payments(rewards)
        fees = self._fees(task, graders, marks, verdicts, _asked(submissions, list(graders), self._may_mark))
        done = Round(number, task, team, submissions, reports, costs, tuple(graders), marks, chances, chosen, found,
                     rewards, payments, fees, gradings, tuple(faults))
        return await self.ledger.soon(lambda: self._settle(done))

    def _handed_in_before(self, number: int) -> dict[str, Submission]:
        """Return what was handed in before a round was cut off; nothing in a new one."""
        rows = [row for row in self.ledger.submissions(number) if row.status != "cancelled"]
        sure = [math.nan if row.confidence is None else row.confidence for row in rows]
        return {row.agent: Submission(row.agent, row.answer or "", confidence, row.cost, cast(Status, row.status))
                for row, confidence in zip(rows, sure, strict=True)}

    def _keyed(self, task: Task) -> bool:
        """Whether the task's key says what is found."""
        return self.settle == "key" and task.key is not None

    def _require_verdict(self, task: Task) -> None:
        _require(self._keyed(task) or self.graders is not None,
                 f"task {task.id!r} has no key, and nobody marks: give a judge=")

    async def _submit(self, number: int, task: Task, name: str, faults: list[Fault]) -> Submission:
        """Ask one agent, read its reply, let its strategy have its way, and write down what it hands in."""
        submission = Submission(name, "", math.nan, Cost(), "cancelled")
        wrong: list[Fault] = []
        try:
            agent = self.agents[name]
            said = await self._call(lambda: agent(task), agent)
            submission = handed_in(name, said)
            if submission.status in ("error", "timeout"):
                wrong.append(Fault("agent", name, submission.detail))
            if name in self.strategies:
                submission = played(self.strategies[name], submission, wrong)
        finally:  # also when the run is cancelled: nothing that was handed in is lost
            handed = submission
            await self.ledger.soon(lambda: self._keep(number, handed, wrong))
        faults += wrong
        return submission

    def _keep(self, number: int, s: Submission, faults: Iterable[Fault]) -> None:
        """Write down what an agent handed in, and what went wrong."""
        with self.ledger.transaction():
            self.ledger.submit(number, s.agent, s.answer or None, s.confidence, s.cost, s.status)
            self._note(number, faults)

    def _note(self, number: int, faults: Iterable[Fault]) -> None:
        for fault in faults:
            self.ledger.note("fault", round=number, **fault._asdict())

    async def _call(self, call: Callable[[], Any], who: Answerer | Grader) -> Said:
        """Make one call when its turn comes, and say what came of it, whatever that was."""
        async with self._gate():
            return await called(call, self.timeout, getattr(who, "stops", ()))

    def _gate(self) -> asyncio.Semaphore:
        """Return what lets so many calls through at once; a loop has its own."""
        loop = asyncio.get_running_loop()
        if self._gates is None or self._gates[0] is not loop:
            self._gates = (loop, asyncio.Semaphore(self.in_flight))
        return self._gates[1]

    def _graders(self, team: Sequence[str]) -> dict[str, Grader]:
        """Return who marks, by name: nobody, the validator, or all agents, those of the team first."""
        if self.graders == "peers":
            return {name: self.peers[name] for name in sorted(self.peers, key=lambda name: name not in team)}
        return {self.judge.name: self.judge} if self.graders and self.judge is not None else {}

    def _may_mark(self, grader: str, agent: str) -> bool:
        """Whether a grader is nobody's agent, or another owner's."""
        return self.owners.get(grader) != self.owners[agent]

    def _marks_matter(self, task: Task) -> bool:
        """Whether anything depends on marks of answers to this task."""
        if self.graders is None:
            return False
        return not self._keyed(task) or self.choose is not None or self.terms.by_found or self.grading_share > 0

    async def _marks(
        self, number: int, task: Task, submissions: Sequence[Submission], graders: Mapping[str, Grader],
        rng: np.random.Generator, faults: list[Fault],
    ) -> tuple[Grading, ...]:
        """Have every answer marked by every grader but its author, if anything depends on it."""
        if not self._marks_matter(task):
            return ()
        names = list(graders)
        pairs = np.argwhere(_asked(submissions, names, self._may_mark))
        pairs = rng.permutation(pairs)  # blind: in no order that an answer's author could use
        kept = self._marked(number)
        calls = (self._mark(number, task, graders[names[g]], submissions[j], faults) for g, j in pairs
                 if (names[g], submissions[j].agent) not in kept)
        return (*kept.values(), *await _all(calls))

    def _marked(self, number: int) -> dict[tuple[str, str], Grading]:
        """Return the gradings of a round that was cut off; none in a new one."""
        marks = {(row.grader, row.agent): row.mark for row in self.ledger.marks(number)}
        if not marks:
            return {}
        events = [event.data for event in self.ledger.trail("grading") if event.data["round"] == number]
        costs = {(data["grader"], data["agent"]): Cost(*data["cost"]) for data in events}
        return {key: Grading(*key, mark, costs.get(key, Cost())) for key, mark in marks.items()}

    async def _mark(
        self, number: int, task: Task, grader: Grader, submission: Submission, faults: list[Fault]
    ) -> Grading:
        """Have one answer marked, and write the mark down with its cost."""
        said = await self._call(lambda: grader(task, submission.answer), grader)
        grading = graded(grader.name, submission.agent, said)
        wrong = [Fault("grader", grader.name, grading.detail)] if grading.status in ("error", "timeout") else []
        await self.ledger.soon(lambda: self._keep_mark(number, grading, wrong))
        faults += wrong
        return grading

    def _keep_mark(self, number: int, g: Grading, faults: Iterable[Fault]) -> None:
        """Write down what a grader said, what that cost, and what went wrong."""
        with self.ledger.transaction():
            if not math.isnan(g.mark):
                self.ledger.mark(number, g.grader, g.agent, g.mark)
            self.ledger.note("grading", round=number, grader=g.grader, agent=g.agent, status=g.status, cost=[*g.cost])
            self._note(number, faults)

    def _chances(self, reports: Floats, marks: Floats, costs: Floats, order: Ints) -> Floats:
        """Return how likely each answer is to be passed on, by what is known now; silence has nothing to pass on."""
        if self.choose is not None:
            chances = as_chances("what choose returns", self.choose(reports.copy(), marks.copy()), len(reports))
        else:
            known = np.nan_to_num(mean_marks(marks))
            chances = np.empty(len(reports))
            chances[order] = self.terms.chances(reports[order], known[order], costs[order])
        return np.where(np.isnan(reports), 0.0, chances)

    def _chosen_by(
        self, reports: Floats, marks: Floats, costs: Floats, order: Ints, faults: list[Fault]
    ) -> Floats:
        """Return the chances, or none at all where what chooses fails."""
        try:
            return self._chances(reports, marks, costs, order)
        except Exception as error:  # the author's own code may raise anything
            faults.append(Fault("rule" if self.choose is None else "choose", "", clean(shown(error, 200))))
            return np.zeros(len(reports))

    def _verdicts(self, task: Task, submissions: Sequence[Submission], faults: list[Fault]) -> Floats:
        """Return what the key says of each answer, in [0, 1]; NaN where there is no key, no answer, or it fails."""
        verdicts = np.full(len(submissions), math.nan)
        if task.key is None:
            return verdicts
        for k, s in enumerate(submissions):
            if math.isnan(s.report):
                continue
            try:
                verdict = float(task.correct(s.answer))
                if not 0 <= verdict <= 1:
                    raise ValueError(f"it says {verdict}, which does not lie in [0, 1]")
                verdicts[k] = verdict
            except Exception as error:  # a task of the reader's own may run code
                faults.append(Fault("key", s.agent, clean(shown(error, 200))))
        return verdicts

    def _rewards(
        self, submissions: Sequence[Submission], found: Floats, costs: Floats, order: Ints, faults: list[Fault]
    ) -> Floats:
        """Return what the rule grants by what was found: nothing for a fault, NaN for an answer nothing is known of."""
        reports = np.array([s.report for s in submissions])
        rewards = np.full(len(reports), math.nan)
        try:
            rewards[order] = self.terms.rewards(reports[order], np.nan_to_num(found)[order], costs[order])
            if np.isinf(rewards).any():
                raise ValueError(f"the rule's rewards are {rewards.tolist()}; they must be finite")
        except Exception as error:  # the author's own code may raise anything
            faults.append(Fault("rule", "", clean(shown(error, 200))))
            rewards[np.isinf(rewards)] = math.nan
        faulty = [s.status not in ("answered", "abstained") for s in submissions]
        unknown = ~np.isnan(reports) & np.isnan(found)
        return np.where(faulty, 0.0, np.where(unknown, math.nan, rewards))

    def _payments(self, rewards: Floats) -> NDArray[np.int64]:
        """Return rewards in whole minor units, rounded down; what lies outside the bounds of the rule is cut off."""
        paid = self.scale * np.clip(np.nan_to_num(rewards), min(self.terms.worst, 0.0), max(self.terms.best, 0.0))
        return np.floor(np.clip(paid, -2.0**62, 2.0**62) + 1e-6).astype(np.int64)  # a rounding error is no unit less

    def _fees(
        self, task: Task, graders: Mapping[str, Grader], marks: Floats, verdicts: Floats, asked: NDArray[np.bool_]
    ) -> dict[str, int]:
        """Return what graders are paid for predicting a key: by the mean quadratic score of their marks."""
        if task.key is None or not self.grading_share:
            return {}
        asked = asked & ~np.isnan(verdicts)
        scores = quadratic(marks, np.nan_to_num(verdicts))  # 0 where no mark could be read
        if self.fees == "skill":
            rate = self.ledger.base_rate()
            plain = np.where(np.isnan(marks), math.nan, 0.5 if rate is None else rate)
            scores = scores - quadratic(plain, np.nan_to_num(verdicts))
        means = np.where(asked, scores, 0.0).sum(axis=1) / np.maximum(asked.sum(axis=1), 1)
        share = self.budget * self.grading_share / len(graders)
        return {name: math.floor(share * mean + 1e-6) for name, mean in zip(graders, means, strict=True)}

    def _settle(self, done: Round) -> Round:
        """Write down what a round came to, pay, and close it: all at once, or not at all."""
        faults, payments, fees = list(done.faults), done.payments.copy(), dict(done.fees)
        best, worst = max(self.terms.best, 0.0), min(self.terms.worst, 0.0)
        read = {g.agent for g in done.gradings if g.status not in ("error", "timeout")}

        def pay(name: str, amount: int, reason: str) -> int:
            try:
                self.ledger.pay(done.id, name, amount, reason)
            except LedgerError as error:
                faults.append(Fault("payment", name, repr(error)))
                return 0
            return amount

        with self.ledger.transaction():
            for k, (s, reward, found) in enumerate(zip(done.submissions, done.rewards, done.found, strict=True)):
                if not math.isnan(reward):
                    self.ledger.reward(done.id, s.agent, float(reward), 0.0 if math.isnan(s.report) else float(found))
                elif self.unmarked == "wrong" and not self._keyed(done.task) and s.agent in read:
                    self.ledger.reward(done.id, s.agent, 0.0, 0.0)  # read by a grader, and not to be marked
                if reward > best + 1e-9 or reward < worst - 1e-9:
                    bound = best if reward > best else worst
                    self.ledger.note("reward.cut", round=done.id, agent=s.agent, reward=reward, bound=bound)
                payments[k] = pay(s.agent, int(done.payments[k]), "answer")
            for name, amount in done.fees.items():
                fees[name] = pay(name, amount, "grading")
            self._note(done.id, (fault for fault in faults if fault.part not in ("agent", "strategy", "grader")))
            self.ledger.close(done.id)
        return dataclasses.replace(done, payments=payments, fees=fees, faults=tuple(faults))


def _require(condition: Any, sentence: str) -> None:
    if not condition:
        raise ValueError(sentence)


def _asked(
    submissions: Sequence[Submission], graders: Sequence[str], may_mark: Callable[[str, str], bool]
) -> NDArray[np.bool_]:
    """Return who is asked to mark whom, (graders, n): everybody every answer, but for its author."""
    asked = [[not math.isnan(s.report) and may_mark(grader, s.agent) for s in submissions] for grader in graders]
    return np.array(asked, bool).reshape(len(graders), len(submissions))


def _size(who: Any, unknown: dict[str, None], *work: Any) -> tuple[int, int, int]:
    """Return what one call reads, writes and costs; (0, 0, 0) for one that does not say, which is noted."""
    if not hasattr(who, "size"):
        unknown[who.name] = None
        return 0, 0, 0
    entered, written = who.size(*work)
    price = getattr(who, "price", (0.0, 0.0))
    return entered, written, math.ceil(price[0] * entered + price[1] * written)


async def _all(calls: Iterable[Coroutine[Any, Any, T]]) -> tuple[T, ...]:
    try:
        async with asyncio.TaskGroup() as group:
            jobs = [group.create_task(call) for call in calls]
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return tuple(job.result() for job in jobs)
