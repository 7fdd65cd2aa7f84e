"""Correlated agreement: histograms a task, beside a package that visits every pair of agents."""

import numpy as np
from table import Ratio, ask_peer, best_of, report

from mechlib.rules.peer import correlated_agreement, output_agreement


def main() -> None:
    """Two hundred agents, each right four times in five on a hundred yes-or-no tasks."""
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 2, 100)
    reports = np.where(rng.random((200, 100)) < 0.8, truth, 1 - truth)
    ours, paid = best_of(lambda: [correlated_agreement(reports) for _ in range(50)])
    ours /= 50
    # the peer pays the first half of the rule alone, summed over tasks and pairs; it learns S from one random pair a
    # task, and with this seed learns the right one
    theirs, bonus = ask_peer("""
        import numpy as np
        import femtools
        reports = np.array(data)
        answer = best_of(lambda: (np.random.seed(0), femtools.CA(reports).tolist())[1])
    """, reports.tolist())
    np.testing.assert_allclose(np.array(bonus) / (100 * 199), output_agreement(reports), atol=1e-12)
    own = np.eye(2)[reports].sum(axis=1)
    across = own @ (own.sum(axis=0) - own).T  # agreement on all pairs of tasks, the same ones included
    same = output_agreement(reports) * 100 * 199
    penalty = (np.diagonal(across) - same) / (100 * 99 * 199)
    np.testing.assert_allclose(paid[-1], output_agreement(reports) - penalty, atol=1e-12)
    report("correlated_agreement", "200 agents, 100 yes-or-no tasks",
           "the peer's bonus equals output_agreement to 1e-12; ours is that less the penalty it leaves out",
           {"ours, bonus and penalty": ours, "femtools, bonus alone": theirs},
           [Ratio("femtools / ours", theirs / ours, at_least=800)], packages=("numpy",))


if __name__ == "__main__":
    main()
