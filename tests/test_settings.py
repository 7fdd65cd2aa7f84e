"""What each setting promises: who may report what, what it is worth, and in which words a lie is told."""

import functools
import math

import numpy as np
import pytest

from mechlib.attacks.audit import audit
from mechlib.mechanism import Award, Outcome
from mechlib.rules.auctions import first_price
from mechlib.rules.paths import vcg_path
from mechlib.rules.scoring import absolute, quadratic
from mechlib.settings import Actions, Beliefs, Joint, Lines, Listed, Values, does, doing, show


def highest(reports):
    """Return who reports most; silence loses, and nobody is chosen where all are silent."""
    claims = np.where(np.isnan(reports), -1.0, reports)
    return ((np.arange(claims.shape[-1]) == claims.argmax(axis=-1)[..., None]) & ~np.isnan(reports)).astype(float)


def scored(reports, found):
    return Award(highest(reports), quadratic(reports, found))


def test_reports_come_after_the_types_and_no_type_twice():
    setting = Values([3, 1, 2], 2, reports=[2, 5])
    assert [grid.tolist() for grid in setting.grids] == [[3, 1, 2, 5]] * 2 and setting.honest == (3, 3)
    assert setting.grids[0].dtype.kind == "i"
    own = Values([[0, 1], [2.5]], reports=[[1, 7], [3]])
    assert [grid.tolist() for grid in own.grids] == [[0, 1, 7], [2.5, 3]] and own.honest == (2, 1)
    assert Values([[1, 0], [0, 1]], 3, reports=[[1, 1], [1, 0]]).grids[2].tolist() == [[1, 0], [0, 1], [1, 1]]
    quiet = Beliefs([0.2, 0.8], 2, silence=True, reports=[0.5])
    assert quiet.grids[1][:3].tolist() == [0.2, 0.8, 0.5] and math.isnan(quiet.grids[1][3]) and quiet.honest == (2, 2)


def test_every_type_is_drawn_as_often_and_reports_too():
    setting = Values([1, 2, 4], 2, reports=[9])
    types, reports = (draw(np.random.default_rng(0), 6000) for draw in (setting.draw, setting.draw_reports))
    assert types.shape == reports.shape == (6000, 2)
    assert np.unique(types, return_counts=True)[1] == pytest.approx([4000] * 3, rel=0.05)
    assert np.unique(reports, return_counts=True)[1] == pytest.approx([3000] * 4, rel=0.05)


@pytest.mark.parametrize("n", [1, 4, 5, 6])
def test_a_rule_is_never_tried_on_as_many_profiles_as_there_are_agents(n):
    assert len(Values([0, 1], n).some()) >= 5 and len(Values([0, 1], n).some()) != n


def test_a_value_is_earned_by_the_unit_and_a_cost_is_spent_by_the_unit():
    profiles = np.array([[3.0, 1.0]])
    bought = Values([1.0, 3.0], 2).play(lambda bids: Outcome(np.array([1.0, 0.5]), np.array([2.0, 0.25])))(profiles)
    sold = Values([1.0, 3.0], 2).play(lambda bids: Award(np.array([1.0, 0.5]), np.array([2.0, 0.25])))(profiles)
    assert isinstance(bought, Lines) and bought.sign == 1 and bought.mean.tolist() == [2.25]
    assert bought.utility(0, np.array([3.0, 1.0])).tolist() == [[1.0], [-1.0]]
    assert isinstance(sold, Lines) and sold.sign == -1 and sold.mean.tolist() == [-2.25] == sold.low.tolist()
    assert sold.utility(1, np.array([1.0, 3.0])).tolist() == [[-0.25], [-1.25]]


def test_what_is_expected_is_the_mean_of_what_comes_out():
    """`play` weighs everything that may be found; `ex_post` takes what was drawn."""
    setting = Beliefs([0.1, 0.4, 0.9], 2, prize=0.3, silence=True)
    rng = np.random.default_rng(0)
    types = np.tile([[0.4, 0.9]], (40_000, 1))
    expected = setting.play(scored)(np.array([[0.4, 0.9], [math.nan, 0.9]]))
    for row, reports in enumerate((types, np.where([True, False], math.nan, types))):
        found = setting.turn_out(rng, types)
        drawn = setting.ex_post(scored)(reports, found)
        for i in range(2):
            earned = drawn.own(i, types[:, i])
            assert earned.mean() == pytest.approx(expected.utility(i, types[:1, i])[0, row], abs=0.015)
        assert drawn.mean.mean() == pytest.approx(expected.mean[row], abs=0.015)
    assert setting.turn_out(rng, types).mean(axis=0) == pytest.approx([0.4, 0.9], abs=0.01)


def test_silence_is_never_found_right():
    told = []

    def rule(reports, found):
        told.append((np.array(reports), np.array(found)))
        return Award(np.zeros(np.shape(reports)), np.asarray(found, float))

    report = audit(rule, Beliefs([0.5, 1.0], 2, silence=True))
    assert all(not found[np.isnan(reports)].any() for reports, found in told)
    assert report.budget == (-2, 0) and report.is_dsic


