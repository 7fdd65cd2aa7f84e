"""What a reader sees of each attack's result, word by word: plain text, and the table of a notebook."""

import inspect

import numpy as np
import pytest

from mechlib.attacks import learn as learning
from mechlib.attacks import profiles, sampled
from mechlib.attacks.audit import audit, audit_bayes
from mechlib.attacks.learn import Learned, learn
from mechlib.attacks.replay import Replayed, replay
from mechlib.attacks.report import Audit
from mechlib.attacks.sampled import audit_sampled
from mechlib.attacks.scoreboard import Finding, Scoreboard, scoreboard
from mechlib.mechanism import Award, Outcome
from mechlib.rules.auctions import all_pay, first_price, second_price
from mechlib.settings import Values

BIDDERS, SELLERS = Values([0, 1, 2, 3], 2), Values([1, 2, 3], 2)
EVENLY = np.full(4, 1 / 4)


def buy(costs):
    """Buy from the cheapest at what it asks."""
    costs = np.asarray(costs, float)
    bought = np.arange(costs.shape[-1]) == costs.argmin(axis=-1)[..., None]
    return Award(bought / 1.0, bought * costs)


def lines(page):
    return inspect.cleandoc(page)


def test_a_lie_a_verdict_and_the_money_are_told():
    assert repr(audit(first_price, BIDDERS)) == lines("""
        Audit of first_price: 2 agents, 16 profiles, 96 lies tried
          truth is dominant       NO: agent 0, worth 3, gains 3 by reporting 0 when the other reports 0
          nobody honest loses     yes: the worst off ends with 0
          efficient               yes: among the 2 allocations that the rule attains on this grid
          sum of payments         0 to 3""")
    assert repr(audit(second_price, BIDDERS)).splitlines()[1] == "  truth is dominant       yes: no lie gains anything"
    tolerant = repr(audit(second_price, BIDDERS, tolerance=0.5)).splitlines()
    assert tolerant[1] == "  truth is dominant       yes: no lie gains more than 0.5"
    assert repr(audit(all_pay, BIDDERS)).splitlines()[2] == "  nobody honest loses     NO: the worst off ends with -3"


def test_rounding_is_not_told_as_a_loss():
    def dear(bids):
        sold = second_price(bids)
        return Outcome(sold.allocation, sold.payments + 1e-12)

    assert "the worst off ends with 0\n" in repr(audit(dear, BIDDERS))


def test_what_is_lost_is_told_with_what_it_is_compared_with():
    def worst(bids):
        won = np.asarray(bids).argmin(axis=-1)[..., None] == np.arange(2)
        return Outcome(won / 1.0, 0.0 * won)

    assert repr(audit(worst, BIDDERS)).splitlines()[3] == (
        "  efficient               NO: loses up to 3 among the 2 allocations that the rule attains on this grid")


def test_under_a_prior_gains_and_money_are_told_on_average():
    """First price: 3 wins for 1 against 0, and against 1 as agent 0. Its mean is that of the higher of two values."""
    assert repr(audit_bayes(first_price, BIDDERS, EVENLY)) == lines("""
        Audit of first_price: 2 agents, 16 profiles, 24 lies tried
          truth is an equilibrium NO: agent 0, worth 3, gains 1 on average by reporting 1 when the others are truthful
          nobody honest loses     yes: the worst off expects 0
          efficient               yes: among the 2 allocations that the rule attains on this grid
          sum of payments         0 to 3, 2.125 on average""".replace("2.125", f"{(1 * 3 + 2 * 5 + 3 * 7) / 16:.3f}"))
    assert repr(audit_bayes(second_price, BIDDERS, EVENLY)).splitlines()[1] == (
        "  truth is an equilibrium yes: no lie gains anything on average")


def test_money_that_goes_to_the_agents_is_told_as_rewards():
    """The lower of two costs: 1 in five of nine cases, 2 in three, 3 in one."""
    bought = repr(audit_bayes(buy, SELLERS, np.full(3, 1 / 3))).splitlines()
    assert bought[1] == ("  truth is an equilibrium NO: agent 0, with cost 1, gains 0.6667 on average by reporting 2 "
                         "when the others are truthful")
    assert bought[4] == f"  sum of rewards          1 to 3, {(5 * 1 + 3 * 2 + 3) / 9:.3f} on average"


