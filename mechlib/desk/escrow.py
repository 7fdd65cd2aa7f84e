"""An escrow: money that has left the payer and not yet reached the payee.

Reward can wait until somebody has validated the work: hold it now, release it on success, refund it otherwise.
Amounts are positive whole minor units, so nothing is lost to rounding, and every step is noted in the ledger's trail
before it takes effect. A step that is refused is a ValueError, and changes nothing.
"""

from collections import Counter
from typing import Any, NamedTuple

from mechlib.desk.ledger import Ledger


class Hold(NamedTuple):
    """A payment under way: `state` is "held", "released" or "refunded"."""

    payer: str
    payee: str
    amount: int
    state: str


def _whole(amount: int) -> int:
    if isinstance(amount, bool) or not hasattr(amount, "__index__") or int(amount) <= 0:
        raise ValueError(f"amount is {amount!r}; it must be a positive whole number of minor units: round it first")
    return int(amount)


class Escrow:
    """Accounts, and payments held between them.

    At any time the balances and the open holds add up to what was deposited, to the last unit, whatever was called.

    Parameters
    ----------
    ledger : Ledger, optional
        Where every step is noted, and from whose trail an earlier escrow is restored; one in memory by default.

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
        self.ledger = Ledger() if ledger is None else ledger
        self.holds: dict[int, Hold] = {}
        self._balances: Counter[str] = Counter()
        for event in self.ledger.trail():
            if event.kind.startswith("escrow."):
                self._apply(event.kind, event.data)

    def _step(self, kind: str, **data: Any) -> None:
        self.ledger.note(kind, **data)  # first on disk, then in force: a crash between the two loses nothing
        self._apply(kind, data)

    def _apply(self, kind: str, data: dict[str, Any]) -> None:
        if kind == "escrow.deposit":
            self._balances[data["payer"]] += data["amount"]
        elif kind == "escrow.hold":
            self._balances[data["payer"]] -= data["amount"]
            self.holds[data["id"]] = Hold(data["payer"], data["payee"], data["amount"], "held")
        else:
            hold = self.holds[data["id"]]
            to, state = (hold.payee, "released") if kind == "escrow.release" else (hold.payer, "refunded")
            self._balances[to] += hold.amount
            self.holds[data["id"]] = hold._replace(state=state)

    def deposit(self, payer: str, amount: int) -> None:
        """Bring money in."""
        self._step("escrow.deposit", payer=payer, amount=_whole(amount))

    def hold(self, payer: str, payee: str, amount: int) -> int:
        """Set money aside for a payee, out of the payer's balance, which must cover it; return the hold's number."""
        whole, free = _whole(amount), self.balance(payer)
        if whole > free:
            raise ValueError(f"amount is {whole}, but {payer!r} has {free} free; deposit() the rest first")
        self._step("escrow.hold", id=len(self.holds) + 1, payer=payer, payee=payee, amount=whole)
        return len(self.holds)

    def release(self, id: int) -> None:
        """Pay an open hold out to its payee, once."""
        self._settle("escrow.release", id)

    def refund(self, id: int) -> None:
        """Give an open hold back to its payer, once."""
        self._settle("escrow.refund", id)

    def _settle(self, kind: str, id: int) -> None:
        if id not in self.holds:
            raise ValueError(f"id is {id!r}; it must be a number that hold() returned")
        if self.holds[id].state != "held":
            raise ValueError(f"id {id} is already {self.holds[id].state}; a payment is settled once")
        self._step(kind, id=id)

    def balance(self, party: str) -> int:
        """Return what a party has free: 0 for one never heard of."""
        return self._balances[party]

    @property
    def held(self) -> int:
        """What is on hold now."""
        return sum(hold.amount for hold in self.holds.values() if hold.state == "held")

    @property
    def total(self) -> int:
        """All the money in the escrow, free and on hold, which is what was deposited."""
        return self._balances.total() + self.held
