"""Attacks on the ledger and the escrow: overspending, double spending, kills, locks, truncations and flipped bits."""

from __future__ import annotations

import asyncio
import multiprocessing
import random
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from crash import kill_nine
from test_coordinator import GOOD, Instant, coordinator, says

from mechlib.agents.tasks import Task
from mechlib.desk.escrow import Escrow
from mechlib.desk.ledger import Cost, Ledger, LedgerError

Times = Callable[[int, int], int]


def everything(path: Path) -> list[Any]:
    """Return all that a ledger holds, as a reader sees it."""
    with Ledger(path) as ledger:
        rounds = ledger.rounds()
        tables = (ledger.submissions, ledger.marks, ledger.rewards, ledger.payments)
        bank = Escrow(ledger)
        rows = [table(entry.id) for entry in rounds for table in tables]
        return [rounds, rows, ledger.trail(), bank.holds, bank.total]


def filled(path: Path, rounds: int = 3) -> list[Any]:
    """Write a few rounds and an escrow, and return what is then there."""
    with Ledger(path) as ledger:
        bank = Escrow(ledger)
        bank.deposit("designer", 1000)
        for k in range(rounds):
            number = ledger.begin(f"task {k}", 100)
            for agent in "abc":
                ledger.submit(number, agent, f"answer {agent}", 0.25, Cost(12, 0.5, 3))
                ledger.mark(number, "judge", agent, 0.75)
                ledger.reward(number, agent, 0.5, 1.0)
                ledger.pay(number, agent, 30, "answer")
            ledger.close(number)
            bank.release(bank.hold("designer", "a", 7))
    return everything(path)


def test_a_refused_payment_in_an_outer_transaction_pays_nothing() -> None:
    with Ledger() as ledger:
        number = ledger.begin("task", 100)
        with ledger.transaction():
            for _ in range(1000):
                with pytest.raises(LedgerError, match="above its budget"):
                    ledger.pay(number, "eve", 1000)
                with pytest.raises(KeyError), ledger.transaction():
                    ledger.pay(number, "eve", 100)
                    raise KeyError
        assert ledger.balance("eve") == 0


def test_after_an_undone_transaction_nothing_is_written_alone() -> None:
    """A full disk makes SQLite undo the outermost block by itself; the rest of the block must not count as written."""
    with Ledger() as ledger:
        with pytest.raises(LedgerError, match="was undone"), ledger.transaction():
            ledger.note("first")
            ledger._db.execute("ROLLBACK")
            ledger.note("second")
        assert ledger.trail() == []


HUGE = 2**63


@pytest.mark.parametrize(
    ("attack", "words"),
    [
        (lambda book: book.pay(1, "a", -HUGE * 2), "amount must fit in 64 bits"),
        (lambda book: book.pay(1, "a", 10**5000), "amount must fit in 64 bits"),
        (lambda book: book.begin("t", HUGE), "budget must fit in 64 bits"),
        (lambda book: book.submit(1, "a", "x", 1.0000001), r"confidence must be a finite number in \[0, 1\]"),
        (lambda book: book.submit(1, "a", "x", -0.1), "confidence"),
        (lambda book: book.submit(1, "a", "x", float("inf")), "confidence"),
        (lambda book: book.submit(1, "a", "x", "0.5"), "confidence must be a number"),
        (lambda book: book.submit(1, "a", "x", 0.5, Cost(HUGE)), "cost.tokens must fit"),
        (lambda book: book.submit(1, "a", "x", 0.5, Cost(1, float("nan"))), "cost.seconds"),
        (lambda book: book.submit(1, "a", "x", 0.5, 3), "cost must be a Cost"),
        (lambda book: book.submit(1, "a", "\ud800"), "answer holds half a surrogate"),
        (lambda book: book.submit(1, b"a", "x"), "agent must be a str"),
        (lambda book: book.mark(1, "b", "a", 7), r"mark must be a finite number in \[0, 1\]"),
        (lambda book: book.reward(1, "a", float("inf")), "reward must be a finite number"),
        (lambda book: book.reward(1, "a", 1.0, 3.1), "found must be a finite number"),
        (lambda book: book.reward(1.0, "a", 1.0), "round_id must be a number that begin"),
        (lambda book: book.reward(HUGE, "a", 1.0), "round_id .* is not a round"),
        (lambda book: book.payments(99), "round_id 99 is not a round"),
        (lambda book: book.note("k", data={1, 2}), "data must be what JSON can hold"),
        (lambda book: book.reputations("ada"), "agents must be several names"),
        (lambda book: book.reputation("a", default="x"), "default must be a number"),
        (lambda book: book.trail(3), "kind must be a str"),
    ],
)
def test_what_cannot_be_kept_is_refused(attack: Callable[[Ledger], object], words: str) -> None:
    with Ledger() as ledger:
        ledger.begin("task", 100)
        before = list(ledger._db.iterdump())
        with pytest.raises(LedgerError, match=words):
            attack(ledger)
        assert list(ledger._db.iterdump()) == before


