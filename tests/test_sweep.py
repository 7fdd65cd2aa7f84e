"""A sweep's numbers depend on the seed and the grid, and not on who computed them."""

import multiprocessing
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from mechlib.course.sweep import sweep

GRID = {"bidders": [2, 3, 5], "reserve": [0.0, 0.5]}


def revenue(rng: np.random.Generator, bidders: int, reserve: float) -> float:
    """Mean revenue of a second price auction with a reserve over 200 draws."""
    values = np.sort(rng.random((200, bidders)), axis=-1)
    return float(np.where(values[:, -1] >= reserve, np.maximum(values[:, -2], reserve), 0.0).mean())


def fragile(rng: np.random.Generator, bidders: int, reserve: float) -> float:
    """Fail at one setting."""
    if bidders == 3 and reserve:
        raise ZeroDivisionError("no such auction")
    return 0.0


def shaky(rng: np.random.Generator, bidders: int, reserve: float) -> np.ndarray:
    """Return a result whose shape depends on the setting."""
    return rng.random(bidders)


@pytest.fixture(scope="module")
def pool() -> Iterator[Executor]:
    with ProcessPoolExecutor(2, mp_context=multiprocessing.get_context("spawn")) as executor:
        yield executor


@pytest.fixture(scope="module")
def cluster() -> Iterator[Executor]:
    distributed = pytest.importorskip("distributed")
    quiet = {"distributed.comm.timeouts.connect": "30s"}
    import dask

    with (
        dask.config.set(quiet),
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, host="127.0.0.1", dashboard_address=None
        ) as local,
        distributed.Client(local) as client,
    ):
        yield client.get_executor()


def test_one_process_and_a_pool_agree_bit_for_bit(pool: Executor) -> None:
    here, there = (sweep(revenue, GRID, seed=7, repeats=3, executor=who) for who in (None, pool))
    assert here.values.tobytes() == there.values.tobytes()


def test_one_process_and_a_dask_cluster_agree_bit_for_bit(cluster: Executor) -> None:
    here, there = (sweep(revenue, GRID, seed=7, repeats=3, executor=who) for who in (None, cluster))
    assert here.values.tobytes() == there.values.tobytes()


def test_a_setting_keeps_its_numbers_when_repeats_are_added() -> None:
    few, many = (sweep(revenue, GRID, seed=7, repeats=r).values for r in (2, 5))
    assert np.array_equal(few, many[..., :2])


def test_repeats_settings_and_seeds_draw_different_numbers() -> None:
    values = sweep(lambda rng, a: rng.random(), {"a": [1, 2, 3]}, seed=7, repeats=4).values
    other = sweep(lambda rng, a: rng.random(), {"a": [1, 2, 3]}, seed=8, repeats=4).values
    assert len(np.unique([values, other])) == values.size + other.size


def test_revenue_of_the_second_price_auction_is_found_at_every_setting() -> None:
    """(n - 1)/(n + 1) without a reserve; 5/12 at two bidders and a reserve of one half (Myerson 1981)."""
    found = sweep(revenue, GRID, seed=7, repeats=100)
    oracle = {(2, 0.0): 1 / 3, (3, 0.0): 1 / 2, (5, 0.0): 2 / 3, (2, 0.5): 5 / 12}
    for (bidders, reserve), exact in oracle.items():
        i, j = GRID["bidders"].index(bidders), GRID["reserve"].index(reserve)
        assert abs(found.mean[i, j] - exact) < 4 * found.standard_error[i, j]


def test_axes_follow_the_grid_and_results_may_be_arrays() -> None:
    result = sweep(lambda rng, a, b: np.array([a, b, a * b]), {"a": [1, 2], "b": [3, 4, 5]}, seed=0, repeats=2)
    assert result.values.shape == (2, 3, 2, 3)
    assert result.values[1, 2].tolist() == [[2, 5, 10], [2, 5, 10]]
    assert not result.standard_error.any()


def test_a_single_run_has_no_standard_error() -> None:
    assert np.isnan(sweep(revenue, GRID, seed=7).standard_error).all()


@pytest.mark.parametrize("workers", [None, 1])
def test_a_failure_keeps_its_type_and_names_the_settings(workers: int | None) -> None:
    executor = None if workers is None else ThreadPoolExecutor(workers)
    with pytest.raises(ZeroDivisionError) as caught:
        sweep(fragile, GRID, seed=7, executor=executor)
    assert "'bidders': 3, 'reserve': 0.5" in caught.value.__notes__[0]
    if executor is not None:
        executor.shutdown()


@pytest.mark.parametrize(
    ("grid", "repeats", "words"),
    [({}, 1, "no settings"), ({"a": []}, 1, "no settings of a"), ({"a": [1]}, 0, "repeats is 0")],
)
def test_an_empty_sweep_is_refused(grid: dict[str, list[int]], repeats: int, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        sweep(lambda rng, a: a, grid, seed=0, repeats=repeats)


def test_results_of_different_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="different shapes"):
        sweep(shaky, GRID, seed=0)
