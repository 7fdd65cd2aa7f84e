"""Explorers: a figure, the controls that move it, and a sentence that says in words what it shows.

    explore.scoring_rules()

Controls are native sliders and menus: labelled, and worked by keyboard (arrow keys). Their traits can be set from
code, which is how they are tested: ``box.controls["belief"].value = 0.7``, then read ``box.sentence``.
"""

from __future__ import annotations

import base64
import html
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import ipywidgets
import numpy as np

from mechlib.attacks.learners import replicator
from mechlib.course import plots
from mechlib.rules.scoring import Rule, absolute, best_report, expected_score, logarithmic, quadratic, spherical

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Drawn = tuple["Figure", str]
RULES: dict[str, Rule] = {
    "absolute (the popular one)": absolute,
    "quadratic": quadratic,
    "spherical": spherical,
    "logarithmic": logarithmic,
}


class Explorer(ipywidgets.VBox):  # type: ignore[misc]
    """A drawing function and its controls, in one box.

    Attributes
    ----------
    controls : dict of widgets, by the drawing function's argument names
    view : ipywidgets.HTML
        The figure, and below it the sentence, which a screen reader reads out when it changes.
    sentence : str
        What the figure shows now.
    """

    def __init__(self, draw: Callable[..., Drawn], controls: dict[str, ipywidgets.Widget]) -> None:
        self.draw, self.controls, self.sentence = draw, controls, ""
        self.view = ipywidgets.HTML()
        self.redraw()
        for control in controls.values():
            control.observe(self.redraw, names="value")
        super().__init__([*controls.values(), self.view])

    def redraw(self, _: Any = None) -> None:
        """Draw the figure anew from what the controls say."""
        image = plots.Image(*self.draw(**{name: control.value for name, control in self.controls.items()}))
        self.sentence = image.alt
        source = f"data:image/png;base64,{base64.b64encode(image.png).decode()}"
        picture = f'<img alt="" src="{source}" width="{image.width}" style="max-width:100%;height:auto">'
        words = f'<figcaption aria-live="polite">{html.escape(self.sentence)}</figcaption>'
        self.view.value = f'<figure style="margin:0">{picture}{words}</figure>'


def explorer(draw: Callable[..., Drawn], **controls: Any) -> Explorer:
    """Return an explorer of ``draw(**values) -> (figure, sentence)``.

    A control, named after its argument, is a widget or one of these: ``(low, high, step, value)`` makes a slider (of
    whole numbers when all four are), a list or dict a menu, whose first entry is chosen, True or False a check box.
    """
    return Explorer(draw, {name: _control(name.replace("_", " "), given) for name, given in controls.items()})


def _control(label: str, given: Any) -> ipywidgets.Widget:
    if isinstance(given, ipywidgets.Widget):
        return given
    wide = {"description": label, "style": {"description_width": "9em"}, "layout": ipywidgets.Layout(width="30em")}
    if isinstance(given, bool):
        return ipywidgets.Checkbox(value=given, indent=True, **wide)
    if isinstance(given, tuple):
        low, high, step, value = given
        whole = all(isinstance(number, int) for number in given)
        slider = ipywidgets.IntSlider if whole else ipywidgets.FloatSlider
        return slider(value=value, min=low, max=high, step=step, **wide)
    if isinstance(given, list | dict):
        return ipywidgets.Dropdown(options=list(given), **wide)
    raise TypeError(f"control {label!r} must be a widget, (low, high, step, value), a list or a bool, but is {given!r}")


