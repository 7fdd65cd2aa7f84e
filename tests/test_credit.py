"""Credit: Shapley's axioms, textbook games, and the definitions as plain loops."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mechlib.rules import credit
from mechlib.rules.credit import (
    coalitions,
    difference_rewards,
    equal_split,
    proportional_split,
    shapley,
    shapley_sampled,
)

GAMES = st.integers(1, 6).flatmap(
    lambda n: st.tuples(st.just(n), st.lists(st.floats(-100, 100), min_size=2**n, max_size=2**n).map(np.array))
)


def substitutes(members: np.ndarray) -> np.ndarray:
    return members.any(axis=1).astype(float)


def by_orders(v: np.ndarray, n: int) -> np.ndarray:
    """Shapley's definition: the mean marginal contribution over all n! orders."""
    total = np.zeros(n)
    for order in itertools.permutations(range(n)):
        before = 0
        for i in order:
            total[i] += v[before | 1 << i] - v[before]
            before |= 1 << i
    return total / math.factorial(n)


def test_two_perfect_substitutes_share_under_shapley_and_get_nothing_as_difference_rewards() -> None:
    np.testing.assert_allclose(shapley(substitutes, 2), [0.5, 0.5])
    np.testing.assert_allclose(difference_rewards(substitutes, 2), [0.0, 0.0])


def test_gloves_two_left_and_one_right() -> None:
    pairs = lambda c: np.minimum(c[:, :2].sum(axis=1), c[:, 2])  # noqa: E731
    np.testing.assert_allclose(shapley(pairs, 3), [1 / 6, 1 / 6, 4 / 6])


def test_airport_landing_fees() -> None:
    costs = np.array([1.0, 2.0, 5.0])  # Littlechild & Owen 1973: each stretch is shared by those who need it
    longest = lambda c: (c * costs).max(axis=1)  # noqa: E731
    np.testing.assert_allclose(shapley(longest, 3), [1 / 3, 1 / 3 + 1 / 2, 1 / 3 + 1 / 2 + 3])


def test_security_council_vetoes() -> None:
    passes = lambda c: (c[:, :5].all(axis=1) & (c.sum(axis=1) >= 9)).astype(float)  # noqa: E731
    power = shapley(passes, 15)
    np.testing.assert_allclose(power[:5], 421 / 2145)  # Shapley & Shubik 1954, for the council of 15
    np.testing.assert_allclose(power[5:], 4 / 2145)


