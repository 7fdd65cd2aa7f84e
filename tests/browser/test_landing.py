"""The front page: its auction is that of the package, can be played, and its numbers are those of the recordings."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from conftest import HERE, SITE

from mechlib.rules.auctions import first_price, second_price

ROOT = HERE.parents[1]
ROUNDS = [(value, bid, rivals) for value in (31, 72) for bid in range(0, 101, 7) for rivals in ([58, 33], [12, 90])]
ASK = """
const { outcome, best } = await import(process.argv[1]);
const rounds = JSON.parse(process.argv[2]);
const round = (rule) => ([value, bid, rivals]) => [outcome(rule, value, bid, rivals), best(rule, value, rivals)];
const play = (rule) => rounds.map(round(rule));
console.log(JSON.stringify({ first: play("first"), second: play("second") }));
"""


def test_the_auction_pays_as_the_package_does() -> None:
    script = str(ROOT / "book" / "assets" / "landing.js")
    command = ["node", "--input-type=module", "-e", ASK, script, json.dumps(ROUNDS)]
    said = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    for name, rule in (("first", first_price), ("second", second_price)):
        for (value, bid, rivals), (mine, best) in zip(ROUNDS, said[name], strict=True):

            def gain(report: int, value: int = value, rivals: list[int] = rivals, rule: Any = rule) -> float:
                sold = rule(np.array([*rivals, report], dtype=float))
                return float(value * sold.allocation[-1] - sold.payments[-1])

            assert mine["gain"] == gain(bid), (name, value, bid, rivals)
            assert gain(best) == max(gain(report) for report in range(101))
            if name == "second":
                assert best == value


@pytest.mark.parametrize("width", [1280, 390])
def test_the_auction_is_played_by_keyboard_and_by_dragging(drive: Callable[..., Any], width: int) -> None:
    played = drive("landing.mjs", width=width)
    assert (played["first"], played["keyed"]) == ("50", "72")
    assert "You win and pay 58" in played["truth"] and "No other bid would have gained more" in played["truth"]
    assert played["drawn"] == 1
    assert int(played["dragged"]) > 80
    assert re.search(r"The rivals bid \d+ and \d+\.", played["own"])
    assert played["tally"].startswith("After 2 rounds")
    assert played["copies"] == 0
    assert played["problems"] == []


def test_its_numbers_are_those_of_the_recordings() -> None:
    sys.path.insert(0, str(ROOT / "book"))
    landing = __import__("landing")
    rows, told = asyncio.run(landing.models()), asyncio.run(landing.desks())
    page = (SITE / "index.html").read_text(encoding="utf-8")
    for row in rows:
        for number in (row.said, row.right):
            assert f"<span>{landing.share(number)}</span>" in page
    for number in told.passed_on.values():
        assert landing.share(number) in page
    assert "<!-- shock -->" not in page and "<!-- result -->" not in page
