"""Joint lies: the auditor finds what brute force finds, by each meaning of "the group gains"."""

import itertools

import numpy as np
import pytest

from mechlib.attacks.audit import audit, audit_bayes
from mechlib.mechanism import Award, Outcome
from mechlib.rules.auctions import first_price, posted_price, second_price
from mechlib.rules.peer import correlated_agreement, output_agreement
from mechlib.rules.vcg import vcg_combinatorial
from mechlib.settings import Actions, Beliefs, Joint, Values

NOTIONS = ("sum", "some", "all")


def table_rule(sizes, seed):
    """Return a rule on indices with random allocations and payments."""
    rng = np.random.default_rng(seed)
    allocation, money = rng.integers(0, 4, size=(2, *sizes, len(sizes)))
    return lambda reports: Outcome(*(table[tuple(np.moveaxis(np.asarray(reports), -1, 0))]
                                     for table in (allocation, money)))


def gained(gains, notion):
    """Return what a group gains, by definition; nothing is -inf."""
    if notion == "all":
        return min(gains)
    return sum(gains) if notion == "sum" or min(gains) >= 0 else -np.inf


def brute_force(rule, types, reports, coalition, notion):
    """Return the most that a group of two to `coalition` gains by a joint lie, whatever the others report."""
    outcome = {p: rule(np.array(p)) for p in itertools.product(*reports)}
    best = 0.0
    for size in range(2, coalition + 1):
        for group in itertools.combinations(range(len(types)), size):
            for profile in outcome:
                for kinds in itertools.product(*(types[i] for i in group)):
                    honest = list(profile)
                    for i, kind in zip(group, kinds, strict=True):
                        honest[i] = kind
                    lied, told = outcome[profile], outcome[tuple(honest)]
                    best = max(best, gained([
                        kind * (lied.allocation[i] - told.allocation[i]) - lied.payments[i] + told.payments[i]
                        for i, kind in zip(group, kinds, strict=True)], notion))
    return best


@pytest.mark.parametrize("seed", range(300))
def test_the_best_joint_lie_is_that_of_brute_force(seed):
    rng = np.random.default_rng(seed)
    n, extra, coalition = int(rng.integers(1, 4)), int(rng.integers(0, 2)), int(rng.integers(2, 4))
    types = [np.arange(k) for k in rng.integers(1, 4, n)]
    reports = [np.arange(len(grid) + extra) for grid in types]
    rule, notion = table_rule([len(grid) for grid in reports], seed), NOTIONS[seed % 3]
    found = audit(rule, types, reports=reports, coalition=coalition, gain=notion, cells=int(rng.integers(1, 40)))
    best = brute_force(rule, types, reports, min(coalition, n), notion)
    assert (found.collusion.gain if found.collusion else 0) == best
    assert found.is_collusion_proof == (best == 0 and found.witness is None)
    if found.collusion:
        assert gained(found.collusion.gains, notion) == best


@pytest.mark.parametrize("seed", range(40))
def test_a_pair_under_a_prior_knows_both_types_and_expects_the_third(seed):
    rng = np.random.default_rng(seed)
    types, prior = [np.arange(k) for k in (2, 3, 2)], [rng.dirichlet(np.ones(k)) for k in (2, 3, 2)]
    rule, profiles = table_rule((2, 3, 2), seed), list(itertools.product(*types))
    chances = [np.prod([row[k] for row, k in zip(prior, p, strict=True)]) for p in profiles]
    best = 0.0
    for group in itertools.combinations(range(3), 2):
        (third,) = {0, 1, 2} - {*group}
        for kinds, lies in itertools.product(itertools.product(*(types[i] for i in group)), repeat=2):
            total = 0.0
            for other, chance in enumerate(prior[third]):
                told, lied = np.full(3, other), np.full(3, other)
                told[list(group)], lied[list(group)] = kinds, lies
                one, two = rule(lied), rule(told)
                for i, kind in zip(group, kinds, strict=True):
                    more, paid = one.allocation[i] - two.allocation[i], one.payments[i] - two.payments[i]
                    total += chance * (kind * more - paid)
            best = max(best, total)
    for found in (audit_bayes(rule, types, prior, coalition=2), audit(rule, Joint(profiles, chances), coalition=2)):
        assert (found.collusion.gain if found.collusion else 0) == pytest.approx(best, abs=1e-9)


def bundles(reports):
    """Sell X and Y: agent 0 wants both, agents 1 and 2 one each."""
    wants = [frozenset("XY"), frozenset("X"), frozenset("Y")]
    return vcg_combinatorial(list(zip(range(3), wants, reports, strict=True)), "XY")


@pytest.mark.no_cover
def test_losers_of_vcg_win_together_for_nothing():
    values = Values([0, 0.5, 1, 2], 3)
    alone, pairs = audit(bundles, values), audit(bundles, values, coalition=2, gain="all")
    assert alone.is_dsic and alone.is_collusion_proof is None and pairs.is_dsic
    assert pairs.is_collusion_proof is False
    assert pairs.together == ("agents 1 and 2, both worth 1, gain 1 or more each by both reporting 2 when the other "
                              "reports 2")
    assert pairs.together in repr(pairs) and "no pair gains           NO" in repr(pairs)
    assert pairs.lies > alone.lies