def test_a_sample_tells_what_it_did_not_try():
    some = audit_sampled(second_price, BIDDERS, 50)
    told = repr(some).splitlines()
    assert told[:3] == [
        "Audit of second_price: 2 agents, 50 profiles, 800 lies tried",
        "  truth held every time   yes: no lie gains anything among those that were tried; a narrower one may exist",
        "  mean gain               0, standard error 0"]
    assert told[4] == "  efficient               not checked: not asked of a sample"
    assert "gains" in repr(audit_sampled(first_price, BIDDERS, 50)).splitlines()[1]


def test_a_gain_as_large_as_the_tolerance_is_none():
    def bribe(bids):
        told = np.asarray(bids, float)
        return Outcome(0.0 * told, -1.0 * (told == 3))

    for found in (audit(bribe, BIDDERS, tolerance=1.0), audit_sampled(bribe, BIDDERS, 50, tolerance=1.0)):
        assert found.witness is None
    for found in (audit(bribe, BIDDERS, tolerance=0.99), audit_sampled(bribe, BIDDERS, 50, tolerance=0.99)):
        assert found.witness.gain == 1


def test_an_audit_is_a_table_in_a_notebook():
    cell = 'style="padding:.15em 1em .15em 0;text-align:left;vertical-align:top'
    rows = [("truth is dominant", "yes", "no lie gains anything"),
            ("nobody honest loses", "yes", "the worst off ends with 0"),
            ("efficient", "yes", "among the 2 allocations that the rule attains on this grid"),
            ("sum of payments", "", "0 to 3")]
    body = "".join(f'<tr><th scope="row" {cell};font-weight:normal">{name}</th><td {cell}"><b>{verdict}</b></td>'
                   f'<td {cell}">{text}</td></tr>' for name, verdict, text in rows)
    found = audit(second_price, BIDDERS)
    assert found.rows() == rows
    assert found._repr_html_() == (
        '<table style="background:transparent;color:inherit;border-collapse:collapse"><caption style='
        '"caption-side:top;text-align:left;color:inherit">Audit of second_price: 2 agents, 16 profiles, 96 lies tried'
        f"</caption><tbody>{body}</tbody></table>")


def test_large_numbers_have_commas_and_a_lambda_is_this_rule():
    found = Audit("<lambda>", "dominant", 3, 12_345, 67_890, None, "", 0.0, True, 0.0)
    assert repr(found).splitlines()[0] == "Audit of this rule: 3 agents, 12,345 profiles, 67,890 lies tried"
    assert found.regret == 0 and not found.sells


@pytest.mark.parametrize(
    ("kind", "gain", "dominant", "equilibrium"),
    [("dominant", None, True, True), ("Bayes", None, None, True), ("sampled", None, None, None),
     ("dominant", 1.0, False, None), ("Bayes", 1.0, False, False), ("sampled", 1.0, False, None)],
)
def test_what_an_audit_can_tell(kind, gain, dominant, equilibrium):
    """A lie against one profile does not refute truth on average; no lie at all, at any profile, does prove it."""
    attack = {"dominant": lambda rule: audit(rule, BIDDERS), "Bayes": lambda rule: audit_bayes(rule, BIDDERS, EVENLY),
              "sampled": lambda rule: audit_sampled(rule, BIDDERS, 50)}[kind]
    found = attack(first_price if gain else second_price)
    assert (found.kind, found.is_dsic, found.is_bic) == (kind, dominant, equilibrium)


TWO_LIVES = Learned(
    setting=Values([1.0, 2.0], 1, reports=[0.0]),
    chances=(np.array([[[0, 0, 1], [0, 1, 0]], [[0.5, 0, 0.5], [0, 1, 0]]]),),
    path=np.zeros((10, 2, 1)), gain=np.array([[1.0], [2.0]]), revenue=np.zeros((10, 2)),
)


def test_what_was_learnt_is_told_with_its_standard_error():
    """The grid is 1, 2, 0 and a life of two: means 0 and 1/2 for worth 1 have the standard error 1/4."""
    assert repr(TWO_LIVES) == lines("""
        agent 0 gains 1.5 ± 0.5 a round above the truth
          worth 1            0.25 ± 0.25  mostly reporting 0
          worth 2            2.00 ± 0.00  mostly reporting 2""")
    assert TWO_LIVES._repr_html_() == (
        "<table><caption>Agent 0 learns: it gains 1.5 ± 0.5 a round above the truth</caption><thead><tr><th>type</th>"
        '<th>reports</th><th></th></tr></thead><tbody><tr><th scope="row">worth 1</th><td>0.25 ± 0.25</td><td>mostly '
        'reporting 0</td></tr><tr><th scope="row">worth 2</th><td>2.00 ± 0.00</td><td>mostly reporting 2</td></tr>'
        "</tbody></table>")


