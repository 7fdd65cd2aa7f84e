"""Bad arguments for every public function: each is a ValueError or a TypeError that names the argument, at once.

A table says how each function is called rightly, and of what kind each argument is. A kind is a list of values that no
argument of that kind can be. They are tried one at a time, in a process of their own with little memory, and whatever
takes a second is stopped.
"""

from __future__ import annotations

import math
import multiprocessing
import random
import re
import resource
import signal
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import mechlib
from mechlib import (
    Agent,
    Award,
    Beliefs,
    Outcome,
    Recorded,
    Values,
    quadratic,
    second_price,
)
from mechlib.agents.llm import client
from mechlib.desk.ledger import Cost, Ledger
from mechlib.rules.choice import highest

Times = Callable[[int, int], int]
SECOND, MEMORY = 1.0, 1 << 30
NAN, INF = math.nan, math.inf


class Nothing:
    """An object that is no argument for anything."""


def fails(*anything: Any) -> Any:
    """A function of the caller's that fails."""
    raise KeyError("oh")


NO_ARRAY = {
    "none": None, "text": "abc", "number as text": "1", "bytes": b"1", "object": Nothing(), "dict": {"a": 1},
     "set": {1},
    "empty": [], "empty rows": [[]], "ragged": [[1, 2], [1]], "function": fails, "text inside": ["1", "2"],
    "none inside": [None, 1], "text among numbers": np.array([0.5, "0.5"], object), "object inside": [Nothing(), 1],
    "date": np.array(["2020-01-01"], "datetime64[D]"), "imaginary": np.array([1j, 1.0]), "complex": 1j,
    "imaginary in objects": np.array([1j, 1.0], object), "masked": np.ma.array([0.5, 0.5], mask=[True, False]),
    "structured": np.zeros(2, [("a", float)]), "iterator": iter([1, 2]),
}  # fmt: skip
NO_COUNT = {
    "none": None, "text": "3", "half": 1.5, "nan": NAN, "inf": INF, "negative": -1, "list": [1], "imaginary": 1j,
    "yes": True, "object": Nothing(), "float": 3.0, "huge": 2**31, "huger": 2**63, "hugest": 10**30, "bytes": b"3",
    "array": np.array([1, 2]), "function": fails, "negative huge": -(2**31),
}  # fmt: skip
NO_REAL = {
    "none": None, "text": "0.5", "nan": NAN, "inf": INF, "minus inf": -INF, "list": [0.5, 0.5], "imaginary": 1j,
    "object": Nothing(), "array": np.array([0.5, 0.5]), "dict": {}, "function": fails, "bytes": b"1", "huge": 10**400,
    "empty": [],
}  # fmt: skip
NO_FUNCTION = {"none": None, "number": 3, "text": "rule", "list": [1], "object": Nothing(), "dict": {}}
BAD_RULES = {
    **NO_FUNCTION, "fails": fails, "says nothing": lambda reports, *more: None, "says nan": lambda r, *more: r * NAN,
    "no arguments": lambda: None, "too many": lambda a, b, c, d: None, "text": lambda r, *more: "x",
    "wrong length": lambda r, *more: Award(np.zeros(7), np.zeros(7)),
}  # fmt: skip
BAD_SCORES = {
    **NO_FUNCTION, "fails": fails, "says nothing": lambda c, a: None, "says nan": lambda c, a: c * NAN,
    "no arguments": lambda: None, "says text": lambda c, a: "x",
}  # fmt: skip
NO_TEXT = {"none": None, "number": 3, "bytes": b"x", "list": ["x"], "object": Nothing(), "nan": NAN}
NO_CHOICE = {**NO_TEXT, "another": "nope", "empty": "", "function": fails}
NO_SEED = {"text": "x", "half": 1.5, "negative": -1, "nan": NAN, "object": Nothing(), "imaginary": 1j, "none": None}
NO_RNG = {"none": None, "number": 3, "text": "x", "object": Nothing(), "old": np.random.RandomState(0)}
NO_SETTING = {"none": None, "number": 3, "text": "abc", "object": Nothing(), "function": fails, "empty": [],
              "nan": [NAN, 1.0], "imaginary": [1j, 2.0]}  # fmt: skip
NO_BOOL = {"text": "x", "number": 3, "none": None, "list": [], "nan": NAN, "object": Nothing()}
NO_PATH = {"number": 3, "list": ["x"], "object": Nothing(), "nan": NAN}


def without(kind: dict[str, Any], *names: str) -> dict[str, Any]:
    """Return a kind less some of its values, which are right here."""
    return {name: value for name, value in kind.items() if name not in names}


def spoiled(good: Any, nan: bool = False, negative: bool = False, unit: bool = False) -> dict[str, Any]:
    """Return arrays like a good one with one entry that is wrong, at a place drawn from it; or of another shape."""
    array = np.asarray(good, float)
    entries = {"inf": INF, "minus inf": -INF, "1e308": 1e308, "-1e308": -1e308}
    entries |= {} if nan else {"nan": NAN}
    entries |= {} if negative else {"negative": -1.0}
    entries |= {"seven": 7.0, "a little more": 1.0000001} if unit else {}
    made: dict[str, Any] = {}
    for place in range(array.size):
        for name, entry in entries.items():
            made[f"{name} at {place}"] = (copy := array.copy())
            copy.flat[place] = entry
    masked = np.ma.array(array, mask=np.zeros(array.shape, bool))
    masked.mask.flat[0] = True
    return {**NO_ARRAY, **made, "mask": masked, "imaginary part": array + 0.5j, "one axis more, empty": array[..., :0],
            "text in its place": array.astype(str), "objects in text": array.astype(str).astype(object)}  # fmt: skip


def optional(kind: dict[str, Any]) -> dict[str, Any]:
    """Return a kind for an argument that may be None."""
    return without(kind, "none")


