"""An explorer of learners that bid: it simulates afresh whenever a control moves."""

from __future__ import annotations

from typing import Any

import numpy as np

from mechlib.course import plots
from mechlib.course.explore import Drawn, Explorer, explorer
from mechlib.course.repeated import repeated_auction


def learning_market() -> Explorer:
    """Explore where simulated bidders end, by auction, learner, number of bidders and time; ten lives, one seed."""

    def draw(price: Any, learner: Any, bidders: int, rounds: int) -> Drawn:
        path = repeated_auction(np.random.default_rng(0), price, learner, bidders, rounds=rounds, lives=10).shading
        theory = 1.0 if price == "second" else (bidders - 1) / bidders
        mean, error = path.mean(axis=1), path.std(axis=1, ddof=1) / np.sqrt(path.shape[1])
        figure, axes = plots.figure()
        plots.lines(
            (np.arange(len(mean)) + 0.5) * rounds / len(mean),
            {"learners": mean, "theory": np.full(len(mean), theory)},
            bands={"learners": (mean - error, mean + error)},
            axes=axes,
            xlabel="round",
            ylabel="share of value bid",
            ylim=(0, 1.05),
            title=f"{price} price, {learner}",
        )
        ends = (
            f"After {rounds} rounds of {price} price, {bidders} {learner} bidders bid {mean[-1]:.3f} ± {error[-1]:.3f}"
        )
        return figure, f"{ends} of their value; theory says {theory:.3f}."

    menus = {"price": ["first", "second"], "learner": ["hedge", "bandit"]}
    return explorer(draw, **menus, bidders=(2, 6, 1, 2), rounds=(500, 4000, 500, 1000))
