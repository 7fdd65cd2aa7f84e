"""Figures: every one has a text, a look that reads on white and on black, and draws the numbers it was given."""

import io
import re
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from matplotlib.colors import to_hex

from mechlib.course import plots
from mechlib.rules.calibration import reliability


def contrast(one, other):
    """The contrast ratio of two colours (WCAG 2.2)."""

    def luminance(colour):
        parts = np.array([int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5)])
        linear = np.where(parts <= 0.04045, parts / 12.92, ((parts + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    bright, dark = sorted((luminance(one), luminance(other)), reverse=True)
    return (bright + 0.05) / (dark + 0.05)


@pytest.mark.parametrize("page", ["#ffffff", "#121212"])
def test_lines_and_text_can_be_read_on_a_white_page_and_on_a_dark_one(page):
    assert all(contrast(colour, page) >= 3 for colour in plots.COLOURS)
    assert contrast(plots.INK, page) >= 4.3  # no colour has 4.5 on both


@pytest.mark.parametrize(("theme", "page"), [("", "#ffffff"), ('="dark"', "#121212")])
def test_the_book_moves_the_text_away_from_the_page_s_own_colour(theme, page):
    css = (Path(__file__).parents[1] / "book" / "assets" / "course.css").read_text()
    found = re.search(rf"html\[data-theme{theme}\] [^{{]*cell_output img[^{{]*{{[^}}]*brightness\(([\d.]+)\)", css)
    shades = [round(float(found[1]) * int(plots.INK[i : i + 2], 16)) for i in (1, 3, 5)]
    assert contrast("#{:02x}{:02x}{:02x}".format(*shades), page) >= 5.5


@pytest.fixture
def shown(monkeypatch):
    images = []
    monkeypatch.setattr("IPython.display.display", images.append)
    return images


def test_a_figure_is_displayed_with_its_sentence_and_nothing_else(shown):
    assert plots.lines([0, 1], {"honest": [0, 1]}, alt="Honesty\n pays.") is None
    (image,) = shown
    data, metadata = image._repr_mimebundle_()
    assert data["text/plain"] == repr(image) == "Honesty pays."
    assert metadata["image/png"] == {"alt": "Honesty pays.", "width": 640, "height": 360}
    assert struct.unpack(">II", image.png[16:24]) == (1280, 720)  # twice the resolution


def test_a_caption_stands_under_its_figure_with_its_number_in_bold(shown):
    drawn, _ = plots.figure()
    plots.show(drawn, "A line that rises.", "Figure 2.3. Honesty\n earns .8 < 1.")
    _, caption = shown
    assert repr(caption) == "Figure 2.3. Honesty earns .8 < 1."
    assert caption._repr_html_() == '<p class="caption"><strong>Figure 2.3.</strong> Honesty earns .8 &lt; 1.</p>'


def test_a_figure_without_a_sentence_is_refused(shown):
    with pytest.raises(ValueError, match="alt is empty"):
        plots.lines([0, 1], {"honest": [0, 1]})
    drawn, _ = plots.figure()
    with pytest.raises(ValueError, match="alt is empty"):
        plots.show(drawn, " ")
    assert shown == []


def test_the_page_shows_through_and_equal_figures_are_equal_bytes(shown):
    from matplotlib.image import imread

    for _ in range(2):
        plots.lines([0, 1], {"honest": [0, 1]}, alt="a line")
    assert shown[0].png == shown[1].png
    assert imread(io.BytesIO(shown[0].png))[0, 0, 3] == 0


def test_colours_tell_bars_apart_within_groups_only():
    from matplotlib.colors import to_hex

    _, (grouped, alone) = plots.figure(columns=2)
    plots.bars({"a": [1, 2], "b": [3, 4]}, ["x", "y"], axes=grouped)
    plots.bars({"a": 1, "b": 3}, axes=alone)
    assert len({to_hex(bar.get_facecolor()) for bar in grouped.patches}) == 2
    assert {to_hex(bar.get_facecolor()).upper() for bar in alone.patches} == {plots.COLOURS[0]}


def test_lines_bands_and_marks_are_the_numbers_given():
    _, axes = plots.figure()
    y = np.array([0.0, 1.0, 4.0])
    plots.lines(
        [0, 1, 2],
        {"a": y, "b": -y},
        bands={"a": (y - 1, y + 1)},
        marks={"b": (1, -1)},
        axes=axes,
        title="t",
        ylim=(-5, 5),
    )
    a, b, mark = axes.lines
    assert a.get_ydata().tolist() == [0, 1, 4] and b.get_ydata().tolist() == [0, -1, -4]
    assert mark.get_xydata().tolist() == [[1, -1]]
    assert a.get_linestyle() != b.get_linestyle()  # told apart without colour
    assert axes.collections[0].get_datalim(axes.transData).extents.tolist() == [0, -1, 2, 5]
    assert axes.get_title() == "t" and axes.get_ylim() == (-5, 5)
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]
    assert to_hex(axes.get_legend().get_texts()[0].get_color()) == plots.INK


def test_bars_alone_and_in_groups():
    _, (left, right) = plots.figure(columns=2)
    plots.bars({"a": 0.5, "b": -2}, errors={"a": [0.1]}, axes=left)
    assert [bar.get_height() for bar in left.patches] == [0.5, -2]
    assert [label.get_text() for label in left.get_xticklabels()] == ["a", "b"]
    assert left.get_legend() is None
    plots.bars({"a": [1, 2, 3], "b": [4, 5, 6]}, ["x", "y", "z"], errors={"b": [[1, 1, 1], [2, 2, 2]]}, axes=right)
    assert [bar.get_height() for bar in right.patches] == [1, 2, 3, 4, 5, 6]
    assert [text.get_text() for text in right.texts] == ["1", "2", "3", "4", "5", "6"]
    assert right.texts[3].xy[1] == 6  # above the upper error


def test_a_row_of_runs_shows_every_run_and_their_mean_and_a_number_alone_a_diamond():
    _, axes = plots.figure()
    plots.spread({"bandit": [0.2, 0.4, 0.6], "oracle": 0.9}, axes=axes, xlabel="share right")
    assert [tick.get_text() for tick in axes.get_yticklabels()] == ["bandit", "oracle"]
    runs, mean, alone = axes.lines
    assert sorted(runs.get_xdata()) == pytest.approx([0.2, 0.4, 0.6])
    assert mean.get_xdata() == pytest.approx([0.4, 0.4])
    assert alone.get_marker() == "D" and alone.get_xydata().tolist() == [[0.9, 1.0]]
    assert [text.get_text() for text in axes.texts] == ["0.40", "0.90"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first row is on top


def test_a_reliability_diagram_for_each_agent(shown):
    rng = np.random.default_rng(1)
    tables = {name: reliability(rng.random(50), rng.random(50) < 0.5, 5) for name in "ab"}
    plots.reliability_diagram(tables, alt="Two agents.")
    plots.reliability_diagram({"a": tables["a"]}, alt="One agent.")
    assert [image.alt for image in shown] == ["Two agents.", "One agent."]


def test_a_bin_s_count_stands_above_the_axis_and_on_no_marker(monkeypatch):
    drawn = []
    monkeypatch.setattr(plots, "show", lambda figure, alt, caption: drawn.append(figure))
    table = reliability([0.5, 0.5, 0.9], [1, 0, 1], 5)
    plots.reliability_diagram({"a": table}, alt="One agent.")
    texts = drawn[0].axes[0].texts
    assert [text.get_text() for text in texts] == ["2", "1"]
    assert [text.get_position()[0] for text in texts] == [0.5, 0.9]
    assert all(1.05 < text.get_position()[1] < 1.25 for text in texts)
    assert texts[0].get_position()[1] != texts[1].get_position()[1]  # neighbours do not run into each other


@pytest.mark.parametrize(
    ("values", "said"),
    [([0.601, 0.95, 1], "0.60 0.95 1.00"), ([0.0375, 0.0712, 0.135], "0.037 0.071 0.135"), ([3, 12], "3 12"),
     ([-0.3, 0], "−0.30 0"), ([31.4, 2.5], "31.4 2.5"), ([820.3, 2.91], "820 2.91")],
)
def test_the_numbers_on_bars_have_the_same_decimals(values, said):
    _, axes = plots.figure()
    plots.bars({"a": values}, [str(i) for i in range(len(values))], axes=axes)
    assert [text.get_text() for text in axes.texts] == said.split()


def test_a_heat_map_writes_its_numbers_and_leaves_gaps_empty():
    _, axes = plots.figure()
    plots.heat([[0.0, 1.0], [np.nan, 0.25]], ["a", "b"], ["x", "y"], axes=axes)
    assert [text.get_text() for text in axes.texts] == ["0.00", "1.00", "0.25"]
    assert axes.get_xlim() == (-0.5, 1.5) and axes.get_ylim() == (1.5, -0.5)  # the first row is on top
    assert axes.collections[0].get_array().tolist() == [[0.0, 1.0], [None, 0.25]]


def test_heat_maps_can_share_one_scale():
    _, axes = plots.figure()
    plots.heat([[0.2, 0.4]], ["a"], ["x", "y"], limits=(0, 1), axes=axes)
    assert axes.collections[0].get_clim() == (0, 1)


def test_a_network_marks_the_path():
    _, axes = plots.figure()
    places = {"s": (0, 0), "a": (1, 1), "b": (1, -1), "t": (2, 0)}
    edges = [("s", "a"), ("a", "t"), ("s", "b"), ("b", "t"), ("a", "b")]
    plots.graph(edges, places, texts=["3", "2", "1", "1"], path=[2, 3], axes=axes)
    assert [line.get_color() == plots.COLOURS[1] for line in axes.lines] == [False, False, True, True, False]
    assert {text.get_text() for text in axes.texts} == {"3", "2", "1", *places}


def panels():
    drawn, (upper, lower) = plots.figure(columns=2, rows=2)
    plots.lines([0, 1], {"a": [0, 12000], "b": [1, 2]}, axes=upper[0], title="above", ylabel="thousands")
    plots.bars({"a": [0.1, 0.25], "b": [0.3, 1]}, ["x\nof two lines", "y"], axes=upper[1], ylim=(0, 0.9))
    plots.heat([[1, 2]], ["a long row"], ["x", "y"], axes=lower[0], xlabel="columns")
    plots.spread({"many": [0.1, 0.2], "one": 1}, axes=lower[1], title="below", xlim=(0, 1))
    return drawn


def alone(draw, *what, **how):
    drawn, axes = plots.figure(height=3)
    draw(*what, axes=axes, **how)
    return drawn


FIGURES = {
    "panels": panels,
    "lines": lambda: alone(plots.lines, [0, 1], {"a": [0, 1]}, xlabel="x", ylabel="y", title="t"),
    "powers": lambda: alone(plots.lines, [1, 1000], {"a": [1, 1e5]}, xlabel="x", xscale="log", yscale="log"),
    "millions": lambda: alone(plots.lines, [1, 2], {"a": [1e7, 3e7]}, xlabel="x", ylabel="y"),
    "names": lambda: alone(plots.spread, {"a very long name of a row of runs": [0, 1], "b": 0.5}, xlabel="share"),
    "network": lambda: alone(plots.graph, [("s", "t")], {"s": (0, 0), "t": (1, 1)}, title="t"),
}


def seen(axis):
    low, high = sorted(axis.get_view_interval())
    ticks = zip(axis.get_majorticklocs(), axis.get_majorticklabels(), strict=True)
    return [text.get_text() for place, text in ticks if low <= place <= high]


@pytest.mark.parametrize("name", FIGURES)
def test_axes_stand_where_matplotlib_s_own_layout_puts_them_with_the_same_ticks(name):
    ours, theirs = FIGURES[name](), FIGURES[name]()
    theirs.set_layout_engine("constrained")
    for drawn in (ours, theirs, ours):  # drawing twice moves nothing
        drawn.canvas.draw()
    for one, other in zip(ours.axes, theirs.axes, strict=True):
        assert one.bbox.extents == pytest.approx(other.bbox.extents, abs=1)
        for mine, matplotlibs in ((one.xaxis, other.xaxis), (one.yaxis, other.yaxis)):
            assert seen(mine) == seen(matplotlibs)
            assert mine.offsetText.get_text() == matplotlibs.offsetText.get_text()
            if one.axison:
                renderer = ours.canvas.get_renderer()
                assert mine.label.get_window_extent(renderer).extents == pytest.approx(
                    matplotlibs.label.get_window_extent(renderer).extents, abs=1.5)


def test_a_gap_stays_free_between_axes():
    places = []
    for gap in (0.1, 0.5):
        drawn, axes = plots.figure(columns=2, gap=gap)
        drawn.canvas.draw()
        places.append([one.bbox for one in axes])
    (near, far), (nearer, farther) = places
    assert (farther.x0 - nearer.x1) - (far.x0 - near.x1) == pytest.approx(0.4 * plots.DPI)
    assert nearer.width == pytest.approx(farther.width)


def test_importing_the_module_does_not_import_matplotlib():
    code = "import sys, mechlib.course.plots; sys.exit('matplotlib' in sys.modules or 'IPython' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
