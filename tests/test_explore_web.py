"""The explorers of the published pages: what the reader sees is what the package computes."""

from __future__ import annotations

import asyncio
import html
import json
import re
import shutil
import subprocess
from functools import cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("anywidget")

from mechlib.agents.llm import client
from mechlib.agents.roster import Roster
from mechlib.attacks.learn import learn
from mechlib.attacks.learners import replicator
from mechlib.course import arena, handbook
from mechlib.course import explore_web as web
from mechlib.course.desks import hear
from mechlib.course.lattice import lattice_step
from mechlib.course.paid import RULES
from mechlib.course.worlds import documents
from mechlib.mechanism import Award, utility
from mechlib.rules.auctions import all_pay, first_price, second_price
from mechlib.rules.choice import highest, scored, softened
from mechlib.rules.credit import coalitions, shapley
from mechlib.rules.peer import correlated_agreement, output_agreement
from mechlib.rules.scoring import absolute, best_report, logarithmic, quadratic, second_report
from mechlib.rules.vcg import vcg
from mechlib.settings import Values

PICKS = {
    "pipeline": [
        {"cost": c, "share": s, "lazy": q, "start": x, "rounds": t}
        for c in (0, 0.1, 0.3) for s in (0.2, 0.33, 0.9) for q in (0, 0.5, 0.9)
        for x, t in ((0.6, 0), (0.3, 40), (0.9, 400))
    ],
    "bidding": [{"bidders": n, "value": v, "bid": b} for n in (2, 3, 6) for v in (0.3, 0.8) for b in (0.1, 0.5, 0.85)],
    "pivot": [{"a": a, "b": b, "c": c, "worth": w}
              for w in (2, 5) for a in (0, 5, 9.5) for b in (2, 4.5) for c in (0, 6, 10)],
    "agreement": [{"good": g, "accuracy": a, "blind": b} for g in (0.3, 0.6) for a in (0.7, 0.95) for b in (0, 0.4, 1)],
    "credit": [{"release": q} for q in (0, 0.3, 0.65, 1)],
    "selection": [{"rule": r, "price": s, "trained": x, "rounds": t}
                  for r in (1, 2, 3) for s in (0, 0.3) for x in (0.1, 0.9) for t in (0, 20, 200)],
    "routing": [{"belief": p, "rival": r, "prize": z, "report": c}
                for p in (0.2, 0.5, 0.85) for r in (0.1, 0.6) for z in (0, 0.05, 0.3) for c in (0.1, 0.5, 0.61)],
    "rivals": [{"value": v, "echo": e, "bid": b} for v in (0.3, 0.8, 1) for e in (0, 0.4, 1) for b in (0, 0.4, 0.9)],
    "learners": [{"price": p, "learner": x, "bidders": n, "round": t}
                 for p in (1, 2) for x in (1, 2) for n in (2, 4) for t in (0, 2000, 4000)],
    "lattice": [{"rounds": t, "caught": c, "fine": f, "heir": h, "flips": flips}
                for t in (0, 1, 30) for c in (0, 1) for f in (0, 0.3) for h in (1, 2) for flips in ([], [3, 90, 840])],
    "capstone": [{"draw": d, "rule": rule} for d in (1, 2) for rule in (
        "a - abs(c - a)", "(a - (c - a)**2) / 5", "ship * (a - o - slot)", "(a - (c - a)**2)/5 - slot*ship",
        "-slot * ship", "a +", "price")],
    "scoring": [{"belief": p, "report": c} for p in (0.1, 0.5, 0.6, 0.98) for c in (0.02, 0.5, 0.8)],
}


@cache
def _in_the_page() -> dict[str, list[dict[str, Any]]]:
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node is needed to run the pages' own arithmetic")
    script = f"""
        {"".join((web.FOLDER / name).read_text(encoding="utf-8") for name in web.SCRIPTS[:2])}
        const picks = {json.dumps(PICKS)};
        console.log(JSON.stringify(Object.fromEntries(Object.entries(picks).map(([kind, list]) =>
          [kind, list.map((params) => {{
            const state = models[kind].compute(params);
            return {{ ...state, drawn: models[kind].draw(params, state), said: models[kind].say(params, state) }};
          }})]))));
    """
    done = subprocess.run([node, "--input-type=module", "-"], input=script, capture_output=True, text=True, check=True)
    states: dict[str, list[dict[str, Any]]] = json.loads(done.stdout)
    return states


