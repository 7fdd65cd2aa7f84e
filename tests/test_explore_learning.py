"""The explorer of learners: driven as a reader would."""

import re
from types import SimpleNamespace

import pytest

from mechlib.course import plots
from mechlib.course.explore_learning import learning_market


@pytest.fixture
def box(monkeypatch):
    """The explorer, without the slow part, turning a finished figure into a PNG."""
    monkeypatch.setattr(plots, "Image", lambda figure, alt: SimpleNamespace(png=b"", alt=alt, width=1))
    return learning_market()


def ends(box):
    return float(re.search(r"worth 0.9 bid (\d\.\d+) ±", box.sentence).group(1))


def test_hedge_is_nearer_to_truth_than_the_bandit_in_second_price(box):
    assert "theory says 0.450" in box.sentence and abs(ends(box) - 0.45) < 0.1
    box.controls["price"].value = "second"
    hedge = ends(box)
    box.controls["learner"].value = "bandit"
    assert "theory says 0.900" in box.sentence and ends(box) < hedge < 0.9


def test_more_rivals_mean_less_shading(box):
    two = ends(box)
    box.controls["bidders"].value = 5
    assert "theory says 0.720" in box.sentence and ends(box) > two


def test_more_time_moves_the_end(box):
    before = box.sentence
    box.controls["rounds"].value = 2000
    assert "After 2000 rounds" in box.sentence and box.sentence != before
