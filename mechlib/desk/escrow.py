"""An escrow: money that has left the payer and not yet reached the payee.

Reward can wait until somebody has validated the work: hold it now, release it on success, refund it otherwise.
Amounts are positive whole minor units, so nothing is lost to rounding. All accounts and holds are kept in the ledger,
and nowhere else: any number of escrows, in any number of processes, may share it. A step is one transaction with its
note in the trail. One that is refused is a ValueError, and changes nothing.
"""

from numbers import Integral
from typing import Any, NamedTuple

from mechlib.desk.ledger import Ledger, LedgerError, as_money, as_text


class Hold(NamedTuple):
    """A payment under way: `state` is "held", "released" or "refunded"."""

    payer: str
    payee: str
    amount: int
    state: str


def _whole(amount: int) -> int:
    if (whole := as_money("amount", amount)) <= 0:
        raise LedgerError(f"amount is {amount!r:.80}; it must be a positive whole number of minor units")
    return whole


class Escrow:
    """Accounts, and payments held between them.

    At any time the balances and the open holds add up to what was deposited, to the last unit, whatever was called.

    Parameters
    ----------
    ledger : Ledger, optional
        Where everything is kept; one in memory by default. What an earlier escrow left there goes on.

    Examples
    --------
    >>> bank = Escrow()
    >>> bank.deposit("designer", 10)
    >>> promise = bank.hold("designer", "retriever", 7)
    >>> bank.balance("designer"), bank.balance("retriever"), bank.total
    (3, 0, 10)
    >>> bank.release(promise)
    >>> bank.balance("designer"), bank.balance("retriever"), bank.total
    (3, 7, 10)
    """

    def __init__(self, ledger: Ledger | None = None) -> None:
        if not isinstance(ledger, Ledger | None):
            raise TypeError(f"ledger must be a Ledger, but is {ledger!r:.80}")
        self.ledger = Ledger() if ledger is None else ledger

    def deposit(self, payer: str, amount: int) -> None:
        """Bring money in."""
        whole = _whole(amount)
        with self.ledger.transaction():
            self._add(as_text("payer", payer), whole)
            self.ledger.note("escrow.deposit", payer=payer, amount=whole)

    def hold(self, payer: str, payee: str, amount: int) -> int:
        """Set money aside for a payee, out of the payer's balance, which must cover it; return the hold's number."""
        whole, to = _whole(amount), as_text("payee", payee)
        with self.ledger.transaction():
            if whole > (free := self.balance(as_text("payer", payer))):
                raise LedgerError(f"amount is {whole}, but {payer!r:.80} has {free} free; deposit() the rest first")
            self._add(payer, -whole)
            id = self.ledger._insert("holds", 0, None, payer, to, whole, "held")
            self.ledger.note("escrow.hold", id=id, payer=payer, payee=to, amount=whole)
        return id

    def release(self, id: int) -> None:
        """Pay an open hold out to its payee, once."""
        self._settle(id, "release")

    def refund(self, id: int) -> None:
        """Give an open hold back to its payer, once."""
        self._settle(id, "refund")

    def _settle(self, id: int, how: str) -> None:
        with self.ledger.transaction():
            hold = self._find(id)
            if hold is None:
                raise LedgerError(f"id is {id!r:.80}; it must be a number that hold() returned")
            if hold.state != "held":
                raise LedgerError(f"id {id} is already {hold.state}; a payment is settled once")
            self._add(hold.payee if how == "release" else hold.payer, hold.amount)
            self.ledger._update("holds", 0, int(id), "state", "released" if how == "release" else "refunded")
            self.ledger.note(f"escrow.{how}", id=int(id))

    def _find(self, id: Any) -> Hold | None:
        if isinstance(id, bool) or not isinstance(id, Integral) or not 0 < int(id) < 2**63:
            return None
        rows = self.ledger._rows("SELECT payer, payee, amount, state FROM holds WHERE id = ?", int(id))
        return Hold(*rows[0]) if rows else None

    def _add(self, party: str, amount: int) -> None:
        rows = self.ledger._rows("SELECT rowid, free FROM accounts WHERE party = ?", party)
        rowid, free = rows[0] if rows else (0, 0)
        as_money("amount, with what is there,", free + amount)
        if rows:
            self.ledger._update("accounts", 0, rowid, "free", free + amount)
        else:
            self.ledger._insert("accounts", 0, party, amount)

    @property
    def holds(self) -> dict[int, Hold]:
        """All payments so far, by number."""
        rows = self.ledger._rows("SELECT id, payer, payee, amount, state FROM holds ORDER BY id")
        return {id: Hold(*row) for id, *row in rows}

    def balance(self, party: str) -> int:
        """Return what a party has free: 0 for one never heard of."""
        rows = self.ledger._rows("SELECT free FROM accounts WHERE party = ?", as_text("party", party))
        return int(rows[0][0]) if rows else 0

    @property
    def held(self) -> int:
        """What is on hold now."""
        return sum(int(row[0]) for row in self.ledger._rows("SELECT amount FROM holds WHERE state = 'held'"))

    @property
    def total(self) -> int:
        """All the money in the escrow, free and on hold, which is what was deposited."""
        return sum(int(row[0]) for row in self.ledger._rows("SELECT free FROM accounts")) + self.held
