"""Paying graders without a key: peer prediction on several tasks, and impartial selection.

Every rule takes integer reports of shape (..., agents, tasks), -1 where an answer is missing, and returns the mean
payment a task, shape (..., agents), positive TO the agent. Leading axes are batches. An agent that shares no task
with a peer has nothing to be compared with and is paid 0. `peers`, a boolean (agents, agents) array, says whose
answers an agent is compared with (`peers[i, j]`: i with j; the diagonal is ignored); by default everybody else's.

To lazy (constant) and random reports correlated agreement, the determinant and the peer truth serum pay nothing in
the mean; output agreement pays the maximum once everybody is lazy. No rule here is proof against colluders who key
their answers to something all of them see in the task, or can tell a shared error from a shared insight: copies of
one agent are paid for both. Each docstring says what its rule assumes.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mechlib.impartial import select_impartially

__all__ = [
    "bayesian_truth_serum", "correlated_agreement", "determinant_mi", "output_agreement", "peer_truth_serum",
    "select_impartially",
]

Floats = NDArray[np.float64]


def _reports(reports: ArrayLike) -> NDArray[np.int64]:
    r = np.asarray(reports)
    if r.ndim < 2 or r.shape[-2] < 2 or r.shape[-1] < 1:
        raise ValueError(f"reports has shape {r.shape}; it must be (..., agents, tasks) with two agents or more")
    if not np.issubdtype(r.dtype, np.integer) and not np.array_equal(r, np.round(r)):
        raise ValueError(f"reports has dtype {r.dtype}; number the answers 0, 1, 2, ... with -1 where missing")
    if r.min() < -1:
        raise ValueError(f"reports contains {r.min()}; answers are 0, 1, 2, ... and -1 where missing")
    return r.astype(np.int64)


def _one_hot(r: NDArray[np.int64], choices: int | None) -> Floats:
    """Mark who gave which answer to what: (..., choices, agents, tasks)."""
    seen = int(r.max()) + 1
    if choices is not None and choices < max(seen, 1):
        raise ValueError(f"choices is {choices}, but reports contains answer {seen - 1}; give at least {seen}")
    count = max(seen, 1) if choices is None else choices
    return np.asarray(r[..., None, :, :] == np.arange(count)[:, None, None], dtype=np.float64)


def _peers(peers: ArrayLike, n: int) -> Floats:
    p = np.array(peers, dtype=np.float64)
    if p.shape != (n, n):
        raise ValueError(f"peers has shape {p.shape}; with {n} agents it must be {(n, n)}")
    np.fill_diagonal(p, 0.0)
    return p


def _peer_counts(x: Floats, peers: ArrayLike | None) -> Floats:
    """How many of each agent's peers gave each answer to each task: (..., choices, agents, tasks)."""
    return np.asarray(x.sum(axis=-2, keepdims=True) - x if peers is None else _peers(peers, x.shape[-2]) @ x)


def _joint_counts(x: Floats, peers: ArrayLike | None) -> tuple[Floats, Floats, Floats]:
    """Pairs of own and peers' answers on the same task (..., agents, choices, choices); own answers; peers' answers."""
    own = np.swapaxes(x.sum(axis=-1), -1, -2)
    if peers is None:
        everyone = x.sum(axis=-2)
        # a histogram of everybody's answers to each task, less oneself, stands for all pairs
        joint = np.moveaxis(x @ np.swapaxes(everyone, -1, -2)[..., None, :, :], -3, -2)
        joint = joint - own[..., None] * np.eye(x.shape[-3])
        return joint, own, everyone.sum(axis=-1)[..., None, :] - own
    h = _peer_counts(x, peers)
    joint = np.einsum("...ait,...bit->...iab", x, h, optimize=True)
    return joint, own, np.swapaxes(h.sum(axis=-1), -1, -2)


def _ratio(top: Any, bottom: Any) -> Floats:
    """Divide, with 0 where there is nothing to divide by."""
    top, bottom = np.broadcast_arrays(np.asarray(top, float), np.asarray(bottom, float))
    return np.asarray(np.divide(top, bottom, out=np.zeros(top.shape), where=bottom > 0))


def output_agreement(reports: ArrayLike, peers: ArrayLike | None = None) -> Floats:
    """Pay the share of one's peers that gave the same answer to the same task.

    Assumes nothing, and promises nothing: "everybody says 0" is an equilibrium that pays the maximum, 1, so lazy,
    colluding and copied reports all earn the most there is. Random ones earn the chance of agreeing.

    Parameters
    ----------
    reports : integers (..., agents, tasks), -1 where missing
    peers : optional booleans (agents, agents), whom each agent is compared with

    Returns
    -------
    floats (..., agents), in [0, 1], mean payment a task

    Raises
    ------
    ValueError
        If `reports` or `peers` has the wrong shape, or an answer is below -1.
    """
    joint, _, _ = _joint_counts(_one_hot(_reports(reports), None), peers)
    return _ratio(np.trace(joint, axis1=-1, axis2=-2), joint.sum(axis=(-1, -2)))


