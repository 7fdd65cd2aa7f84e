"""VCG without n + 1 solves: assignment, bundles and knapsack, against the naive pivots, a peer, and one solve."""

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, linear_sum_assignment, milp
from scipy.sparse import csc_array
from table import Ratio, ask_peer, best_of, report

from mechlib.rules.vcg import Bid, vcg_assignment, vcg_combinatorial, vcg_knapsack


def assignment() -> None:
    """A thousand agents, a thousand tasks; and seven of each for the peer, which enumerates."""
    rng = np.random.default_rng(0)
    values = rng.random((1000, 1000))
    ours, result = best_of(lambda: vcg_assignment(values))
    one, _ = best_of(lambda: linear_sum_assignment(values, maximize=True))

    def naive() -> np.ndarray:
        rows, columns = linear_sum_assignment(values, maximize=True)
        best = values[rows, columns].sum()
        payments = np.empty(len(values))
        for i in range(len(values)):
            rest = np.delete(values, i, axis=0)
            payments[i] = rest[linear_sum_assignment(rest, maximize=True)].sum() - (best - values[i, columns[i]])
        return payments

    slow, payments = best_of(naive, times=1)
    np.testing.assert_allclose(result.payments, payments, atol=1e-9)

    small = rng.random((7, 7))
    quick, seven = best_of(lambda: [vcg_assignment(small) for _ in range(100)])
    quick /= 100
    peer, answer = ask_peer("""
        import numpy as np
        from gtlab.solvers.bayesian_extra import vcg_solve
        taken, solved = best_of(lambda: vcg_solve(np.array(data)))
        answer = [taken, {k: np.asarray(v).tolist() for k, v in solved.items()
                          if isinstance(v, (list, tuple, np.ndarray))}]
    """, small.tolist())
    paid = next(v for k, v in answer.items() if "pay" in k.lower())
    np.testing.assert_allclose(seven[-1].payments, paid, atol=1e-9)
    report("vcg_assignment", "1000 agents, 1000 tasks, uniform values; 7 and 7 for the peer",
           "all payments equal n + 1 solves to 1e-9, and the peer's at n = 7",
           {"ours": ours, "n + 1 solves (once)": slow, "one solve": one, "ours, n = 7": quick, "gtlab, n = 7": peer},
           [Ratio("n + 1 solves / ours", slow / ours, at_least=400), Ratio("ours / one solve", ours / one, at_most=1.6),
            Ratio("gtlab / ours, n = 7", peer / quick, at_least=5000)])


def winners(bids: list[Bid], items: int, without: int = -1) -> tuple[float, list[Bid]]:
    """Solve winner determination the plain way: one mixed-integer programme."""
    kept = [bid for bid in bids if bid[0] != without]
    rows = [item for _, bundle, _ in kept for item in bundle]
    columns = np.repeat(np.arange(len(kept)), [len(bundle) for _, bundle, _ in kept])
    matrix = csc_array((np.ones(len(rows)), (rows, columns)), shape=(items, len(kept)))
    values = np.array([value for _, _, value in kept])
    solved = milp(-values, integrality=np.ones(len(kept)), bounds=Bounds(0, 1),
                  constraints=LinearConstraint(matrix, ub=1), options={"mip_rel_gap": 0})
    chosen = [kept[k] for k in np.flatnonzero(solved.x > 0.5)]
    return sum(value for _, _, value in chosen), chosen


def naive_bundles(bids: list[Bid], items: int) -> np.ndarray:
    """Return Clarke's payments from n + 1 programmes, a bid an agent."""
    best, chosen = winners(bids, items)
    value = {agent: worth for agent, _, worth in chosen}
    return np.array([winners(bids, items, i)[0] - (best - value.get(i, 0)) for i in range(len(bids))])


def bundles(name: str, what: str, bids: list[Bid], items: int, goal: float | None, times: int) -> None:
    """Compare payments and time on one instance."""
    ours, sold = best_of(lambda: vcg_combinatorial(bids, items), times)
    one, _ = best_of(lambda: winners(bids, items), times)
    slow, payments = best_of(lambda: naive_bundles(bids, items), times=1)
    np.testing.assert_allclose(sold.payments, payments, atol=1e-6)
    report(name, what, "all payments equal n + 1 programmes to 1e-6",
           {"ours": ours, "n + 1 programmes (once)": slow, "one programme": one},
           [Ratio("n + 1 programmes / ours", slow / ours, at_least=goal)])


def slots() -> list[Bid]:
    """Five hundred jobs, each wanting a run of consecutive hours out of a hundred."""
    rng, bids = np.random.default_rng(0), []
    for agent in range(500):
        length = int(rng.integers(1, 9))
        start = int(rng.integers(0, 101 - length))
        bids.append((agent, frozenset(range(start, start + length)), float(length * rng.uniform(0.5, 1.5))))
    return bids


def scattered() -> list[Bid]:
    """A hundred agents, each wanting a few of a hundred items that have nothing to do with each other."""
    rng = np.random.default_rng(1)
    return [(agent, frozenset(rng.choice(100, int(rng.integers(2, 9)), replace=False).tolist()),
             float(rng.uniform(0.5, 1))) for agent in range(100)]


def knapsack() -> None:
    """A thousand jobs for one machine."""
    rng = np.random.default_rng(2)
    values, sizes, capacity = rng.random(1000), rng.integers(1, 100, 1000), 5000

    def one(kept: np.ndarray) -> float:
        best = np.zeros(capacity + 1)
        for value, size in zip(values[kept], sizes[kept], strict=True):
            best[size:] = np.maximum(best[size:], best[:-size] + value)
        return float(best[-1])

    everyone = np.ones(len(values), bool)
    ours, result = best_of(lambda: vcg_knapsack(values, sizes, capacity))
    single, best = best_of(lambda: one(everyone))

    def naive() -> np.ndarray:
        index = np.arange(len(values))
        return np.array([one(index != i) for i in index]) - (one(everyone) - result.allocation * values)

    slow, payments = best_of(naive, times=1)
    assert abs((result.allocation * values).sum() - best) < 1e-9
    np.testing.assert_allclose(result.payments, payments, atol=1e-9)
    report("vcg_knapsack", "1000 jobs, sizes 1 to 99, capacity 5000", "all payments equal n + 1 programmes to 1e-9",
           {"ours": ours, "n + 1 programmes (once)": slow, "one programme": single},
           [Ratio("n + 1 programmes / ours", slow / ours, at_least=100),
            Ratio("ours / one programme", ours / single, at_most=6)])


if __name__ == "__main__":
    assignment()
    knapsack()
    bundles("vcg_combinatorial", "500 jobs, each a run of consecutive hours out of 100", slots(), 100, 15, 3)
    bundles("vcg_combinatorial_hard", "100 agents, scattered bundles of 100 items: a real integrality gap", scattered(),
            100, None, 1)