def test_a_prize_makes_exaggeration_pay_and_its_sign_matters():
    assert audit(scored, Beliefs([0.2, 0.5, 0.8], 2)).is_dsic
    boast = audit(scored, Beliefs([0.2, 0.5, 0.8], 2, 0.4)).witness
    assert boast.lie > boast.types[boast.agent]
    shy = audit(scored, Beliefs([0.2, 0.5, 0.8], 2, -0.4)).witness
    assert shy.lie < shy.types[shy.agent]
    assert audit(scored, Beliefs([0.2, 0.5, 0.8], 2, 0.05)).witness is None  # the score's loss outweighs it


def test_a_rule_reads_the_costs_that_the_setting_names():
    seen = []

    def rule(reports, found, costs):
        seen.append(np.array(costs))
        return Award(highest(reports), quadratic(reports, found) - costs)

    report = audit(rule, Beliefs([0.5, 1.0], 2, costs=[0.1, 0.2]))
    assert report.is_dsic and report.worst_utility == pytest.approx(0.25 - 0.2)
    assert all((costs == [0.1, 0.2]).all() for costs in seen)


def test_efficient_means_most_often_right_in_beliefs():
    assert audit(scored, Beliefs([0.2, 0.8], 2)).is_efficient
    first = audit(lambda r, f: Award(np.array([1.0, 0.0]), np.zeros(2)), Beliefs([0.2, 0.8], 2), feasible=np.eye(2))
    assert first.welfare_lost == pytest.approx(0.6)


def test_obeying_is_the_truth_and_what_is_done_is_charged():
    costs = {"shirk": 0.0, "work": 0.5}

    def half_each(actions):
        return Award(np.asarray(actions, float), np.full(2, np.sum(actions) / 2 * 0.9))

    report = audit(half_each, Actions(costs, 2))
    assert report.sentence == "agent 0, told to work, gains 0.05 by shirking when the other works"
    assert report.worst_utility == pytest.approx(0.45 - 0.5) and report.budget == pytest.approx((-1.8, -1.8))
    idle = audit(half_each, Actions(costs, 2, told="shirk"))
    assert idle.is_dsic and idle.profiles == 4 and idle.budget == (0, 0)
    mixed = audit(half_each, Actions(costs, 2, told=["work", "shirk"]))
    assert mixed.witness.agent == 0 and mixed.witness.types == (1, 0) and mixed.witness.lie == 0
    with pytest.raises(ValueError, match="one number an agent"):
        audit(lambda actions: Result(), Actions(costs, 2))


class Result:
    payments = np.zeros(2)

    def worth(self, agent, kind):
        return 0.0


def test_types_drawn_together_are_drawn_together():
    setting = Joint([[0, 1], [1, 0], [0, 1]], [0.25, 0.5, 0.25])
    assert setting.likelihood().tolist() == [[0, 0.5], [0.5, 0]]
    drawn = setting.draw(np.random.default_rng(0), 4000)
    assert (drawn.sum(axis=1) == 1).all() and drawn[:, 0].mean() == pytest.approx(0.5, abs=0.03)
    words = Joint([["yes", "yes"], ["no", "yes"]], [0.5, 0.5])
    assert [grid.tolist() for grid in words.grids] == [["no", "yes"], ["yes"]]


def test_an_own_type_that_tells_of_the_others_can_make_a_lie_pay():
    """A price that rises with what the other is likely to be: only those who infer it gain."""
    def rule(reports):
        mine, other = np.asarray(reports, float)
        return Outcome(np.zeros(2), np.array([float(mine != other), 0.0]))

    same, opposite = (Joint(rows, [0.5, 0.5]) for rows in ([[0, 0], [1, 1]], [[0, 1], [1, 0]]))
    assert audit(rule, same).is_bic and audit(rule, opposite).regret == 1
    assert audit(rule, opposite).sentence.endswith("on average by reporting 1 when the others are truthful")


@pytest.mark.parametrize(
    ("rule", "setting", "sentence"),
    [
        (first_price, Values([1, 4, 7], 3), "agent 0, worth 7, gains 6 by reporting 1 when the others report (1, 1)"),
        (lambda r: Award(np.ones(2), np.asarray(r, float)), Values([1, 4], 2),
         "agent 0, with cost 1, gains 3 by reporting 4 when the other reports 1"),
        (lambda r, f: Award(highest(r), absolute(r, f)), Beliefs([0.25, 0.75], 1, reports=[1.0]),
         "agent 0, believing 0.75, gains 0.125 by reporting 1"),
        (lambda r, f: Award(highest(r), absolute(r, f)), Beliefs([0.25], 1, silence=True),
         "agent 0, believing 0.25, gains 0.125 by staying silent"),
    ],
)
def test_a_lie_is_told_in_the_setting_s_words(rule, setting, sentence):
    assert audit(rule, setting).sentence == sentence


