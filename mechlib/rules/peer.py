"""Paying graders without a key, by peer prediction on several tasks; and choosing graders by their own grades.

A rule that pays takes integer reports (..., agents, tasks), -1 where an answer is missing, and returns the mean payment
a task, (..., agents), positive TO the agent, 0 for one that shares no task with a peer. `peers[i, j]` says whether i is
compared with j; the diagonal is ignored.

In the mean, correlated agreement with a given signature and the determinant pay nothing to lazy (constant) and to
random reports. A signature that is learnt on the very tasks it pays for gives random reports more than nothing (about
.13 for two graders of ten tasks), and so does the peer truth serum where tasks are few. Output agreement pays the
maximum once everybody is lazy. No rule here is proof against colluders who key their answers to something all of them
see in the task, or can tell a shared error from a shared insight: copies of one agent are paid for both. Each docstring
says what its rule assumes.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from mechlib.mechanism import Floats, Ints, checked, counted, generator

_CHOICES = 10_000  # each takes a table of agents and tasks


def _reports(reports: ArrayLike) -> Ints:
    whole = type(reports) is np.ndarray and reports.dtype.kind in "iu" and reports.size > 0
    r: Any = reports if whole else checked("reports", reports, negative=True)
    if r.ndim < 2 or r.shape[-2] < 2:
        raise ValueError(f"reports has shape {r.shape}; it must be (..., agents, tasks) with two agents or more")
    if r.min() < -1 or (not whole and (r != np.round(r)).any()):
        wrong = r[(r != np.round(r)) | (r < -1)][0]
        raise ValueError(f"reports contains {wrong}; number the answers 0, 1, 2, ... with -1 where missing")
    if r.max() > _CHOICES:
        raise ValueError(f"reports contains {r.max():g}; number the answers 0, 1, 2, ..., at most {_CHOICES}")
    return np.asarray(r if whole else r.astype(np.int64))


def _one_hot(r: Ints, choices: int | None) -> Floats:
    """Mark who gave which answer to what: (..., choices, agents, tasks)."""
    seen = max(int(r.max()) + 1, 1)
    if choices is not None and counted("choices", choices, most=_CHOICES) < seen:
        raise ValueError(f"choices is {choices}, but reports contains answer {r.max()}; give at least {seen}")
    gave = r[..., None, :, :] == np.arange(choices or seen)[:, None, None]
    return np.asarray(gave.view(np.int8), float)  # in WebAssembly truth values become floats six times as slowly


def _peers(peers: ArrayLike | None, n: int) -> Floats:
    p = np.ones((n, n)) if peers is None else checked("peers", peers, ndim=2).copy()
    if p.shape != (n, n):
        raise ValueError(f"peers has shape {p.shape}; with {n} agents it must be {(n, n)}")
    np.fill_diagonal(p, 0.0)
    return p


def _peer_counts(x: Floats, peers: ArrayLike | None) -> Floats:
    """How many of each agent's peers gave each answer to each task: (..., choices, agents, tasks)."""
    return np.asarray(x.sum(axis=-2, keepdims=True) - x if peers is None else _peers(peers, x.shape[-2]) @ x)


def _joint_counts(x: Floats, peers: ArrayLike | None) -> tuple[Floats, Floats]:
    """Pairs of own and peers' answers, each (..., agents, choices, choices): on the same task; on different tasks."""
    own = np.swapaxes(x.sum(axis=-1), -1, -2)
    if peers is None:  # a histogram of everybody's answers to each task, less one's own, stands for all pairs
        everyone = x.sum(axis=-2)
        joint = np.moveaxis(x @ np.swapaxes(everyone, -1, -2)[..., None, :, :], -3, -2)
        joint = joint - own[..., None] * np.eye(x.shape[-3])
        others = everyone.sum(axis=-1)[..., None, :] - own
    else:
        h = _peer_counts(x, peers)
        joint = np.einsum("...ait,...bit->...iab", x, h, optimize=True)
        others = np.swapaxes(h.sum(axis=-1), -1, -2)
    return joint, own[..., :, None] * others[..., None, :] - joint


def _ratio(top: Any, bottom: Any) -> Floats:
    """Divide, with 0 where there is nothing to divide by."""
    out = np.zeros(np.broadcast_shapes(np.shape(top), np.shape(bottom)))
    return np.asarray(np.divide(top, bottom, out=out, where=np.greater(bottom, 0)))


def output_agreement(reports: ArrayLike, peers: ArrayLike | None = None) -> Floats:
    """Pay the share of one's peers that gave the same answer to the same task.

    Assumes nothing, and promises nothing: "everybody says 0" is an equilibrium that pays the maximum, 1, so lazy,
    colluding and copied reports all earn the most there is. Random ones earn the chance of agreeing.

    Parameters
    ----------
    reports : array_like of int (..., agents, tasks)
        The answers 0, 1, 2, ...; -1 where missing.
    peers : array_like of bool (agents, agents), optional
        Whom each agent is compared with: by default everybody else.

    Returns
    -------
    array (..., agents)
        The mean payment a task TO each agent, in [0, 1].

    Raises
    ------
    ValueError
        If an argument has the wrong shape, or holds what is no number or no answer.
    """
    joint, _ = _joint_counts(_one_hot(_reports(reports), None), peers)
    return _ratio(np.trace(joint, axis1=-1, axis2=-2), joint.sum(axis=(-1, -2)))


