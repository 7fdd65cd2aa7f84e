"""Hidden action: the payments that make work worth its cost, when only what comes of it is seen.

An agent chooses an action, at a cost to itself. The principal sees an outcome alone, and pays for it. `chances[a, x]`
is how likely outcome x is after action a. Payments go TO the agent and are never negative: its liability is limited.

>>> chances = [[0.8, 0.2], [0.3, 0.7]]  # wrong or right, after a guess and after work
>>> contract = cheapest_contract(chances, costs=[0.0, 0.1], wanted=1)
>>> contract.payments.round(3).tolist()
[0.0, 0.2]
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import Floats, checked, counted, real


class Contract(NamedTuple):
    """What is paid for each outcome, the action that the agent then takes, and what both expect of it."""

    payments: Floats  #: (outcomes,), TO the agent
    action: int  #: the agent's best reply; of equal ones the one that the principal prefers
    expected: float  #: what the principal pays on average
    rent: float  #: what the agent keeps of it, its cost taken off
    profit: float  #: what the outcome is worth to the principal on average, less what it pays; NaN without values


def cheapest_contract(chances: ArrayLike, costs: ArrayLike, wanted: int, outside: float = 0.0) -> Contract:
    """Return the payments that make one action a best reply at the least expected cost (Grossman & Hart 1983).

    Both sides are risk neutral; the payments solve a linear programme. With two actions they pay for one outcome alone,
    the one that is most telling: whose chance is most times higher after the wanted action than after the other.

    Parameters
    ----------
    chances : array_like (actions, outcomes)
        Rows that sum to 1.
    costs : array_like (actions,)
        What each action costs the agent.
    wanted : int
        The action that is to be taken.
    outside : float
        What the agent can have elsewhere.

    Returns
    -------
    Contract
        With a profit of NaN.

    Raises
    ------
    ValueError
        If the arguments do not fit, or no payments make the action best: another has the same chances, or a mixture of
        others has, and costs less.
    """
    table, cost = _checked(chances, costs)
    action = counted("wanted", wanted, 0, len(cost) - 1)
    from scipy.optimize import linprog
    worse = table - table[action]  # the wanted action must be at least as good as each other, and as the outside
    limits = np.append(cost - cost[action], -(cost[action] + real("outside", outside)))
    solved = linprog(table[action], A_ub=np.vstack([worse, -table[action]]), b_ub=limits, bounds=(0, None),
                     method="highs")
    if solved.x is None:
        raise ValueError(f"wanted is {action}, which no payments make best: other actions look the same and cost less")
    return _contract(table, cost, solved.x, action, None)


def best_contract(chances: ArrayLike, costs: ArrayLike, values: ArrayLike, outside: float = 0.0) -> Contract:
    """Return the contract that leaves the principal most: the cheapest one for the action that is worth it.

    Parameters
    ----------
    chances, costs, outside
        As in `cheapest_contract`.
    values : array_like (outcomes,)
        What each outcome is worth to the principal.

    Returns
    -------
    Contract

    Raises
    ------
    ValueError
        As in `cheapest_contract`, for arguments that do not fit.
    """
    least = real("outside", outside)
    table, cost = _checked(chances, costs)
    worth = _values(values, table)
    found = list[Contract]()
    for action in range(len(cost)):
        try:
            offer = cheapest_contract(table, cost, action, least)
        except ValueError:
            continue  # nothing makes it best
        found.append(offer._replace(profit=float(table[action] @ worth) - offer.expected))
    return max(found, key=lambda offer: offer.profit)


def best_linear(chances: ArrayLike, costs: ArrayLike, values: ArrayLike) -> Contract:
    """Return the best contract that pays the agent a fixed share of what the outcome is worth.

    It needs to know only what each action is worth on average, and loses part of what `best_contract` earns: with n
    actions it earns at least a share of 1/n, and no better bound holds (Dütting, Roughgarden & Talgam-Cohen 2019).

    Parameters
    ----------
    chances, costs, values
        As in `best_contract`; values of at least 0.

    Returns
    -------
    Contract

    Raises
    ------
    ValueError
        As in `best_contract`, or if a value is negative: a share of it would be a fine.
    """
    table, cost = _checked(chances, costs)
    worth = _values(values, table)
    if (worth < 0).any():
        raise ValueError(f"values must be at least 0, or a share is a fine; they were {worth.tolist()!s:.80}")
    mean = table @ worth
    shares = [0.0]  # at which the agent's best reply may change
    for one in range(len(cost)):
        for other in range(len(cost)):
            if mean[one] > mean[other] and 0 <= (share := (cost[one] - cost[other]) / (mean[one] - mean[other])) <= 1:
                shares.append(float(share))
    offers = list[Contract]()
    for share in shares:
        earned = share * mean - cost
        replies = np.flatnonzero(earned >= earned.max() - 1e-12)
        action = int(replies[mean[replies].argmax()])
        offers.append(_contract(table, cost, share * worth, action, worth))
    return max(offers, key=lambda offer: offer.profit)


class Score(NamedTuple):
    """What is paid for each report when the answer is wrong and when it is right, and what it costs on average."""

    beliefs: Floats  #: (k,): what may be reported
    payments: Floats  #: (k, 2), TO the agent: for a wrong answer, and for a right one
    expected: float


def cheapest_score(beliefs: ArrayLike, chances: ArrayLike, cost: float) -> Score:
    """Return the proper score that pays for looking, at the least expected cost.

    An agent that looks, at a cost, will believe one of `beliefs`; an agent that does not look believes their mean. The
    score makes looking and then telling the truth at least as good as anything else, and never fines.

    Parameters
    ----------
    beliefs : array_like (k,)
        What the agent may believe after looking: how likely its answer is right.
    chances : array_like (k,)
        How likely each of these is; they sum to 1.
    cost : float
        Of looking.

    Returns
    -------
    Score
        The reports that it knows are `beliefs`. With several of them the best score is a bet on one side of the mean
        (Hartline, Li, Shan & Wu 2020).

    Raises
    ------
    ValueError
        If the arguments do not fit, or looking tells the agent nothing.
    """
    believed, odds = checked("beliefs", beliefs, ndim=1), checked("chances", chances, ndim=1)
    if (believed > 1).any() or odds.shape != believed.shape or abs(odds.sum() - 1) > 1e-9:
        raise ValueError("beliefs must be chances of being right, and chances as many numbers that sum to 1; they were "
                         f"{believed.tolist()!s:.80} and {odds.tolist()!s:.80}")
    spent, k = real("cost", cost, "[0, inf)"), len(believed)
    from scipy.optimize import linprog

    def expects(belief: float, report: int) -> Floats:
        weights = np.zeros((k, 2))
        weights[report] = 1 - belief, belief
        return weights.ravel()

    honest = np.sum([chance * expects(belief, i) for i, (belief, chance) in
                     enumerate(zip(believed, odds, strict=True))], axis=0)
    no_lie = [expects(belief, lie) - expects(belief, i) for i, belief in enumerate(believed) for lie in range(k)]
    no_guess = [expects(float(odds @ believed), report) - honest for report in range(k)]
    solved = linprog(honest, A_ub=np.array(no_lie + no_guess), b_ub=[0.0] * len(no_lie) + [-spent] * k,
                     bounds=(0, None), method="highs")
    if solved.x is None:
        raise ValueError("beliefs are all alike: looking changes nothing, and no score can pay for it")
    return Score(believed, solved.x.reshape(k, 2), float(honest @ solved.x))


def _checked(chances: ArrayLike, costs: ArrayLike) -> tuple[Floats, Floats]:
    table, cost = checked("chances", chances, ndim=2), checked("costs", costs, ndim=1, negative=True)
    if len(cost) != len(table) or (abs(table.sum(axis=1) - 1) > 1e-9).any():
        raise ValueError(f"chances must have a row an action ({len(cost)} costs are given), each summing to 1; it has "
                         f"{len(table)} rows that sum to {table.sum(axis=1).round(6).tolist()!s:.80}")
    return table, cost


def _values(values: ArrayLike, table: Floats) -> Floats:
    worth = checked("values", values, ndim=1, negative=True)
    if len(worth) != table.shape[1]:
        raise ValueError(f"values must be {table.shape[1]} numbers, one an outcome; there are {len(worth)}")
    return worth


def _contract(table: Floats, cost: Floats, payments: Floats, action: int, worth: Floats | None) -> Contract:
    expected = float(table[action] @ payments)
    profit = float("nan") if worth is None else float(table[action] @ worth) - expected
    return Contract(payments, action, expected, expected - float(cost[action]), profit)
