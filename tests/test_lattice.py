"""Cooperators and defectors on a grid, against what Nowak & May (1992) worked out by hand and by simulation."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mechlib.course.lattice import lattice_step, worlds

COOPERATE, DEFECT = 0, 1


def dilemma(b: float) -> np.ndarray:
    """Mutual cooperation earns 1, defecting on a cooperator b, anything else 0."""
    return np.array([[1.0, 0.0], [b, 0.0]])


def lone_defector(size: int = 21) -> np.ndarray:
    world = np.zeros((size, size), int)
    world[size // 2, size // 2] = DEFECT
    return world


@pytest.mark.parametrize(("b", "defectors"), [(0.9, 0), (1.1, 1), (1.2, 9), (1.9, 9)])
def test_a_lone_defector_dies_stays_or_spreads_as_b_passes_one_and_nine_eighths(b: float, defectors: int) -> None:
    """It earns 8 b, its neighbours 8, and theirs 9."""
    assert lattice_step(lone_defector(), dilemma(b)).sum() == defectors


@pytest.mark.parametrize(("b", "defectors"), [(1.3, 1), (1.5, 5), (1.7, 9), (1.85, 25)])
def test_a_square_of_defectors_shrinks_stays_or_grows_as_b_passes_fifths(b: float, defectors: int) -> None:
    square = lattice_step(lone_defector(), dilemma(b))
    assert lattice_step(square, dilemma(b)).sum() == defectors


def test_cooperators_hold_about_a_third_of_the_grid_without_any_policing() -> None:
    """12 ln 2 - 8 = 0.318 for 1.8 < b < 2 (Nowak & May 1992), found there by simulation too."""
    world = (np.random.default_rng(5).random((80, 80)) < 0.4).astype(int)
    shares = []
    for step in range(160):
        world = lattice_step(world, dilemma(1.85))
        if step >= 60:
            shares.append(1 - world.mean())
    assert abs(np.mean(shares) - (12 * np.log(2) - 8)) < 0.03


@given(arrays(int, (6, 7), elements=st.integers(0, 2)), st.integers(0, 5), st.integers(0, 6))
def test_no_place_on_the_torus_is_special(world: np.ndarray, down: int, right: int) -> None:
    payoffs = np.random.default_rng(0).random((3, 3))  # no two scores tie but by equal neighbourhoods
    step = lattice_step(np.roll(world, (down, right), (0, 1)), payoffs)
    assert (step == np.roll(lattice_step(world, payoffs), (down, right), (0, 1))).all()


@given(arrays(int, (5, 5), elements=st.integers(0, 1)))
def test_a_penalty_above_the_gain_leaves_no_new_defectors(world: np.ndarray) -> None:
    """Every defector then loses on every encounter, and no cooperator ever does."""
    payoffs = dilemma(1.5) - np.array([[0.0], [2.0]])
    assert not (lattice_step(world, payoffs) > world).any() or (world == DEFECT).all()


@given(arrays(int, (5, 5), elements=st.integers(0, 2)))
def test_nothing_new_is_ever_copied(world: np.ndarray) -> None:
    payoffs = np.random.default_rng(1).random((3, 3))
    assert set(np.unique(lattice_step(world, payoffs))) <= set(np.unique(world))


@pytest.mark.parametrize(
    ("world", "payoffs", "words"),
    [
        (np.zeros((5, 5), int), [[1, 2, 3], [4, 5, 6]], "square"),
        (np.zeros((5, 5), int), np.eye(7), "at most six"),
        (np.zeros((2, 5), int), dilemma(1.5), "at least 3 by 3"),
        (np.full((5, 5), 2), dilemma(1.5), "from 0 to 1"),
        (np.zeros((5, 5)), dilemma(1.5), "whole numbers"),
    ],
)
def test_what_is_not_a_world_is_refused(world: np.ndarray, payoffs: np.ndarray, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        lattice_step(world, payoffs)


def by_the_definition(world: np.ndarray, payoffs: np.ndarray) -> np.ndarray:
    """`lattice_step`, cell by cell."""
    rows, columns = world.shape

    def near(row: int, column: int) -> list[tuple[int, int]]:
        return [((row + down) % rows, (column + right) % columns) for down in (-1, 0, 1) for right in (-1, 0, 1)]

    score = {at: sum(payoffs[world[at], world[other]] for other in near(*at)) for at in np.ndindex(world.shape)}
    after = world.copy()
    for at in score:
        best = max(score[other] for other in near(*at))
        if score[at] < best:
            after[at] = world[next(other for other in near(*at) if score[other] == best)]
    return after


@given(st.integers(1, 6), st.integers(3, 6), st.integers(3, 6), st.integers(0, 1000))
def test_a_step_is_what_the_definition_says_with_many_strategies_and_with_ties(
    strategies: int, rows: int, columns: int, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    world, payoffs = rng.integers(0, strategies, (rows, columns)), rng.integers(-2, 3, (strategies, strategies))
    assert (lattice_step(world, payoffs) == by_the_definition(world, payoffs)).all()


def test_worlds_side_by_side_do_not_touch() -> None:
    cells = np.random.default_rng(0).integers(0, 3, (4, 6, 7))
    payoffs = np.random.default_rng(1).random((3, 3))
    assert (lattice_step(cells, payoffs) == [lattice_step(world, payoffs) for world in cells]).all()


def test_a_third_of_the_grid_cooperates_in_every_world_and_all_of_it_where_a_fine_takes_the_gain() -> None:
    free = worlds(np.random.default_rng(0), 1.85, size=40, steps=110, copies=20)
    assert free.shape == (20,) and abs(free.mean() - (12 * np.log(2) - 8)) < 0.03
    assert worlds(np.random.default_rng(0), 1.85, fine=2.0, copies=5).min() == pytest.approx(1)
    assert worlds(np.random.default_rng(0), 1.85, caught=1.0, copies=5).min() == pytest.approx(1)


def test_worlds_are_what_single_steps_make_of_them() -> None:
    """Also once all defectors have gone, and where for a while none of those that stand still is caught."""
    for fine, caught, copies, size in ((0.25, 0.0, 4, 20), (0.8, 0.0, 4, 20), (0.0, 0.8, 4, 20), (0.25, 0.1, 1, 8)):
        rng, game = np.random.default_rng(3), [[1, 0, 0], [1.85 - fine, -fine, 0], [-0.01, -0.01, -0.01]]
        cells, shares = (rng.random((copies, size, size)) < 0.1).astype(int), []
        for _ in range(60):
            cells = lattice_step(cells, game)
            if caught:
                cells[(cells == DEFECT) & (rng.random(cells.shape) < caught)] = 2
            shares.append((cells == COOPERATE).mean(axis=(1, 2)))
        held = worlds(np.random.default_rng(3), 1.85, fine=fine, caught=caught, size=size, steps=60,
                      copies=copies)
        assert held == pytest.approx(np.mean(shares[-30:], axis=0))


def test_a_new_cooperator_among_defectors_feeds_them_and_an_empty_cell_does_not() -> None:
    empty, new = (worlds(np.random.default_rng(0), 1.85, caught=0.1, freed=heir, copies=20).mean() for heir in (2, 0))
    assert new < empty - 0.1
