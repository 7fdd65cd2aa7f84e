"""Explorers: their controls are driven as a reader would, and the sentence says what theory says."""

from types import SimpleNamespace

import ipywidgets
import pytest

from mechlib.course import explore, plots


@pytest.fixture
def undrawn(monkeypatch):
    """Leave out the slow part, turning a finished figure into a PNG."""
    monkeypatch.setattr(plots, "Image", lambda figure, alt: SimpleNamespace(png=b"", alt=alt, width=1))


def test_the_popular_rule_makes_certainty_best_and_the_quadratic_one_the_truth(undrawn):
    box = explore.scoring_rules()
    assert box.sentence == (
        "Under the absolute rule, an agent that believes 0.70 and reports 0.70 expects 0.280. "
        "The best report is 1.00, which expects 0.400."
    )
    box.controls["rule"].value = "quadratic"
    assert "reports 0.70 expects 0.490. The best report is 0.70" in box.sentence
    box.controls["belief"].value = 0.2
    assert "believes 0.20 and reports 0.70 expects -0.210. The best report is 0.20" in box.sentence
    box.controls["report"].value = 0.2
    assert "reports 0.20 expects 0.040. The best report is 0.20, which expects 0.040." in box.sentence


@pytest.mark.parametrize("rule", explore.RULES)
def test_every_rule_has_a_score_at_the_ends(undrawn, rule):
    box = explore.scoring_rules()
    box.controls["rule"].value = rule
    for belief in (0.0, 1.0):
        box.controls["belief"].value = belief
        box.controls["report"].value = 1 - belief
        assert "nan" not in box.sentence and "inf" not in box.sentence


def test_bidding_ones_value_is_best_in_second_price_and_shading_in_first(undrawn):
    box = explore.auction_bids()
    assert "The best bid is 0.80" in box.sentence
    box.controls["auction"].value = "first price"
    assert "with 3 rivals, a bidder worth 0.80 that bids 0.80 expects 0.000. The best bid is 0.60" in box.sentence
    box.controls["rivals"].value = 1
    assert "The best bid is 0.40" in box.sentence


def test_cooperators_grow_exactly_when_the_expected_fine_exceeds_the_gain(undrawn):
    box = explore.policing()
    assert "cooperators shrink" in box.sentence
    box.controls["detection"].value = 0.25
    assert "cooperators stay, from 0.80 to 0.80" in box.sentence
    box.controls["detection"].value = 0.5
    assert "cooperators grow" in box.sentence


@pytest.mark.parametrize("make", [explore.scoring_rules, explore.auction_bids, explore.policing])
def test_every_explorer_draws(make):
    assert len(make().view.value) > 20_000


def tiny(**values):
    figure, _ = plots.figure(width=1, height=1)
    return figure, f"<{values}>"


def test_controls_are_labelled_and_of_the_right_kind():
    ready = ipywidgets.IntText(value=7)
    box = explore.explorer(
        tiny, a_share=(0.0, 1.0, 0.1, 0.5), count=(1, 9, 1, 3), kind=["x", "y"], on=True, ready=ready
    )
    kinds = [type(control).__name__ for control in box.controls.values()]
    assert kinds == ["FloatSlider", "IntSlider", "Dropdown", "Checkbox", "IntText"]
    assert box.controls["a_share"].description == "a share"
    assert list(box.children) == [*box.controls.values(), box.view]
    assert box.sentence == "<{'a_share': 0.5, 'count': 3, 'kind': 'x', 'on': True, 'ready': 7}>"
    with pytest.raises(TypeError, match="control 'a' must be"):
        explore.explorer(tiny, a="text")


def test_the_view_holds_a_picture_and_the_sentence_escaped_and_read_out():
    box = explore.explorer(tiny, on=True)
    before = box.view.value
    box.controls["on"].value = False
    assert box.view.value != before
    assert '<img alt="" src="data:image/png;base64,' in box.view.value
    assert 'aria-live="polite">&lt;{&#x27;on&#x27;: False}&gt;</figcaption>' in box.view.value
