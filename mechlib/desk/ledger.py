"""The ledger: every submission, mark, reward and payment of every round, in one SQLite file that survives a kill.

Each write is a transaction that is on disk when the call returns (write-ahead log, `synchronous=FULL`): a process
killed at any point loses nothing that was acknowledged and leaves nothing half done. `with ledger.transaction():`
makes several writes one, all or none, acknowledged when the block ends (never `await` inside it: other tasks' writes
would join in).

Money is in integer minor units of the reader's choice; payments are positive TO the agent. A round's payments never
exceed its budget: the ledger refuses the one that would. After `close` a round takes no submission, mark or reward;
payments may still come (reward can be deferred). Needs only the standard library, and runs in the browser.

>>> with Ledger() as ledger:
...     first = ledger.begin("capital of France?", budget=100)
...     ledger.submit(first, "ada", "Paris", confidence=0.9)
...     ledger.reward(first, "ada", 0.99, found=1.0)
...     ledger.pay(first, "ada", 33, "quadratic rule")
...     ledger.close(first)
...     ledger.reputation("ada"), ledger.balance("ada")
(0.99, 33)
"""

import json
import math
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from os import PathLike, fspath
from typing import Any, Literal, NamedTuple, Self


class Cost(NamedTuple):
    """What an answer cost: tokens, wall-clock seconds, and the price in the ledger's minor units."""

    tokens: int = 0
    seconds: float = 0.0
    price: int = 0


class RoundRow(NamedTuple):
    """A round: its number, the task, the budget, and whether it is closed."""

    id: int
    task: str
    budget: int
    closed: bool


class SubmissionRow(NamedTuple):
    """What an agent handed in: `answer` and `confidence` are None where there was none, and `status` says why."""

    agent: str
    answer: str | None
    confidence: float | None
    status: str
    cost: Cost


class MarkRow(NamedTuple):
    """The mark that a grader gave to another agent's answer."""

    grader: str
    agent: str
    mark: float


class RewardRow(NamedTuple):
    """What the rule rewarded an agent with, in its own units, and how right its answer was found: None if unknown."""

    agent: str
    reward: float
    found: float | None


class PaymentRow(NamedTuple):
    """An amount paid TO an agent (negative: a fee), and why."""

    agent: str
    amount: int
    reason: str


class Event(NamedTuple):
    """An entry of the trail: what happened, with its data."""

    id: int
    kind: str
    data: dict[str, Any]


_VERSION = 2
_FREE = Cost()
_SCHEMA = """
CREATE TABLE rounds (
    id INTEGER PRIMARY KEY, task TEXT NOT NULL, budget INTEGER NOT NULL, closed INTEGER NOT NULL DEFAULT 0);
CREATE TABLE submissions (
    round INTEGER NOT NULL REFERENCES rounds, agent TEXT NOT NULL, answer TEXT, confidence REAL, status TEXT NOT NULL,
    tokens INTEGER NOT NULL, seconds REAL NOT NULL, price INTEGER NOT NULL, PRIMARY KEY (round, agent));
CREATE TABLE marks (
    round INTEGER NOT NULL REFERENCES rounds, grader TEXT NOT NULL, agent TEXT NOT NULL, mark REAL NOT NULL,
    PRIMARY KEY (round, grader, agent));
CREATE TABLE rewards (
    round INTEGER NOT NULL REFERENCES rounds, agent TEXT NOT NULL, reward REAL NOT NULL, found REAL,
    PRIMARY KEY (round, agent));
CREATE INDEX rewards_by_agent ON rewards (agent, round);
CREATE TABLE payments (
    id INTEGER PRIMARY KEY, round INTEGER NOT NULL REFERENCES rounds, agent TEXT NOT NULL, amount INTEGER NOT NULL,
    reason TEXT NOT NULL);
CREATE INDEX payments_by_round ON payments (round);
CREATE TABLE events (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, data TEXT NOT NULL);
"""


class LedgerError(ValueError):
    """A write that the ledger refuses: unknown or closed round, a second entry for one thing, or too much money."""


def _money(name: str, amount: int) -> int:
    if isinstance(amount, bool) or not hasattr(amount, "__index__"):
        raise LedgerError(f"{name} must be a whole number of minor units, but is {amount!r}; round it first")
    return int(amount)