def _cases(kind: str) -> zip[tuple[dict[str, float], dict[str, Any]]]:
    return zip(PICKS[kind], _in_the_page()[kind], strict=True)


@pytest.mark.no_cover
def test_scoring_explorer_pays_what_the_rules_pay() -> None:
    for pick, state in _cases("scoring"):
        p, c = pick["belief"], pick["report"]
        for rule in (absolute, quadratic, logarithmic):
            assert state[rule.__name__] == pytest.approx(float(p * rule(c, 1) + (1 - p) * rule(c, 0)), abs=1e-12)
        if p != 0.5:
            assert state["best"] == pytest.approx(float(best_report(absolute, p)))
        assert best_report(quadratic, p) == pytest.approx(state["drawn"]["series"][1]["best"][0], abs=1e-3)


def test_credit_explorer_shares_what_the_recorded_pipeline_made() -> None:
    values = asyncio.run(handbook.pipeline(client("pipeline", "replay"))).values.mean(axis=0)
    verifies = coalitions(3)[:, 2]
    for pick, state in _cases("credit"):
        table = np.where(verifies, values, pick["release"] * values)
        assert state["shapley"] == pytest.approx(shapley(table, 3))
        who = ("retriever", "synthesiser", "verifier")[int(np.argmax(state["shapley"]))]
        assert state["said"].endswith(f"The {who} is paid most.")


def test_pivot_explorer_charges_clarkes_payments() -> None:
    for pick, state in _cases("pivot"):
        pivot = vcg([[pick["a"], 0], [pick["b"], 0], [0, pick["c"]]])
        assert state["together"] == (pivot.outcome == 0)
        assert state["payments"] == pytest.approx(pivot.payments)
        honest = vcg([[pick["worth"], 0], [pick["b"], 0], [0, pick["c"]]])
        gains = [pick["worth"] * (sold.outcome == 0) - sold.payments[0] for sold in (pivot, honest)]
        assert [state["gain"], state["truth"]] == pytest.approx(gains)


def test_pivot_explorer_shows_that_no_report_gains_more_than_the_truth() -> None:
    for pick, state in _cases("pivot"):
        drawn = state["drawn"]
        (curve,) = drawn["series"]
        assert drawn["marks"] == [[pick["worth"], "truth"]] and drawn["ruler"][0] == pick["a"]
        assert max(gain for _, gain in curve["points"]) <= state["truth"] + 1e-9
        assert curve["best"] == pytest.approx([pick["a"], state["gain"]])


def test_bidding_explorer_expects_what_the_auctions_give() -> None:
    chance = (np.arange(20_000) + 0.5) / 20_000
    for pick, state in _cases("bidding"):
        n, value, bid = int(pick["bidders"]), pick["value"], pick["bid"]
        rival = chance ** (1 / (n - 1))
        for name, auction, own, other in (
            ("first", first_price, bid, rival * (n - 1) / n),
            ("direct", first_price, bid * (n - 1) / n, rival * (n - 1) / n),
            ("second", second_price, bid, rival),
        ):
            outcome = auction(np.stack([np.full_like(rival, own), other], axis=-1))
            gain = utility(np.array([value, 0.0]), outcome)[:, 0].mean()
            assert state[name] == pytest.approx(gain, abs=2e-3), (name, pick)


def test_agreement_explorer_pays_what_many_tasks_pay() -> None:
    rng = np.random.default_rng(3)
    for pick, state in _cases("agreement"):
        good = rng.random(120_000) < pick["good"]
        right = rng.random((2, 120_000)) < pick["accuracy"]
        reports = ((rng.random((2, 120_000)) < pick["blind"]) | (good == right)).astype(int)
        assert state["output"] == pytest.approx(output_agreement(reports)[0], abs=0.01)
        assert state["correlated"] == pytest.approx(
            correlated_agreement(reports, signature=np.eye(2), choices=2)[0], abs=0.01
        )