def correlated_agreement(
    reports: ArrayLike,
    peers: ArrayLike | None = None,
    choices: int | None = None,
    signature: ArrayLike | None = None,
) -> Floats:
    """Pay agreement on the same task, less the agreement expected across different tasks.

    Two answers "agree" where they go together more often than by chance: S(a, b) = 1 if P(a, b) > P(a) P(b). The pay is
    the mean of S on shared tasks minus its mean over pairs of different tasks (Shnayder, Agarwal, Frongillo & Parkes
    2016). S is learnt from all reports unless `signature` gives it. Informed truth is then an equilibrium that no other
    profile beats, and no uninformed one ties. It assumes tasks drawn alike and strategies that do not look at the task.

    A constant and a random report earn 0. Colluders earn more than truth only if they key their answers to something
    all of them see in the task. Errors shared between copies count as agreement: truth stays best for each of them, but
    the RANKING rewards the copy over a better, independent agent. Restrict `peers` to other families to mend that.

    Parameters
    ----------
    reports : integers (..., agents, tasks), -1 where missing
    peers : optional booleans (agents, agents)
    choices : number of possible answers; the largest seen plus one if not given
    signature : optional (choices, choices), the scores S(own, peer's)

    Returns
    -------
    floats (..., agents), in [-1, 1], mean payment a task

    Raises
    ------
    ValueError
        If an argument has the wrong shape, or an answer lies outside the choices.
    """
    joint, own, others = _joint_counts(_one_hot(_reports(reports), choices), peers)
    apart = own[..., :, None] * others[..., None, :] - joint
    shared, crossed = joint.sum(axis=(-1, -2)), apart.sum(axis=(-1, -2))
    if signature is None:
        same, cross = joint.sum(axis=-3), apart.sum(axis=-3)
        likelier = same * crossed.sum(axis=-1)[..., None, None] > cross * shared.sum(axis=-1)[..., None, None]
        s = np.asarray(likelier, dtype=np.float64)
    else:
        s = np.asarray(signature, dtype=np.float64)
        if s.shape[-2:] != joint.shape[-2:]:
            raise ValueError(f"signature has shape {s.shape}; with these choices it must be {joint.shape[-2:]}")
    s = s[..., None, :, :]
    return _ratio((joint * s).sum(axis=(-1, -2)), shared) - _ratio((apart * s).sum(axis=(-1, -2)), crossed)


def determinant_mi(reports: ArrayLike, peers: ArrayLike | None = None, choices: int | None = None) -> Floats:
    """Pay an unbiased estimate of the squared determinant of the joint distribution of two agents' answers.

    The tasks are split into even and odd ones; each half gives a table of counts for every pair of agents, and a pair
    earns the product of the two determinants, scaled so that its mean is det(P)^2 (Kong 2020). Garbling one's answers
    multiplies the determinant by a factor of at most 1 in size, whatever the others do: truth is dominant. It assumes
    tasks drawn alike, strategies that do not look at the task, and at least twice as many tasks as choices.

    A constant earns exactly 0 and a random report 0 in the mean. It is noisy with few tasks. Like every rule here it
    pays copies for shared errors, and cannot tell an answer from a relabelled one (0 for 1 and 1 for 0 throughout).

    Parameters
    ----------
    reports : integers (..., agents, tasks), -1 where missing
    peers : optional booleans (agents, agents)
    choices : number of possible answers; the largest seen plus one if not given

    Returns
    -------
    floats (..., agents), mean over the peers with at least `choices` shared tasks in each half; 0 if there is none

    Raises
    ------
    ValueError
        If there are fewer than 2 * choices tasks, or an argument has the wrong shape.
    """
    x = _one_hot(_reports(reports), choices)
    c, n, tasks = x.shape[-3:]
    if tasks < 2 * c:
        raise ValueError(f"reports has {tasks} tasks; with {c} choices the rule needs at least {2 * c}")
    weight = _peers(np.ones((n, n)) if peers is None else peers, n)
    product = np.ones((*x.shape[:-3], n, n))
    for half in (x[..., 0::2], x[..., 1::2]):
        tables = np.einsum("...ait,...bjt->...ijab", half, half, optimize=True)
        shared = tables.sum(axis=(-1, -2))
        # E[det of counts] = T (T - 1) ... (T - C + 1) det(P) for T independent tasks
        orders = math.prod(np.maximum(shared - k, 0.0) for k in range(c))
        product = product * _ratio(np.linalg.det(tables), orders)
        weight = weight * (shared >= c)
    return _ratio((weight * product).sum(axis=-1), weight.sum(axis=-1))