class Ledger:
    """A ledger in a file (`path`), or in memory by default; a context manager that closes the file.

    Several processes may share one file. A file that is not a ledger, or a newer one's, raises `LedgerError`.
    """

    def __init__(self, path: str | PathLike[str] = ":memory:") -> None:
        self.path = fspath(path)
        self._depth = 0
        self._db = sqlite3.connect(self.path, timeout=30.0, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA foreign_keys=ON")
            with self.transaction():
                version = self._db.execute("PRAGMA user_version").fetchone()[0]
                tables = self._db.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
                if version == 0 and tables == 0:
                    for statement in _SCHEMA.split(";\n"):
                        self._db.execute(statement)
                    self._db.execute(f"PRAGMA user_version={_VERSION}")
                elif version != _VERSION:
                    raise LedgerError(f"path {self.path} is no ledger of version {_VERSION}; give another file")
        except (sqlite3.DatabaseError, LedgerError) as error:
            self._db.close()
            if isinstance(error, LedgerError):
                raise
            raise LedgerError(f"path {self.path} cannot be opened as a ledger ({error}); give another file") from error

    def __enter__(self) -> Self:
        """Return the ledger itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file; what was acknowledged is already on disk."""
        self._db.close()

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the writes of a block one: all or none. Blocks nest: an inner one that fails is undone alone."""
        self._depth += 1
        name = f"block_{self._depth}"
        begin, undo, end = (f"SAVEPOINT {name}", f"ROLLBACK TO {name}", f"RELEASE {name}")
        if self._depth == 1:
            begin, undo, end = "BEGIN IMMEDIATE", "ROLLBACK", "COMMIT"
        try:
            self._db.execute(begin)
            yield
            self._db.execute(end)
        except BaseException:
            if self._db.in_transaction:
                self._db.execute(undo)
            raise
        finally:
            self._depth -= 1

    def _write(self, sql: str, values: tuple[Any, ...], round_id: int, what: str, frozen: bool = True) -> None:
        with self.transaction():
            row = self._db.execute("SELECT closed FROM rounds WHERE id = ?", (round_id,)).fetchone()
            if row is None:
                raise LedgerError(f"round_id {round_id!r} is not a round of this ledger; open one with begin()")
            if frozen and row[0]:
                raise LedgerError(f"round {round_id} is closed and takes no {what}; begin() another round")
            try:
                self._db.execute(sql, values)
            except sqlite3.IntegrityError as error:
                if "UNIQUE" in str(error):
                    raise LedgerError(f"round {round_id} already has the {what}; nothing was changed") from error
                raise LedgerError(f"the {what} in round {round_id} lacks a value or holds nan ({error})") from error

    def begin(self, task: str, budget: int = 0) -> int:
        """Open a round for a task with a budget (minor units, not negative) and return its number."""
        if _money("budget", budget) < 0:
            raise LedgerError(f"budget must not be negative, but is {budget}")
        with self.transaction():
            cursor = self._db.execute("INSERT INTO rounds (task, budget) VALUES (?, ?)", (task, int(budget)))
        return int(cursor.lastrowid or 0)

    def submit(
        self, round_id: int, agent: str, answer: str | None, confidence: float | None = None, cost: Cost = _FREE,
        status: str = "answered",
    ) -> None:
        """Record what an agent handed in, once a round; a nan confidence is stored as None (abstained)."""
        stated = None if confidence is None else float(confidence)  # SQLite keeps nan as NULL
        row = (round_id, agent, answer, stated, str(status), int(cost.tokens), float(cost.seconds))
        values = (*row, _money("cost.price", cost.price))
        sql = "INSERT INTO submissions VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
        self._write(sql, values, round_id, f"submission of {agent!r}")

    def mark(self, round_id: int, grader: str, agent: str, mark: float) -> None:
        """Record the mark that a grader gave to another agent's answer, once; nobody marks itself."""
        if grader == agent:
            raise LedgerError(f"grader {grader!r} must not mark its own answer; ask another agent or a validator")
        values = (round_id, grader, agent, float(mark))
        self._write("INSERT INTO marks VALUES (?, ?, ?, ?)", values, round_id, f"mark of {agent!r} by {grader!r}")

    def reward(self, round_id: int, agent: str, reward: float, found: float | None = None) -> None:
        """Record what the rule rewarded an agent with and how right its answer was found, once a round.

        Reputations are built from either. It moves no money: `pay` does.
        """
        values = (round_id, agent, float(reward), None if found is None else float(found))
        self._write("INSERT INTO rewards VALUES (?, ?, ?, ?)", values, round_id, f"reward of {agent!r}")

    def pay(self, round_id: int, agent: str, amount: int, reason: str = "") -> None:
        """Pay an agent (negative: charge it); refused where the round's payments would exceed its budget."""
        with self.transaction():
            values = (round_id, agent, _money("amount", amount), reason)
            sql = "INSERT INTO payments (round, agent, amount, reason) VALUES (?, ?, ?, ?)"
            self._write(sql, values, round_id, "payment", frozen=False)
            spent = self._db.execute("SELECT sum(amount) FROM payments WHERE round = ?", (round_id,)).fetchone()[0]
            budget = self._db.execute("SELECT budget FROM rounds WHERE id = ?", (round_id,)).fetchone()[0]
            if spent > budget:
                over = f"amount {amount} to {agent!r} would bring round {round_id} to {spent}, above its budget"
                raise LedgerError(f"{over} of {budget}; scale the rule by its bounds before the round")

    def close(self, round_id: int) -> None:
        """Close a round, once: its submissions, marks and rewards stand."""
        self._write("UPDATE rounds SET closed = 1 WHERE id = ?", (round_id,), round_id, "second closing")

    def note(self, kind: str, **data: Any) -> int:
        """Append an event with JSON data to the trail and return its number."""
        text = json.dumps(data, sort_keys=True, ensure_ascii=False)
        with self.transaction():
            cursor = self._db.execute("INSERT INTO events (kind, data) VALUES (?, ?)", (kind, text))
        return int(cursor.lastrowid or 0)

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._db.execute(sql, values).fetchall()

    def rounds(self) -> list[RoundRow]:
        """Return all rounds, oldest first; those a killed process left open have `closed` False."""
        rows = self._rows("SELECT id, task, budget, closed FROM rounds ORDER BY id")
        return [RoundRow(number, task, budget, bool(closed)) for number, task, budget, closed in rows]

    def submissions(self, round_id: int) -> list[SubmissionRow]:
        """Return a round's submissions in the order they came in."""
        columns = "agent, answer, confidence, status, tokens, seconds, price"
        rows = self._rows(f"SELECT {columns} FROM submissions WHERE round = ? ORDER BY rowid", round_id)
        return [SubmissionRow(agent, said, sure, status, Cost(*cost)) for agent, said, sure, status, *cost in rows]

    def marks(self, round_id: int) -> list[MarkRow]:
        """Return a round's marks in the order they came in."""
        sql = "SELECT grader, agent, mark FROM marks WHERE round = ? ORDER BY rowid"
        return [MarkRow(*row) for row in self._rows(sql, round_id)]

    def rewards(self, round_id: int) -> list[RewardRow]:
        """Return a round's rewards in the order they came in."""
        sql = "SELECT agent, reward, found FROM rewards WHERE round = ? ORDER BY rowid"
        return [RewardRow(*row) for row in self._rows(sql, round_id)]

    def payments(self, round_id: int) -> list[PaymentRow]:
        """Return a round's payments in the order they were made."""
        sql = "SELECT agent, amount, reason FROM payments WHERE round = ? ORDER BY id"
        return [PaymentRow(*row) for row in self._rows(sql, round_id)]

    def trail(self, kind: str | None = None) -> list[Event]:
        """Return the events in order: all, or those of one kind."""
        sql = "SELECT id, kind, data FROM events WHERE ? IS NULL OR kind = ? ORDER BY id"
        return [Event(row[0], row[1], json.loads(row[2])) for row in self._rows(sql, kind, kind)]

    def balance(self, agent: str) -> int:
        """Return all that was ever paid to an agent, less its fees."""
        return int(self._rows("SELECT coalesce(sum(amount), 0) FROM payments WHERE agent = ?", agent)[0][0])

    def reputation(
        self, agent: str, discount: float = 0.95, default: float = 0.0, of: Literal["reward", "found"] = "reward"
    ) -> float:
        """Return the discounted MEAN of an agent's rewards `r`: `sum(d**k r_k) / sum(d**k)`, k = 0 for the latest.

        A sum would grow with the work an agent is given, and make the rich richer. `discount` lies in (0, 1] (1: the
        plain mean); `default` is what a newcomer starts from. With `of="found"` it is the mean of how right the agent's
        answers were found, whatever it said of them.
        """
        if not 0 < discount <= 1:
            raise LedgerError(f"discount must lie in (0, 1], but is {discount}")
        if of not in ("reward", "found"):
            raise LedgerError(f"of must be 'reward' or 'found', but is {of!r}")
        reach = -1 if discount == 1 else math.ceil(-40 / math.log(discount))  # what is older weighs less than rounding
        sql = f"SELECT {of} FROM rewards WHERE agent = ? AND {of} IS NOT NULL ORDER BY round DESC LIMIT ?"
        rows = self._rows(sql, agent, reach)
        weights = [discount**k for k in range(len(rows))]
        return sum(w * row[0] for w, row in zip(weights, rows, strict=True)) / sum(weights) if rows else default

    def reputations(
        self, agents: Iterable[str] | None = None, discount: float = 0.95, default: float = 0.0,
        of: Literal["reward", "found"] = "reward",
    ) -> dict[str, float]:
        """Return the reputation of the agents named, in that order; by default of all with a reward, by name."""
        if agents is None:
            agents = [row[0] for row in self._rows("SELECT DISTINCT agent FROM rewards ORDER BY agent")]
        return {name: self.reputation(name, discount, default, of) for name in agents}
