"""How a rule is called on batches: found out once by comparing results, and never guessed from shapes."""

import numpy as np
import pytest

from mechlib.mechanism import Award, Outcome, arguments, lift

SOME = np.random.default_rng(0).random((5, 3))


def winner_takes_all(bids):
    """Return who has the highest bid of each row."""
    bids = np.asarray(bids)
    return (np.arange(bids.shape[-1]) == bids.argmax(axis=-1)[..., None]).astype(float)


def vectorised(bids):
    won = winner_takes_all(bids)
    return Outcome(won, won * bids)


def for_arrays(bids):
    assert bids.ndim == 1
    return vectorised(bids)


def for_lists(bids):
    winner = bids.index(max(bids))
    won = [float(i == winner) for i in range(len(bids))]
    return won, [x * bid for x, bid in zip(won, bids, strict=True)]


def for_batches(bids):
    won = np.zeros(bids.shape)
    won[range(len(bids)), bids.argmax(axis=1)] = 1.0
    return Outcome(won, won * bids)


@pytest.mark.parametrize(("rule", "batched"), [(vectorised, True), (for_arrays, False), (for_lists, False),
                                               (for_batches, True)])
@pytest.mark.parametrize("size", [1, 3, 7])
def test_every_way_of_writing_a_rule_gives_the_same_batch(rule, batched, size):
    lifted, profiles = lift(rule, SOME), np.random.default_rng(1).random((size, 3))
    found, expected = lifted(profiles), vectorised(profiles)
    assert lifted.batched == batched and isinstance(found, Outcome)
    assert np.array_equal(found.allocation, expected.allocation) and np.array_equal(found.payments, expected.payments)


def test_which_form_a_rule_wants_is_tried_in_the_order_arrays_lists_a_batch_of_one():
    seen = []

    def rule(bids):
        seen.append((type(bids).__name__, np.shape(bids)))
        if isinstance(bids, np.ndarray) and bids.ndim == 1:
            raise TypeError("no arrays")
        return for_lists(bids) if isinstance(bids, list) else for_batches(bids)

    lift(rule, SOME)
    assert seen[:3] == [("ndarray", (3,)), ("list", (3,)), ("list", (3,))]


def test_a_batch_is_believed_only_if_it_agrees_with_its_profiles_one_by_one():
    """Each of these returns arrays of the right shape for a batch, and the wrong numbers."""
    def by_flat_argmax(bids):
        won = np.zeros(np.shape(bids))
        won.flat[np.argmax(bids)] = 1.0
        return won, won

    def by_the_batch_s_mean(bids):
        return Outcome(np.ones(bids.shape), np.full(bids.shape, bids.mean()))

    def by_the_first_row(bids):
        bids = np.atleast_2d(bids)
        result = for_batches(np.broadcast_to(bids[0], bids.shape))
        return result if len(bids) > 1 else Outcome(*(part[0] for part in result))

    square = np.random.default_rng(3).random((3, 3))  # as many profiles as agents: shapes tell nothing
    for some in (SOME, square):
        for rule in (by_flat_argmax, by_the_batch_s_mean, by_the_first_row):
            lifted = lift(rule, some)
            assert not lifted.batched
            for profile, allocation in zip(some, lifted(some).allocation, strict=True):
                assert np.array_equal(allocation, rule(profile)[0])
        transposed = lift(lambda bids: Outcome(bids.T, bids.T), some)
        assert transposed.batched == (some is SOME and False)
        assert np.array_equal(transposed(some).payments, some)


def test_a_rule_that_changes_its_kind_in_a_batch_is_played_one_by_one():
    def rule(bids):
        return (Outcome if np.ndim(bids) == 1 else Award)(bids, bids)

    lifted = lift(rule, SOME)
    assert not lifted.batched and isinstance(lifted(SOME), Outcome)


@pytest.mark.parametrize("kind", [Outcome, Award, lambda *parts: parts, lambda *parts: [*parts]])
def test_a_pair_is_an_outcome_and_an_award_stays_one(kind):
    assert isinstance(lift(lambda bids: kind(bids, bids), SOME)(SOME), Award if kind is Award else Outcome)


