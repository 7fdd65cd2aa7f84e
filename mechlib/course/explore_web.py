"""Explorers that run wherever a page is read: in JupyterLab, in the static book without a kernel, and in live pages.

Each function returns a widget; end a cell with it, and tag the cell ``nbval-ignore-output``::

    from mechlib.course.explore_web import scoring_explorer

    scoring_explorer(belief=0.6)

Starting values, each with a default:

- 00: `pipeline_explorer` with `start`, `rounds`, `share`, `cost`, `lazy`
- 01: `bidding_explorer` with `bidders`, `value`, `bid`
- 02: `pivot_explorer` with `a`, `worth`, `b`, `c`
- 03: `agreement_explorer` with `good`, `accuracy`, `blind`
- 04: `credit_explorer` with `release`
- 05: `scoring_explorer` with `belief`, `report`
- 06: `selection_explorer` with `rounds`, `rule`, `price`, `trained`
- 07: `routing_explorer` with `belief`, `rival`, `prize`, `report`
- 08: `rivals_explorer` with `value`, `echo`, `bid`
- 09: `learners_explorer` with `round`, `price`, `learner`, `bidders`
- 10: `lattice_explorer` with `rounds`, `caught`, `fine`, `heir`; `capstone_explorer` with `draw` and `rule`, a formula

The reader drags in the drawing or moves the sliders (arrow keys work); ``widget.params`` is what they chose. All is
drawn by ``explore_models.js`` and ``explore_view.js`` beside this file, from the texts and ranges in
``explore_web.json``; tests hold the arithmetic there to be equal to this package's own.
"""

from __future__ import annotations

import html
import json
from pathlib import Path
from typing import Any

import anywidget
import traitlets

FOLDER = Path(__file__).resolve().parent
SCRIPTS = ("explore_models.js", "explore_evolution.js", "explore_view.js")
SPECS: dict[str, dict[str, Any]] = json.loads((FOLDER / "explore_web.json").read_text(encoding="utf-8"))


def source() -> str:
    """Return the JavaScript module that draws every explorer; its default export is an anywidget."""
    return "".join((FOLDER / name).read_text(encoding="utf-8") for name in SCRIPTS)


class Explorer(anywidget.AnyWidget):
    """A drawing that answers to sliders, with all of its arithmetic in the page.

    Parameters
    ----------
    kind : str
        Which one: a key of ``explore_web.json``.
    **start : float, or str for a text
        Starting values by the name of their slider; the others start at their defaults.

    Raises
    ------
    ValueError
        If there is no such explorer or slider, or a value lies outside its slider's range.
    """

    _esm = source()
    kind = traitlets.Unicode().tag(sync=True)
    spec = traitlets.Dict().tag(sync=True)
    params = traitlets.Dict().tag(sync=True)

    def __init__(self, kind: str, **start: float | str) -> None:
        if kind not in SPECS:
            raise ValueError(f"kind is {kind!r}; it must be one of {', '.join(SPECS)}")
        controls = {control["name"]: control for control in SPECS[kind]["controls"]}
        for name, value in start.items():
            if name not in controls:
                raise ValueError(f"{kind} has no slider {name!r}; it has {', '.join(controls)}")
            if controls[name].get("text"):
                if not isinstance(value, str):
                    raise ValueError(f"{name} is {value!r:.80}; it must be a text")
                continue
            if isinstance(value, str):
                raise ValueError(f"{name} is {value!r:.80}; it must be a number")
            low, high = controls[name]["min"], controls[name]["max"]
            if not low <= value <= high:
                raise ValueError(f"{name} is {value}; it must lie between {low} and {high}")
        params = {name: start.get(name, control["value"]) for name, control in controls.items()}
        super().__init__(kind=kind, spec=SPECS[kind], params=params)

    def __repr__(self) -> str:
        """Name the explorer and where its sliders stand."""
        return f"{self.kind}_explorer({', '.join(f'{name}={value!r}' for name, value in self.params.items())})"

    def _repr_html_(self) -> str:
        """Return what a page without a kernel shows; the same script wakes it there."""
        state = html.escape(json.dumps({"kind": self.kind, "spec": self.spec, "params": self.params}), quote=True)
        title, about = html.escape(self.spec["title"]), html.escape(self.spec["about"])
        words = f"<p><strong>{title}</strong> {about}</p><p>Run this cell to use the explorer.</p>"
        return f'<div class="mechlib-explorer" data-mechlib-explorer="{state}">{words}</div>'

    def _repr_mimebundle_(self, **kwargs: Any) -> tuple[dict[str, Any], dict[str, Any]]:
        data, meta = super()._repr_mimebundle_(**kwargs) or ({}, {})
        return {**data, "text/plain": repr(self), "text/html": self._repr_html_()}, meta


def pipeline_explorer(**start: float) -> Explorer:
    """Explore when working pays a row of agents, and how selection moves the share that works, from `start` on."""
    return Explorer("pipeline", **start)


def bidding_explorer(**start: float) -> Explorer:
    """Explore what a `bid` earns at a `value` among `bidders`, in first price, its direct version, and second price."""
    return Explorer("bidding", **start)


def pivot_explorer(**start: float) -> Explorer:
    """Explore what A gains by each report `a`, its true `worth` marked, under Clarke's payments for two machines."""
    return Explorer("pivot", **start)


def agreement_explorer(**start: float) -> Explorer:
    """Explore output and correlated agreement: share of `good` answers, `accuracy`, share graded `blind`."""
    return Explorer("agreement", **start)


def credit_explorer(**start: float) -> Explorer:
    """Explore whom the Shapley value pays most, by the share of drafts that a lazy verifier would `release`."""
    return Explorer("credit", **start)


def scoring_explorer(**start: float) -> Explorer:
    """Explore the absolute, quadratic and logarithmic rule at a `belief`, for every `report`."""
    return Explorer("scoring", **start)


def selection_explorer(**start: float) -> Explorer:
    """Explore which desks are kept under a `rule` (1 to 3) and a `price` of silence, from a share `trained` on."""
    return Explorer("selection", **start)


def routing_explorer(**start: float) -> Explorer:
    """Explore what a `report` earns at a `belief` beside a `rival` under three rules; being chosen has a `prize`."""
    return Explorer("routing", **start)


def rivals_explorer(**start: float) -> Explorer:
    """Explore what a `bid` earns at a `value` in three auctions against two rivals that `echo` now and then."""
    return Explorer("rivals", **start)


def learners_explorer(**start: float) -> Explorer:
    """Explore what simulated learners bid over time, by the auction's `price`, the `learner` and the `bidders`."""
    return Explorer("learners", **start)


def lattice_explorer(**start: float) -> Explorer:
    """Explore cooperators and defectors on a grid: `caught` and removed, with an `heir`, or paying a `fine`."""
    return Explorer("lattice", **start)


def capstone_explorer(**start: float | str) -> Explorer:
    """Explore what attackers find against a `rule` of payment that the reader writes; each `draw` is another attack."""
    return Explorer("capstone", **start)
