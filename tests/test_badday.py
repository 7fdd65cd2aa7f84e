"""Attacks on the coordinator itself: what was measured can be measured again, and says what the table says of it."""

from __future__ import annotations

import numpy as np
import pytest

from mechlib.course.badday import ATTACKS, SEEDS, Attack, bad_day, measure, tables
from mechlib.course.statistics import over_seeds

KEPT = bad_day()


def row(attack: Attack) -> tuple[str, str]:
    return attack.name, attack.measured


def by(play: str) -> tuple[str, str]:
    (attack,) = [attack for attack in ATTACKS if attack.play.__name__ == play]
    return row(attack)


def test_every_attack_was_measured_over_a_hundred_seeds_in_all_four_ways() -> None:
    assert [*KEPT] == [row(attack) for attack in ATTACKS] and SEEDS >= 100
    for measured in KEPT.values():
        assert all(part.shape == (SEEDS,) and np.isfinite(part).all() for part in measured)


@pytest.mark.parametrize("attack", ATTACKS, ids=lambda attack: attack.play.__name__)
def test_what_is_kept_is_what_is_measured(attack: Attack) -> None:
    seeds = [0, SEEDS - 1]
    for again, kept in zip(measure(attack, seeds), KEPT[row(attack)], strict=True):
        np.testing.assert_array_equal(again, kept[seeds])


@pytest.mark.parametrize("play", ["rejoining", "unmarkable", "five_names", "colluding", "copying", "silent", "verbose",
                                  "listed_first", "unlucky"])  # fmt: skip
def test_before_the_mend_the_attack_gains(play: str) -> None:
    assert KEPT[by(play)].gain().low > 0


def test_before_the_mend_a_lazy_grader_is_paid_and_decides_and_thirty_times_the_tokens_cost_nothing() -> None:
    fee = KEPT[by("constant_fee")]
    assert fee.attacked.mean() > 0.5 * fee.honest.mean() > 0
    assert KEPT[by("constant_choice")].gain().high < -0.1
    assert np.array_equal(KEPT[by("spending")].attacked, KEPT[by("spending")].honest)


@pytest.mark.parametrize("play", ["unmarkable", "silent", "verbose", "spending", "constant_fee"])
def test_mended_the_attack_loses(play: str) -> None:
    assert KEPT[by(play)].gain(mended=True).high < 0


@pytest.mark.parametrize("play", ["colluding", "copying", "listed_first"])
def test_mended_the_attack_gains_nothing_that_can_be_told_from_nothing(play: str) -> None:
    gain = KEPT[by(play)].gain(mended=True)
    assert gain.low <= 0 <= gain.high


@pytest.mark.parametrize(("play", "left"), [("rejoining", 0.3), ("five_names", 0.25), ("unlucky", 0.5),
                                            ("constant_choice", 0.1)])  # fmt: skip
def test_mended_little_is_left_of_what_an_attack_gains(play: str, left: float) -> None:
    measured = KEPT[by(play)]
    assert abs(measured.gain(mended=True).mean) < left * abs(measured.gain().mean)


def test_a_grader_of_one_number_earns_nothing_by_skill() -> None:
    lazy, honest = (over_seeds(part).mean for part in KEPT[by("constant_fee")][:1:-1])
    assert lazy.low < 0 < lazy.high < 0.1 < honest.low


def test_each_table_has_a_row_an_attack_and_the_last_says_what_mends_it() -> None:
    before, after, mends = tables()
    assert list(before.columns["attack"]) == [attack.name for attack in ATTACKS]
    for shown in (after, mends):
        assert len(set(shown.columns["attack"])) == len(ATTACKS), "two rows look alike"
        assert all(name.startswith(attack.name) for name, attack in zip(shown.columns["attack"], ATTACKS, strict=True))
    assert all(mends.columns["what mends it"])
    first, last = KEPT[row(ATTACKS[0])], KEPT[row(ATTACKS[-1])]
    assert before.columns["honest"][0].startswith(f"{first.honest.mean():.2f}".removeprefix("0"))
    assert after.columns["attacked"][-1].startswith(f"{last.attacked_mended.mean():.2f}")
    assert f"{len(first.honest)} seeds" in before.caption
