"""A truthful rule for where VCG gives way: hiring within a hard budget."""

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import Award, checked


def budget_feasible(costs: ArrayLike, values: ArrayLike, budget: float) -> Award:
    """Hire within a hard budget: the cheapest per unit of value, for a share in proportion to value (Singer 2010).

    Truthful in costs, individually rational, and never over the budget. It is close to the best where no single agent
    is a large part of what the budget can buy; one such agent can block the rest.

    Costs (..., n) are reported; values (n,) or (..., n) are what agents are worth to the designer, in total their sum;
    `budget` is what may be spent. A ValueError is raised if any is negative, NaN, infinite, empty or mis-shaped. Who
    asks for more than the budget is left out. Ties go to the lowest index. Allocation and rewards are (..., n).
    """
    cost, worth = checked("costs", costs), checked("values", values)
    (money,), worth = checked("budget", [budget], ndim=1).tolist(), np.broadcast_to(worth, cost.shape)
    ratio = np.divide(cost, worth, out=np.full(cost.shape, np.inf), where=(worth > 0) & (cost <= money))
    order = np.argsort(ratio, axis=-1, kind="stable")
    rate = np.take_along_axis(ratio, order, axis=-1)
    total = np.cumsum(np.take_along_axis(worth, order, axis=-1), axis=-1)
    hired = np.multiply(rate, total, out=np.full_like(rate, np.inf), where=np.isfinite(rate)) <= money
    count = hired.sum(axis=-1, keepdims=True)
    last = np.take_along_axis(total, np.maximum(count - 1, 0), axis=-1)
    padded = np.append(rate, np.full_like(last, np.inf), axis=-1)
    share = np.minimum(np.divide(money, last, out=np.zeros_like(last), where=count > 0),
                       np.take_along_axis(padded, count, axis=-1))
    chosen = np.zeros(cost.shape)
    np.put_along_axis(chosen, order, hired.astype(float), axis=-1)
    return Award(chosen, np.where(chosen > 0, np.maximum(worth * share, cost), 0.0))