def test_outcomes_and_awards_are_not_mixed():
    def rule(bids):
        bids = [*map(float, bids)]
        return (Outcome if bids[0] < 0.5 else Award)(bids, bids)

    with pytest.raises(ValueError, match="an Outcome for some reports and an Award for others"):
        lift(rule, SOME)
    late = lift(rule, SOME[SOME[:, 0] < 0.5])
    with pytest.raises(ValueError, match="an Outcome for some reports and an Award for others"):
        late(SOME)


def test_a_rule_keeps_no_hold_of_what_it_is_given():
    def spoils(bids):
        result = vectorised(bids.copy())
        bids[:] = 0
        return result

    some = SOME.copy()
    assert np.array_equal(lift(spoils, some)(some).payments, vectorised(SOME).payments)
    assert np.array_equal(some, SOME)


def test_several_arguments_are_lifted_together():
    def rule(reports, found):
        return Award(reports, reports * found)

    lifted = lift(rule, SOME, SOME > 0.5)
    assert lifted.batched and np.array_equal(lifted(SOME, SOME > 0.5).rewards, SOME * (SOME > 0.5))


class Deal:
    """A result that is more than quantities."""

    def __init__(self, bids, payments):
        self.bids, self.payments = bids, payments

    def worth(self, agent, kind):
        return float(kind * self.bids[agent])


def test_richer_results_come_in_a_list_and_are_compared_by_what_they_are_worth():
    lifted = lift(lambda bids: Deal(bids, bids), SOME)
    assert not lifted.batched
    assert [deal.bids.tolist() for deal in lifted(SOME)] == SOME.tolist()
    rng = np.random.default_rng(0)
    with pytest.raises(ValueError, match="two different results"):
        lift(lambda bids: Deal(bids + rng.random(3), bids), SOME)
    with pytest.raises(ValueError, match="must be an Outcome, an Award"):
        lift(lambda bids: Deal(bids, bids[:2]), SOME)


def test_raw_results_are_taken_as_they_are():
    words = lift(lambda bids: str(bids[0]), SOME, raw=True)
    assert words(SOME) == [str(bids[0]) for bids in SOME] and not words.batched


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        (lambda bids: np.random.default_rng().random((2, 3)), "two different results for the same reports"),
        (lambda bids: 3, "must be an Outcome, an Award or a pair"),
        (lambda bids: (bids[:2], bids), "must be an Outcome, an Award or a pair"),
        (lambda bids: (bids * np.nan, bids), "never NaN"),
        (lambda bids: (bids, ["a", "b", "c"]), "must be an Outcome, an Award or a pair"),
        (lambda bids: {}["price"], r"fails on the reports \[0\.63.*: KeyError\('price'\)"),
    ],
)
def test_what_nobody_can_read_is_refused_with_the_reports(rule, message):
    with pytest.raises(ValueError, match=message):
        lift(rule, SOME)


def test_a_batched_rule_that_fails_later_names_the_reports():
    def rule(bids):
        if (np.asarray(bids) > 0.99).any():
            raise RuntimeError("too high")
        return vectorised(bids)

    lifted = lift(rule, SOME * 0.9)
    assert lifted.batched
    with pytest.raises(ValueError, match=r"fails on the reports \[1.0, 0.0, 0.0\]: RuntimeError"):
        lifted(np.array([[0.0, 0.0, 0.0], [1.0, 0.0, 0.0]]))


def test_a_batched_rule_that_turns_to_nan_later_names_the_reports():
    lifted = lift(lambda bids: Outcome(bids, np.where(bids == 0.5, np.nan, bids)), SOME)
    assert lifted.batched
    with pytest.raises(ValueError, match=r"for the reports \[0.5, 0.1, 0.2\] the rule returned"):
        lifted(np.array([[0.1, 0.2, 0.3], [0.5, 0.1, 0.2]]))


@pytest.mark.parametrize(
    ("rule", "needed"),
    [
        (lambda reports: 0, 1),
        (lambda reports, found: 0, 2),
        (lambda reports, found, costs: 0, 3),
        (lambda reports, found, floor=0.1: 0, 2),
        (lambda *profiles: 0, 1),
        (lambda reports, *, units: 0, 1),
        (max, 1),
    ],
)
def test_a_rule_says_by_its_parameters_what_it_reads(rule, needed):
    assert arguments(rule) == needed


@pytest.mark.parametrize("rule", [lambda: 0, lambda a, b, c, d: 0])
def test_a_rule_of_no_or_four_arguments_is_none(rule):
    with pytest.raises(ValueError, match="a rule takes"):
        arguments(rule)
