"""Settings shared by all tests.

A test marked `no_cover` runs many times what other tests run once: it does so without the tracer, twice as fast.
"""

import os
import sys
import threading
from collections.abc import Callable, Generator

import matplotlib
import pytest
from hypothesis import Phase, settings

matplotlib.use("Agg")
settings.register_profile("course", deadline=None, derandomize=bool(os.environ.get("CI")))
settings.register_profile("mutants", settings.get_profile("course"), derandomize=True, database=None,
                          phases=(Phase.explicit, Phase.generate))  # a failure is enough: nobody reads the example
settings.load_profile("course")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let `make attack` ask for every attack in full."""
    parser.addoption("--full", action="store_true", help="run the attacks in full, not a sample of them")


@pytest.fixture(scope="session")
def times(request: pytest.FixtureRequest) -> Callable[[int, int], int]:
    """How often an attack is tried: a sample of times, or with `--full` that many."""
    full = request.config.getoption("--full")
    return lambda sample, whole: whole if full else sample


@pytest.hookimpl(wrapper=True, trylast=True)
def pytest_runtest_call(item: pytest.Item) -> Generator[None]:
    """Take the tracer off a test marked `no_cover`: in a worker pytest-cov has two, and takes off one."""
    if not item.get_closest_marker("no_cover"):
        return (yield)
    tracer, of_threads = sys.gettrace(), threading.gettrace()
    sys.settrace(None)
    threading.settrace(None)  # type: ignore[arg-type]
    try:
        return (yield)
    finally:
        sys.settrace(tracer)
        threading.settrace(of_threads)  # type: ignore[arg-type]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Have one worker run all tests of a file; those of the exercises and on Claude take long and are shared out."""
    for item in items:
        group = item.path.stem
        if group == "test_exercises" and hasattr(item, "callspec"):
            group += str(item.callspec.params.get("name", ""))[:2]  # a chapter: its solutions share what it computed
        if group != "test_claude":
            item.add_marker(pytest.mark.xdist_group(group))