BIDS = [3.0, 5.0, 4.0]
UNIT = [0.2, 0.9, 0.4]
RIGHT = [0.0, 1.0, 1.0]
REPORTS = [[0, 1, 0, 1, 1, 0], [0, 1, 1, 1, 1, 0], [0, 0, 0, 1, 1, 1]]
SQUARE = [[0.5, 0.2, 0.4], [0.1, 0.5, 0.9], [0.3, 0.8, 0.5]]
EDGES = [[0, 1], [1, 2], [0, 2]]
BUNDLES = [(0, frozenset([0]), 3.0), (1, frozenset([0, 1]), 4.0)]
VALUES = Values([0.0, 1.0, 2.0], 2)
BELIEFS = Beliefs([0.1, 0.5, 0.9], 2)
RNG = np.random.default_rng(0)


def chosen_best(reports: Any, found: Any) -> Award:
    return Award(highest(reports), quadratic(reports, found))


def bad_bids() -> dict[str, Any]:
    return {
        **without(NO_ARRAY, "iterator"), "short": [(0, frozenset([0]))], "not sold": [(0, frozenset([9]), 1.0)],
        "nan": [(0, frozenset([0]), NAN)], "negative": [(0, frozenset([0]), -1.0)], "no bundle": [(0, frozenset(),
        1.0)],
        "huge agent": [(2**40, frozenset([0]), 1.0)], "agent as text": [("a", frozenset([0]), 1.0)],
        "agent negative": [(-1, frozenset([0]), 1.0)], "list": [(0, [0], 1.0)], "value as text": [(0, frozenset([0]),
        "1")],
        "1e308": [(0, frozenset([0]), 1e308)], "imaginary": [(0, frozenset([0]), 1j)],
        "infinite": [(0, frozenset([0]), INF)], "none": [None], "number": 3,
    }  # fmt: skip


NO_ITEMS = {"none": None, "float": 2.5, "nan": NAN, "negative": -1, "zero": 0, "huge": 2**31, "huger": 10**30,
            "object": Nothing(), "empty": [], "unhashable": [[1], [2]], "supply": {0: -1, 1: 1}, "half": {0: 0.5,
            1: 1},
            "supply text": {0: "2", 1: 1}, "yes": True}  # fmt: skip
NO_TOLERANCE = optional(without(NO_REAL, "inf")) | {"negative": -1.0}

# name: (right arguments, what no argument can be)
Case = tuple[Callable[..., Any], dict[str, Any], dict[str, dict[str, Any]]]
CASES: dict[str, Case] = {}


def case(name: str, call: Callable[..., Any] | None = None, /, **arguments: tuple[Any, dict[str, Any]]) -> None:
    """Enter a function into the table: each argument with a right value and its kind."""
    good = {argument: right for argument, (right, _) in arguments.items()}
    CASES[name] = (call or getattr(mechlib, name), good, {a: kind for a, (_, kind) in arguments.items() if kind})


for auction in ("first_price", "second_price"):
    case(auction, bids=(BIDS, spoiled(BIDS)), reserve=(1.0, NO_REAL | {"negative": -1.0, "1e308": 1e308}))
case("vickrey", bids=(BIDS, spoiled(BIDS)), units=(2, without(NO_COUNT, "huge", "huger",
     "hugest") | {"none at all": 0}),
     reserve=(1.0, NO_REAL | {"negative": -1.0}))  # fmt: skip
case("all_pay", bids=(BIDS, spoiled(BIDS)))
case("posted_price", bids=(BIDS, spoiled(BIDS)), price=(BIDS, spoiled(BIDS) | {"two": [1.0, 2.0]}))
case("vcg", valuations=(SQUARE, spoiled(SQUARE, negative=True) | {"one axis": BIDS}))
case("vcg_assignment", values=(SQUARE, spoiled(SQUARE) | {"one axis": BIDS}))
case("vcg_knapsack", values=(BIDS, spoiled(BIDS)), sizes=([1, 2, 1], spoiled([1.0, 2.0, 1.0]) | {"half": [0.5, 1, 1]}),
     capacity=(3, without(NO_COUNT, "huge", "huger", "hugest")))  # fmt: skip
for auctioneer in ("vcg_combinatorial", "greedy_bundles"):
    case(auctioneer, bids=(BUNDLES, bad_bids()), items=(2, NO_ITEMS))
CASES["vcg_combinatorial"][2]["time_limit"] = optional(without(NO_REAL, "inf")) | {"zero": 0, "negative": -1}
CASES["vcg_combinatorial"][1]["time_limit"] = 1.0
case("vcg_path", edges=(EDGES, spoiled(EDGES) | {"half": [[0, 0.5], [1, 2], [0, 2]]}), costs=(BIDS, spoiled(BIDS)),
     source=(0, NO_COUNT), target=(2, NO_COUNT), directed=(False, NO_BOOL))  # fmt: skip
case("budget_feasible", costs=(BIDS, spoiled(BIDS)), values=(BIDS, spoiled(BIDS)),
     budget=(6.0, NO_REAL | {"negative": -1.0, "1e308": 1e308}))  # fmt: skip
case("first_price_equilibrium", n=(3, without(NO_COUNT, "huge", "huger", "hugest") | {"zero": 0}))
case("direct", lambda mechanism, strategies: mechlib.direct(mechanism, strategies)(BIDS),
     mechanism=(second_price, NO_FUNCTION), strategies=(lambda types: types, NO_FUNCTION | {"two": [abs,
     abs]}))  # fmt: skip
for score in ("quadratic", "logarithmic", "spherical", "absolute", "second_report"):
    allowed = {} if score == "second_report" else {"empty": 0, "empty rows": 0, "one axis more, empty": 0}
    case(score, confidence=(UNIT, without(spoiled(UNIT, nan=True, unit=True), *allowed)),
         accuracy=(RIGHT, without(spoiled(RIGHT, unit=True), *allowed)))  # fmt: skip
