"""A truthful rule for where VCG gives way: hiring within a hard budget."""

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import Award, checked, real


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
    money = real("budget", budget, "[0, inf)")
    able = (worth > 0) & (cost <= money)
    rate = np.divide(cost, worth, out=np.full(cost.shape, np.inf), where=able)  # what a unit of value costs
    order = np.argsort(rate, axis=-1, kind="stable")
    rate, value = (np.take_along_axis(array, order, axis=-1) for array in (rate, worth))
    total = np.cumsum(value, axis=-1)
    with np.errstate(invalid="ignore"):
        hired = rate * total <= money  # cheapest first, while the budget would pay them all at the rate of the last
    # a unit of value is paid what the budget allows, and no more than the first one left out would do it for
    bought = np.where(hired, total, 0.0).max(axis=-1, keepdims=True)
    allowed = np.divide(money, bought, out=np.zeros_like(bought), where=bought > 0)
    price = np.minimum(allowed, np.where(hired, np.inf, rate).min(axis=-1, keepdims=True))
    chosen = np.zeros(cost.shape)
    np.put_along_axis(chosen, order, hired.astype(float), axis=-1)
    return Award(chosen, np.where(chosen > 0, np.maximum(price * worth, cost), 0.0))