def scoring_rules() -> Explorer:
    """Explore what each report expects under a scoring rule, for an agent that is right with the chosen probability."""

    def draw(rule: str, belief: float, report: float) -> Drawn:
        grid = np.linspace(0.005, 0.995, 199) if RULES[rule] is logarithmic else np.linspace(0, 1, 201)
        score = expected_score(RULES[rule], grid, belief)
        said, best = np.clip(report, grid[0], grid[-1]), np.clip(best_report(RULES[rule], belief), grid[0], grid[-1])
        mine, most = (float(expected_score(RULES[rule], c, belief)) for c in (said, best))
        figure, axes = plots.figure()
        plots.lines(
            grid,
            {
                "expected score": score,
                "your report": np.full_like(grid, np.nan),
                "best report": np.full_like(grid, np.nan),
            },
            marks={"your report": (float(said), mine), "best report": (float(best), most)},
            axes=axes,
            xlabel="reported confidence",
            ylabel="expected score",
            title=f"belief {belief:.2f}",
        )
        axes.axvline(belief, color=plots.INK, linestyle=":", linewidth=1)
        sentence = (
            f"Under the {rule.split()[0]} rule, an agent that believes {belief:.2f} and reports {said:.2f} expects"
        )
        return figure, f"{sentence} {mine:.3f}. The best report is {best:.2f}, which expects {most:.3f}."

    return explorer(draw, rule=RULES, belief=(0.0, 1.0, 0.01, 0.7), report=(0.0, 1.0, 0.01, 0.7))


def auction_bids() -> Explorer:
    """Explore what each bid expects in a first- or second-price auction, against rivals uniform on [0, 1]."""

    def draw(auction: str, value: float, bid: float, rivals: int) -> Drawn:
        def expects(b: Any) -> Any:
            if auction == "first price":
                return (value - b) * b**rivals
            return value * b**rivals - rivals / (rivals + 1) * b ** (rivals + 1)

        grid = np.linspace(0, 1, 201)
        best = value * rivals / (rivals + 1) if auction == "first price" else value
        figure, axes = plots.figure()
        plots.lines(
            grid,
            {"expected utility": expects(grid), "your bid": np.full(201, np.nan), "best bid": np.full(201, np.nan)},
            marks={"your bid": (bid, expects(bid)), "best bid": (best, expects(best))},
            axes=axes,
            xlabel="bid",
            ylabel="expected utility",
            title=f"{auction}, value {value:.2f}",
        )
        axes.axvline(value, color=plots.INK, linestyle=":", linewidth=1)
        sentence = (
            f"In a {auction} auction with {rivals} rivals, a bidder worth {value:.2f} that bids {bid:.2f} expects"
        )
        return figure, f"{sentence} {expects(bid):.3f}. The best bid is {best:.2f}, which expects {expects(best):.3f}."

    auctions = ["second price", "first price"]
    return explorer(draw, auction=auctions, value=(0.0, 1.0, 0.01, 0.8), bid=(0.0, 1.0, 0.01, 0.8), rivals=(1, 9, 1, 3))


def policing() -> Explorer:
    """Explore how a share of cooperators fares when defectors are caught at some rate and fined."""

    def draw(gain: float, detection: float, penalty: float, cooperators: float) -> Drawn:
        edge = gain - detection * penalty
        path = replicator([[1.0, 0.0], [1.0 + edge, edge]], [cooperators, 1 - cooperators], steps=800)[:, 0]
        figure, axes = plots.figure()
        plots.lines(
            np.arange(len(path)) * 0.05,
            {"cooperators": path},
            axes=axes,
            xlabel="time",
            ylabel="share of cooperators",
            ylim=(-0.03, 1.03),
            title=f"expected fine {detection * penalty:.2f}, gain {gain:.2f}",
        )
        trend = "grow" if edge < -1e-12 else "shrink" if edge > 1e-12 else "stay"
        sentence = f"Defecting gains {gain:.2f} and expects a fine of {detection * penalty:.2f}: cooperators {trend}"
        return figure, f"{sentence}, from {path[0]:.2f} to {path[-1]:.2f}."

    return explorer(
        draw,
        gain=(0.0, 1.0, 0.05, 0.5),
        detection=(0.0, 1.0, 0.05, 0.2),
        penalty=(0.0, 4.0, 0.1, 2.0),
        cooperators=(0.01, 0.99, 0.01, 0.8),
    )