case("best_report", rule=(quadratic, BAD_SCORES), belief=(0.3, spoiled(UNIT, unit=True)))
case("is_proper", rule=(quadratic, BAD_SCORES))
case("auc", confidence=(UNIT, spoiled(UNIT, nan=True, unit=True)), correct=(RIGHT, spoiled(RIGHT, unit=True)))
case("reliability", confidence=(UNIT, spoiled(UNIT, nan=True, unit=True)), correct=(RIGHT, spoiled(RIGHT, unit=True)),
     bins=(5, NO_COUNT | {"zero": 0}))  # fmt: skip
case("wilson", successes=([1, 2], without(spoiled([1.0, 2.0]), "empty", "empty rows", "one axis more, empty")),
     trials=([3, 4], without(spoiled([3.0, 4.0]), *(f"1e308 at {k}" for k in (0, 1)), "empty", "empty rows",
                             "one axis more, empty")))  # fmt: skip
for peer in ("output_agreement", "correlated_agreement", "peer_truth_serum"):
    case(peer, reports=(REPORTS, without(spoiled(REPORTS),
     *(f"negative at {k}" for k in range(18))) | {"half": [[0.5, 1]] * 2, "minus two": [[-2, 1]] * 2,
                                            "huge": [[2**40, 1]] * 2, "one": [[1, 0]]}),
         peers=(None, optional(spoiled(np.ones((3, 3))) | {"two": np.ones((2, 2))})))  # fmt: skip
CASES["correlated_agreement"][2].update(
    choices=optional(NO_COUNT) | {"too few": 1}, signature=optional(spoiled(np.eye(2),
     negative=True)) | {"three": np.eye(3)})
case("determinant_mi", reports=(REPORTS, without(spoiled(REPORTS), *(f"negative at {k}" for k in range(18)))),
     choices=(2, NO_COUNT | {"one": 1}), peers=(None, optional(spoiled(np.ones((3, 3))))))  # fmt: skip
FORECASTS = np.full((3, 2, 2), 0.5)
case("bayesian_truth_serum", reports=([[0, 1], [1, 1], [0, 0]], NO_ARRAY | {"half": [[0.5, 1]] * 3, "huge": [[2**40,
     1]] * 3}),
     forecasts=(FORECASTS, spoiled(FORECASTS) | {"sum": FORECASTS * 3, "zero": FORECASTS * 0}))  # fmt: skip
case("select_impartially", scores=(SQUARE, spoiled(SQUARE, nan=True, negative=True) | {"flat": BIDS}), k=(1,
     NO_COUNT | {"four": 4}),
     rng=(RNG, NO_RNG))  # fmt: skip


def worth(team: Any) -> Any:
    return np.asarray(team).sum(axis=-1)


BAD_WORTH = {**without(NO_ARRAY, "function"), "fails": fails, "says nan": lambda team: np.full(np.shape(team)[:-1],
     NAN),
             "says nothing": lambda team: None, "says text": lambda team: "x", "short": [0.0, 1.0, 2.0],
             "nan": [0, 1, 2, NAN, 1, 1, 1, 1], "masked table": np.ma.array(np.ones(8), mask=[0] * 7 + [1]),
             "imaginary table": np.ones(8) * 1j}  # fmt: skip
case("shapley", v=(worth, BAD_WORTH), n=(3, NO_COUNT | {"zero": 0}))
case("difference_rewards", v=(worth, BAD_WORTH), n=(3, NO_COUNT | {"zero": 0}))
case("shapley_sampled", v=(worth, BAD_WORTH), n=(3, NO_COUNT | {"zero": 0}), permutations=(8, NO_COUNT | {"zero": 0}),
     rng=(RNG, NO_RNG))  # fmt: skip
case("highest", reports=(UNIT, spoiled(UNIT, nan=True, negative=True)))
case("softened", floor=(0.1, NO_REAL | {"zero": 0, "two": 2.0, "negative": -0.5}))
case("best_mark", reports=(UNIT, spoiled(UNIT, nan=True, negative=True)), marks=(SQUARE, spoiled(SQUARE, nan=True,
     negative=True)))
case("impartial", reports=(UNIT, spoiled(UNIT, nan=True, negative=True)), marks=(SQUARE, spoiled(SQUARE, nan=True,
     negative=True)))
case("scored", lambda choose, rule, inverse: mechlib.scored(choose, rule, inverse)(np.array(UNIT), np.array(RIGHT)),
     choose=(highest, NO_FUNCTION), rule=(quadratic, NO_FUNCTION), inverse=(False, NO_BOOL))  # fmt: skip
case("score_auction", reports=(UNIT, spoiled(UNIT, nan=True, negative=True)), found=(RIGHT, spoiled(RIGHT, nan=True,
     negative=True)),
     costs=(UNIT, spoiled(UNIT, negative=True)))  # fmt: skip
PLAYED = second_price(BIDS)
NO_RESULT = {"none": None, "number": 3, "text": "x", "object": Nothing(), "pair": (1, 2),
             "nan": Outcome(np.array([NAN, 1.0, 0.0]), np.zeros(3)), "masked": Outcome(np.ma.array(BIDS, mask=[1, 0,
             0]), np.zeros(3)),
             "imaginary": Outcome(np.ones(3), np.ones(3) * 1j), "text inside": Outcome(["a", "b", "c"], np.zeros(3)),
             "ragged": Outcome(np.zeros(2), np.zeros(3)),
             "huge": Outcome(np.ones(3), np.full(3, 1e308))}  # fmt: skip
for measure in ("utility", "welfare"):
    case(measure, types=(BIDS, spoiled(BIDS, negative=True) | {"two": [1.0, 2.0]}), result=(PLAYED, NO_RESULT))
