"""Where learners end under a rule: near what theory says is best for them, with the rule as it is audited."""

import functools
import io

import numpy as np
import pytest
from tqdm import tqdm

from mechlib.attacks import learn as module
from mechlib.attacks.learn import learn
from mechlib.mechanism import Award, Outcome
from mechlib.rules.auctions import first_price, second_price
from mechlib.rules.scoring import absolute, logarithmic, quadratic
from mechlib.settings import Actions, Beliefs, Joint, Values

BELIEFS = [0.1, 0.3, 0.5, 0.7, 0.9]
REPORTS = np.linspace(0, 1, 11)
VALUES = np.linspace(0, 1, 6)
BIDS = np.linspace(0, 1, 21)


def everybody(score):
    """Return the rule that scores everybody and passes on everybody's answer alike."""
    def rule(reports, found):
        return Award(np.full(np.shape(reports), 1 / np.shape(reports)[-1]), score(reports, found))

    return rule


def test_hedge_ends_within_a_step_of_the_truth_under_a_proper_score():
    found = learn(everybody(quadratic), Beliefs(BELIEFS, 2, reports=REPORTS), rounds=2000, lives=100)
    for agent in range(2):
        assert np.abs(found.reports(agent).mean(axis=0) - BELIEFS).max() < 0.1
        assert np.abs(np.array(found.favourite(agent)) - BELIEFS).max() < 0.1 + 1e-9
    assert (found.gain.mean(axis=0) < 0).all()


def test_hedge_claims_certainty_under_the_absolute_score():
    found = learn(everybody(absolute), Beliefs(BELIEFS, 2, reports=REPORTS), rounds=2000, lives=100)
    assert found.favourite()[:2] == [0, 0] and found.favourite()[3:] == [1, 1]
    assert found.reports().mean(axis=0)[[0, 1]].max() < 0.1 and found.reports().mean(axis=0)[[3, 4]].min() > 0.9
    assert (found.gain.mean(axis=0) > 0.02).all()


@pytest.mark.no_cover
@pytest.mark.parametrize("n", [2, 4])
def test_first_price_bidders_shade_to_about_the_equilibrium_and_second_price_bidders_hardly(n):
    """Of a value v they bid (n - 1)/n v in equilibrium; learners end near it, and the highest value bids most."""
    setting = Values(VALUES, n, reports=REPORTS)
    first, second = (learn(rule, setting, rounds=2000, lives=25) for rule in (first_price, second_price))
    equilibrium = (n - 1) / n * VALUES
    assert np.abs(first.reports().mean(axis=0)[1:] - equilibrium[1:]).mean() < 0.1
    assert first.path[-1].mean() < -0.1 / n and np.diff(first.reports().mean(axis=0)).min() > 0
    assert np.abs(np.array(second.favourite()) - VALUES)[1:].max() <= 0.2
    assert np.abs(second.reports().mean(axis=0) - VALUES)[2:].max() < 0.15
    assert second.path[-1].mean() > first.path[-1].mean() + 0.02


@pytest.mark.no_cover
def test_a_lone_learner_bids_its_value_in_second_price_and_shades_in_first_price():
    setting = Values(VALUES, 3, reports=BIDS)
    second = learn(second_price, setting, who=[1], rounds=3000, lives=50)
    assert np.abs(np.array(second.favourite(1)) - VALUES)[1:].max() <= 0.2 and second.gain[:, 1].mean() < 1e-3
    first = learn(first_price, setting, who=[1], rounds=3000, lives=50)
    assert (first.reports(1).mean(axis=0)[2:] < VALUES[2:] - 0.04).all() and first.gain[:, 1].mean() > 0.02


def test_those_who_do_not_learn_are_honest():
    found = learn(everybody(absolute), Beliefs(BELIEFS, 3, reports=REPORTS), who=[0], rounds=200, lives=10)
    for agent in (1, 2):
        assert np.allclose(found.reports(agent), BELIEFS) and found.favourite(agent) == BELIEFS
    assert (found.gain[:, 1:] == 0).all() and (found.path[:, :, 1:] == 0).all()
    assert (found.gain[:, 0] != 0).all() and (found.path[:, :, 0] != 0).any()
    assert "agent 0 gains" in repr(found) and "believing 0.1" in repr(found) and "<td>" in found._repr_html_()


def test_a_bandit_learns_the_same_more_slowly():
    setting = Beliefs([0.2, 0.8], 1, reports=[0.0, 0.5, 1.0])
    hedge, bandit = (learn(everybody(absolute), setting, learner=kind, rounds=2000) for kind in ("hedge", "bandit"))
    assert bandit.favourite() == hedge.favourite() == [0, 1]
    far = [np.abs(found.reports().mean(axis=0) - [0, 1]).max() for found in (hedge, bandit)]
    assert far[0] < 0.05 < far[1] < 0.35
    assert 0 < bandit.gain.mean() < hedge.gain.mean()


