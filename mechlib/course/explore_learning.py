"""An explorer of learners that bid: it simulates afresh whenever a control moves."""

from __future__ import annotations

import numpy as np

from mechlib.attacks.learn import learn
from mechlib.course import plots
from mechlib.course.explore import Drawn, Explorer, explorer
from mechlib.rules.auctions import first_price, second_price
from mechlib.settings import Values


def learning_market() -> Explorer:
    """Explore where simulated bidders end, by auction, learner, number of bidders and time; ten lives, one seed."""
    values, bids = np.arange(1, 10, 2) / 10, np.arange(21) / 20
    rules = {"first": first_price, "second": second_price}

    def draw(price: str, learner: str, bidders: int, rounds: int) -> Drawn:
        setting = Values(values, bidders, reports=bids)
        found = learn(rules[price], setting, learner=learner, rounds=rounds, lives=10)  # type: ignore[arg-type]
        theory = values if price == "second" else values * (bidders - 1) / bidders
        said = np.mean([found.reports(agent) for agent in range(bidders)], axis=0)
        mean, error = said.mean(axis=0), said.std(axis=0, ddof=1) / np.sqrt(len(said))
        figure, axes = plots.figure()
        plots.lines(
            values,
            {"learners": mean, "theory": theory},
            bands={"learners": (mean - error, mean + error)},
            axes=axes,
            xlabel="value",
            ylabel="bid",
            ylim=(0, 1.05),
            title=f"{price} price, {learner}",
        )
        ends = f"After {rounds} rounds of {price} price, {bidders} {learner} bidders worth 0.9 bid {mean[-1]:.3f}"
        return figure, f"{ends} ± {error[-1]:.3f}; theory says {theory[-1]:.3f}."

    menus = {"price": ["first", "second"], "learner": ["hedge", "bandit"]}
    return explorer(draw, **menus, bidders=(2, 6, 1, 2), rounds=(500, 4000, 500, 1000))