def test_sums_beyond_64_bits_are_right() -> None:
    with Ledger() as ledger:
        for _ in range(3):
            ledger.pay(ledger.begin("task", HUGE - 1), "ada", HUGE - 1)
        assert ledger.balance("ada") == 3 * (HUGE - 1)
        for _ in range(3):
            ledger.pay(1, "bob", 1 - HUGE)
        with pytest.raises(LedgerError, match="amount, with what is there, must fit"):
            bank = Escrow(ledger)
            bank.deposit("a", HUGE - 1)
            bank.deposit("a", 1)


def test_numpy_numbers_work_as_round_numbers_and_amounts() -> None:
    with Ledger() as ledger:
        number = np.int64(ledger.begin("task", np.int32(9)))
        ledger.submit(number, "a", "x", np.float32(0.5), Cost(np.int64(3), np.float64(1), np.uint8(2)))
        ledger.reward(number, "a", np.float64(0.5), np.float64("nan"))
        ledger.pay(number, "a", np.int64(9))
        ledger.close(number)
        assert ledger.payments(number) == [("a", 9, "")] and ledger.submissions(number)[0].cost == (3, 1.0, 2)


@pytest.mark.parametrize("content", [b"", b"\0", b"S", b"SQLite format 3\0"])
def test_a_few_bytes_are_no_new_ledger(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "book.db"
    path.write_bytes(content)
    with pytest.raises(LedgerError, match="too few for a ledger"):
        Ledger(path)
    assert path.read_bytes() == content


@pytest.mark.parametrize("path", [None, 3, "a\0b", "/nowhere/at/all/book.db", "."])
def test_a_path_that_is_none_is_refused(path: Any) -> None:
    with pytest.raises(LedgerError, match="path"):
        Ledger(path)


def test_cut_off_anywhere_a_ledger_is_refused_or_whole(tmp_path: Path, times: Times) -> None:
    """Each length is tried as what is left of the file; a reader is refused, or reads what was written."""
    path, cut = tmp_path / "book.db", tmp_path / "cut.db"
    written, whole = filled(path), path.read_bytes()
    rng = random.Random(1)
    lengths = [0, 1, 511, 512, 4096, len(whole) - 1, len(whole)]
    lengths += [rng.randrange(len(whole)) for _ in range(times(40, 400) - len(lengths))]
    for length in lengths:
        cut.write_bytes(whole[:length])
        try:
            assert everything(cut) == written and length == len(whole)
        except LedgerError:
            assert length < len(whole)
        (tmp_path / "cut.db-wal").unlink(missing_ok=True)


def test_a_flipped_bit_is_noticed_or_changes_nothing(tmp_path: Path, times: Times) -> None:
    path, hurt = tmp_path / "book.db", tmp_path / "hurt.db"
    written, whole = filled(path), path.read_bytes()
    rng, noticed = random.Random(2), 0
    used = [k for k, byte in enumerate(whole) if byte]  # most bytes are padding, which nobody reads
    for trial in range(times(60, 400)):
        at = rng.choice(used) if trial % 2 else rng.randrange(len(whole))
        hurt.write_bytes(whole[:at] + bytes([whole[at] ^ 1 << rng.randrange(8)]) + whole[at + 1 :])
        try:
            assert everything(hurt) == written, f"byte {at}"
        except LedgerError:
            noticed += 1
        for name in ("hurt.db-wal", "hurt.db-shm"):
            (tmp_path / name).unlink(missing_ok=True)
    assert noticed > trial / 4


@pytest.mark.parametrize(
    "change",
    ["UPDATE payments SET amount = 31 WHERE id = 2", "UPDATE submissions SET answer = 'x' WHERE rowid = 1",
     "DELETE FROM marks WHERE rowid = 1", "UPDATE accounts SET free = free + 1",
     "UPDATE events SET data = '{}' WHERE id = 1", "UPDATE rounds SET closed = 0 WHERE id = 2",
     "UPDATE rewards SET round = 2 WHERE rowid = 1 AND agent = 'x'"],
)  # fmt: skip
def test_what_is_changed_behind_the_ledger_s_back_is_noticed(tmp_path: Path, change: str) -> None:
    path = tmp_path / "book.db"
    filled(path)
    stranger = sqlite3.connect(path, isolation_level=None)
    changed = stranger.execute(change).rowcount
    stranger.close()
    if changed:
        with pytest.raises(LedgerError, match=r"was damaged: .* not as it was written"):
            Ledger(path)
    else:
        Ledger(path)


def test_two_escrows_on_one_ledger_pay_a_hold_out_once(tmp_path: Path) -> None:
    with Ledger(tmp_path / "book.db") as one, Ledger(tmp_path / "book.db") as two:
        banks = [Escrow(one), Escrow(two), Escrow(one)]
        banks[0].deposit("designer", 10)
        promise = banks[1].hold("designer", "eve", 10)
        banks[2].release(promise)
        for bank in banks:
            for settle in (bank.release, bank.refund):
                with pytest.raises(ValueError, match="already released"):
                    settle(promise)
            with pytest.raises(ValueError, match="has 0 free"):
                bank.hold("designer", "eve", 1)
            assert (bank.balance("eve"), bank.total, bank.held) == (10, 10, 0)


def test_a_step_in_a_transaction_that_is_undone_did_not_happen() -> None:
    with Ledger() as ledger:
        bank = Escrow(ledger)
        bank.deposit("designer", 10)
        promise = bank.hold("designer", "eve", 4)
        with pytest.raises(KeyError), ledger.transaction():
            bank.release(promise)
            bank.deposit("designer", 90)
            raise KeyError
        assert (bank.balance("eve"), bank.balance("designer"), bank.held, bank.total) == (0, 6, 4, 10)
        bank.refund(promise)
        assert bank.balance("designer") == 10 and len(ledger.trail()) == 3


@pytest.mark.parametrize("id", [0, -1, 2, 2**70, 1.0, True, "1", None])
def test_a_hold_that_there_is_not_cannot_be_settled(id: Any) -> None:
    bank = Escrow()
    bank.deposit("a", 1)
    bank.hold("a", "b", 1)
    with pytest.raises(ValueError, match=r"id is .* must be a number that hold"):
        bank.release(id)


def spend(path: Path, seed: int) -> None:
    """Hold and settle whatever can be, as fast as it goes."""
    rng = random.Random(seed)
    with Ledger(path) as ledger:
        bank = Escrow(ledger)
        for _ in range(40):
            try:
                if rng.random() < 0.5:
                    bank.hold("designer", rng.choice("ab"), rng.randrange(1, 9))
                else:
                    rng.choice([bank.release, bank.refund])(rng.randrange(1, 12))
            except LedgerError:
                pass


def test_many_processes_make_and_lose_no_money(tmp_path: Path) -> None:
    path = tmp_path / "book.db"
    with Ledger(path) as ledger:
        Escrow(ledger).deposit("designer", 50)
    workers = [multiprocessing.get_context("fork").Process(target=spend, args=(path, seed)) for seed in range(3)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
        assert worker.exitcode == 0
    with Ledger(path) as ledger:
        bank = Escrow(ledger)
        settled = [hold.amount for hold in bank.holds.values() if hold.state == "released"]
        assert bank.total == 50 and bank.balance("a") + bank.balance("b") == sum(settled)


BANKER = """
from mechlib.desk.escrow import Escrow
from mechlib.desk.ledger import Ledger
async def main():
    bank = Escrow(Ledger(sys.argv[1]))
    while True:
        bank.deposit("designer", 5)
        promise = bank.hold("designer", "a", 5)
        print(promise, flush=True)
        bank.release(promise)
        print(-promise, flush=True)
"""


def test_killed_at_any_point_an_escrow_keeps_what_it_acknowledged(tmp_path: Path, times: Times) -> None:
    path = tmp_path / "book.db"
    for said in kill_nine(BANKER, (path,), (1 + trial % 4 for trial in range(times(10, 200)))):
        with Ledger(path) as ledger:
            bank = Escrow(ledger)
            deposits = len(ledger.trail("escrow.deposit"))
            holds = bank.holds
            assert bank.total == 5 * deposits and bank.balance("a") == 5 * len(ledger.trail("escrow.release"))
            assert all(abs(number) in holds and (number > 0 or holds[-number].state == "released") for number in said)


WRITER = """
from mechlib.desk.ledger import Ledger
async def main():
    ledger = Ledger(sys.argv[1])
    while True:
        number = ledger.begin("task", 30)
        for agent in "abc":
            ledger.submit(number, agent, "answer", 0.5)
        with ledger.transaction():
            for agent in "abc":
                ledger.pay(number, agent, 10)
            ledger.close(number)
        print(number, flush=True)
"""


def test_killed_at_any_point_a_ledger_keeps_what_it_acknowledged(tmp_path: Path, times: Times) -> None:
    path = tmp_path / "book.db"
    for said in kill_nine(WRITER, (path,), (1 + trial % 3 for trial in range(times(10, 200)))):
        with Ledger(path) as ledger:
            closed = {entry.id for entry in ledger.rounds() if entry.closed}
            assert set(said) <= closed
            for entry in ledger.rounds()[-4:]:
                assert len(ledger.payments(entry.id)) == (3 if entry.closed else 0)


OPENER = """
import shutil
from pathlib import Path
from mechlib.desk.ledger import Ledger
async def main():
    for number in range(100000):
        print(number, flush=True)
        Ledger(Path(sys.argv[1]) / f"{os.getpid()}-{number}.db").__exit__()
"""


def test_killed_while_it_is_made_a_ledger_is_whole_or_not_there(tmp_path: Path, times: Times) -> None:
    seen = 0
    for _ in kill_nine(OPENER, (tmp_path,), (1 + trial % 3 for trial in range(times(10, 200)))):
        for path in tmp_path.glob("*.db"):
            Ledger(path).__exit__()
            seen += 1
        for left in tmp_path.iterdir():
            shutil.rmtree(left) if left.is_dir() else left.unlink()
    assert seen


HOLDER = """
import sqlite3, sys, time
stranger = sqlite3.connect(sys.argv[1], isolation_level=None)
stranger.execute("BEGIN IMMEDIATE")
print("locked", flush=True)
time.sleep(float(sys.argv[2]))
stranger.execute("COMMIT")
"""


def held(path: Path, seconds: float) -> subprocess.Popen[str]:
    """Start a process that holds a ledger's lock for some seconds."""
    command = [sys.executable, "-c", HOLDER, str(path), str(seconds)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert holder.stdout and holder.stdout.readline() == "locked\n"
    return holder


def test_a_lock_held_elsewhere_loses_nothing_and_turns_no_reply_into_a_timeout(tmp_path: Path, times: Times) -> None:
    """The lock is held longer than a call may take, while some replies are in and others still on their way."""
    seconds, path = times(4, 33), tmp_path / "book.db"

    def reply(model: str, prompt: str) -> Any:
        async def late() -> str:
            await asyncio.sleep(0.3 + 0.2 * "abc".index(model[-1]))
            return GOOD[model[-1]]

        return "SCORE: 0.8" if "<answer>" in prompt else late()

    with Ledger(path) as ledger:
        desk = coordinator(reply, ledger=ledger, timeout=3.0)

        async def attacked() -> Any:
            running = asyncio.create_task(desk.run(Task("t", "What is 1 + 1?", (), "2")))
            await asyncio.sleep(0.1)
            holder = await asyncio.to_thread(held, path, seconds)
            done = await running
            assert holder.wait() == 0
            return done

        start = time.monotonic()
        done = asyncio.run(attacked())
        assert time.monotonic() - start >= seconds * 0.9
        assert [s.status for s in done.submissions] == ["answered"] * 3
        assert len(ledger.submissions(done.id)) == 3 and ledger.rounds()[0].closed


def test_a_plain_write_waits_for_a_lock(tmp_path: Path, times: Times) -> None:
    path = tmp_path / "book.db"
    with Ledger(path) as ledger:
        number = ledger.begin("task", 10)
        holder = held(path, times(2, 33))
        ledger.pay(number, "ada", 10)
        assert holder.wait() == 0 and ledger.balance("ada") == 10


def test_a_lock_that_is_never_let_go_is_an_error_that_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mechlib.desk.ledger._PATIENCE", 0.2)
    with Ledger(tmp_path / "book.db") as ledger:
        holder = held(tmp_path / "book.db", 30)
        for write in (lambda: ledger.begin("task"), lambda: asyncio.run(ledger.soon(lambda: ledger.begin("task")))):
            with pytest.raises(LedgerError, match=r"locked by another process for 0\.2 s"):
                write()
        holder.kill()
        holder.wait()
        assert ledger.begin("task") == 1


def test_cancelled_while_it_waits_a_write_is_still_done(tmp_path: Path) -> None:
    with Ledger(tmp_path / "book.db") as ledger:

        async def attacked() -> None:
            holder = held(tmp_path / "book.db", 0.5)
            waiting = asyncio.create_task(ledger.soon(lambda: ledger.note("came in")))
            await asyncio.sleep(0.1)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
            holder.wait()

        asyncio.run(attacked())
        assert [event.kind for event in ledger.trail()] == ["came in"]


def test_cancelled_at_any_point_a_round_keeps_its_books(times: Times) -> None:
    """Whenever a run is cancelled, what was handed in is kept, the budget holds, and a round is paid whole or not."""
    rng, cancelled, ledger = random.Random(3), 0, Ledger()
    for _ in range(times(60, 1000)):

        async def reply(model: str, prompt: str, waits: int = rng.randrange(4)) -> str:
            for _ in range(waits):
                await asyncio.sleep(0)
            return "SCORE: 0.8" if "<answer>" in prompt else GOOD[model[-1]]

        desk = coordinator(says({}), ledger=ledger, client=Instant(reply))

        async def attacked(desk: Any = desk, steps: int = rng.randrange(14)) -> bool:
            running = asyncio.create_task(desk.run(Task("t", "What is 1 + 1?", (), "2")))
            for _ in range(steps):
                await asyncio.sleep(0)
            running.cancel()
            (outcome,) = await asyncio.gather(running, return_exceptions=True)
            return isinstance(outcome, asyncio.CancelledError)

        cancelled += asyncio.run(attacked())
        for entry in ledger.rounds()[-1:]:
            paid = [row.amount for row in ledger.payments(entry.id)]
            assert sum(paid) <= entry.budget and len(paid) == (4 if entry.closed else 0)
            assert len(ledger.submissions(entry.id)) in ((3,) if entry.closed else (0, 1, 2, 3))
    assert cancelled > 10