@pytest.mark.no_cover
def test_the_prize_for_being_chosen_is_learnt():
    def rule(reports, found):
        return Award(reports, quadratic(reports, found))

    modest, prized = (learn(rule, Beliefs([0.5], 1, prize, reports=REPORTS), rounds=2000) for prize in (0.0, 0.4))
    assert modest.favourite() == [0.5] and prized.favourite() == pytest.approx([0.7])
    assert learn(rule, Beliefs([0.5], 1, -0.4, reports=REPORTS), rounds=2000).favourite() == pytest.approx([0.3])


def test_an_agent_learns_to_be_silent_where_silence_is_best():
    def fined(reports, found):
        spoke = ~np.isnan(reports)
        return Award(spoke / 1.0, np.where(spoke, found - 0.6, 0.0))

    found = learn(fined, Beliefs([0.2, 0.9], 1, silence=True), rounds=2000)
    assert np.isnan(found.favourite()[0]) and found.favourite()[1] != found.favourite()[0]
    assert "staying silent" in repr(found)


def test_an_agent_that_is_told_to_work_learns_to_shirk_unless_it_is_paid():
    costs = {"shirk": 0.0, "work": 0.5}
    for share, done in ((0.4, "shirking"), (0.6, "working")):
        found = learn(lambda actions, share=share: Award(actions, share * np.asarray(actions)), Actions(costs, 2),
                      rounds=500)
        assert f"mostly {done}" in repr(found)


def test_what_an_agent_does_is_told_in_its_own_words():
    costs = [{"shirk": 0.0, "work": 0.5}, {"copy": 0.0, "write": 0.5}]
    found = learn(lambda actions: Award(actions, 0.0 * np.asarray(actions)), Actions(costs), rounds=500, lives=10)
    assert "mostly shirking" in repr(found)


def test_types_drawn_together_are_learnt_about():
    """Matching the other's type pays; where types are always opposite, an agent learns to report the other one."""
    def match(reports):
        mine, other = np.moveaxis(np.asarray(reports), -1, 0)
        return Outcome(np.zeros((*mine.shape, 2)), -np.stack([mine == other, np.zeros(mine.shape)], axis=-1) / 1.0)

    found = learn(match, Joint([[0, 1], [1, 0]], [0.5, 0.5]), who=[0], rounds=500)
    assert found.favourite() == [1, 0] and found.gain[:, 0].mean() > 0.5


@pytest.mark.parametrize("learner", ["hedge", "bandit"])
@pytest.mark.parametrize(
    ("rule", "setting"),
    [
        (first_price, Values([0, 1, 2], 2, reports=[0.5])),
        (everybody(quadratic), Beliefs([0.2, 0.7], 2, 0.1, silence=True)),
        (lambda actions: Award(actions, 0.6 * np.asarray(actions)), Actions({"shirk": 0, "work": 0.5}, 2)),
        (first_price, Values(range(12), 3)),  # more profiles than plays
        (lambda bids: ([float(b == max(bids)) for b in bids], [b / 2 for b in bids]), Values([0, 1, 2], 2)),
    ],
)
def test_what_is_kept_and_what_is_played_anew_give_the_same_lives(monkeypatch, rule, setting, learner):
    kept = learn(rule, setting, learner=learner, rounds=60, lives=5, seed=3)
    monkeypatch.setattr(module, "_KEPT", 0)
    anew = learn(rule, setting, learner=learner, rounds=60, lives=5, seed=3)
    for name in ("path", "gain", "revenue"):
        np.testing.assert_allclose(getattr(kept, name), getattr(anew, name), atol=1e-12)
    for one, two in zip(kept.chances, anew.chances, strict=True):
        np.testing.assert_allclose(one, two, atol=1e-12)


def test_what_a_game_earned_and_collected_is_told_per_round():
    """One bidder pays its bid: the value less the bid is its gain above the truth, the bid the revenue."""
    def pay(bids):
        return Outcome(np.ones(np.shape(bids)), np.asarray(bids, float))

    found = learn(pay, Values([1.0], 1, reports=[0.0, 0.5]), rounds=1000, lives=20)
    late = found.revenue[5:].mean(axis=0)
    assert found.gain[:, 0] == pytest.approx(1 - late) and found.path[5:, :, 0].mean(axis=0) == pytest.approx(late - 1)
    assert found.favourite() == [0] and found.revenue[0].mean() > 0.1 > found.revenue[-1].mean()
    sold = learn(lambda asks: Award(np.ones(np.shape(asks)), np.asarray(asks, float)),
                 Values([1.0], 1, reports=[2.0, 3.0]), rounds=1000, lives=20)
    assert sold.favourite() == [3] and sold.revenue[-1].mean() == pytest.approx(-3, abs=0.1)