@settings(max_examples=60, deadline=None)
@given(GAMES)
def test_shapley_is_the_mean_over_all_orders(game: tuple[int, np.ndarray]) -> None:
    n, v = game
    np.testing.assert_allclose(shapley(v, n), by_orders(v, n), atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(GAMES)
def test_shapley_is_efficient_symmetric_and_additive(game: tuple[int, np.ndarray]) -> None:
    n, v = game
    value = shapley(v, n)
    assert value.sum() == pytest.approx(v[-1] - v[0], abs=1e-8)
    order = np.random.default_rng(n).permutation(n)
    renamed = v[coalitions(n) @ (1 << order)]  # player i of the new game is player order[i] of the old
    np.testing.assert_allclose(shapley(renamed, n), value[order], atol=1e-9)
    np.testing.assert_allclose(shapley(v + renamed, n), value + value[order], atol=1e-9)


@settings(max_examples=30, deadline=None)
@given(GAMES)
def test_a_null_player_gets_nothing(game: tuple[int, np.ndarray]) -> None:
    n, v = game
    with_null = np.concatenate([v, v])
    assert shapley(with_null, n + 1)[-1] == pytest.approx(0.0, abs=1e-9)
    assert difference_rewards(with_null, n + 1)[-1] == 0.0


def test_what_there_is_without_anybody_drowns_nobody() -> None:
    for start in (1e12, -1e15):
        game = start + coalitions(3)[:, 0]
        for v in (game, lambda c, game=game: game[c @ [1, 2, 4]]):
            np.testing.assert_allclose(shapley(v, 3), [1, 0, 0], rtol=0, atol=1e-15)


def test_a_table_and_a_function_give_the_same_values_across_rows(monkeypatch: pytest.MonkeyPatch) -> None:
    v = np.random.default_rng(0).normal(size=1 << 9)
    weights = 1 << np.arange(9)
    whole = shapley(v, 9)
    for bits in (1, 4, 8):
        monkeypatch.setattr(credit, "_ROW_BITS", bits)
        monkeypatch.setattr(credit, "_ASKED_BITS", bits)
        np.testing.assert_allclose(shapley(v, 9), whole, atol=1e-12)
        np.testing.assert_allclose(shapley(lambda c: v[c @ weights], 9), whole, atol=1e-12)


def test_a_batch_of_games_is_shared_out_game_by_game(monkeypatch: pytest.MonkeyPatch) -> None:
    games = np.random.default_rng(5).random((2, 3, 32))
    games[0, 1] += 1e12  # where nobody's part is drowned beside another game's
    for bits in (14, 2):
        monkeypatch.setattr(credit, "_ROW_BITS", bits)
        for rule in (shapley, difference_rewards):
            alone = [[rule(game, 5) for game in row] for row in games]
            np.testing.assert_allclose(rule(games, 5), alone, rtol=1e-9, atol=1e-12)


def test_a_function_of_twenty_players_is_asked_in_rows() -> None:
    asked = []

    def additive(members: np.ndarray) -> np.ndarray:
        asked.append(len(members))
        return members @ np.arange(20.0)

    np.testing.assert_allclose(shapley(additive, 20), np.arange(20.0), atol=1e-9)
    assert sum(asked) == 1 << 20 and max(asked) <= 1 << 13


def test_sampled_values_lie_within_their_standard_errors() -> None:
    v = np.random.default_rng(1).normal(size=1 << 8)
    exact = shapley(v, 8)
    estimate = shapley_sampled(v, 8, 4000, np.random.default_rng(2))
    assert np.all(np.abs(estimate.values - exact) < 4 * estimate.errors)
    assert estimate.values.sum() == pytest.approx(v[-1] - v[0])
    repeats = np.array([shapley_sampled(v, 8, 50, np.random.default_rng(s)).values for s in range(300)])
    stated = np.mean([shapley_sampled(v, 8, 50, np.random.default_rng(s)).errors for s in range(300)], axis=0)
    np.testing.assert_allclose(repeats.std(axis=0), stated, rtol=0.15)


def test_the_standard_error_of_two_orders_is_half_their_distance() -> None:
    errors = [shapley_sampled(substitutes, 2, 2, np.random.default_rng(s)).errors for s in range(20)]
    np.testing.assert_allclose(np.unique(errors), [0, 0.5])  # the first to come brings everything


@pytest.mark.parametrize("n", [60, 255, 256])
def test_sampling_an_additive_game_has_no_error(n: int) -> None:
    worth = np.linspace(1e6, 1e6 + 1, n)
    estimate = shapley_sampled(lambda c: c @ worth, n, 3, np.random.default_rng(0))
    np.testing.assert_allclose(estimate.values, worth, rtol=1e-12)
    np.testing.assert_allclose(estimate.errors, 0.0, atol=1e-6)


def test_difference_rewards_move_with_the_team() -> None:
    v = np.random.default_rng(3).random(1 << 4)
    better = v.copy()
    better[0b1111] += 0.25  # whoever brought this about, the others' absence is worth what it was
    np.testing.assert_allclose(difference_rewards(better, 4) - difference_rewards(v, 4), 0.25)


def test_complements_are_paid_more_than_there_is() -> None:
    all_needed = lambda c: c.all(axis=1).astype(float)  # noqa: E731
    np.testing.assert_array_equal(difference_rewards(all_needed, 3), [1, 1, 1])
    np.testing.assert_allclose(shapley(all_needed, 3), 1 / 3)


def test_three_agents_with_binary_effort_escape_holmstrom_under_an_equal_split() -> None:
    work = coalitions(3)
    shares = equal_split(work.sum(axis=1).astype(float), 3)
    payoff = shares - 0.1 * work
    for i in range(3):
        shirk = np.arange(8) & ~(1 << i)
        assert np.all(payoff[np.arange(8) | 1 << i, i] > payoff[shirk, i])


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=8), st.floats(-1e6, 1e6))
def test_splits_are_balanced(contributions: list[float], total: float) -> None:
    assert proportional_split(total, contributions).sum() == pytest.approx(total, abs=1e-6)
    assert equal_split(total, len(contributions)).sum() == pytest.approx(total, abs=1e-6)


def test_proportional_split_follows_what_is_counted() -> None:
    np.testing.assert_allclose(proportional_split(12.0, [1, 2, 3]), [2, 4, 6])
    np.testing.assert_allclose(proportional_split([6.0, 8.0], [[0, 0], [3, 1]]), [[3, 3], [6, 2]])


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: shapley([0.0, 1.0, 2.0], 2), "v has shape"),
        (lambda: shapley([0.0, np.nan], 1), "not finite"),
        (lambda: shapley(lambda c: c, 2), "v returned shape"),
        (lambda: shapley([0.0], 0), "n is 0"),
        (lambda: shapley_sampled([0.0, 1.0], 1, 1, np.random.default_rng(0)), "at least 2"),
        (lambda: shapley_sampled([[0.0, 1.0]], 1, 2, np.random.default_rng(0)), "one game at a time"),
        (lambda: difference_rewards([0.0], 2), "v has shape"),
        (lambda: equal_split(1.0, 0), "n is 0"),
        (lambda: equal_split(1.0, 41), "n is 41"),
        (lambda: proportional_split(1.0, [-0.5, 2.0]), "non-negative"),
        (lambda: proportional_split(1.0, [-1.0, 2.0]), "non-negative"),
    ],
)
def test_errors_name_the_argument(call, message: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=message):
        call()