def test_one_life_has_no_standard_error():
    alone = learn(first_price, BIDDERS, rounds=10, lives=1)
    assert "± nan a round" in repr(alone)


def test_a_scoreboard_has_a_column_a_rule():
    board = Scoreboard({"first & last": {"gain": Finding(0.25, 0.01, False), "worst": Finding(-0.0001, held=True)},
                        "x": {"gain": Finding(0.0, held=True), "paid": Finding(12.5)}})
    assert repr(board).splitlines() == ["                first & last               x",
                                        " gain  0.250 ± 0.010  BROKEN   0.000  held",
                                        "worst          0.000  held",
                                        " paid                         12.500"]
    assert board._repr_html_() == (
        '<table><thead><tr><th></th><th scope="col">first &amp; last</th><th scope="col">x</th></tr></thead><tbody>'
        '<tr><th scope="row">gain</th><td>0.250 ± 0.010 <b>broken</b></td><td>0.000 held</td></tr>'
        '<tr><th scope="row">worst</th><td>0.000 held</td><td></td></tr>'
        '<tr><th scope="row">paid</th><td></td><td>12.500</td></tr></tbody></table>')


def test_a_replay_tells_means_and_intervals():
    """Rights 0, 1, 1, 0: the mean is 1/2 and its standard error the root of a twelfth."""
    played = Replayed("<rule>", np.zeros((4, 2)), np.array([[0.0, 1.0], [2.0, 1.0], [2.0, 1.0], [0.0, 1.0]]),
                      np.array([0.0, 1.0, 1.0, 0.0]))
    half = 1.96 / np.sqrt(12)
    rows = [("right answers passed on", f"0.50 ({0.5 - half:.2f} to {0.5 + half:.2f})"),
            ("paid a task", f"2.000 ({2 - 2 * half:.3f} to {2 + 2 * half:.3f})"),
            ("earned by each agent", "1.000, 1.000")]
    assert played.rows() == rows
    assert repr(played).splitlines() == ["Replay of <rule> on 4 tasks", *(f"  {name:26}{text}" for name, text in rows)]
    body = "".join(f'<tr><th scope="row">{name}</th><td>{text}</td></tr>' for name, text in rows)
    assert played._repr_html_() == (
        f"<table><caption>Replay of &lt;rule&gt; on 4 tasks</caption><tbody>{body}</tbody></table>")


def test_results_name_their_rule_or_say_that_it_has_none():
    class Nameless:
        def __call__(self, bids):
            return second_price(bids)

    recorded = ([[0.5, 0.2]], [[1.0, 0.0]])
    for rule, name in ((second_price, "second_price"), (Nameless(), "a rule")):
        found = audit(rule, BIDDERS), audit_sampled(rule, BIDDERS, 5), replay(rule, recorded)
        assert [result.rule for result in found] == [name] * 3


def test_progress_bars_wait_a_second_and_go_when_they_are_done(monkeypatch):
    bars = []

    def bar(steps=None, **options):
        bars.append(options)
        return Silent(steps)

    class Silent(list):
        def __init__(self, steps):
            super().__init__(steps or [])

        def __enter__(self):
            return self

        def __exit__(self, *_):
            return None

        def update(self, count):
            bars[-1]["seen"] = bars[-1].get("seen", 0) + count

    for module in (learning, profiles, sampled):
        monkeypatch.setattr(module, "tqdm", bar)
    learn(first_price, BIDDERS, rounds=10, lives=2)
    audit(lambda bids: second_price([*map(float, bids)]), np.arange(12), n=2)
    audit_sampled(first_price, BIDDERS, 300)
    assert bars == [
        {"desc": "learning", "unit": "round", "delay": 1.0, "leave": False},
        {"desc": "playing the rule", "unit": "profile", "delay": 1.0, "leave": False, "total": 144, "seen": 144},
        {"desc": "audit", "unit": "block", "delay": 1.0, "leave": False, "total": 3}]


@pytest.mark.no_cover
def test_without_options_attacks_are_as_long_as_they_say():
    small = Values([0, 1], 1)
    said = learn(first_price, small, rounds=2000, lives=100, seed=0, learner="hedge", who=[0])
    np.testing.assert_array_equal(learn(first_price, small).gain, said.gain)
    board = scoreboard({"first": first_price}, small)
    assert board == scoreboard({"first": first_price}, small, rounds=1000, lives=100, seed=0)
    sample = audit_sampled(first_price, small, samples=10_000, lies=8, seed=0)
    assert audit_sampled(first_price, small) == sample and sample.profiles == 10_000 and sample.lies == 80_000