def test_the_first_rounds_are_played_at_random_and_chances_sum_to_one():
    found = learn(first_price, Values(VALUES, 2, reports=BIDS), rounds=10, lives=2000)
    assert found.path[0].mean() == pytest.approx(BIDS.mean() - VALUES.mean(), abs=0.02)
    assert all(np.allclose(table.sum(axis=-1), 1) and table.shape == (2000, 6, 21) for table in found.chances)


def test_a_payoff_that_the_sampled_range_did_not_see_is_clipped():
    """A thousandth of the profiles pays a fortune: the learner lives on, and its gain counts all of it."""
    def jackpot(bids):
        bids = np.asarray(bids, float)
        hit = (bids == bids.shape[-1] * [7.0]).all(axis=-1)
        return Outcome(np.zeros(bids.shape), -1e6 * np.repeat(hit[..., None], bids.shape[-1], axis=-1) - bids / 8)

    grid = np.arange(8.0)
    for kind in ("hedge", "bandit"):
        found = learn(jackpot, Values(grid, 4), learner=kind, rounds=300, lives=30, seed=1)
        assert np.isfinite(found.gain).all() and all(np.isfinite(table).all() for table in found.chances)


def test_a_constant_rule_teaches_nothing():
    found = learn(lambda bids: Outcome(np.zeros(np.shape(bids)), np.zeros(np.shape(bids))), Values([1, 2], 2),
                  rounds=100, lives=10)
    assert np.allclose(found.chances[0], 0.5) and not found.gain.any() and not found.revenue.any()


def test_agents_that_learn_as_one_batch_learn_as_they_would_apart(monkeypatch):
    setting = Values([[0, 1, 2], [0, 1, 2], [0, 2]])
    together = learn(first_price, setting, rounds=60, lives=5)
    monkeypatch.setattr(module.itertools, "groupby", lambda agents, key: [(key(i), [i]) for i in agents])
    apart = learn(first_price, setting, rounds=60, lives=5)
    np.testing.assert_allclose(together.gain, apart.gain)
    for one, two in zip(together.chances, apart.chances, strict=True):
        np.testing.assert_allclose(one, two)


def test_an_agent_named_twice_learns_once():
    once, twice = (learn(first_price, Values([0, 1, 2], 2), who=who, rounds=20, lives=3) for who in ([1], [1, 1]))
    assert np.array_equal(once.path, twice.path) and np.array_equal(once.gain, twice.gain)


def test_a_seed_fixes_all_lives():
    first, again, other = (learn(first_price, Values([0, 1, 2], 2), rounds=50, lives=4, seed=s) for s in (5, 5, 6))
    assert np.array_equal(first.gain, again.gain) and np.array_equal(first.path, again.path)
    assert not np.array_equal(first.gain, other.gain)


def test_types_that_are_words_or_vectors_have_a_favourite_and_no_mean():
    class Deal:
        def __init__(self, words):
            self.payments = np.array([0.0 if words[0] == "high" else 1.0, 0.0])

        def worth(self, agent, kind):
            return 0.0

    found = learn(lambda words: Deal(words), Values(["high", "low"], 2), rounds=500, lives=10)
    assert found.favourite() == ["high", "high"] and np.isnan(found.path).all()
    assert "of type low" in repr(found) or "worth low" in repr(found)


def test_a_long_life_shows_a_progress_bar(monkeypatch):
    seen = io.StringIO()
    monkeypatch.setattr(module, "tqdm", functools.partial(tqdm, file=seen, disable=False, mininterval=0))
    learn(first_price, Values([0, 1], 2), rounds=10, lives=2)
    assert seen.getvalue() == ""
    bars = []
    monkeypatch.setattr(module, "tqdm", lambda steps, **options: bars.append(options) or steps)
    learn(first_price, Values([0, 1], 2), rounds=10, lives=2)
    assert bars[0]["delay"] == 1.0 and bars[0]["desc"] == "learning"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learner": "genius"}, "learner is 'genius': it must be 'hedge'"),
        ({"rounds": 7}, "a multiple of ten"),
        ({"rounds": 0}, "rounds is 0"),
        ({"who": [2]}, "agents from 0 to 1"),
        ({"who": []}, "agents from 0 to 1"),
        ({"lives": 0}, "lives is 0"),
    ],
)
def test_what_cannot_be_played_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        learn(first_price, Values([0, 1], 2), **{"rounds": 10, "lives": 2, **options})


def test_nobody_can_learn_from_infinite_losses():
    with pytest.raises(ValueError, match="an infinite amount, from which nobody can learn"):
        learn(everybody(logarithmic), Beliefs([0.5], 2, reports=[0.0, 1.0]), rounds=10, lives=2)


def test_a_rule_that_fails_names_the_reports():
    with pytest.raises(ValueError, match=r"fails on the reports \["):
        learn(lambda bids: 1 / 0, Values([0, 1], 2), rounds=10)
