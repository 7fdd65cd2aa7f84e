"""Rules side by side: each finding is that of the attack that made it, and says whether the rule held."""

import functools

import numpy as np
import pytest

from mechlib.attacks.audit import audit
from mechlib.attacks.learn import learn
from mechlib.attacks.replay import replay
from mechlib.attacks.scoreboard import Finding, scoreboard
from mechlib.mechanism import Award
from mechlib.rules.auctions import first_price, second_price
from mechlib.rules.scoring import absolute, quadratic
from mechlib.settings import Actions, Beliefs, Values

RNG = np.random.default_rng(0)
RECORDED = (RNG.random((50, 2)), RNG.integers(0, 2, (50, 2)))
SETTING = Beliefs([0.2, 0.5, 0.8], 2, reports=[0.0, 1.0])


def highest(reports):
    reports = np.asarray(reports)
    return (np.arange(reports.shape[-1]) == reports.argmax(axis=-1)[..., None]).astype(float)


def boastful(reports, found):
    return Award(highest(reports), absolute(reports, found))


def proper(reports, found):
    return Award(highest(reports), quadratic(reports, found) / 2)


@functools.cache
def board():
    return scoreboard({"absolute": boastful, "proper": proper}, SETTING, RECORDED, budget=1.0, rounds=500, lives=20)


def test_every_finding_is_that_of_its_attack():
    for name, rule in (("absolute", boastful), ("proper", proper)):
        found, report = board().findings[name], audit(rule, SETTING)
        gain = learn(rule, SETTING, who=[0], rounds=500, lives=20).gain[:, 0]
        played = replay(rule, RECORDED)
        assert found["worst lie gains"] == Finding(report.regret, held=report.is_dsic)
        assert found["worst off if honest"] == Finding(report.worst_utility, held=report.is_ir)
        assert found["most paid out"].value == -report.budget[0]
        assert found["falls short of the best by"] == Finding(report.welfare_lost, held=report.is_efficient)
        assert found["a learner gains"][:2] == (gain.mean(), gain.std(ddof=1) / np.sqrt(20))
        assert found["right, recorded agents"].value == played.right.mean()
        assert found["paid, recorded agents"].value == played.paid.mean()
        assert found["paid, recorded agents"].error == pytest.approx(played.paid.std(ddof=1) / np.sqrt(50))
        assert found["right, recorded agents"].error == pytest.approx(played.right.std(ddof=1) / np.sqrt(50))
        assert found["right, recorded agents"].held is found["paid, recorded agents"].held is None


def test_one_agent_learns_and_the_others_are_honest():
    setting = Values([0, 1, 2], 2)
    alike = scoreboard({"first": first_price}, setting, rounds=100, lives=10, seed=4)
    alone = learn(first_price, setting, who=[0], rounds=100, lives=10, seed=4).gain[:, 0]
    together = learn(first_price, setting, rounds=100, lives=10, seed=4).gain[:, 0]
    assert alike.findings["first"]["a learner gains"].value == alone.mean() != together.mean()


def test_what_broke_and_what_held():
    broken = {question: finding.held for question, finding in board().findings["absolute"].items()}
    assert broken["worst lie gains"] is broken["worst off if honest"] is broken["most paid out"] is False
    assert broken["a learner gains"] is False and broken["falls short of the best by"] is True
    assert board().held("proper") and not board().held("absolute")


def test_without_a_budget_or_recordings_less_is_asked():
    found = scoreboard({"second": second_price}, Values([0, 1, 2], 2), rounds=100, lives=10).findings["second"]
    assert found["most paid out"] == Finding(0.0, held=None) and "right, recorded agents" not in found
    assert scoreboard({"first": first_price}, Values([0, 1, 2], 2), rounds=100, lives=10).held("first") is False
    over = scoreboard({"pays": lambda r: Award(np.ones(2), np.full(2, 3.0))}, Values([0, 1], 2), budget=5.9,
                      rounds=10, lives=2).findings["pays"]
    assert over["most paid out"] == Finding(6.0, held=False)
    work = scoreboard({"nothing": lambda a: Award(np.zeros(2), np.zeros(2))}, Actions({"shirk": 0, "work": 1}, 2),
                      rounds=50, lives=5).findings["nothing"]
    assert "falls short of the best by" not in work and work["worst lie gains"] == Finding(1.0, held=False)


def test_it_reads_as_a_table():
    lines = repr(board()).splitlines()
    assert lines[0].split() == ["absolute", "proper"] and len(lines) == 8
    assert "BROKEN" in lines[1] and "held" in lines[1]
    assert all("-0.000" not in line for line in lines)
    page = board()._repr_html_()
    assert page.count("<tr>") == 8 and '<th scope="col">absolute</th>' in page and "<b>broken</b>" in page
    escaped = scoreboard({"<b>": second_price}, Values([0, 1], 2), rounds=10, lives=2)._repr_html_()
    assert "&lt;b&gt;" in escaped and "<b>" not in escaped.replace("<b>broken", "")
    assert str(Finding(-0.0001)) == "0.000" and str(Finding(0.5, 0.25)) == "0.500 ± 0.250"


def test_a_rule_that_fails_is_named():
    with pytest.raises(ValueError, match="odd: the rule fails on the reports"):
        scoreboard({"fine": second_price, "odd": lambda bids: 1 / 0}, Values([0, 1], 2), rounds=10, lives=2)
