"""The ledger: what it keeps, what it refuses, and that a kill at any point loses nothing that was acknowledged."""

import random
import signal
import sqlite3
import subprocess
import sys
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mechlib.desk.ledger import Cost, Ledger, LedgerError


@pytest.fixture
def ledger():
    with Ledger() as book:
        yield book


def test_a_round_is_kept_whole(ledger):
    first = ledger.begin("What is 2 + 2?", budget=100)
    ledger.submit(first, "ada", "4", 0.9, Cost(tokens=12, seconds=0.5, price=3))
    ledger.submit(first, "bob", None, float("nan"), status="abstained")
    ledger.mark(first, "bob", "ada", 1.0)
    ledger.reward(first, "ada", 0.99, found=1)
    ledger.reward(first, "bob", 0, found=float("nan"))
    ledger.pay(first, "ada", 40, "quadratic rule")
    ledger.pay(first, "bob", -5, "fee")
    ledger.close(first)
    assert ledger.rounds() == [(first, "What is 2 + 2?", 100, True)]
    ada, bob = ledger.submissions(first)
    assert ada == ("ada", "4", 0.9, "answered", (12, 0.5, 3)) and ada.cost.price == 3
    assert (bob.answer, bob.confidence, bob.status) == (None, None, "abstained")
    assert ledger.marks(first) == [("bob", "ada", 1.0)] and ledger.marks(first)[0].mark == 1
    assert ledger.rewards(first) == [("ada", 0.99, 1.0), ("bob", 0.0, None)]
    assert ledger.payments(first) == [("ada", 40, "quadratic rule"), ("bob", -5, "fee")]
    assert (ledger.balance("ada"), ledger.balance("bob"), ledger.balance("eve")) == (40, -5, 0)


def test_it_is_all_there_when_the_file_is_opened_again(tmp_path):
    with Ledger(tmp_path / "book.db") as ledger:
        number = ledger.begin("task", 10)
        ledger.pay(number, "ada", 10)
        ledger.note("deposit", payer="ada", amount=10)
    with Ledger(tmp_path / "book.db") as ledger:
        assert ledger.payments(number) == [("ada", 10, "")]
        assert [(event.kind, event.data) for event in ledger.trail()] == [("deposit", {"amount": 10, "payer": "ada"})]
        assert not ledger.rounds()[0].closed


def test_writes_are_on_disk_when_they_return(tmp_path):
    with Ledger(tmp_path / "book.db") as ledger:
        assert ledger._db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert ledger._db.execute("PRAGMA synchronous").fetchone() == (2,)  # FULL
        assert ledger._db.execute("PRAGMA foreign_keys").fetchone() == (1,)


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda book: book.submit(99, "ada", "4"), "99 is not a round"),
        (lambda book: book.begin("task", -1), "budget must not be negative"),
        (lambda book: book.begin("task", 1.5), "budget must be a whole number"),
        (lambda book: book.pay(1, "ada", 0.5), "amount must be a whole number"),
        (lambda book: book.pay(1, "ada", True), "amount must be a whole number"),
        (lambda book: book.pay(1, "ada", 11), "above its budget of 10"),
        (lambda book: book.mark(1, "ada", "ada", 1), "must not mark its own"),
        (lambda book: book.reward(1, "ada", float("nan")), "reward must be a finite number, but is nan"),
        (lambda book: book.submit(1, "ada", "again"), "already has the submission of 'ada'"),
        (lambda book: book.submit(2, "ada", "late"), "round 2 is closed"),
        (lambda book: book.close(2), "round 2 is closed"),
        (lambda book: book.mark(1, "bob", "ada", 0.5), "already has the mark of 'ada' by 'bob'"),
        (lambda book: book.reward(1, "ada", 0.5), "already has the reward of 'ada'"),
        (lambda book: book.mark(2, "bob", "ada", 0.5), "round 2 is closed"),
        (lambda book: book.reward(2, "ada", 0.5), "round 2 is closed"),
        (lambda book: book.pay(99, "ada", 0), "99 is not a round"),
        (lambda book: book.reputation("ada", discount=0), "discount must lie"),
        (lambda book: book.reputation("ada", discount=1.01), "discount must lie"),
        (lambda book: book.reputation("ada", discount="much"), "discount must be a number"),
        (lambda book: book.reputation("ada", default="good"), "default must be a number"),
        (lambda book: book.mark(1, 3, "ada", 0.5), "grader must be"),
        (lambda book: book.mark(1, "bob", 3, 0.5), "agent must be"),
        (lambda book: book.reputation("ada", of="fame"), "of must be"),
    ],
)
def test_the_ledger_refuses_and_says_why(ledger, write, words):
    ledger.begin("open", 10)
    ledger.close(ledger.begin("closed", 10))
    ledger.submit(1, "ada", "4")
    ledger.mark(1, "bob", "ada", 1)
    ledger.reward(1, "ada", 1)
    before = list(ledger._db.iterdump())
    with pytest.raises(LedgerError, match=rf"(?<!\w){words}"):
        write(ledger)
    assert list(ledger._db.iterdump()) == before


