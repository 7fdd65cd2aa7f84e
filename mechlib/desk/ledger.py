"""The ledger: every submission, mark, reward and payment of every round, in one SQLite file that survives a kill.

Each write is a transaction that is on disk when the call returns (write-ahead log, `synchronous=FULL`): a process
killed at any point loses nothing that was acknowledged and leaves nothing half done. `with ledger.transaction():`
makes several writes one, all or none, acknowledged when the block ends (never `await` inside it: other tasks' writes
would join in). While another process holds the file, a write waits, for ten minutes at most; `await ledger.soon(...)`
does so without holding up the other tasks of the event loop.

Each round has a digest of all its rows, and what lies outside the rounds has one of its own. Opening a file compares
them, so a bit that was flipped, or an end that was cut off, is noticed. It is no guard against those who can also
compute digests.

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

import asyncio
import hashlib
import json
import math
import operator
import os
import re
import sqlite3
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from numbers import Integral
from os import PathLike
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self, TypeVar

from mechlib.agents.protocol import Cost as Cost

T = TypeVar("T")


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


_VERSION = 3
_FREE = Cost()
_PATIENCE = 600.0  # seconds to wait for another process
_LARGEST = 2**63 - 1  # what SQLite's integers hold
_SURROGATE = re.compile("[\ud800-\udfff]")
# Rowids count up, so rows stay in the order in which they came.
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
CREATE INDEX payments_by_agent ON payments (agent);
CREATE TABLE events (id INTEGER PRIMARY KEY, kind TEXT NOT NULL, data TEXT NOT NULL);
CREATE TABLE accounts (party TEXT PRIMARY KEY, free INTEGER NOT NULL);
CREATE TABLE holds (
    id INTEGER PRIMARY KEY, payer TEXT NOT NULL, payee TEXT NOT NULL, amount INTEGER NOT NULL, state TEXT NOT NULL);
CREATE TABLE digests (round INTEGER PRIMARY KEY, digest BLOB NOT NULL)
"""
_STATEMENTS = [statement.strip() for statement in _SCHEMA.split(";\n")]
# Which column of (rowid, *row) holds the number of the round; what belongs to none is in the digest of round 0.
_ROUND_IN = {
    "rounds": 0, "submissions": 1, "marks": 1, "rewards": 1, "payments": 2, "events": None, "accounts": None,
    "holds": None,
}


class LedgerError(ValueError):
    """A write that the ledger refuses: unknown or closed round, a second entry for one thing, or too much money."""


class _Locked(LedgerError):
    """Another process holds the file just now."""


def as_money(name: str, amount: Any) -> int:
    """Return a whole number of minor units that fits in 64 bits, or raise a LedgerError."""
    if isinstance(amount, bool) or not isinstance(amount, Integral):
        raise LedgerError(f"{name} must be a whole number of minor units, but is {amount!r:.80}; round it first")
    whole = operator.index(amount)
    if abs(whole) > _LARGEST:
        bits = whole.bit_length()
        raise LedgerError(f"{name} must fit in 64 bits with its sign, but takes {bits + 1}; take a larger minor unit")
    return whole


def as_number(name: str, number: Any, least: float = -math.inf, most: float = math.inf) -> float:
    """Return a finite number in a range as a float, or raise a LedgerError."""
    try:
        if isinstance(number, str | bytes):
            raise TypeError
        value = float(number)
    except (TypeError, ValueError, OverflowError):
        raise LedgerError(f"{name} must be a number, but is {number!r:.80}") from None
    if not (math.isfinite(value) and least <= value <= most):
        within = f" in [{least:g}, {most:g}]" if math.isfinite(most) else f" of at least {least:g}"
        raise LedgerError(f"{name} must be a finite number{within if math.isfinite(least) else ''}, but is {value}")
    return value


def as_chance(name: str, number: float | None) -> float | None:
    """Return a number in [0, 1], or None for None and nan; else raise a LedgerError."""
    missing = number is None or (isinstance(number, float) and math.isnan(number))
    return None if number is None or missing else as_number(name, number, 0.0, 1.0)


def _names(agent: str, also: Sequence[str]) -> list[str]:
    """Return an agent's names, each once."""
    if isinstance(also, str | bytes) or not isinstance(also, Sequence):
        raise LedgerError(f"also must be several names, but is {also!r:.80}")
    return [*dict.fromkeys([as_text("agent", agent), *(as_text("also", name) for name in also)])]


