"""A truthful rule for where VCG gives way: hiring within a hard budget."""

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import Award, Floats, Ints, checked


def budget_feasible(costs: ArrayLike, values: ArrayLike, budget: float) -> Award:
    """Hire within a hard budget: the cheapest per unit of value, for a share in proportion to value (Singer 2010).

    Truthful in costs, individually rational, and never over the budget. It is close to the best where no single agent
    is a large part of what the budget can buy; one such agent can block the rest. Who asks for more than the budget is
    left out. Ties go to the lowest index.

    Parameters
    ----------
    costs : array_like (..., n)
        What each agent reports that its work costs, at least 0.
    values : array_like (n,) or (..., n)
        What each agent is worth to the designer, at least 0; together they are worth the sum.
    budget : float
        What may be spent, at least 0.

    Returns
    -------
    Award
        Who is hired, 1 or 0, and rewards TO the agents, both (..., n).

    Raises
    ------
    ValueError
        If an argument is negative, NaN, infinite, empty or mis-shaped.
    """
    cost = checked("costs", costs)
    worth = checked("values", values, like=cost.shape)
    (money,) = checked("budget", [budget], ndim=1).tolist()
    able = (worth > 0) & (cost <= money)
    rate = np.divide(cost, worth, out=np.full(cost.shape, np.inf), where=able)  # the cost of a unit of value
    order = np.argsort(rate, axis=-1, kind="stable")
    hired, rewards = np.zeros((2, *cost.shape))
    for profile in np.ndindex(cost.shape[:-1]):
        chosen, price = _hire(order[profile], rate[profile], worth[profile], money)
        hired[profile][chosen] = 1.0
        rewards[profile][chosen] = np.maximum(price * worth[profile][chosen], cost[profile][chosen])
    return Award(hired, rewards)


def _hire(order: Ints, rate: Floats, worth: Floats, money: float) -> tuple[Ints, float]:
    """Return who is hired from one profile, cheapest first, and what a unit of value is paid.

    The next one is hired while the budget would pay everybody at its rate. All are then paid what the budget allows,
    but no more than the rate of the first one that is left out: at that rate its place would have gone there.
    """
    total = 0.0
    for k, (rate_k, worth_k) in enumerate(zip(rate[order].tolist(), worth[order].tolist(), strict=True)):
        if not rate_k * (total + worth_k) <= money:
            return order[:k], min(money / total, rate_k) if k else 0.0
        total += worth_k
    return order, money / total