@given(st.lists(st.integers(-20, 20), max_size=15), st.integers(0, 30))
def test_payments_never_exceed_the_budget(amounts, budget):
    with Ledger() as ledger:
        number = ledger.begin("task", budget)
        for amount in amounts:
            try:
                ledger.pay(number, "ada", amount)
            except LedgerError:
                assert ledger.balance("ada") + amount > budget
            assert ledger.balance("ada") <= budget


def test_reward_can_be_deferred_until_after_the_round(ledger):
    number = ledger.begin("task", 10)
    ledger.close(number)
    ledger.pay(number, "ada", 10, "the truth came out")
    assert ledger.balance("ada") == 10


def test_a_transaction_is_all_or_nothing(ledger):
    number = ledger.begin("task", 10)
    with pytest.raises(LedgerError), ledger.transaction():
        ledger.pay(number, "ada", 6)
        ledger.pay(number, "bob", 6)
    assert ledger.payments(number) == []
    with ledger.transaction():
        ledger.pay(number, "ada", 6)
        ledger.note("paid", to="ada")
    assert len(ledger.payments(number)) == len(ledger.trail("paid")) == 1
    assert ledger.trail("other") == []


def test_what_is_refused_inside_a_transaction_is_undone_alone(ledger):
    number = ledger.begin("task", 10)
    with ledger.transaction():
        ledger.pay(number, "ada", 6)
        for amount in (6, 5):
            with pytest.raises(LedgerError, match="above its budget"):
                ledger.pay(number, "bob", amount)
        ledger.pay(number, "bob", 4)
    assert ledger.payments(number) == [("ada", 6, ""), ("bob", 4, "")]
    with pytest.raises(KeyError), ledger.transaction():
        ledger.note("first")
        with ledger.transaction():
            ledger.note("second")
        raise KeyError
    assert ledger.trail() == []


def test_a_transaction_keeps_other_writers_out_from_its_beginning(tmp_path):
    with Ledger(tmp_path / "book.db") as ledger:
        other = sqlite3.connect(tmp_path / "book.db", timeout=0, isolation_level=None)
        with ledger.transaction(), pytest.raises(sqlite3.OperationalError, match="locked"):
            other.execute("BEGIN IMMEDIATE")
        other.execute("BEGIN IMMEDIATE")
        other.close()


def test_reputation_is_a_discounted_mean_so_more_work_at_the_same_quality_gains_nothing(ledger):
    for i in range(30):
        number = ledger.begin(f"task {i}")
        ledger.reward(number, "busy", 0.5)
        if i % 10 == 0:
            ledger.reward(number, "idle", 0.5)
    ledger.reward(number, "also", 0.5)
    assert list(ledger.reputations().items()) == [(name, pytest.approx(0.5)) for name in ("also", "busy", "idle")]