def test_each_meaning_of_a_gain_asks_for_more_than_the_next():
    """In the second price auction the loser lowers its bid: it gains nothing, and the winner pays less."""
    found = {notion: audit(second_price, Values(range(4), 3), coalition=2, gain=notion) for notion in NOTIONS}
    assert found["sum"].collusion.gain == found["some"].collusion.gain == 3
    assert found["some"].collusion.gains == (3, 0) and "none of them loses" in found["some"].together
    assert found["all"].collusion is None and found["all"].is_collusion_proof
    assert "no pair gains           yes: no joint lie helps everybody in it" in repr(found["all"])


def test_a_price_that_no_report_moves_is_proof_against_everybody_together():
    found = audit(lambda bids: posted_price(bids, 2.0), Values(range(4), 3), coalition=3)
    assert found.is_collusion_proof and "no group up to 3 gains  yes: no joint lie raises the sum" in repr(found)


def test_a_rule_that_one_agent_beats_is_not_proof_against_groups():
    found = audit(first_price, Values([1.0], 1, reports=[0.0]), coalition=2)
    assert found.witness and found.collusion is None and found.is_collusion_proof is False


def test_graders_that_agree_beforehand_are_found():
    """Beside truthful graders truth is best for each, and agreeing on something in the task is better for two."""
    rng = np.random.default_rng(0)
    good = rng.random(3000) < 0.6
    signals = np.where(rng.random((3, 3000)) < 0.8, good, ~good).astype(int)
    letters = rng.integers(0, 2, 3000)
    moves = {"tell the truth": lambda s: s, "count letters": lambda s: np.broadcast_to(letters, s.shape)}
    graders = Actions(dict.fromkeys(moves, 0.0), 3, told="tell the truth")

    def pays(profile):
        return Award(np.zeros(3), correlated_agreement(np.stack(
            [[*moves.values()][k](s) for k, s in zip(profile, signals, strict=True)])))

    found = audit_bayes(pays, graders, [[1.0]] * 3, coalition=2, tolerance=0.03)
    assert found.is_bic and not found.is_collusion_proof and found.collusion.lies == (1, 1)
    assert "both told to tell the truth" in found.together and "by both counting letters" in found.together
    assert found.together.endswith("when the others are truthful") and " on average" in found.together


def test_two_graders_who_see_different_things_agree_for_pay():
    pairs = Joint(list(itertools.product((0, 1), repeat=2)), [0.4, 0.1, 0.1, 0.4])

    def agreement(reports):
        return Award(np.zeros(2), output_agreement(np.asarray(reports)[:, None]))

    found = audit(agreement, pairs, coalition=2)
    assert found.is_bic and found.collusion.gain == 2
    assert found.together == "agents 0 and 1, seeing 0 and seeing 1, gain 2 together by both reporting 0"


def test_costs_are_called_costs_and_silence_silence():
    def split(asks):
        return Award(np.ones(2), np.full(2, float(np.sum(asks))))

    assert "agents 0 and 1, both with cost 0, gain 4 together by both reporting 1" in repr(
        audit(split, Values([0, 1], 2), coalition=2))

    def quiet(reports):
        silent = float(np.isnan(reports).all())
        return Award(np.zeros(2), np.full(2, silent))

    assert audit(quiet, Beliefs([0.5], 2, silence=True), coalition=2, gain="all").together == (
        "agents 0 and 1, both believing 0.5, gain 1 or more each by both staying silent")


def test_infinite_gains_are_found_and_infinite_losses_set_against_them_are_none():
    def worth(losing):
        return lambda agent, kind, said: 0 if not sum(said) else (np.inf, losing)[agent] if sum(said) == 2 else -1

    for losing, gain in ((-np.inf, None), (-1.0, np.inf)):
        found = audit(lambda reports: reports, Values([0], 2, reports=[1]), utility=worth(losing), coalition=2)
        assert found.collusion == gain if gain is None else found.collusion.gain == gain


def test_a_rule_that_is_random_where_a_pair_lies_is_refused():
    rng = np.random.default_rng(0)

    def rule(reports):
        return Award(np.zeros(2), np.full(2, 1.0 + rng.random() if np.sum(reports) == 8 else 0.0))

    with pytest.raises(ValueError, match=r"two different results for the same reports, such as \[4, 4\]"):
        audit(rule, Values(range(4), 2, reports=[4]), coalition=2)


def test_what_no_coalition_can_be_is_refused():
    with pytest.raises(ValueError, match="coalition is 0"):
        audit(second_price, Values([0, 1], 2), coalition=0)
    with pytest.raises(ValueError, match="gain is 'most': it must be one of sum, some, all"):
        audit_bayes(second_price, Values([0, 1], 2), [0.5, 0.5], coalition=2, gain="most")