def test_pipeline_explorer_finds_every_equilibrium() -> None:
    for pick, state in _cases("pipeline"):
        chance = {True: 0.95, False: pick["lazy"]}

        def earns(profile: tuple[bool, ...], agent: int, pick: dict[str, float] = pick, chance: Any = chance) -> float:
            return float(pick["share"] * np.prod([chance[works] for works in profile]) - pick["cost"] * profile[agent])

        found = set()
        for profile in product((False, True), repeat=3):
            deviations = [tuple(w ^ (i == agent) for i, w in enumerate(profile)) for agent in range(3)]
            if all(earns(profile, i) >= earns(other, i) - 1e-12 for i, other in enumerate(deviations)):
                found.add(sum(profile))
        assert set(state["equilibria"]) == found, pick


@pytest.mark.no_cover
def test_pipeline_explorer_moves_as_the_replicator_equation_says() -> None:
    for pick, state in _cases("pipeline"):
        lazy, share, cost = pick["lazy"], pick["share"], pick["cost"]

        def fitness(shares: Any, lazy: float = lazy, share: float = share, cost: float = cost) -> Any:
            others = (lazy + shares[..., 0] * (0.95 - lazy)) ** 2
            return np.stack([share * 0.95 * others - cost, share * lazy * others], axis=-1)

        steps = int(4 * pick["rounds"])
        path = replicator(fitness, [pick["start"], 1 - pick["start"]], steps, 0.25)
        assert state["now"] == pytest.approx(path[-1, 0], abs=0.01), pick


def test_pipeline_explorer_draws_the_cost_as_a_line_that_gains_are_held_against() -> None:
    for pick, state in _cases("pipeline"):
        drawn, earns = state["drawn"], state["payoffs"]
        assert drawn["level"][0] == pick["cost"] and drawn["ruler"][0] == state["now"]
        points = dict(map(tuple, drawn["series"][0]["points"]))
        for share, others in ((0, 0), (1, 2)):  # nobody works, everybody does
            added = earns[others]["work"] + pick["cost"] - earns[others]["shirk"]
            assert points[share] == pytest.approx(added)


@pytest.mark.no_cover
def test_routing_explorer_pays_what_the_rules_of_the_chapter_pay() -> None:
    def price_the_slot(reports: Any, found: Any, prize: float) -> Award:
        chosen = highest(reports)
        return Award(chosen, chosen * (found - reports[::-1] - prize))

    for pick, state in _cases("routing"):
        belief, prize, said = pick["belief"], pick["prize"], np.array([pick["rival"], pick["report"]])
        rules = [scored(highest, quadratic), scored(softened(0.1), quadratic, inverse=True),
                 lambda reports, found, prize=prize: price_the_slot(reports, found, prize)]
        for rule, paid, earned, best in zip(rules, state["paid"], state["now"], state["best"].values(), strict=True):
            def expects(reports: Any, rule: Any = rule, belief: float = belief, prize: float = prize) -> Any:
                right, wrong = (rule(reports, np.array([0.0, hit])) for hit in (1.0, 0.0))
                money = belief * right.rewards[1] + (1 - belief) * wrong.rewards[1]
                return np.array([money, money + prize * right.allocation[1]])

            assert [paid, earned] == pytest.approx(expects(said), abs=1e-12), pick
            every = max(expects(np.array([pick["rival"], c]))[1] for c in np.arange(101) / 100)
            assert expects(np.array([pick["rival"], best]))[1] == pytest.approx(every, abs=1e-9), pick