def test_reputation_forgets_at_the_discount_rate(ledger):
    for value in (1.0, 0.0):
        ledger.reward(ledger.begin("task"), "ada", value)
    assert ledger.reputation("ada", discount=0.5) == pytest.approx(0.5 / 1.5)
    assert ledger.reputation("ada", discount=1) == pytest.approx(0.5)
    assert ledger.reputations(["new", "ada"], discount=1, default=0.3) == {"new": 0.3, "ada": 0.5}


def test_reputation_forgets_no_more_than_rounding(ledger):
    for value in (1.0, *[0.0] * 20):
        ledger.reward(ledger.begin("task"), "ada", value)
    assert ledger.reputation("ada", discount=0.5) == pytest.approx(0.5**20 / sum(0.5**k for k in range(21)), rel=1e-9)


def test_reputation_is_of_rewards_or_of_what_was_found(ledger):
    for reward, found in ((0.9, 1.0), (-0.5, 0.0), (0.3, None)):
        ledger.reward(ledger.begin("task"), "ada", reward, found)
    assert ledger.reputation("ada", 1) == pytest.approx((0.9 - 0.5 + 0.3) / 3)
    assert ledger.reputation("ada", 1, of="found") == pytest.approx(0.5)
    assert ledger.reputation("ada", 0.5, of="found") == pytest.approx(0.5 / 1.5)
    ledger.reward(ledger.begin("task"), "bob", 0.3)
    assert ledger.reputations(discount=1, default=0.7, of="found") == {"ada": pytest.approx(0.5), "bob": 0.7}


def test_names_of_one_owner_are_read_as_one_agent(ledger):
    for name, found in (("ada", 1.0), ("eve", 0.0), ("ada", 0.5), ("bob", 1.0)):
        ledger.reward(ledger.begin("task"), name, 0.0, found)
    both = ledger.reputation("ada", 0.5, of="found", also=["eve", "ada"])
    assert both == pytest.approx((0.5 + 0.5 * 0 + 0.25 * 1) / 1.75)
    assert ledger.evidence("ada", 0.5, "found", ["eve"]) == 1.75
    owners = {"ada": "one", "eve": "one"}
    assert ledger.newcomers(first=1) == pytest.approx(2 / 3) and ledger.newcomers(first=1, owners=owners) == 1
    assert ledger.newcomers(first=2, owners=owners) == pytest.approx((1 + 0 + 1) / 3)
    for refused in (lambda: ledger.reputation("ada", also="eve"), lambda: ledger.evidence("ada", also=[1]),
                    lambda: ledger.newcomers(owners=["ada"])):
        with pytest.raises(LedgerError, match=r"also must|owners must"):
            refused()


def test_the_default_may_stay_in_the_mean_as_results_from_before_the_first_one(ledger):
    for value in (1.0, 0.0):
        ledger.reward(ledger.begin("task"), "ada", value, value)
    assert ledger.reputation("ada", 1, 0.5, weight=2) == pytest.approx((1 + 0 + 2 * 0.5) / 4)
    assert ledger.reputation("ada", 0.5, 0.8, weight=4) == pytest.approx((0.5 * 1 + 4 * 0.25 * 0.8) / (1.5 + 4 * 0.25))
    assert ledger.reputations(["ada", "new"], 1, 0.5, weight=2) == {"ada": pytest.approx(0.5), "new": 0.5}
    assert ledger.evidence("ada", 0.5) == pytest.approx(1.5) and ledger.evidence("ada", 1.0) == 2
    assert ledger.evidence("new") == 0
    for refused in (lambda: ledger.reputation("ada", weight=-1), lambda: ledger.evidence("ada", of="fame"),
                    lambda: ledger.newcomers(of="fame")):
        with pytest.raises(LedgerError, match=r"weight must|of must"):
            refused()


def test_what_is_known_about_newcomers_is_the_first_results_of_everybody(ledger):
    assert ledger.newcomers() is None and ledger.base_rate() is None
    for k in range(8):
        ledger.reward(ledger.begin("task"), "ada", 0.0, float(k >= 5))  # wrong five times, right three
    ledger.reward(ledger.begin("task"), "bob", 2.0, 1.0)
    assert ledger.newcomers() == pytest.approx(1 / 6) and ledger.newcomers(first=1) == pytest.approx(1 / 2)
    assert ledger.newcomers(of="reward") == pytest.approx(2 / 6)