for measure in ("transfers", "revenue"):
    case(measure, result=(PLAYED, without(NO_RESULT, "nan", "masked", "ragged", "huge", "text inside")))
case("Values", types=([1.0, 2.0], without(NO_ARRAY, "text inside", "date", "text", "number as text",
     "iterator") | {"nan": [NAN, 1.0], "inf": [INF, 1.0],
     "1e308": [1e308, 1.0]}), n=(2, optional(NO_COUNT) | {"zero": 0}),
     reports=([3.0], optional(without(NO_ARRAY, "text inside", "date", "empty", "number as text", "text", "iterator",
     "empty rows"))))  # fmt: skip
case("Beliefs", grid=([0.1, 0.5], spoiled([0.1, 0.5], unit=True)), n=(2, NO_COUNT | {"zero": 0}),
     prize=(0.0, NO_REAL | {"1e308": 1e308}), silence=(False, NO_BOOL), reports=([0.3], optional(spoiled([0.3],
     unit=True))),
     costs=([0.1, 0.2], optional(spoiled([0.1, 0.2], negative=True)) | {"one": [0.1]}))  # fmt: skip
case("Actions", costs=({"shirk": 0.0, "work": 1.0}, {
    "none": None, "number": 3, "text": "abc", "empty": {}, "nan": {"a": NAN}, "inf": {"a": INF},
     "text inside": {"a": "1"},
    "imaginary": {"a": 1j}, "object": Nothing(), "list of numbers": [1, 2], "names": {1: 0.0}, "1e308": {"a": 1e308}}),
     n=(2, NO_COUNT | {"zero": 0}), told=("work", {"unknown": "rest", "number": 3, "nan": NAN,
     "three": ["work"] * 3}))  # fmt: skip
case("Joint", profiles=([[0.0, 1.0], [1.0, 0.0]], without(NO_ARRAY, "text inside") | {"nan": [[NAN, 1.0], [1.0,
     0.0]], "flat": [1.0, 2.0]}),
     chances=([0.5, 0.5], spoiled([0.5, 0.5]) | {"sum": [0.5, 0.6], "three": [0.2, 0.2, 0.6]}),
     reports=([0.5], optional(without(NO_ARRAY, "text inside", "date", "empty", "text", "number as text", "iterator",
     "empty rows"))))  # fmt: skip
case("audit", rule=(second_price, BAD_RULES), setting=(VALUES, NO_SETTING),
     tolerance=(1e-9, NO_TOLERANCE), cells=(1000, without(NO_COUNT, "huge", "huger", "hugest") | {"zero": 0}),
     utility=(None, optional(NO_FUNCTION)), welfare=(None, optional(NO_FUNCTION)),
     feasible=(None, optional(without(NO_ARRAY, "iterator")) | {"nan": [[NAN, 1.0]]}))  # fmt: skip
case("audit_bayes", rule=(second_price, BAD_RULES), setting=(VALUES, NO_SETTING),
     prior=([0.2, 0.3, 0.5], spoiled([0.2, 0.3, 0.5]) | {"sum": [0.2, 0.3, 0.6], "two": [0.5, 0.5]}),
     tolerance=(1e-9, NO_TOLERANCE), cells=(1000, without(NO_COUNT, "huge", "huger",
     "hugest") | {"zero": 0}))  # fmt: skip
case("audit_sampled", rule=(second_price, BAD_RULES), setting=(VALUES, NO_SETTING), samples=(20,
     NO_COUNT | {"zero": 0}),
     lies=(2, NO_COUNT | {"zero": 0}), seed=(0, NO_SEED), tolerance=(1e-9, NO_TOLERANCE),
     executor=(None, {"number": 3, "text": "x", "object": Nothing()}))  # fmt: skip
case("learn", rule=(second_price, BAD_RULES), setting=(VALUES, NO_SETTING), learner=("hedge", NO_CHOICE),
     who=(None, {"number": 3, "text": "x", "negative": [-1], "many": [7], "half": [0.5], "empty": [],
     "object": Nothing()}),
     rounds=(10, NO_COUNT | {"zero": 0, "odd": 7}), lives=(2, NO_COUNT | {"zero": 0}), seed=(0, NO_SEED))  # fmt: skip
for learner, share in (("Hedge", "rate"), ("Exp3", "explore")):
    case(learner, actions=(3, NO_COUNT | {"zero": 0}), replicas=((), {"number": 3, "text": "x", "negative": (-1,),
     "half": (1.5,),
         "huge": (2**31,), "none": None, "hugest": (10**30,), "object": Nothing()}),
         **{share: (0.1, NO_REAL | {"zero": 0, "negative": -1.0})})  # fmt: skip
case("Hedge.best_rate", mechlib.Hedge.best_rate, actions=(3, NO_COUNT | {"zero": 0}), rounds=(10, without(NO_COUNT,
     "huge", "huger", "hugest") | {"zero": 0}))
case("Hedge.update", lambda payoffs: mechlib.Hedge(3, 0.1).update(payoffs), payoffs=(UNIT, spoiled(UNIT, unit=True)))
case("Hedge.choose", lambda rng: mechlib.Hedge(3, 0.1).choose(rng), rng=(RNG, NO_RNG))
case("Exp3.update", lambda actions, payoffs: mechlib.Exp3(3, 0.1).update(actions, payoffs), actions=(1,
     NO_ARRAY | {"nan": NAN, "three": 3,
     "half": 0.5, "negative": -1}), payoffs=(0.5, NO_ARRAY | {"nan": NAN, "seven": 7.0,
     "negative": -0.1}))  # fmt: skip
case("replicator", fitness=(SQUARE, spoiled(SQUARE, negative=True) | {"fails": fails, "two": [[1, 2], [1, 2]]}),
     start=([0.2, 0.3, 0.5], spoiled([0.2, 0.3, 0.5]) | {"sum": [0.2, 0.3, 0.6]}), steps=(10, NO_COUNT), step=(0.05,
     NO_REAL | {"negative": -1.0, "zero": 0}))  # fmt: skip
