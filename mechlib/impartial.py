"""Choosing graders by their own grades, so that none gains by grading dishonestly; also in `mechlib.peer`."""

import numpy as np
from numpy.typing import ArrayLike, NDArray


def select_impartially(scores: ArrayLike, k: int, rng: np.random.Generator, parts: int = 2) -> NDArray[np.int64]:
    """Choose k agents by each other's scores so that no agent's grading changes its own chance.

    Agents are dealt at random into `parts` groups, and each group's quota is drawn, before any score is read. A
    group's winners are those with the highest mean score from graders OUTSIDE it (Alon, Fischer, Procaccia &
    Tennenholtz 2011). An agent's grades reach only other groups' contests, whose quotas are fixed: lazy, spiteful or
    colluding grades leave the grader's own place alone. They can still help a friend. The price is that strong agents
    dealt into one group compete for its quota.

    Parameters
    ----------
    scores : floats (agents, agents), scores[grader, graded]; NaN where missing; the diagonal is ignored
    k : how many to choose, 0 <= k <= agents
    rng : a numpy Generator; it alone decides the groups and the quotas
    parts : number of groups, from 2 to the number of agents

    Returns
    -------
    integers (k,), the chosen agents in increasing order; ties go to the lowest index

    Raises
    ------
    ValueError
        If scores is not square, or k or parts is out of range.
    """
    s = np.asarray(scores, dtype=np.float64)
    if s.ndim != 2 or s.shape[0] != s.shape[1] or np.isinf(s).any():
        raise ValueError(f"scores has shape {s.shape}; it must be finite (NaN if missing) and square: [grader, graded]")
    n = len(s)
    if not 0 <= k <= n or not 2 <= parts <= n:
        raise ValueError(f"k is {k} and parts is {parts}; with {n} agents, 0 <= k <= {n} and 2 <= parts <= {n}")
    groups = [np.sort(g) for g in np.array_split(rng.permutation(n), parts)]
    quota = np.full(parts, k // parts)
    roomy = np.flatnonzero([len(members) > k // parts for members in groups])
    quota[rng.permutation(roomy)[: k % parts]] += 1
    chosen = []
    for members, places in zip(groups, quota, strict=True):
        votes = np.delete(s, members, axis=0)[:, members]
        seen = np.isfinite(votes)
        mean = np.where(seen, votes, 0.0).sum(axis=0) / np.maximum(seen.sum(axis=0), 1)
        mean[~seen.any(axis=0)] = -np.inf
        chosen.append(members[np.argsort(-mean, kind="stable")[:places]])
    return np.sort(np.concatenate(chosen)).astype(np.int64)