def as_text(name: str, text: str) -> str:
    """Return a str that a file can keep, or raise a LedgerError."""
    if not isinstance(text, str):
        raise LedgerError(f"{name} must be a str, but is {text!r:.80}")
    if _SURROGATE.search(text):
        raise LedgerError(f"{name} holds half a surrogate pair, which no file can keep: {text!r:.80}; leave it out")
    return str(text)


def _round(round_id: Any) -> int:
    if isinstance(round_id, bool) or not isinstance(round_id, Integral):
        raise LedgerError(f"round_id must be a number that begin() returned, but is {round_id!r:.80}")
    return operator.index(round_id)


def _digest(table: str, row: tuple[Any, ...]) -> int:
    return int.from_bytes(hashlib.sha256(repr((table, *row)).encode()).digest())


def _create(path: str) -> None:
    """Make an empty ledger beside its place and move it there whole, so that no kill leaves half a one.

    Where another process was faster, its ledger stays.
    """
    place = Path(path).resolve()
    with tempfile.TemporaryDirectory(prefix=".new-ledger-", dir=place.parent) as folder:
        scratch = Path(folder) / "ledger"
        database = sqlite3.connect(scratch, isolation_level=None)
        _lay_out(database)
        database.close()
        try:
            os.link(scratch, place)
        except FileExistsError:
            return
        except (OSError, AttributeError, NotImplementedError):  # a file system without links
            if not place.exists():
                os.replace(scratch, place)
    with suppress(OSError):  # the name must be on the disk too; where folders cannot be opened, the system sees to it
        folder_entry = os.open(place.parent, os.O_RDONLY)
        try:
            os.fsync(folder_entry)
        finally:
            os.close(folder_entry)


def _lay_out(database: sqlite3.Connection) -> None:
    database.execute("PRAGMA journal_mode=WAL")
    database.execute("PRAGMA synchronous=FULL")
    for statement in ("BEGIN", *_STATEMENTS, f"PRAGMA user_version={_VERSION}", "COMMIT"):
        database.execute(statement)


