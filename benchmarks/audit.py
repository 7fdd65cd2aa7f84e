"""The auditor against mechaudit on the same rules and grid, and alone on fifty million comparisons."""

import numpy as np
from table import Ratio, ask_peer, best_of, report

from mechlib.attacks.audit import audit
from mechlib.rules.auctions import first_price, second_price

PEER = """
import itertools
from mechaudit import DSIC, DirectMechanism, ExPostIR, FiniteEnvironment, PrivateValues
n, types = data["n"], data["types"]
outcomes = [*range(n), "nobody"]
env = FiniteEnvironment(agents={f"a{i}": types for i in range(n)}, outcomes=outcomes,
                        values=PrivateValues(lambda agent, kind, outcome: kind if agent == f"a{outcome}" else 0.0))
profiles = [dict(zip([f"a{i}" for i in range(n)], p)) for p in itertools.product(types, repeat=n)]
answer = {}
for name, (allocation, payments) in data["rules"].items():
    rule = DirectMechanism.from_arrays(allocation, payments, environment=env, report_profiles=profiles)
    taken, found = best_of(lambda: env.audit(rule, (DSIC(), ExPostIR())), data["times"])
    answer[name] = {"seconds": taken, "epsilon": found.epsilon_ic, "ir": bool(found.ir.passed),
                    "checks": len(found.ic)}
"""


def against_the_peer(n: int = 4, k: int = 8) -> None:
    """Audit two auctions; the peer is handed their tables, so that only the audit itself is timed there."""
    types = np.linspace(0, 1, k)
    rules = {"second_price": second_price, "first_price": first_price}
    profiles = np.stack(np.meshgrid(*[types] * n, indexing="ij"), axis=-1).reshape(-1, n)
    tables = {}
    for name, rule in rules.items():
        outcome = rule(profiles)
        lottery = np.column_stack([outcome.allocation, 1 - outcome.allocation.sum(axis=1)])
        tables[name] = lottery.tolist(), outcome.payments.tolist()
    peer = ask_peer(PEER, {"n": n, "types": types.tolist(), "rules": tables, "times": 1})
    ours = {}
    for name, rule in rules.items():
        taken, found = best_of(lambda rule=rule: [audit(rule, types, n=n) for _ in range(10)], 5)
        ours[name] = taken / 10
        np.testing.assert_allclose(found[-1].regret, peer[name]["epsilon"], atol=1e-12)
        assert found[-1].is_ir == peer[name]["ir"] and found[-1].is_dsic == (peer[name]["epsilon"] < 1e-8)
    worst = min(peer[name]["seconds"] / ours[name] for name in rules)
    report("audit", f"first and second price, {n} agents, {k} types each",
           "the same epsilon to 1e-12, the same verdict on participation, for both auctions",
           {f"ours, {name}": taken for name, taken in ours.items()}
           | {f"mechaudit, {name} (once)": peer[name]["seconds"] for name in rules},
           [Ratio("mechaudit / ours, the smaller of two", worst, at_least=800)], ("numpy",))


def alone(n: int = 4, k: int = 27) -> None:
    """Count fifty million comparisons of truth with a lie."""
    types = np.linspace(0, 1, k)
    taken, found = best_of(lambda: audit(second_price, types, n=n))
    assert found.is_dsic and found.lies == n * k**n * (k - 1) >= 5e7
    profiles = np.stack(np.meshgrid(*[types] * n, indexing="ij"), axis=-1).reshape(-1, n)
    table, _ = best_of(lambda: second_price(profiles))
    report("audit_large", f"second price, {n} agents, {k} types each: {found.lies:,} comparisons",
           "truth is dominant, as Vickrey 1961 proves", {"ours": taken, "the rule's own table": table},
           [Ratio("seconds", taken, at_most=5), Ratio("ours / the rule's own table", taken / table)], ("numpy",))


if __name__ == "__main__":
    against_the_peer()
    alone()
