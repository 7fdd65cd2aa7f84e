"""Routers: votes and records by hand, and the floor's trade against its two ends."""

import math
from types import SimpleNamespace

import numpy as np
import pytest

from mechlib.agents.tasks import Reply
from mechlib.course import routing
from mechlib.course.statistics import Interval


def said(*answers):
    return [Reply(answer, 0.9, "answered") if answer else Reply("", math.nan, "malformed") for answer in answers]


def test_a_majority_takes_the_task_and_a_tie_is_split():
    chances = routing.majority([said("Oslo", "a", "", "x"), said("oslo", "b", "", ""), said("Bergen", "c", "", "")])
    np.testing.assert_allclose(chances, [[0.5, 0.5, 0], [1 / 3] * 3, [0, 0, 0], [1, 0, 0]])


def test_a_track_record_leaves_the_task_out_and_is_pulled_to_the_whole():
    right = np.array([[1, 0], [1, 0], [0, 1], [0, 1]], float)
    record = routing.track_record(right, ["a", "a", "b", "b"], pull=2)
    # task 0: the other task of its domain says (1, 0); the three other tasks together (1/3, 2/3), counted twice
    np.testing.assert_allclose(record[0], [(1 + 2 / 3) / 3, (0 + 4 / 3) / 3])
    changed = right.copy()
    changed[0] = [0, 1]
    np.testing.assert_allclose(routing.track_record(changed, ["a", "a", "b", "b"], pull=2)[0], record[0])


def test_a_track_record_wants_one_domain_a_task():
    with pytest.raises(ValueError, match="one domain a task"):
        routing.track_record(np.ones((3, 2)), ["a", "b"])


def test_a_floor_of_one_half_is_a_coin_and_a_low_one_nearly_the_best():
    coin, low = routing.floor_trade(0.5, seeds=20), routing.floor_trade(0.01, seeds=20)
    assert coin.right.mean() == pytest.approx(0.5, abs=0.02)
    assert low.right.mean() == pytest.approx(2 / 3, abs=0.02)  # the mean of the larger of two even draws
    assert low.spread.mean() > 2 * coin.spread.mean()
    assert low.largest == 100


def test_a_constant_report_scores_no_more_than_the_share_itself():
    right, where = np.array([1, 1, 0, 0, 1.0]), np.array([1, 1, 1, 1, 0], bool)
    same = routing.above_constant(np.full(5, 0.5), right, where)
    assert (same.mean, same.low, same.high) == (0, 0, 0)
    assert routing.above_constant(np.full(5, 0.9), right, where).mean == pytest.approx(-0.16)
    assert routing.above_constant(right, right, where).mean == pytest.approx(0.25)


def test_the_plane_names_its_curve_and_every_router():
    drawn = routing.draw_plane([(0, 0), (1, 0.2), (2, 0.5)], {"best": (2.0, Interval(0.5, 0.4, 0.6))}, "by V")
    assert {text.get_text() for text in drawn.axes[0].texts} == {"by V", "best"}


@pytest.mark.anyio
async def test_a_letter_counts_with_the_chance_that_its_model_gave_it(monkeypatch):
    async def chances(client, model, prompts, *_):
        return np.log([[0.1, 0.2, 0.3, 0.4]] * len(prompts))

    monkeypatch.setattr(routing, "log_probabilities", chances)
    tasks = [SimpleNamespace(options=("a", "b"), prompt="?"), SimpleNamespace(options=(), prompt="?")]
    found = await routing.letter_chances([SimpleNamespace(model="m")], tasks * 2, [said("C) x", "C", "dog", "B")], None)
    np.testing.assert_allclose(found[:, 0], [0.3, math.nan, math.nan, math.nan])
