"""What training pays is what the rules say, profile by profile, and the best digits are those that theory names."""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
from itertools import product
from pathlib import Path

import numpy as np
import pytest

from mechlib.agents.llm import client
from mechlib.agents.roster import Roster
from mechlib.course.paid import DIGITS, FINE, PRIZE, RULES, SILENCE, payoffs, stating
from mechlib.course.trained import ask, statement
from mechlib.course.worlds import documents

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "training"))
from rules import find  # noqa: E402


def best_digit(name: str, belief: float, rivals: tuple[int, int] = (0, 0)) -> int:
    """Return what agent 0 should state, when it is right with that chance and the others state what they do."""
    table = payoffs(RULES[name])[:, 0, 0, :, rivals[0], rivals[1], 0]
    return int(np.argmax((1 - belief) * table[0] + belief * table[1]))


@pytest.mark.parametrize("name", RULES)
def test_the_table_holds_what_the_rule_pays_at_each_profile(name: str) -> None:
    paid, table = RULES[name], payoffs(RULES[name])
    assert table.shape == (2, 2, 2, 11, 11, 11, 3)
    for found, said in product(product((0, 1), repeat=3), [(9, 3, 5), (2, 2, 1), (7, 9, 9)]):
        reports = DIGITS[list(said)]
        award = paid.rule(reports, np.array(found, dtype=float))
        assert table[(*found, *said)] == pytest.approx(award.rewards + paid.prize * award.allocation)


@pytest.mark.parametrize("name", RULES)
def test_a_malformed_report_pays_a_fine(name: str) -> None:
    table = payoffs(RULES[name])
    assert (table[..., 10, :, :, 0] <= -FINE).all() and (table[..., 10, 2] <= -FINE).all()


@pytest.mark.parametrize("belief", [0.04, 0.31, 0.59, 0.88])
def test_the_best_digit_is_the_one_that_theory_names(belief: float) -> None:
    assert best_digit("metric", belief) == 9
    assert best_digit("popular", belief) == (9 if belief > 0.5 else 0)
    assert best_digit("quadratic", belief) == np.abs(DIGITS - belief).argmin()
    assert best_digit("silence", belief) == (0 if belief**2 < SILENCE else np.abs(DIGITS - belief).argmin())


def test_a_prize_for_the_slot_lifts_a_report_just_above_its_rival_and_its_price_takes_that_back() -> None:
    assert best_digit("quadratic", 0.5, (6, 0)) == 5
    assert best_digit("slot", 0.5, (6, 0)) == 6  # a tie goes to the lowest index
    third = payoffs(RULES["slot"])[0, 0, :, 6, 0, :, 2]
    assert third.mean(0).argmax() == 7
    assert PRIZE > (0.7 - 0.5) ** 2
    for belief, rival in product([0.25, 0.45, 0.65], range(1, 9)):
        table = payoffs(RULES["priced"])[:, 0, 0, :, rival, 0, 0]
        pays = (1 - belief) * table[0] + belief * table[1]
        assert pays.max() - pays[round(belief * 10)] < 0.051  # a digit is half a step away from the belief


def test_a_trained_model_is_handed_the_agents_answer_and_asked_for_one_digit() -> None:
    agent = Roster.load(ROOT / "rosters" / "documents.toml").agents[0]
    request = statement(agent, "trained", "Where?", "ANSWER: 7\nCONFIDENCE: 0.9")
    assert request["messages"][:-1] == agent.request("Where?")["messages"]
    assert request["messages"][-1] == {"role": "assistant", "content": "ANSWER: 7\nCONFIDENCE: 0."}
    assert (request["model"], request["max_tokens"]) == ("trained", 1)
    assert statement(agent, "trained", "Where?", "Seven")["messages"][-1]["content"] == "ANSWER: Seven\nCONFIDENCE: 0."


def test_trained_agents_replay_from_the_recordings() -> None:
    agent = Roster.load(ROOT / "rosters" / "documents.toml").agents[0]
    prompt = documents("test", tasks=1)[0].prompts[0]
    plain, trained = client("documents_test", "replay"), client("documents_trained", "replay")
    message = asyncio.run(ask(plain, trained, agent, "qwen2.5-coder-0.5b+quadratic-0", prompt))
    (block,) = message.content
    assert block.type == "text" and block.text.startswith("ANSWER: ")


@pytest.mark.parametrize("file", sorted((ROOT / "training" / "results").glob("*.json")), ids=lambda file: file.stem)
def test_results_name_the_adapter_that_is_there(file: Path) -> None:
    result = json.loads(file.read_text())
    adapter = ROOT / result["adapter"]
    assert hashlib.sha256(adapter.read_bytes()).hexdigest() == result["sha256"]
    paid = [epoch["paid"] for epoch in result["curve"][1:]]
    kept = len(paid) if RULES[result["rule"]].prize else 1 + int(np.argmax(paid))
    assert result["best_epoch"] == kept


def test_stating_a_digit_earns_what_the_table_says_on_average_over_teams_and_luck() -> None:
    rng, teams, right = np.random.default_rng(0), [(0, 1, 2), (2, 0, 2), (1, 2, 0)], np.array([0.8, 0.6, 0.1])
    policy = rng.dirichlet(np.ones(11), 3)
    found = stating(RULES["slot"], teams, right, policy)
    table = payoffs(RULES["slot"])
    for kind, digit in [(0, 9), (1, 3), (2, 0)]:
        plays = [(team, seat) for team in teams for seat in range(3) if team[seat] == kind]
        total = 0.0
        for team, seat in plays:
            for luck, said in product(product((0, 1), repeat=3), product(range(11), repeat=3)):
                if said[seat] == digit:
                    chance = np.prod([right[k] if hit else 1 - right[k] for k, hit in zip(team, luck, strict=True)])
                    others = np.prod([policy[team[i], said[i]] for i in range(3) if i != seat])
                    total += chance * others * table[(*luck, *said, seat)]
        assert found[kind, digit] == pytest.approx(total / len(plays))


def test_any_rule_can_be_trained_under(tmp_path: Path) -> None:
    file = tmp_path / "mine.py"
    file.write_text("from mechlib import second_price\n")
    paid = find(f"{file}:second_price")
    profile = (0, 0, 0, 9, 4, 2)
    assert payoffs(paid)[profile] == pytest.approx([-0.4, 0, 0])
    for name in ("fair", f"{file}:third_price", "nowhere.py:rule"):
        with pytest.raises(ValueError, match="RULE="):
            find(name)