def test_the_base_rate_counts_answers_and_no_silence(ledger):
    number = ledger.begin("task")
    for name, confidence, status, found in (("ada", 0.9, "answered", 1.0), ("bob", 0.5, "answered", 0.0),
                                            ("cid", None, "abstained", 0.0), ("dot", None, "answered", 0.0)):
        ledger.submit(number, name, "4", confidence, status=status)
        ledger.reward(number, name, 0.0, found)
    assert ledger.base_rate() == 0.5


def test_what_was_cancelled_may_be_handed_in_again_and_nothing_else(ledger):
    number = ledger.begin("task")
    ledger.submit(number, "ada", None, status="cancelled")
    ledger.submit(number, "ada", "4", 0.9)
    assert [row.answer for row in ledger.submissions(number)] == ["4"]
    with pytest.raises(LedgerError, match="already has the submission"):
        ledger.submit(number, "ada", "5", 0.9)
    ledger.submit(number, "bob", None, status="cancelled")
    ledger.close(number)
    with pytest.raises(LedgerError, match="is closed"):
        ledger.submit(number, "bob", "5", 0.9)
    assert [row.status for row in ledger.submissions(number)] == ["answered", "cancelled"]
    ledger.check()  # what was taken out is out of the digest too


def test_a_file_that_is_no_ledger_is_left_alone(tmp_path):
    path = tmp_path / "notes.txt"
    path.write_text("these are not the rows you are looking for" * 100)
    with pytest.raises(LedgerError, match="cannot be opened"):
        Ledger(path)
    assert path.read_text().startswith("these are not")
    other = sqlite3.connect(tmp_path / "other.db")
    other.execute("CREATE TABLE mine (x)")
    other.commit()
    with pytest.raises(LedgerError, match="no ledger of version"):
        Ledger(tmp_path / "other.db")


def test_two_ledgers_share_one_file(tmp_path):
    with Ledger(tmp_path / "book.db") as one, Ledger(tmp_path / "book.db") as two:
        numbers = [book.begin("task", 5) for book in (one, two, one, two)]
        assert len(set(numbers)) == 4
        two.submit(numbers[0], "ada", "4")
        assert len(one.submissions(numbers[0])) == 1


WRITER = """
import sys
from mechlib.desk.ledger import Ledger
ledger, said = Ledger(sys.argv[1]), 0
while True:
    number = ledger.begin("task", 30)
    for agent in "abc":
        ledger.submit(number, agent, "answer", 0.5)
        print("submitted", number, agent, flush=True)
    with ledger.transaction():
        for agent in "abc":
            ledger.pay(number, agent, 10)
        ledger.close(number)
    print("paid", number, flush=True)
"""


def test_twenty_kills_lose_nothing_that_was_acknowledged(tmp_path):
    path, acknowledged, rng = tmp_path / "book.db", [], random.Random(5)
    for _ in range(20):
        writer = subprocess.Popen([sys.executable, "-c", WRITER, str(path)], stdout=subprocess.PIPE, text=True)
        first = writer.stdout.readline()
        time.sleep(rng.uniform(0, 0.05))
        writer.send_signal(signal.SIGKILL)
        said = first + writer.communicate()[0]
        acknowledged += [line.split() for line in said.split("\n")[:-1]]  # the last one may be cut short
    assert len(acknowledged) >= 20
    with Ledger(path) as ledger:
        assert ledger._db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert ledger._db.execute("PRAGMA foreign_key_check").fetchall() == []
        for what, number, *agent in acknowledged:
            if what == "submitted":
                assert agent[0] in [row.agent for row in ledger.submissions(int(number))]
            else:
                assert len(ledger.payments(int(number))) == 3
        for entry in ledger.rounds():  # a round is paid whole and closed, or neither
            assert len(ledger.payments(entry.id)) == (3 if entry.closed else 0)
