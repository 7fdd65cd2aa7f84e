"""One agent under many names at the coordinator: what was measured can be measured again, and what a bond must be."""

import asyncio

import numpy as np
import pytest

from mechlib.attacks.false_names import false_names
from mechlib.course import names
from mechlib.course.badday import SEEDS, bad_day, five_names
from mechlib.course.names import (
    MOST,
    PAYING,
    WEIGHTS,
    Days,
    drifting,
    kept,
    lost,
    poor,
    several,
    smallest_bond,
    waiting,
)
from mechlib.course.statistics import over_seeds

DAYS, LUCK = kept()
SCORED = [DAYS[f"scored {m}"] for m in range(1, MOST + 1)]


def test_everything_was_measured_over_a_hundred_seeds() -> None:
    assert SEEDS >= 100 and set(DAYS) == {f"{rule} {m}" for rule in PAYING for m in range(1, MOST + 1)} | {"stays",
                                                                                                         "drifts"}
    assert all(day.paid.shape == (SEEDS,) and len(day.right) == SEEDS for day in DAYS.values())
    assert all(part.shape == (len(WEIGHTS), SEEDS) for part in LUCK)


@pytest.mark.no_cover
@pytest.mark.parametrize("seed", [0, SEEDS - 1])
def test_what_is_kept_is_what_is_measured(seed: int) -> None:
    for rule, m in (("scored", 1), ("scored", MOST), ("second", 3)):
        paid, right = asyncio.run(several(seed, m, rule))
        assert (paid, right) == (DAYS[f"{rule} {m}"].paid[seed], DAYS[f"{rule} {m}"].right[seed])
    for name, leaves in (("stays", False), ("drifts", True)):
        assert asyncio.run(drifting(seed, leaves)) == (DAYS[name].paid[seed], DAYS[name].right[seed])
    for k in (0, len(WEIGHTS) - 1):
        assert asyncio.run(waiting(seed, True, WEIGHTS[k])) == LUCK.lucky[k, seed]
        assert asyncio.run(waiting(seed, False, WEIGHTS[k])) == LUCK.unlucky[k, seed]
        assert asyncio.run(poor(seed, WEIGHTS[k])) == pytest.approx(LUCK.poor[k, seed], abs=1e-6)


def test_everything_is_measured_and_kept_in_one_form(tmp_path, monkeypatch) -> None:
    monkeypatch.setattr(names, "MOST", 2)
    monkeypatch.setattr(names, "WEIGHTS", (1.0,))
    names.main(tmp_path / "names.json", seeds=1)
    days, luck = kept(tmp_path / "names.json")
    assert [*days] == ["scored 1", "scored 2", "second 1", "second 2", "stays", "drifts"]
    assert all(day.paid[0] == DAYS[name].paid[0] and day.right[0] == DAYS[name].right[0] for name, day in days.items())
    assert [part.tolist() for part in luck] == [[[part[0, 0]]] for part in LUCK]


def test_an_agent_has_as_many_counts_as_names_and_the_same_days_as_in_the_bad_day() -> None:
    for m, day in enumerate(SCORED, start=1):
        assert {len(right) for right in day.right} == {m}
    attack = bad_day()["five names for one agent", "pay a task"]
    np.testing.assert_allclose(SCORED[0].paid / 30, attack.honest, atol=1e-5)
    np.testing.assert_allclose(SCORED[-1].paid / 30, attack.attacked, atol=1e-5)


def test_paid_by_a_score_names_pay_and_paid_for_what_others_did_not_say_they_do_not() -> None:
    second = [DAYS[f"second {m}"] for m in range(1, MOST + 1)]
    for m in range(1, MOST):
        assert over_seeds(SCORED[m].paid - SCORED[m - 1].paid).mean.low > 0
        assert over_seeds(second[m].paid - second[0].paid).mean.mean < 0
    assert smallest_bond(second, 3) == 0


def test_with_one_owner_for_all_names_five_are_one() -> None:
    attack = bad_day()["five names for one agent", "pay a task"]
    np.testing.assert_array_equal(attack.attacked_mended, attack.honest_mended)
    for seed in (1, 2):
        assert asyncio.run(five_names(seed, True, True)) == asyncio.run(five_names(seed, False, True))


@pytest.mark.parametrize("answers", [1, 3, 8, None])
def test_the_smallest_bond_is_the_smallest(answers: int | None) -> None:
    bond = smallest_bond(SCORED, answers)
    nets = [[day.paid.mean() - b * lost(day, answers).mean() for day in SCORED] for b in (bond, 0.99 * bond)]
    assert max(nets[0]) == pytest.approx(nets[0][0]) and max(nets[1]) > nets[1][0]


def test_a_bond_that_never_comes_back_is_the_fee_of_the_audit() -> None:
    found = false_names(lambda said: SCORED[len(said) - 1].paid.mean(), "works", [], ["works"], MOST,
                        utility=lambda kind, paid, places: paid)
    assert found.fee == pytest.approx(smallest_bond(SCORED, None))


def test_what_is_lost_is_counted_by_name() -> None:
    day = Days(np.array([10.0, 4.0]), ((3, 0, 1), (2,)))
    assert lost(day, 1).tolist() == [1, 0] and lost(day, 3).tolist() == [2, 1] and lost(day, None).tolist() == [3, 1]
    more = Days(np.array([12.0, 6.0]), ((3, 3, 3), (3,)))
    assert smallest_bond([day, more], 3) == np.inf and smallest_bond([more, day], 3) == 0
    with pytest.raises(ValueError, match="days has 1"):
        smallest_bond([day], 3)
    with pytest.raises(ValueError, match="answers is 0"):
        lost(day, 0)


def test_slow_judgement_helps_the_unlucky_and_the_poor() -> None:
    gap = LUCK.unlucky - LUCK.lucky
    assert over_seeds(gap[0] - gap[-1]).mean.low > 0 and over_seeds(LUCK.poor[-1] - LUCK.poor[0]).mean.low > 0