def test_rivals_explorer_earns_what_auctions_give() -> None:
    values = (np.arange(200) + 0.5) / 200
    equilibria = {first_price: lambda v: 2 / 3 * v, second_price: lambda v: v, all_pay: lambda v: 2 / 3 * v**3}
    for pick, state in _cases("rivals"):
        share, bid = pick["echo"], pick["bid"]
        for now, (auction, strategy) in zip(state["now"], equilibria.items(), strict=True):
            gain = 0.0
            for one, other in product((True, False), repeat=2):
                bids = [values if echoes else strategy(values) for echoes in (one, other)]
                offers = np.stack([np.full((200, 200), bid), *np.meshgrid(*bids)], axis=-1)
                chance = (share if one else 1 - share) * (share if other else 1 - share)
                outcome = auction(offers)
                own = pick["value"] * outcome.allocation[..., 0] - outcome.payments[..., 0]
                gain += chance * own.mean()
            assert now == pytest.approx(gain, abs=0.012), (auction.__name__, pick)
        assert np.less_equal(state["now"], np.array(state["most"]) + 2e-3).all()


@pytest.mark.parametrize("kind", web.SPECS)
def test_every_explorer_draws_and_says_something_for_every_pick(kind: str) -> None:
    for _, state in _cases(kind):
        assert state["drawn"]["series"]
        assert "undefined" not in state["said"] and "NaN" not in state["said"]


@pytest.mark.parametrize("kind", web.SPECS)
def test_an_explorer_without_a_kernel_carries_its_own_state(kind: str) -> None:
    widget = getattr(web, f"{kind}_explorer")()
    data, _ = widget._repr_mimebundle_()
    assert "application/vnd.jupyter.widget-view+json" in data
    found = re.search(r'data-mechlib-explorer="([^"]*)"', data["text/html"])
    assert found
    assert json.loads(html.unescape(found[1])) == {"kind": kind, "spec": web.SPECS[kind], "params": widget.params}
    assert "Run this cell" in data["text/html"]


def test_the_same_explorer_has_the_same_page_every_time() -> None:
    assert web.scoring_explorer()._repr_html_() == web.scoring_explorer()._repr_html_()


def test_starting_values_are_taken() -> None:
    assert web.scoring_explorer(belief=0.9).params == {"belief": 0.9, "report": 0.8}
    assert repr(web.bidding_explorer(bidders=5)) == "bidding_explorer(bidders=5, value=0.8, bid=0.8)"


def test_what_the_reader_chooses_reaches_python() -> None:
    widget, seen = web.pivot_explorer(), []
    widget.observe(lambda change: seen.append(change["new"]["a"]), "params")
    widget.set_state({"params": {**widget.params, "a": 9}})
    assert seen == [9]


def test_wrong_starting_values_are_named() -> None:
    with pytest.raises(ValueError, match=r"belief is 1.2; it must lie between 0.02 and 0.98"):
        web.scoring_explorer(belief=1.2)
    with pytest.raises(ValueError, match=r"scoring has no slider 'price'; it has belief, report"):
        web.scoring_explorer(price=1)
    with pytest.raises(ValueError, match="it must be one of pipeline"):
        web.Explorer("chess")


def test_every_slider_is_labelled_and_starts_inside_its_range() -> None:
    for spec in web.SPECS.values():
        for control in spec["controls"]:
            assert control["label"]
            assert control.get("text") or control["min"] <= control["value"] <= control["max"]


def test_the_script_loads_nothing() -> None:
    script = web.source()
    assert "http" not in script.replace("http://www.w3.org/2000/svg", "")
    assert Path(web.FOLDER / "explore_view.js").stat().st_size + len(script) < 60_000
    assert "import " not in script and "innerHTML" not in script


@pytest.mark.no_cover
def test_selection_explorer_follows_the_replicator_equation_of_its_payoffs() -> None:
    for params, state in _cases("selection"):
        trained = params["trained"]
        start = np.array([(1 - trained) / 2, trained, (1 - trained) / 2])
        step = max(0.1 * params["rounds"] / 2000, 1e-12)
        path = replicator(lambda shares, pays=state["pays"]: np.array(pays), start, 2000, step)
        assert state["now"] == pytest.approx(path[-1], abs=2e-3)