def correlated_agreement(
    reports: ArrayLike, peers: ArrayLike | None = None, choices: int | None = None, signature: ArrayLike | None = None
) -> Floats:
    """Pay agreement on the same task, less the agreement expected across different tasks; within [-1, 1].

    Two answers "agree" where they go together more often than by chance: S(a, b) = 1 if P(a, b) > P(a) P(b). The pay is
    the mean of S on shared tasks minus its mean over pairs of different tasks (Shnayder, Agarwal, Frongillo & Parkes
    2016). With S given, or learnt on other tasks, informed truth is an equilibrium that no other profile beats, and no
    uninformed one ties. It assumes tasks drawn alike and strategies that do not look at the task. Without `signature`
    S is learnt from the same reports that it pays for: with few tasks this pays random reports too.

    Errors shared between copies count as agreement: truth stays best for each of them, but the RANKING rewards the copy
    over a better, independent agent. Restrict `peers` to other families to mend that.

    Parameters
    ----------
    reports, peers
        As in `output_agreement`.
    choices : int, optional
        The number of possible answers: by default the largest one seen, plus one.
    signature : array_like (choices, choices), optional
        The scores S(own answer, peer's answer).

    Returns
    -------
    array (..., agents)
        The mean payment a task TO each agent.

    Raises
    ------
    ValueError
        As in `output_agreement`; and if an answer is outside the choices, or the signature does not fit them.
    """
    joint, apart = _joint_counts(_one_hot(_reports(reports), choices), peers)
    shared, crossed = joint.sum(axis=(-1, -2)), apart.sum(axis=(-1, -2))
    if signature is None:
        same, cross = joint.sum(axis=-3), apart.sum(axis=-3)
        likelier = same * crossed.sum(axis=-1)[..., None, None] > cross * shared.sum(axis=-1)[..., None, None]
        s = np.asarray(likelier, dtype=np.float64)
    else:
        s = checked("signature", signature, negative=True)
        if s.shape[-2:] != joint.shape[-2:]:
            raise ValueError(f"signature has shape {s.shape}; with these choices it must be {joint.shape[-2:]}")
    s = s[..., None, :, :]
    return _ratio((joint * s).sum(axis=(-1, -2)), shared) - _ratio((apart * s).sum(axis=(-1, -2)), crossed)


