"""Escrow: money is conserved to the last unit under any sequence of calls, and the trail tells it all."""

from pathlib import Path

import hypothesis.strategies as st
import pytest
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from mechlib.desk.escrow import Escrow
from mechlib.desk.ledger import Ledger

PARTIES = st.sampled_from(["designer", "a", "b"])


class AnySequenceOfCalls(RuleBasedStateMachine):
    """Deposits, holds, releases and refunds, sensible or not, against the simplest model: who should own what."""

    def __init__(self) -> None:
        super().__init__()
        self.escrow = Escrow()
        self.deposited = 0
        self.free = {"designer": 0, "a": 0, "b": 0}
        self.open: dict[int, tuple[str, str, int]] = {}
        self.steps = 0

    @rule(party=PARTIES, amount=st.integers(-2, 50))
    def deposit(self, party: str, amount: int) -> None:
        if amount <= 0:
            with pytest.raises(ValueError, match="positive whole"):
                self.escrow.deposit(party, amount)
            return
        self.escrow.deposit(party, amount)
        self.deposited += amount
        self.free[party] += amount
        self.steps += 1

    @rule(payer=PARTIES, payee=PARTIES, amount=st.integers(-2, 50))
    def hold(self, payer: str, payee: str, amount: int) -> None:
        if amount <= 0 or amount > self.free[payer]:
            with pytest.raises(ValueError):
                self.escrow.hold(payer, payee, amount)
            return
        number = self.escrow.hold(payer, payee, amount)
        assert number not in self.escrow.holds or number not in self.open
        self.free[payer] -= amount
        self.open[number] = (payer, payee, amount)
        self.steps += 1

    @rule(number=st.integers(0, 4), pay=st.booleans())
    def settle(self, number: int, pay: bool) -> None:
        call = self.escrow.release if pay else self.escrow.refund
        if number not in self.open:
            with pytest.raises(ValueError):
                call(number)
            return
        payer, payee, amount = self.open.pop(number)
        call(number)
        self.free[payee if pay else payer] += amount
        self.steps += 1

    @rule()
    def carry_on_with_another(self) -> None:
        self.escrow = Escrow(self.escrow.ledger)

    @invariant()
    def nothing_is_made_or_lost(self) -> None:
        held = sum(amount for _, _, amount in self.open.values())
        assert self.escrow.total == self.deposited == sum(self.free.values()) + held
        assert self.escrow.held == held
        assert {p: self.escrow.balance(p) for p in self.free} == self.free
        assert len(self.escrow.ledger.trail()) == self.steps


TestAnySequenceOfCalls = AnySequenceOfCalls.TestCase
TestAnySequenceOfCalls.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)


def test_payment_waits_for_validation() -> None:
    escrow = Escrow()
    escrow.deposit("designer", 100)
    promise = escrow.hold("designer", "retriever", 60)
    assert escrow.balance("retriever") == 0
    with pytest.raises(ValueError, match="'designer' has 40 free"):
        escrow.hold("designer", "retriever", 41)
    escrow.release(promise)
    assert escrow.balance("retriever") == 60
    with pytest.raises(ValueError, match="already released"):
        escrow.refund(promise)
    with pytest.raises(ValueError, match="number that hold"):
        escrow.release(99)


def test_a_rejected_payment_goes_back_to_whom_it_came_from() -> None:
    escrow = Escrow()
    escrow.deposit("designer", 100)
    promise = escrow.hold("designer", "retriever", 60)
    assert (escrow.held, escrow.total, escrow.holds[promise].state) == (60, 100, "held")
    escrow.refund(promise)
    assert (escrow.balance("designer"), escrow.balance("retriever"), escrow.held) == (100, 0, 0)
    assert escrow.holds[promise] == ("designer", "retriever", 60, "refunded")
    escrow.release(escrow.hold("designer", "retriever", 40))
    assert escrow.holds[2].state == "released" and escrow.total == 100


def test_an_escrow_reads_its_own_steps_alone() -> None:
    with Ledger() as ledger:
        ledger.note("reward.cut", agent="a")
        Escrow(ledger).deposit("designer", 5)
        ledger.note("audit", id=1)
        assert Escrow(ledger).balance("designer") == 5


def test_the_trail_names_every_step_in_order() -> None:
    with Ledger() as ledger:
        escrow = Escrow(ledger)
        escrow.deposit("designer", 5)
        escrow.refund(escrow.hold("designer", "a", 5))
        assert [event.kind for event in ledger.trail()] == ["escrow.deposit", "escrow.hold", "escrow.refund"]
        held = ledger.trail("escrow.hold")[0].data
        assert held == {"id": held["id"], "payer": "designer", "payee": "a", "amount": 5}


def test_an_escrow_survives_the_process(tmp_path: Path) -> None:
    with Ledger(tmp_path / "ledger.db") as ledger:
        before = Escrow(ledger)
        before.deposit("designer", 10)
        promise = before.hold("designer", "a", 4)
    with Ledger(tmp_path / "ledger.db") as ledger:
        after = Escrow(ledger)
        assert (after.balance("designer"), after.held, after.total) == (6, 4, 10)
        after.release(promise)
        assert after.balance("a") == 4


def test_a_step_that_cannot_be_noted_does_not_happen(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger.db")
    escrow = Escrow(ledger)
    escrow.deposit("designer", 10)
    promise = escrow.hold("designer", "a", 4)
    ledger.__exit__(None, None, None)
    with pytest.raises(Exception, match="closed"):
        escrow.release(promise)
    with Ledger(tmp_path / "ledger.db") as again:
        assert Escrow(again).balance("a") == 0 and Escrow(again).total == 10


@pytest.mark.parametrize("amount", [1.5, True, "3", 0, -1])
def test_amounts_are_whole_and_positive(amount: object) -> None:
    with pytest.raises(ValueError, match="whole number"):
        Escrow().deposit("designer", amount)  # type: ignore[arg-type]
