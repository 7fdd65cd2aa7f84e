"""The three agents of chapter 0: what their dashboards show, and where copying who is paid more leads."""

import numpy as np
import pytest

from mechlib.attacks.learners import replicator
from mechlib.course.pipeline import SUCCESS, Day, day, draw, imitate

COST = 0.1
RNG = np.random.default_rng(0)


def split(efforts):
    """An equal share of the answer, less the cost of effort."""
    return np.full(3, SUCCESS[efforts].prod() / 3) - COST * efforts


def bonus(efforts):
    """A bonus for one's own stage, a half more than it must be."""
    return 1.5 * COST / 0.45 * SUCCESS[efforts] - COST * efforts


@pytest.mark.parametrize("efforts", list(np.ndindex(2, 2, 2)))
def test_answers_are_right_as_often_as_all_three_stages_succeed(efforts):
    shown = day(efforts, 40_000, np.random.default_rng(3))
    assert shown.right == pytest.approx(SUCCESS[list(efforts)].prod(), abs=0.01)


def test_every_metric_falls_when_its_agent_works_and_does_not_move_when_another_does():
    idle = day((0, 0, 0), 20_000, RNG).metrics
    for seat in range(3):
        alone = day(np.eye(3, dtype=int)[seat], 20_000, RNG).metrics
        assert alone[seat] < idle[seat] - 0.03
        assert np.delete(alone, seat) == pytest.approx(np.delete(idle, seat))


def test_a_synthesiser_that_checks_states_how_often_its_stage_succeeds():
    assert day((0, 1, 0), 40_000, RNG).confidence == pytest.approx(SUCCESS[1], abs=0.01)


def test_a_day_without_three_efforts_or_without_questions_is_refused():
    for efforts in ((0, 1), (0, 1, 2), (0.5, 1, 1)):
        with pytest.raises(ValueError, match="give three numbers, 1 for an agent that works"):
            day(efforts, 10, RNG)
    with pytest.raises((TypeError, ValueError), match="questions"):
        day((0, 0, 0), 0, RNG)


def test_selection_keeps_what_is_paid_more():
    assert imitate(bonus, 0.3, runs=20)[-1].min() > 0.9
    assert imitate(lambda efforts: -COST * efforts, 0.9, runs=20)[-1].max() == 0


def test_under_an_equal_split_the_start_decides():
    assert imitate(split, 0.5, runs=20)[-1].max() == 0
    assert imitate(split, 0.9, runs=20)[-1].min() > 0.9


def test_many_agents_follow_the_replicator_equation():
    path = imitate(bonus, 0.3, rounds=60, pool=2000, runs=4)
    equation = replicator([[0.05, 0.05], [0.0, 0.0]], [0.3, 0.7], 600, 0.1)[::10, 0]
    assert path.mean(axis=(1, 2)) == pytest.approx(equation, abs=0.02)


def test_the_start_is_the_share_that_was_asked_for_and_the_same_seed_gives_the_same_path():
    path = imitate(split, 0.7, rounds=5, runs=3)
    assert path.shape == (6, 3, 3) and (path[0] == 0.7).all()
    assert (path == imitate(split, 0.7, rounds=5, runs=3)).all()
    assert (path != imitate(split, 0.7, rounds=5, runs=3, seed=1)).any()


def test_wrong_starts_counts_and_payments_are_refused():
    with pytest.raises(ValueError, match=r"start is 1\.2: it must be a share"):
        imitate(split, 1.2)
    with pytest.raises((TypeError, ValueError), match="pool"):
        imitate(split, 0.5, pool=0)
    with pytest.raises(ValueError, match="three numbers, what each agent earns"):
        imitate(lambda efforts: efforts[:2], 0.5)


@pytest.mark.parametrize("by_seat", [True, False])
def test_a_drawing_shows_its_sentence_and_its_caption(by_seat, monkeypatch):
    shown = []
    monkeypatch.setattr("mechlib.course.plots.show", lambda drawn, *words: shown.append((len(drawn.axes), *words)))
    path = imitate(split, 0.5, rounds=3, runs=4)
    draw({"one": path, "two": path}, "What it shows.", "Figure 0.1. What it finds.", by_seat)
    assert shown == [(2, "What it shows.", "Figure 0.1. What it finds.")]


def test_a_day_lists_its_metrics_in_the_order_of_the_seats():
    assert Day(0.1, 0.2, 0.3, 0.4).metrics.tolist() == [0.1, 0.2, 0.3]