def test_selection_explorer_pays_what_the_recorded_desks_earned(monkeypatch: pytest.MonkeyPatch) -> None:
    cases, team = documents("test"), Roster.load("documents").agents
    plain, statements = client("documents_test", "replay"), client("documents_trained", "replay")
    for who, adapter in enumerate(("", "quadratic-0")):
        heard = asyncio.run(hear(cases, team, plain, adapter, statements))
        said, right = np.nan_to_num(np.asarray(heard.reports)), np.asarray(heard.found)
        for rule, name in enumerate(("metric", "popular", "quadratic"), start=1):
            paid = np.mean(RULES[name].rule(said, right).rewards)
            state = next(s for params, s in _cases("selection") if params["rule"] == rule)
            assert state["pays"][who] == pytest.approx(paid, abs=5e-4)
        top = said == said.max(axis=1, keepdims=True)
        shipped = float(((top * right).sum(axis=1) / top.sum(axis=1)).mean())
        found = [s["right"] for _, s in _cases("selection") if s["most"] == who]
        assert found and found[0] == pytest.approx(shipped, abs=5e-4)


def test_lattice_explorer_steps_as_the_package_does() -> None:
    for pick, state in _cases("lattice"):
        game = np.array([[1, 0, 0], [1.85 - pick["fine"], -pick["fine"], 0], [-0.01] * 3])
        cells = np.zeros(41 * 41, int)
        cells[840] = 1
        cells[pick["flips"]] = 1 - cells[pick["flips"]]
        cells = cells.reshape(41, 41)
        for _ in range(pick["rounds"]):
            cells = lattice_step(cells, game)
            cells[(cells == 1) & (pick["caught"] == 1)] = 2 if pick["heir"] == 1 else 0
        assert state["cells"] == cells.ravel().tolist(), pick
        assert state["held"] == pytest.approx([(cells == kind).mean() for kind in range(3)])


@pytest.mark.no_cover
def test_learners_explorer_ends_where_drawn_lives_do() -> None:
    bids, values = np.arange(21) / 20, np.arange(1, 10, 2) / 10
    for price, rule in ((1, first_price), (2, second_price)):
        drawn = learn(rule, Values(values, 2, reports=bids), rounds=4000, lives=50)
        pick = {"price": price, "learner": 1, "bidders": 2, "round": 4000}
        state = next(s for p, s in _cases("learners") if p == pick)
        assert state["bids"] == pytest.approx(drawn.reports().mean(axis=0), abs=0.05)
    start = [s["bids"] for p, s in _cases("learners") if p["round"] == 0]
    assert np.allclose(start, 0.5)


def test_capstone_explorer_breaks_what_the_arena_breaks() -> None:
    holds = "(a - (c - a)**2)/5 - slot*ship"
    broken = {"a - abs(c - a)": {0, 1, 2, 3, 4}, "(a - (c - a)**2) / 5": {0, 1, 2}, "ship * (a - o - slot)": {1, 2},
              holds: set(), "-slot * ship": {2}}
    for pick, state in _cases("capstone"):
        if pick["rule"] in broken:
            assert {k for k, won in enumerate(state["worst"]) if won > 1e-9} == broken[pick["rule"]], pick
            if state["lie"] and len(state["lie"]["who"]) == 2:
                reports, beliefs = state["lie"]["reports"], state["lie"]["beliefs"]
                rules = {"ship * (a - o - slot)": lambda r, f: Award(
                    highest(r), second_report(r, f) - arena.SLOT * highest(r))}
                if pick["rule"] in rules:
                    assert arena.gain(rules[pick["rule"]], beliefs, reports) == pytest.approx(state["lie"]["won"])
        else:
            assert "cannot be read" in state["said"] and not any(state["worst"])


def test_a_rule_is_a_text_and_a_slider_a_number() -> None:
    assert web.capstone_explorer(rule="a").params == {"draw": 1, "rule": "a"}
    with pytest.raises(ValueError, match="rule is 3; it must be a text"):
        web.capstone_explorer(rule=3)
    with pytest.raises(ValueError, match="draw is 'x'; it must be a number"):
        web.capstone_explorer(draw="x")