def determinant_mi(reports: ArrayLike, choices: int, peers: ArrayLike | None = None) -> Floats:
    """Pay an unbiased estimate of the squared determinant of the joint distribution of two agents' answers.

    The tasks are split into even and odd ones; each half gives a table of counts for every pair of agents, and a pair
    earns the product of the two determinants, scaled so that its mean is det(P)^2 (Kong 2020). Garbling one's answers
    multiplies the determinant by a factor of at most 1 in size, whatever the others do: truth is dominant. It assumes
    tasks drawn alike, strategies that do not look at the task, and at least twice as many tasks as choices. Peers with
    fewer than `choices` shared tasks in a half do not count.

    It is noisy with few tasks, and cannot tell an answer from a relabelled one (0 for 1 and 1 for 0 throughout).

    Parameters
    ----------
    reports, peers
        As in `output_agreement`.
    choices : int
        The number of possible answers, at least 2. It belongs to the question and is not read off the reports: else
        agents could change the rule by what they never say.

    Returns
    -------
    array (..., agents)
        The mean payment TO each agent.

    Raises
    ------
    ValueError
        As in `output_agreement`; and if an answer is outside the choices, or there are too few tasks.
    """
    counted("choices", choices, 2, _CHOICES)
    x = _one_hot(_reports(reports), choices)
    c, n, tasks = x.shape[-3:]
    if tasks < 2 * c:
        raise ValueError(f"reports has {tasks} tasks; with {c} choices the rule needs at least {2 * c}")
    weight = _peers(peers, n)
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
    0, which favours random reports where tasks are few; the mean is over the tasks shared with a peer.

    Parameters
    ----------
    reports, peers
        As in `output_agreement`.

    Returns
    -------
    array (..., agents)
        The mean payment a task TO each agent.

    Raises
    ------
    ValueError
        As in `output_agreement`.
    """
    x = _one_hot(_reports(reports), None)
    h = _peer_counts(x, peers)
    peers_here = h.sum(axis=-3)
    agree_here = np.einsum("...cat,...cat->...at", x, h)
    agree_elsewhere = np.einsum("...cat,...ca->...at", x, h.sum(axis=-1)) - agree_here
    paired = peers_here > 0
    with np.errstate(divide="ignore", invalid="ignore"):
        frequency = agree_elsewhere / (peers_here.sum(axis=-1, keepdims=True) - peers_here)
        pay = np.where((frequency > 0) & paired, agree_here / peers_here / frequency - 1.0, 0.0)
    shared = x.sum(axis=-3) * paired
    return _ratio((pay * shared).sum(axis=-1), shared.sum(axis=-1))


def bayesian_truth_serum(reports: ArrayLike, forecasts: ArrayLike) -> Floats:
    """Pay for answers that are more common than people forecast, and for good forecasts (Prelec 2004).

    With x the observed frequencies and y the geometric mean of the forecasts, an agent that answered k and forecast f
    earns log(x_k / y_k) + sum_j x_j log(f_j / x_j); the mean is over the tasks answered. Each task sums to 0. Truth is
    an equilibrium for a large population with a common prior and impersonally informative answers; it needs no second
    task. Frequencies include the agent's own answer, so with few agents the promise is approximate. Nothing protects it
    against everybody agreeing on one answer and one forecast.

    Parameters
    ----------
    reports
        As in `output_agreement`.
    forecasts : array_like (..., agents, tasks, choices)
        The shares of the answers that each agent expects: positive, and each summing to 1. Where there is no answer
        they are not read.

    Returns
    -------
    array (..., agents)
        The mean payment a task TO each agent.

    Raises
    ------
    ValueError
        As in `output_agreement`; and if a forecast that is read is no distribution, or an answer is outside of it.
    """
    r, f = _reports(reports), checked("forecasts", forecasts, negative=True, missing=True)
    if f.shape[:-1] != r.shape:
        raise ValueError(f"forecasts has shape {f.shape}; it must be {(*r.shape, 'choices')}")
    x = np.moveaxis(_one_hot(r, f.shape[-1]), -3, -1)
    answered = x.sum(axis=-1)
    if np.any(~(f > 0) & (answered[..., None] > 0)) or not np.allclose(f.sum(axis=-1)[answered > 0], 1.0):
        raise ValueError("forecasts must be strictly positive and sum to 1 over the choices, for every answer given")
    logs = np.log(np.where(answered[..., None] > 0, f, 1.0))
    people = answered.sum(axis=-2, keepdims=True)[..., None]
    share = _ratio(x.sum(axis=-3, keepdims=True), people)
    log_share = np.log(np.where(share > 0, share, 1.0))
    log_forecast = _ratio(logs.sum(axis=-3, keepdims=True), people)
    information = (x * (log_share - log_forecast)).sum(axis=-1)
    prediction = (share * (logs - log_share)).sum(axis=-1) * answered
    return _ratio((information + prediction).sum(axis=-1), answered.sum(axis=-1))


def select_impartially(scores: ArrayLike, k: int, rng: np.random.Generator) -> Ints:
    """Choose k agents by each other's scores so that no agent's grading changes its own chance.

    Agents are dealt at random into two groups, and each group's quota is drawn, before any score is read. A group's
    winners have the highest mean score from the OTHER group (Alon, Fischer, Procaccia & Tennenholtz 2011). So an
    agent's grades reach the other contest alone. They can still help a friend; and strong agents that are dealt into
    one group compete for its quota. `mechlib.rules.choice.impartial` gives the chances for k = 1.

    Parameters
    ----------
    scores : array_like (..., agents, agents)
        ``scores[..., grader, graded]``; NaN where missing; the diagonal is ignored. In a batch the agents are dealt
        once, alike for all.
    k : int
        How many to choose, from 0 to all.
    rng : numpy.random.Generator
        It alone decides the groups and the quotas.

    Returns
    -------
    array of int (..., k)
        The chosen agents in increasing order. Within a group, ties go to the lowest index.

    Raises
    ------
    ValueError
        If scores is not square, of two agents or more, or k is out of range.
    """
    s = checked("scores", scores, negative=True, missing=True)
    if s.ndim < 2 or s.shape[-2] != s.shape[-1] or s.shape[-1] < 2:
        raise ValueError(f"scores has shape {s.shape}; it must be square, [grader, graded], of two agents or more")
    n, rng = s.shape[-1], generator("rng", rng)
    if counted("k", k, 0) > n:
        raise ValueError(f"k is {k}; with {n} agents it must lie between 0 and {n}")
    groups = [np.sort(g) for g in np.array_split(rng.permutation(n), 2)]
    quota = np.full(2, k // 2)
    roomy = np.flatnonzero([len(members) > k // 2 for members in groups])
    quota[rng.permutation(roomy)[: k % 2]] += 1
    contests = zip(groups, groups[::-1], quota, strict=True)
    chosen = [ranked(s, graders, members)[..., :places] for members, graders, places in contests]
    return np.sort(np.concatenate(chosen, axis=-1), axis=-1)


def ranked(scores: Floats, graders: Ints, members: Ints) -> Ints:
    """Return members in the order of their mean score from some graders, best first; who has no score comes last."""
    votes = scores[..., graders[:, None], members]
    given = ~np.isnan(votes)
    mean = _ratio(np.where(given, votes, 0.0).sum(axis=-2), given.sum(axis=-2))
    return np.asarray(members[np.argsort(np.where(given.any(axis=-2), -mean, np.inf), axis=-1, kind="stable")])