TABLE = [[0.2, 0.9], [0.5, 0.1], [0.7, 0.3]]
FOUND = [[0.0, 1.0], [1.0, 0.0], [1.0, 1.0]]
for part in ("reports", "found", "costs", "marks"):
    right = {"reports": TABLE, "found": FOUND, "costs": TABLE, "marks": FOUND}
    case(f"replay.{part}", lambda rule, **one: mechlib.replay(rule, Recorded(**{"reports": TABLE, "found": FOUND,
     "costs": TABLE, "marks": FOUND} | one)),
         rule=(chosen_best, BAD_RULES if part == "reports" else {}),
         **{part: (right[part], optional(spoiled(right[part], nan=part != "costs",
         negative=True)) | {"flat": UNIT})})  # fmt: skip
case("replay", rule=(chosen_best, {}), recorded=((TABLE, FOUND), {"none": None, "number": 3, "text": "x",
     "one": (TABLE,), "five": (TABLE,) * 5,
     "object": Nothing(), "empty": ()}))  # fmt: skip
case("scoreboard", rules=({"second": second_price}, {"none": None, "number": 3, "text": "x", "list": [second_price],
     "object": Nothing(), "empty": {},
     "no rule": {"a": 3}, "function": second_price}), setting=(VALUES, NO_SETTING), budget=(None, optional(NO_REAL)),
     rounds=(10, NO_COUNT | {"odd": 7}), lives=(2, NO_COUNT | {"zero": 0}), seed=(0, NO_SEED))  # fmt: skip
DECISION = {"scores": {"small": 0.9, "large": 0.7}, "chosen": "small", "found": {"small": 0, "large": 1}}
LOG = [DECISION, {**DECISION, "chosen": "large"}] * 5
BAD_TABLES = {
    "seven": {"small": 7, "large": 0.5}, "nan": {"small": NAN, "large": 0.5}, "text": {"small": "1", "large": 0},
    "imaginary": {"small": 1j, "large": 0}, "list": [1, 2], "stranger": {"nobody": 1.0},
}  # fmt: skip
NO_LOG = {
    "none": None, "number": 3, "object": Nothing(), "empty": [], "bytes": b"x", "mapping": DECISION, "nan": NAN,
    "list": [1], "none inside": [None],
    **{f"{part} {what}": [*LOG, {**DECISION, part: bad}]
       for part in ("scores", "found", "chosen") for what, bad in BAD_TABLES.items()},
}  # fmt: skip
NO_PRICE = optional(NO_REAL) | {"zero": 0}
case("audit_router", log=(LOG, NO_LOG), worth=(100.0, NO_PRICE), prize=(1.0, NO_PRICE), seed=(0, NO_SEED))
for read in ("parse_answer", "parse_score"):
    case(read, text=("ANSWER: B\nCONFIDENCE: 0.5", NO_TEXT | {"dict": {}, "function": fails, "inf": INF}))
case("load_tasks", path=(Path("data/questions.jsonl"), NO_PATH))
case("client", lambda **arguments: client(**arguments), cassette=("/nowhere/tape.jsonl", NO_PATH | {"none": None}),
     mode=("replay", optional(NO_CHOICE)))
case("check", exercise=("01-a", NO_TEXT), answer=(None, {}))
case("Agent", name=("ada", NO_TEXT), model=("m", NO_TEXT), system=("", NO_TEXT), max_tokens=(64, without(NO_COUNT,
     "huge", "huger", "hugest") | {"zero": 0}),
     reminder=("", NO_TEXT), examples=((), {"none": None, "number": 3, "text": "abc", "single": (("a",),),
     "numbers": ((1, 2),)}))  # fmt: skip
case("Roster.load", mechlib.Roster.load, name=("open", NO_PATH | {"none": None, "nobody": "nobody"}))
case("Roster.price", lambda **a: mechlib.Roster.load("open").price(**a), model=("smollm2-135m",
     NO_TEXT | {"another": "x"}),
     input_tokens=(3, without(NO_COUNT, "huge", "huger", "hugest")), output_tokens=(3, without(NO_COUNT, "huge",
     "huger", "hugest")))  # fmt: skip


def ledger() -> Ledger:
    book = Ledger()
    book.begin("task", 100)
    return book


NO_NUMBER = without(NO_COUNT, "huger", "hugest")
NO_MONEY = without(NO_COUNT, "negative", "huge", "negative huge")
NO_CHANCE = optional(without(NO_REAL, "nan")) | {"two": 2.0, "negative": -0.5, "seven": 7}
case("Ledger", path=(":memory:", NO_PATH | {"none": None, "folder": ".", "nul": "a\0b"}))
case("Ledger.begin", lambda **a: Ledger().begin(**a), task=("t", NO_TEXT), budget=(10, NO_MONEY | {"negative": -1}))
case("Ledger.submit", lambda **a: ledger().submit(**a), round_id=(1, NO_NUMBER), agent=("a", NO_TEXT), answer=("x",
     optional(NO_TEXT)),
     confidence=(0.5, NO_CHANCE), cost=(Cost(), {"none": None, "number": 3, "text": "abc", "short": (1,),
     "tokens": Cost("1"), "seconds": Cost(1, NAN),
     "price": Cost(1, 1.0, 0.5)}), status=("answered", NO_TEXT))  # fmt: skip
case("Ledger.mark", lambda **a: ledger().mark(**a), round_id=(1, NO_NUMBER), grader=("g", NO_TEXT), agent=("a",
     NO_TEXT | {"itself": "g"}),
     mark=(0.5, NO_REAL | {"seven": 7.0}))  # fmt: skip