def test_others_that_act_are_named_one_by_one_unless_they_do_the_same():
    three = Actions({"shirk": 0, "work": 1}, 3)
    assert three.when([(1, 0), (2, 0)]) == "when the others shirk"
    assert three.when([(1, 1), (2, 0)]) == "when the others work and shirk"
    assert three.when([(1, 1)]) == "when the other works"
    assert Values([1], 2).when([(1, 3)]) == "when the other reports 3"
    assert Values([1], 12).when([(k, k) for k in range(11)]).endswith("6, 7, …)")


@pytest.mark.parametrize(("action", "word"), [("shirk", "shirking"), ("lie", "lying"), ("copy", "copying"),
                                              ("be lazy", "being lazy"),
                                              ("run", "running"), ("read", "reading"), ("write", "writing"),
                                              ("agree", "agreeing"), ("do it", "doing it"), ("edit", "editing"),
                                              ("say bad", "saying bad"), ("2 pads", "doing '2 pads'"),
                                              ("visit", "visiting"), ("relax", "relaxing"), ("show", "showing")])
def test_actions_become_gerunds(action, word):
    assert doing(action) == word


@pytest.mark.parametrize(("action", "word"), [("work", "works"), ("copy", "copies"), ("pass", "passes"),
                                              ("play", "plays"), ("do it", "does it"), ("2 pads", "does '2 pads'"),
                                              ("watch", "watches"), ("go", "goes")])
def test_actions_become_what_another_does(action, word):
    assert does(action) == word


@pytest.mark.parametrize(("value", "text"), [(0.123456, "0.1235"), (12345678.0, "12,345,678"), ((1, 0.5), "(1, 0.5)"),
                                             (math.nan, "silence"), ("yes", "yes"), (True, "True"),
                                             (-20000, "-20,000")])
def test_numbers_are_shown_short(value, text):
    assert show(value) == text


def test_lists_of_results_keep_their_order():
    listed = Listed([1, 2, 3], lambda i, kind, result: kind * result)
    assert listed[np.array([2, 0])].results == [3, 1] and len(listed.joined([listed[:1]])) == 4
    assert listed.utility(0, np.array([1, 10])).tolist() == [[1, 2, 3], [10, 20, 30]]
    assert listed.own(0, [1, 1, 2]).tolist() == [1, 2, 6] and listed.mean.tolist() == []


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: Values([1, 2]), "say with n= how many do"),
        (lambda: Values([], 2), "one or more finite numbers"),
        (lambda: Values([0, np.nan], 2), "finite numbers"),
        (lambda: Values([[1, 2], []]), "finite numbers"),
        (lambda: Values([[1], [1, 2]], 2), "one grid that all share"),
        (lambda: Values([1, 2], 2, reports=[np.inf]), "reports is"),
        (lambda: Values(7, 2), "grid of one or more"),
        (lambda: Beliefs([0.5, 1.2], 2), "chances between 0 and 1"),
        (lambda: Beliefs([0.5], 2, reports=[-0.1]), "reports must hold chances"),
        (lambda: Beliefs([0.5], 2, costs=[1.0]), "2 finite numbers, one an agent"),
        (lambda: Beliefs([0.5], 2, np.nan), "prize is nan: it must be one number"),
        (lambda: Actions({"work": 1.0}), "one mapping of action names to costs with n="),
        (lambda: Actions([{"work": 1.0}], 2), "a sequence of n of them"),
        (lambda: Actions({"work": np.inf}, 2), "costs.'work'. is inf: it must be one number"),
        (lambda: Actions([{}]), "each at a cost"),
        (lambda: Actions({"work": 1.0}, 2, "sleep"), "agent 0 is told to 'sleep', but its actions are work"),
        (lambda: Joint([[0, 1]], [0.5]), "summing to 1; .* the sum is 0.5"),
        (lambda: Joint([[0, 1]], [[1.0]]), r"chances \(m,\)"),
        (lambda: Joint([[0, 1], [1, 0]], [1.5, -0.5]), "none negative"),
        (lambda: audit(scored, Values([0, 1], 2)), r"asks for 2 arguments.*use Beliefs\(grid, n\)"),
        (lambda: audit(lambda r, f: Result(), Beliefs([0.5, 1], 2)), "must return an Award or an Outcome here"),
    ],
)
def test_what_is_no_setting_is_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


@pytest.mark.parametrize("setting", [Values([1.0], 2), Beliefs([0.5], 2), Actions({"work": 0.0}, 2),
                                     Joint([[1, 1]], [1])])
def test_money_is_called_rewards_where_it_goes_to_the_agents(setting):
    def paid(kind):
        return repr(audit(lambda reports: kind(np.zeros(2), np.full(2, 3.0)), setting))

    assert "sum of rewards          6 to 6" in paid(Award) and "sum of payments         6 to 6" in paid(Outcome)


def test_the_seller_of_an_edge_has_a_cost():
    rule = functools.partial(pay_as_bid, [(0, 1), (0, 1)])
    assert audit(rule, [1, 2], n=2).sentence == "agent 0, with cost 1, gains 1 by reporting 2 when the other reports 2"


def pay_as_bid(edges, costs):
    path = vcg_path(edges, costs, 0, 1)
    return path._replace(rewards=np.where(path.rewards > 0, costs, 0.0))
