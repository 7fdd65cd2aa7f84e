"""Greedy bundles against one linear programme, and a hard budget against one sort."""

import numpy as np
from scipy.optimize import linprog
from scipy.sparse import csc_array
from table import Ratio, best_of, report

from mechlib.rules.budget import budget_feasible
from mechlib.rules.greedy import greedy_bundles
from mechlib.rules.vcg import Bid


def greedy() -> None:
    """Five thousand bidders, a thousand items."""
    rng = np.random.default_rng(0)
    sizes = rng.integers(1, 11, 5000)
    bids: list[Bid] = [(k, frozenset(rng.choice(1000, size, replace=False).tolist()), float(size * rng.uniform(0.5, 1)))
                       for k, size in enumerate(sizes)]
    values = np.array([value for _, _, value in bids])
    ours, sold = best_of(lambda: greedy_bundles(bids, 1000))
    rows = [item for _, bundle, _ in bids for item in bundle]
    matrix = csc_array((np.ones(len(rows)), (rows, np.repeat(np.arange(5000), sizes))), shape=(1000, 5000))
    programme, relaxed = best_of(lambda: linprog(-values, A_ub=matrix, b_ub=np.ones(1000), bounds=(0, 1)))
    won = np.array([bool(bundle) for bundle in sold.bundles])
    assert (matrix @ won <= 1).all()
    # the definition of a critical value, tried on some winners: just above it wins, just below loses
    for k in np.flatnonzero(won)[::40]:
        for report_of, wins in ((sold.payments[k] + 1e-9, True), (sold.payments[k] - 1e-9, False)):
            if report_of > 0:
                changed = [*bids[:k], (int(k), bids[k][1], float(report_of)), *bids[k + 1 :]]
                assert bool(greedy_bundles(changed, 1000).bundles[k]) == wins
    report("greedy_bundles", "5000 bidders, 1000 items, bundles of 1 to 10",
           "no item sold twice; for one winner in forty, just above the payment wins and just below loses",
           {"ours": ours, "one linear programme": programme},
           [Ratio("ours / one linear programme", ours / programme, at_most=0.02),
            Ratio("welfare / the programme's bound", float(values[won].sum() / -relaxed.fun), at_least=0.75)])


def budget() -> None:
    """A million annotators and one purse."""
    rng = np.random.default_rng(1)
    costs, values, purse = rng.random(1_000_000), rng.uniform(0.5, 1.5, 1_000_000), 50_000.0
    ours, hired = best_of(lambda: budget_feasible(costs, values, purse))
    sort, order = best_of(lambda: np.argsort(costs / values, kind="stable"))
    total, count = 0.0, 0
    for k in order.tolist():  # the rule as printed
        if costs[k] / values[k] > purse / (total + values[k]):
            break
        total, count = total + values[k], count + 1
    share = min(purse / total, costs[order[count]] / values[order[count]])
    assert set(order[:count]) == set(np.flatnonzero(hired.allocation))
    np.testing.assert_allclose(hired.rewards[order[:count]], values[order[:count]] * share, atol=1e-9)
    assert hired.rewards.sum() <= purse + 1e-6
    report("budget_feasible", "1,000,000 agents, a budget that hires a part of them",
           f"the {count} hired and their rewards equal the rule as a plain loop, and the budget holds",
           {"ours": ours, "one sort": sort}, [Ratio("ours / one sort", ours / sort)])


if __name__ == "__main__":
    greedy()
    budget()