case("Ledger.reward", lambda **a: ledger().reward(**a), round_id=(1, NO_NUMBER), agent=("a", NO_TEXT), reward=(0.5,
     NO_REAL), found=(1.0, NO_CHANCE))
case("Ledger.pay", lambda **a: ledger().pay(**a), round_id=(1, NO_NUMBER), agent=("a", NO_TEXT), amount=(5,
     NO_MONEY | {"too much": 101}), reason=("", NO_TEXT))
for of in ("close", "submissions", "marks", "rewards", "payments"):
    case(f"Ledger.{of}", lambda round_id, of=of: getattr(ledger(), of)(round_id), round_id=(1, NO_NUMBER))
case("Ledger.note", lambda **a: ledger().note(**a), kind=("k", NO_TEXT), data=({}, {"object": Nothing(), "set": {1},
     "bytes": b"x"}))
case("Ledger.trail", lambda **a: ledger().trail(**a), kind=(None, optional(NO_TEXT)))
case("Ledger.balance", lambda **a: ledger().balance(**a), agent=("a", NO_TEXT))
case("Ledger.reputation", lambda **a: ledger().reputation(**a), agent=("a", NO_TEXT), discount=(0.9,
     NO_REAL | {"zero": 0, "two": 2}),
     default=(0.0, NO_REAL), of=("reward", NO_CHOICE))  # fmt: skip
case("Ledger.reputations", lambda **a: ledger().reputations(**a), agents=(["a"], {"number": 3, "text": "ada",
     "numbers": [1], "object": Nothing()}))
case("Escrow", ledger=(None, {"number": 3, "text": "x", "object": Nothing()}))


def bank() -> Any:
    made = mechlib.Escrow()
    made.deposit("a", 10)
    made.hold("a", "b", 5)
    return made


NO_AMOUNT = without(NO_COUNT, "huge") | {"zero": 0}
case("Escrow.deposit", lambda **a: bank().deposit(**a), payer=("a", NO_TEXT), amount=(5, NO_AMOUNT))
case("Escrow.hold", lambda **a: bank().hold(**a), payer=("a", NO_TEXT), payee=("b", NO_TEXT), amount=(5,
     NO_AMOUNT | {"too much": 6}))
for settle in ("release", "refund"):
    case(f"Escrow.{settle}", lambda id, settle=settle: getattr(bank(), settle)(id), id=(1, NO_COUNT | {"two": 2}))
case("Escrow.balance", lambda **a: bank().balance(**a), party=("a", NO_TEXT))
TEAM = [Agent("ada", "m"), Agent("bob", "m")]
NO_AGENTS = {"none": None, "number": 3, "text": "ab", "empty": [], "names": ["ada", "bob"], "twice": [TEAM[0]] * 2,
     "object": Nothing()}
case("Coordinator", agents=(TEAM, NO_AGENTS), rule=(chosen_best, BAD_RULES), budget=(100,
     NO_MONEY | {"negative": -1}), client=(client("answers"), {"none": None, "number": 3,
     "text": "x", "object": Nothing()}),
     ledger=(None, {"number": 3, "text": "x", "object": Nothing()}),
     judge=(None, {"number": 3, "text": "x", "agent": TEAM[0], "object": Nothing()}), roster=(None, {"number": 3,
     "text": "x", "object": Nothing()}),
     graders=(None, optional(NO_CHOICE)), choose=(None, optional(NO_FUNCTION)), settle=("key", NO_CHOICE),
     reputation=("found", NO_CHOICE),
     team_size=(2, optional(NO_COUNT) | {"zero": 0, "three": 3}), exploration=(0.1, NO_REAL | {"two": 2.0,
     "negative": -0.1}),
     discount=(0.9, NO_REAL | {"zero": 0, "two": 2.0}), newcomer=(1.0, NO_REAL), grading_share=(0.1,
     NO_REAL | {"one": 1.0, "negative": -0.1}),
     timeout=(60.0, NO_REAL | {"zero": 0}), strategies=(None, {"number": 3, "text": "x", "nobody": {"eve": abs},
     "no function": {"ada": 3}, "list": [abs],
     "object": Nothing()}), seed=(0, optional(NO_SEED)),
     unmarked=("wrong", NO_CHOICE), ties=("drawn", NO_CHOICE), trust=("mean", NO_CHOICE), fees=("score", NO_CHOICE),
     newcomer_weight=(1.0, NO_REAL | {"negative": -0.1}), in_flight=(64, NO_COUNT | {"zero": 0}),
     owners=(None, {"number": 3, "text": "x", "nobody": {"eve": "x"}, "list": ["ada"], "object": Nothing(),
     "one of both": {"ada": "x", "bob": "x"}, "unhashable": {"ada": []}}))  # fmt: skip
NO_PRICE = {"none": None, "number": 1.0, "text": "ab", "one": (1.0,), "negative": (-1.0, 1.0), "nan": (NAN, 1.0),
            "inf": (1.0, INF), "texts": ("1", "2"), "object": Nothing()}  # fmt: skip
ASKED = {"prompt": (str, NO_FUNCTION), "read": (str, NO_FUNCTION), "price": ((1.0, 1.0), NO_PRICE)}
NO_NAME = NO_TEXT | {"empty": ""}
case("FunctionAgent", name=("ada", NO_NAME), function=(print, NO_FUNCTION), marks=(None, optional(NO_FUNCTION)))
case("FunctionGrader", name=("ada", NO_NAME), function=(print, NO_FUNCTION))
for persona in ("PersonaAgent", "PersonaGrader"):
    case(persona, persona=(TEAM[0], {"none": None, "text": "ada", "number": 3, "object": Nothing()}),
         client=(client("answers"), {"none": None, "text": "x", "number": 3, "object": Nothing()}),
         sample=(0, NO_COUNT), **ASKED)  # fmt: skip