def peer_truth_serum(reports: ArrayLike, peers: ArrayLike | None = None) -> Floats:
    """Pay 1 / R(x) - 1 for agreeing on x and -1 otherwise; R is the frequency of x among peers on other tasks.

    Agreeing on a surprising answer pays most (Radanovic, Faltings & Jurca 2016, the crowdsourcing version). Truth is
    an equilibrium if seeing x raises the chance that a peer saw x more, in proportion, than any other answer's
    (self-prediction). R leaves out the task itself and the agent's own reports. An answer no peer gave elsewhere pays
    0.

    A constant that all agree on earns 0, a random report 0 in the mean. Colluders who key answers to the task's text
    can earn more than truth. Copies are paid for shared errors.

    Parameters
    ----------
    reports : integers (..., agents, tasks), -1 where missing
    peers : optional booleans (agents, agents)

    Returns
    -------
    floats (..., agents), at least -1, mean payment a task over the tasks shared with a peer

    Raises
    ------
    ValueError
        If `reports` or `peers` has the wrong shape, or an answer is below -1.
    """
    x = _one_hot(_reports(reports), None)
    h = _peer_counts(x, peers)
    elsewhere = h.sum(axis=-1, keepdims=True) - h
    frequency = (x * _ratio(elsewhere, elsewhere.sum(axis=-3, keepdims=True))).sum(axis=-3)
    agreeing = _ratio((x * h).sum(axis=-3), h.sum(axis=-3))
    shared = x.sum(axis=-3) * (h.sum(axis=-3) > 0)
    pay = np.where(frequency > 0, _ratio(agreeing, frequency) - 1.0, 0.0)
    return _ratio((pay * shared).sum(axis=-1), shared.sum(axis=-1))


def bayesian_truth_serum(reports: ArrayLike, forecasts: ArrayLike, weight: float = 1.0) -> Floats:
    """Pay for answers that are more common than people forecast, and for good forecasts (Prelec 2004).

    With x the observed frequencies and y the geometric mean of the forecasts, an agent that answered k and forecast f
    earns log(x_k / y_k) + weight * sum_j x_j log(f_j / x_j). At weight 1 the payments of each task sum to 0. Truth is
    an equilibrium for a large population with a common prior and impersonally informative answers; it needs no second
    task. Frequencies include the agent's own answer, so with few agents the promise is approximate.

    A lazy or random minority earns less than truth. Nothing protects it against everybody agreeing on one answer and
    one
    forecast, and copies of one agent make their shared answer look "surprisingly common".

    Parameters
    ----------
    reports : integers (..., agents, tasks), -1 where missing
    forecasts : floats (..., agents, tasks, choices), positive, each summing to 1: the expected shares of the answers
    weight : what a good forecast is worth beside a good answer

    Returns
    -------
    floats (..., agents), mean payment a task answered

    Raises
    ------
    ValueError
        If shapes disagree, or a forecast is not strictly positive or does not sum to 1.
    """
    r, f = _reports(reports), np.asarray(forecasts, dtype=np.float64)
    if f.shape[:-1] != r.shape:
        raise ValueError(f"forecasts has shape {f.shape}; it must be {(*r.shape, 'choices')}")
    x = np.moveaxis(_one_hot(r, f.shape[-1]), -3, -1)
    answered = x.sum(axis=-1)
    if np.any((f <= 0) & (answered[..., None] > 0)) or not np.allclose(f.sum(axis=-1)[answered > 0], 1.0):
        raise ValueError("forecasts must be strictly positive and sum to 1 over the choices, for every answer given")
    logs = np.where(answered[..., None] > 0, np.log(np.where(f > 0, f, 1.0)), 0.0)
    people = answered.sum(axis=-2, keepdims=True)[..., None]
    share = _ratio(x.sum(axis=-3, keepdims=True), people)
    log_share = np.log(np.where(share > 0, share, 1.0))
    log_forecast = _ratio(logs.sum(axis=-3, keepdims=True), people)
    information = (x * (log_share - log_forecast)).sum(axis=-1)
    prediction = (share * (logs - log_share)).sum(axis=-1) * answered
    return _ratio((information + weight * prediction).sum(axis=-1), answered.sum(axis=-1))