class Ledger:
    """A ledger in a file (`path`), or in memory by default; a context manager that closes the file.

    Several processes may share one file. A file that is not a ledger (an empty one is none), that was damaged, or that
    another version wrote raises `LedgerError`. Opening reads the whole file: a second for some 100,000 rows.
    """

    def __init__(self, path: str | PathLike[str] = ":memory:") -> None:
        try:
            self.path = os.fsdecode(path)
        except TypeError:
            raise LedgerError(f"path must be the name of a file, but is {path!r:.80}") from None
        self._depth = 0
        self._patient = True
        memory = self.path == ":memory:"
        try:
            if not memory:
                self._find()
            self._db = sqlite3.connect(self.path, timeout=1.0, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise self._unreadable(error) from error
        try:
            if memory:
                _lay_out(self._db)
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.execute("PRAGMA foreign_keys=ON")
            if not memory:
                self.check()
        except LedgerError:
            self._db.close()
            raise
        except (sqlite3.Error, UnicodeDecodeError) as error:  # the latter where a bit of the schema's text is flipped
            self._db.close()
            raise self._unreadable(error) from error

    def _find(self) -> None:
        """Make the file if there is none, and refuse one that has no first page."""
        if "\0" in self.path:
            raise LedgerError("path holds a NUL character; give the name of a file")
        if not os.path.exists(self.path):
            _create(self.path)
        if (size := os.path.getsize(self.path)) < 512:
            raise LedgerError(f"path {self.path} holds {size} bytes, too few for a ledger: if it was one, its end was "
                              "cut off; give another file, or delete it to start a new one")

    def _unreadable(self, error: Exception) -> LedgerError:
        return LedgerError(f"path {self.path:.200} cannot be opened as a ledger ({error}); give another file")

    def __enter__(self) -> Self:
        """Return the ledger itself."""
        return self

    def __exit__(self, *error: object) -> None:
        """Close the file; what was acknowledged is already on disk."""
        self._db.close()

    def check(self) -> None:
        """Compare everything with the digests that were written along; what does not agree is a `LedgerError`."""
        try:
            self._wait_for("BEGIN")
            try:
                version = self._rows("PRAGMA user_version")[0][0]
                laid_out = [row[0] for row in self._rows("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")]
                if version != _VERSION or laid_out != _STATEMENTS:
                    raise LedgerError(f"path {self.path} is no ledger of version {_VERSION}; give another file")
                sound = self._rows("PRAGMA integrity_check")
                changed = sorted(self._changed()) if sound == [("ok",)] else []
            finally:
                self._db.execute("ROLLBACK")
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise self._unreadable(error) from error
        if sound != [("ok",)] or changed:
            where = f"round {changed[0]}" if changed and changed[0] else "what lies outside the rounds"
            raise LedgerError(f"path {self.path} was damaged: {where if changed else sound[0][0]} is not as it was "
                              "written; restore a copy")

    def _changed(self) -> set[int]:
        """Return the rounds whose rows do not agree with their digest."""
        found: dict[int, int] = {}
        for table, place in _ROUND_IN.items():
            for row in self._db.execute(f"SELECT rowid, * FROM {table}"):
                number = 0 if place is None else row[place]
                found[number] = found.get(number, 0) ^ _digest(table, row)
        kept = {number: int.from_bytes(digest) for number, digest in self._rows("SELECT round, digest FROM digests")}
        return {number for number in found.keys() | kept.keys() if found.get(number, 0) != kept.get(number, 0)}

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the writes of a block one: all or none. Blocks nest: an inner one that fails is undone alone."""
        if self._depth and not self._db.in_transaction:
            raise LedgerError("the transaction around this write was undone (is the disk full?); end its block first")
        name = f"block_{self._depth + 1}"
        begin, undo, end = (f"SAVEPOINT {name}", f"ROLLBACK TO {name}", f"RELEASE {name}")
        if self._depth == 0:
            begin, undo, end = "BEGIN IMMEDIATE", "ROLLBACK", "COMMIT"
        self._depth += 1
        try:
            self._wait_for(begin)
            yield
            self._db.execute(end)
        except BaseException:
            if self._db.in_transaction:
                self._db.execute(undo)
            raise
        finally:
            self._depth -= 1

    def _wait_for(self, begin: str) -> None:
        """Begin a transaction when no other process holds the file; in short waits, so that Ctrl-C is heard."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                self._db.execute(begin)
                return
            except sqlite3.OperationalError as error:
                if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY:
                    raise
                if not self._patient:
                    raise _Locked(f"path {self.path} is locked by another process") from error
                if time.monotonic() > end:
                    raise LedgerError(f"path {self.path} has been locked by another process for {_PATIENCE:g} s; end "
                                      "that one, and try again: nothing was written") from error

    async def soon(self, write: Callable[[], T]) -> T:
        """Return what `write()` returns, and let other tasks run while another process holds the file.

        `write` is called again until it gets the file, so it must do nothing before its first write. If the task is
        cancelled in the meantime, the write is still done.
        """
        if self.path == ":memory:":  # which nobody else can hold
            return write()
        end = time.monotonic() + _PATIENCE
        while time.monotonic() < end:
            self._patient = False
            self._db.execute("PRAGMA busy_timeout=0")
            try:
                return write()
            except _Locked:
                pass
            finally:
                self._patient = True
                self._db.execute("PRAGMA busy_timeout=1000")
            try:
                await asyncio.sleep(0.02)
            except asyncio.CancelledError:
                write()
                raise
        return write()

    def _insert(self, table: str, number: int, *values: Any) -> int:
        """Insert a row, put it into the digest of its round, and return its rowid."""
        cursor = self._db.execute(f"INSERT INTO {table} VALUES ({', '.join('?' * len(values))})", values)
        rowid = int(cursor.lastrowid or 0)
        self._seal(table, number, rowid)
        return rowid

    def _update(self, table: str, number: int, rowid: int, column: str, value: Any) -> None:
        """Change one value, and the digest with it."""
        self._seal(table, number, rowid)
        self._db.execute(f"UPDATE {table} SET {column} = ? WHERE rowid = ?", (value, rowid))
        self._seal(table, number, rowid)

    def _seal(self, table: str, number: int, rowid: int) -> None:
        """Put a row, as it is stored, into the digest of its round, or take it out: exclusive or does both."""
        (row,) = self._rows(f"SELECT rowid, * FROM {table} WHERE rowid = ?", rowid)
        before = self._rows("SELECT digest FROM digests WHERE round = ?", number)
        after = _digest(table, row) ^ (int.from_bytes(before[0][0]) if before else 0)
        self._db.execute("INSERT OR REPLACE INTO digests VALUES (?, ?)", (number, after.to_bytes(32)))

    def _open(self, number: int, what: str, closed: bool = False) -> None:
        """Refuse what is no round, and unless `closed` is allowed, one that is closed."""
        rows = self._rows("SELECT closed FROM rounds WHERE id = ?", number) if abs(number) <= _LARGEST else []
        if not rows:
            raise LedgerError(f"round_id {number!r:.80} is not a round of this ledger; open one with begin()")
        if rows[0][0] and not closed:
            raise LedgerError(f"round {number} is closed and takes no {what}; begin() another round")

    def _once(self, table: str, what: str, number: int, *values: Any) -> None:
        """Write a row of a round that there may be only once."""
        with self.transaction():
            self._open(number, what)
            try:
                self._insert(table, number, number, *values)
            except sqlite3.IntegrityError as error:
                raise LedgerError(f"round {number} already has the {what}; nothing was changed") from error

    def begin(self, task: str, budget: int = 0) -> int:
        """Open a round for a task with a budget (minor units, not negative) and return its number."""
        text, most = as_text("task", task), as_money("budget", budget)
        if most < 0:
            raise LedgerError(f"budget must not be negative, but is {budget}")
        with self.transaction():
            number = self._rows("SELECT coalesce(max(id), 0) + 1 FROM rounds")[0][0]
            return self._insert("rounds", number, number, text, most, 0)

    def submit(
        self, round_id: int, agent: str, answer: str | None, confidence: float | None = None, cost: Cost = _FREE,
        status: str = "answered",
    ) -> None:
        """Record what an agent handed in, once a round; a nan confidence is stored as None (abstained).

        One whose call was cancelled may be asked again: what it hands in then takes the place of that entry.
        """
        if not isinstance(cost, tuple) or len(cost) != len(_FREE):
            raise LedgerError(f"cost must be a Cost(tokens, seconds, price), but is {cost!r:.80}")
        tokens, seconds = as_money("cost.tokens", cost[0]), as_number("cost.seconds", cost[1], 0.0)
        said, sure = None if answer is None else as_text("answer", answer), as_chance("confidence", confidence)
        values = (said, sure, as_text("status", status), tokens, seconds, as_money("cost.price", cost[2]))
        what, number, name = f"submission of {agent!r:.80}", _round(round_id), as_text("agent", agent)
        with self.transaction():
            self._open(number, what)
            sql = "SELECT rowid FROM submissions WHERE round = ? AND agent = ? AND status = 'cancelled'"
            for (rowid,) in self._rows(sql, number, name):
                self._seal("submissions", number, rowid)
                self._db.execute("DELETE FROM submissions WHERE rowid = ?", (rowid,))
            self._once("submissions", what, number, name, *values)

    def mark(self, round_id: int, grader: str, agent: str, mark: float) -> None:
        """Record the mark in [0, 1] that a grader gave to another agent's answer, once; nobody marks itself."""
        if as_text("grader", grader) == as_text("agent", agent):
            raise LedgerError(f"grader {grader!r} must not mark its own answer; ask another agent or a validator")
        what = f"mark of {agent!r:.80} by {grader!r:.80}"
        self._once("marks", what, _round(round_id), grader, agent, as_number("mark", mark, 0.0, 1.0))

    def reward(self, round_id: int, agent: str, reward: float, found: float | None = None) -> None:
        """Record what the rule rewarded an agent with and how right its answer was found, once a round.

        Reputations are built from either. It moves no money: `pay` does.
        """
        values = (as_text("agent", agent), as_number("reward", reward), as_chance("found", found))
        self._once("rewards", f"reward of {agent!r:.80}", _round(round_id), *values)

    def pay(self, round_id: int, agent: str, amount: int, reason: str = "") -> None:
        """Pay an agent (negative: charge it); refused where the round's payments would exceed its budget."""
        number, whole = _round(round_id), as_money("amount", amount)
        to, why = as_text("agent", agent), as_text("reason", reason)
        with self.transaction():
            self._open(number, "payment", closed=True)
            spent = whole + sum(row[0] for row in self._rows("SELECT amount FROM payments WHERE round = ?", number))
            budget = self._rows("SELECT budget FROM rounds WHERE id = ?", number)[0][0]
            if spent > budget:
                over = f"amount {amount} to {agent!r:.80} would bring round {number} to {spent}, above its budget"
                raise LedgerError(f"{over} of {budget}; scale the rule by its bounds before the round")
            self._insert("payments", number, None, number, to, whole, why)

    def close(self, round_id: int) -> None:
        """Close a round, once: its submissions, marks and rewards stand."""
        number = _round(round_id)
        with self.transaction():
            self._open(number, "second closing")
            self._update("rounds", number, number, "closed", 1)

    def note(self, kind: str, **data: Any) -> int:
        """Append an event with JSON data to the trail and return its number."""
        try:
            text = json.dumps(data, sort_keys=True, ensure_ascii=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise LedgerError(f"data must be what JSON can hold, but {error}; convert it first") from error
        with self.transaction():
            return self._insert("events", 0, None, as_text("kind", kind), as_text("data", text))

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        return self._db.execute(sql, values).fetchall()

    def _known(self, round_id: int) -> int:
        """Return the number of a round that there is."""
        self._open(number := _round(round_id), "", closed=True)
        return number

    def rounds(self) -> list[RoundRow]:
        """Return all rounds, oldest first; those a killed process left open have `closed` False."""
        rows = self._rows("SELECT id, task, budget, closed FROM rounds ORDER BY id")
        return [RoundRow(number, task, budget, bool(closed)) for number, task, budget, closed in rows]

    def submissions(self, round_id: int) -> list[SubmissionRow]:
        """Return a round's submissions in the order they came in."""
        columns = "agent, answer, confidence, status, tokens, seconds, price"
        rows = self._rows(f"SELECT {columns} FROM submissions WHERE round = ? ORDER BY rowid", self._known(round_id))
        return [SubmissionRow(agent, said, sure, status, Cost(*cost)) for agent, said, sure, status, *cost in rows]

    def marks(self, round_id: int) -> list[MarkRow]:
        """Return a round's marks in the order they came in."""
        sql = "SELECT grader, agent, mark FROM marks WHERE round = ? ORDER BY rowid"
        return [MarkRow(*row) for row in self._rows(sql, self._known(round_id))]

    def rewards(self, round_id: int) -> list[RewardRow]:
        """Return a round's rewards in the order they came in."""
        sql = "SELECT agent, reward, found FROM rewards WHERE round = ? ORDER BY rowid"
        return [RewardRow(*row) for row in self._rows(sql, self._known(round_id))]

    def payments(self, round_id: int) -> list[PaymentRow]:
        """Return a round's payments in the order they were made."""
        sql = "SELECT agent, amount, reason FROM payments WHERE round = ? ORDER BY id"
        return [PaymentRow(*row) for row in self._rows(sql, self._known(round_id))]

    def trail(self, kind: str | None = None) -> list[Event]:
        """Return the events in order: all, or those of one kind."""
        as_text("kind", kind or "")
        sql = "SELECT id, kind, data FROM events WHERE ? IS NULL OR kind = ? ORDER BY id"
        return [Event(row[0], row[1], json.loads(row[2])) for row in self._rows(sql, kind, kind)]

    def balance(self, agent: str) -> int:
        """Return all that was ever paid to an agent, less its fees."""
        sql = "SELECT amount FROM payments WHERE agent = ?"
        return sum(row[0] for row in self._rows(sql, as_text("agent", agent)))

    def reputation(
        self, agent: str, discount: float = 0.95, default: float = 0.0, of: Literal["reward", "found"] = "reward",
        weight: float = 0.0, also: Sequence[str] = (),
    ) -> float:
        """Return the discounted MEAN of an agent's rewards `r`: `sum(d**k r_k) / sum(d**k)`, k = 0 for the latest.

        A sum would grow with the work an agent is given, and make the rich richer. `discount` lies in (0, 1] (1: the
        plain mean); `default` is what a newcomer starts from. With `of="found"` it is the mean of how right the agent's
        answers were found, whatever it said of them. With a `weight` above 0 the default stays in the mean, as that
        many results would from before the first one: a few early results then do not decide it all. The results of
        the names in `also` count as the agent's own.
        """
        discount, default = as_number("discount", discount), as_number("default", default)
        weight = as_number("weight", weight, 0.0)
        if not 0 < discount <= 1:
            raise LedgerError(f"discount must lie in (0, 1], but is {discount}")
        if of not in ("reward", "found"):
            raise LedgerError(f"of must be 'reward' or 'found', but is {of!r:.80}")
        reach = -1 if discount == 1 else math.ceil(-40 / math.log(discount))  # what is older weighs less than rounding
        names = _names(agent, also)
        sql = (f"SELECT {of} FROM rewards WHERE agent IN ({', '.join('?' * len(names))}) AND {of} IS NOT NULL "
               "ORDER BY round DESC, agent LIMIT ?")
        rows = self._rows(sql, *names, reach)
        weights = [discount**k for k in range(len(rows))]
        prior = weight * discount ** len(rows)  # it fades like a result of that age
        total = sum(w * row[0] for w, row in zip(weights, rows, strict=True))
        return (total + prior * default) / (sum(weights) + prior) if rows else default

    def reputations(
        self, agents: Iterable[str] | None = None, discount: float = 0.95, default: float = 0.0,
        of: Literal["reward", "found"] = "reward", weight: float = 0.0,
    ) -> dict[str, float]:
        """Return the reputation of the agents named, in that order; by default of all with a reward, by name."""
        if agents is None:
            agents = [row[0] for row in self._rows("SELECT DISTINCT agent FROM rewards ORDER BY agent")]
        if isinstance(agents, str | bytes) or not isinstance(agents, Iterable):
            raise LedgerError(f"agents must be several names, but is {agents!r:.80}; for one agent call reputation()")
        return {name: self.reputation(name, discount, default, of, weight) for name in agents}

    def evidence(
        self, agent: str, discount: float = 0.95, of: Literal["reward", "found"] = "reward", also: Sequence[str] = (),
    ) -> float:
        """Return how many results a reputation rests on, each counting as much as it does there: `sum(d**k)`."""
        if not 0 < as_number("discount", discount) <= 1:
            raise LedgerError(f"discount must lie in (0, 1], but is {discount}")
        if of not in ("reward", "found"):
            raise LedgerError(f"of must be 'reward' or 'found', but is {of!r:.80}")
        names = _names(agent, also)
        sql = f"SELECT count(*) FROM rewards WHERE agent IN ({', '.join('?' * len(names))}) AND {of} IS NOT NULL"
        count = int(self._rows(sql, *names)[0][0])
        return float(count) if discount == 1 else (1 - discount**count) / (1 - discount)

    def newcomers(
        self, first: int = 5, of: Literal["reward", "found"] = "found", owners: Mapping[str, str] | None = None
    ) -> float | None:
        """Return the mean of the first few results of every agent: what is known about newcomers; None if nothing is.

        An agent that comes back under a new name is one of them (Friedman & Resnick 2001), unless `owners` says whose
        names are one agent's.
        """
        if as_money("first", first) < 1:
            raise LedgerError(f"first must be 1 result or more, but is {first}")
        if of not in ("reward", "found"):
            raise LedgerError(f"of must be 'reward' or 'found', but is {of!r:.80}")
        if not (owners is None or isinstance(owners, Mapping)):
            raise LedgerError(f"owners must be texts, by agent name; they are {owners!r:.80}")
        owned: dict[str, list[str]] = {}
        agent = ""
        while (agent := self._rows("SELECT min(agent) FROM rewards WHERE agent > ?", agent)[0][0]) is not None:
            owned.setdefault((owners or {}).get(agent, agent), []).append(agent)
        results: list[float] = []
        for names in owned.values():
            sql = (f"SELECT {of} FROM rewards WHERE agent IN ({', '.join('?' * len(names))}) AND {of} IS NOT NULL "
                   "ORDER BY round, agent LIMIT ?")
            results += [row[0] for row in self._rows(sql, *names, int(first))]
        return sum(results) / len(results) if results else None

    def base_rate(self) -> float | None:
        """Return the mean of how right the answers with a confidence were found so far; None if nothing is known."""
        stated = "submissions.status = 'answered' AND confidence IS NOT NULL"
        sql = f"SELECT avg(found) FROM rewards JOIN submissions USING (round, agent) WHERE {stated}"
        mean = self._rows(sql)[0][0]
        return None if mean is None else float(mean)