for endpoint in ("EndpointAgent", "EndpointGrader"):
    case(endpoint, name=("ada", NO_NAME), base_url=("http://127.0.0.1:8000/v1", NO_NAME | {"no scheme": "127.0.0.1"}),
         model=("m", NO_NAME), system=("", NO_TEXT), key=(None, optional(NO_TEXT)),
         max_tokens=(9, NO_COUNT | {"zero": 0}),
         options=({}, {"none": None, "number": 3, "text": "x", "list": [1], "object": Nothing()}),
         http=(None, {"number": 3, "text": "x", "object": Nothing()}), **ASKED)  # fmt: skip

# arguments that need others beside them, or a table that is not the first one's

for auditor in ("audit", "audit_bayes"):
    CASES[f"{auditor} of a grid"] = (
        lambda auditor=auditor, **a: getattr(mechlib, auditor)(second_price, [0.0, 1.0], **a),
        {"n": 2, **({"prior": [0.5, 0.5]} if auditor == "audit_bayes" else {})},
        {"n": optional(NO_COUNT) | {"zero": 0}},
    )
    CASES[auditor][2].update(utility=optional(NO_FUNCTION), welfare=optional(NO_FUNCTION))
CASES["audit of a grid"][2]["reports"] = optional(
    without(NO_ARRAY, "text inside", "date", "empty", "text", "number as text", "iterator", "empty rows"))
CASES["audit_sampled"][2]["utility"] = optional(NO_FUNCTION)
case("highest of ties", lambda ties: mechlib.rules.choice.highest(UNIT, ties), ties=("first", NO_CHOICE))
NO_NAMES = {"text": "ada", "number": 3, "numbers": [1], "object": Nothing(), "none": None}
case("Ledger.newcomers", lambda **a: ledger().newcomers(**a), first=(5, NO_MONEY | {"negative": -1}),
     of=("found", NO_CHOICE))  # fmt: skip
CASES["Ledger.reputation"][2].update(weight=NO_REAL | {"negative": -1.0}, also=NO_NAMES)
case("Ledger.evidence", lambda **a: ledger().evidence(**a), agent=("a", NO_TEXT), discount=(0.9,
     NO_REAL | {"zero": 0, "two": 2}), of=("reward", NO_CHOICE), also=((), NO_NAMES))  # fmt: skip
CASES["Ledger.newcomers"][2]["owners"] = {"number": 3, "text": "x", "list": ["a"], "object": Nothing()}


CHANCES, COSTS, PAYOFFS = [[0.9, 0.1], [0.2, 0.8]], [0.0, 0.2], [0.0, 1.0]
NO_CHANCES = spoiled(CHANCES) | {"sum": [[0.9, 0.9], [0.2, 0.8]], "flat": [0.5, 0.5]}
ACTION: dict[str, Any] = {
    "chances": (CHANCES, NO_CHANCES),
    "costs": (COSTS, spoiled(COSTS, negative=True) | {"three": [0.0, 0.1, 0.2]}),
}
VALUED = (PAYOFFS, spoiled(PAYOFFS, negative=True) | {"three": [0.0, 0.5, 1.0]})
case("cheapest_contract", **ACTION, wanted=(1, NO_COUNT | {"two": 2, "negative": -1}), outside=(0.0, NO_REAL))
case("best_contract", **ACTION, values=VALUED, outside=(0.0, NO_REAL))
case("best_linear", **ACTION, values=VALUED)
case("cheapest_score", beliefs=([0.1, 0.9], spoiled([0.1, 0.9], unit=True)),
     chances=([0.5, 0.5], spoiled([0.5, 0.5]) | {"sum": [0.9, 0.9]}),
     cost=(0.1, NO_REAL | {"negative": -1.0}))  # fmt: skip
case("virtual_values", values=([1.0, 2.0], spoiled([1.0, 2.0], negative=True) | {"falls": [2.0, 1.0]}),
     prior=([0.5, 0.5], spoiled([0.5, 0.5]) | {"sum": [0.9, 0.9], "three": [0.2, 0.3,
     0.5]}))  # fmt: skip
case("design", setting=(mechlib.Values([0.0, 1.0], 2), {"none": None, "number": 3, "text": "x", "object": Nothing()}),
     objective=("revenue", NO_CHOICE), promises=(["dominant", "nobody loses"], {"word": ["honest"],
     "number": 3, "none": None}),
     prior=([0.5, 0.5], optional(spoiled([0.5, 0.5])) | {"sum": [0.9, 0.9], "three": [0.2, 0.3, 0.5]}),
     budget=(None, optional(NO_REAL)))  # fmt: skip
case("false_names", rule=(mechlib.vcg_combinatorial, NO_FUNCTION), kind=({frozenset("a"): 1.0},
     {"none": None, "number": 3,
     "text": {frozenset("a"): "x"}, "nan": {frozenset("a"): NAN}, "negative": {frozenset("a"): -1.0},
     "stranger": {frozenset("z"): 1.0}}),
     rivals=([(1, frozenset("a"), 2.0)], without(bad_bids(), "empty")), items=("ab", optional(NO_ITEMS)),
     reports=([0.0, 1.0], spoiled([0.0, 1.0], negative=True)), names=(2, NO_COUNT | {"none at all": 0}),
     fee=(0.1, NO_REAL | {"negative": -1.0}))  # fmt: skip
ANY_REPORTS = without(spoiled([2.0, 0.5]), "set", "date", "structured", "iterator")  # a report may be anything
case("false_names of reports", mechlib.false_names, rule=(second_price, NO_FUNCTION), kind=(1.0, NO_REAL),
     rivals=([2.0, 0.5], without(ANY_REPORTS, "empty", "one axis more, empty")),
     reports=([0.0, 1.0], ANY_REPORTS), names=(2, NO_COUNT | {"none at all": 0}),
     utility=(None, optional(NO_FUNCTION) | {"fails": fails, "text": lambda *a: "x", "nan": lambda *a: NAN}),
     fee=(0.1, NO_REAL | {"negative": -1.0}))  # fmt: skip
WEIGHED = spoiled([0.5, 0.5, 1.0]) | {"nothing": [0.0, 0.0, 0.0], "two": [1.0, 2.0]}
case("weighted_median", reports=(BIDS, spoiled(BIDS, negative=True)), weights=([0.5, 0.5, 1.0], optional(WEIGHED)))
case("majority", votes=(RIGHT, spoiled(RIGHT, unit=True)), weights=([0.5, 0.5, 1.0], optional(WEIGHED)))
case("target_rule", reports=(BIDS, spoiled(BIDS, negative=True)), target=(3.0, without(NO_REAL, "inf", "minus inf")))
case("priced_majority", votes=(RIGHT, spoiled(RIGHT, unit=True)), price=(0.1, NO_REAL | {"negative": -1.0}))
case("item_prices", bids=(BUNDLES, bad_bids()), items=(2, NO_ITEMS),
     prices=({0: 1.0, 1: 1.0}, {"none": None, "number": 3, "one": {0: 1.0}, "text": {0: "x", 1: 1.0},
             "nan": {0: NAN, 1: 1.0}, "negative": {0: -1.0, 1: 1.0}}))  # fmt: skip
POOLED = [[0.2, 0.8], [0.6, 0.4]]
NO_POOL = spoiled(POOLED) | {"sum": [[0.9, 0.9], [0.6, 0.4]]}
for pool in ("linear_pool", "log_pool"):
    case(pool, beliefs=(POOLED, NO_POOL), weights=(None, optional(spoiled([0.5, 0.5])) | {"three": [0.2, 0.3,
         0.5]}))  # fmt: skip
case("market", beliefs=(POOLED, NO_POOL), found=(1, without(NO_COUNT, "zero", "yes") | {"two": 2}),
     liquidity=(1.0, NO_REAL | {"zero": 0.0, "negative": -1.0}),
     start=(None, optional(spoiled([0.5, 0.5])) | {"sum": [0.9, 0.9]}), reads=(False,
     NO_BOOL))  # fmt: skip


class TooSlow(BaseException):
    """A call took longer than a second of processor time."""


def too_slow(*anything: Any) -> None:
    raise TooSlow


def verdict(call: Callable[..., Any], good: dict[str, Any], argument: str, bad: Any) -> str:
    """Return "" where a bad argument is refused rightly, else what happened."""
    signal.setitimer(signal.ITIMER_PROF, SECOND)
    try:
        with warnings.catch_warnings(action="ignore"):
            result = call(**{**good, argument: bad})
    except (ValueError, TypeError, FileNotFoundError) as error:
        signal.setitimer(signal.ITIMER_PROF, 0)
        named = re.search(rf"\b{argument.rstrip('s')}", str(error))
        return "" if named else f"does not name it: {error!r:.160}"
    except TooSlow:
        return "took longer than a second"
    except BaseException as error:
        signal.setitimer(signal.ITIMER_PROF, 0)
        return f"raises {error!r:.160}"
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
    return f"accepts it: {result!r:.160}"


def all_cases() -> Iterator[tuple[str, str, str]]:
    for name, (_, _, kinds) in CASES.items():
        for argument, kind in kinds.items():
            for what in kind:
                yield name, argument, what


def attack(wanted: list[tuple[str, str, str]], say: Any) -> None:
    """Try some bad calls one after another, in a process of its own, and say of each what happened."""
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    signal.signal(signal.SIGPROF, too_slow)
    for name in {name: None for name, _,
     _ in wanted}:  # what a function imports when it is first called is not counted
        call, good, _ = CASES[name]
        call(**good)
    for name, argument, what in wanted:
        call, good, kinds = CASES[name]
        say.send((name, argument, what, None))
        say.send((name, argument, what, verdict(call, good, argument, kinds[argument][what])))
    say.send(None)


def attacked(wanted: list[tuple[str, str, str]]) -> dict[tuple[str, str, str], str]:
    """Return what happened at each bad call; a call that cannot even be interrupted is stopped from outside."""
    found: dict[tuple[str, str, str], str] = {}
    while left := [each for each in wanted if each not in found]:
        hear, say = multiprocessing.Pipe(duplex=False)
        child = multiprocessing.get_context("fork").Process(target=attack, args=(left, say))
        child.start()
        say.close()
        now = left[0]
        try:
            while hear.poll(60 * SECOND):
                if (heard := hear.recv()) is None:
                    break
                *place, happened = heard
                now = (place[0], place[1], place[2])
                if happened is not None:
                    found[now] = happened
            else:
                found[now] = "hangs"
        except EOFError:
            found[now] = "ends the process"
        child.kill()
        child.join()
    return found


def test_every_public_function_is_in_the_table() -> None:
    # tuples of what is checked where it is used
    ours = {"Answer", "Award", "LedgerError", "Mark", "Outcome", "Recorded", "Roster"}
    assert set(mechlib.HOMES) - ours - {"audit_router"} <= set(CASES)  # tests/test_router.py


@pytest.mark.parametrize("name", CASES)
def test_the_right_arguments_are_right(name: str) -> None:
    call, good, _ = CASES[name]
    call(**good)


def test_bad_arguments_are_refused_by_name(times: Times) -> None:
    every = [*all_cases()]
    sample = random.Random(0).sample(every, min(times(800, len(every)), len(every)))
    start = time.monotonic()
    found = attacked(sample)
    wrong = [f"{name}({argument}={what}) {happened}" for (name, argument, what), happened in found.items() if happened]
    assert not wrong, "\n".join([f"{len(wrong)} of {len(found)} in {time.monotonic() - start:.0f} s", *wrong])
