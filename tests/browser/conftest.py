"""A server for the built site, under a sub-path as on GitHub Pages, and Chromium to look at it."""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
SITE = Path(os.environ.get("MECHLIB_SITE") or HERE.parents[1] / "book" / "_build" / "html")
SUBPATH = "/course/"


def pytest_configure(config: pytest.Config) -> None:
    """Register the marker that all tests here carry."""
    config.addinivalue_line("markers", "browser: needs the built book, Node and Chromium")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark every test of this folder."""
    for item in items:
        if HERE in Path(item.path).parents:
            item.add_marker("browser")


class Handler(http.server.SimpleHTTPRequestHandler):
    """Serve files below the sub-path only, and say nothing."""

    protocol_version = "HTTP/1.1"
    extensions_map = {  # noqa: RUF012
        **http.server.SimpleHTTPRequestHandler.extensions_map,
        ".js": "text/javascript",
        ".mjs": "text/javascript",
        ".wasm": "application/wasm",
    }

    def translate_path(self, path: str) -> str:
        """Map a URL to a file; outside of the sub-path there is none."""
        if not path.startswith(SUBPATH):
            return str(SITE / "no such file")
        return super().translate_path("/" + path.removeprefix(SUBPATH))

    def log_message(self, *args: Any) -> None:
        """Keep the tests' output readable."""


@pytest.fixture(scope="session")
def site() -> Iterator[str]:
    """Return the URL under which the built site is served."""
    if not (SITE / "index.html").exists():
        pytest.fail(f"{SITE} holds no book: run `make book` first")
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}{SUBPATH}"
    server.shutdown()


@pytest.fixture(scope="session")
def drive(site: str) -> Callable[..., Any]:
    """Return a function that runs one script here in Node with a job, and returns what it printed."""
    if shutil.which("node") is None:
        pytest.fail("these tests drive Chromium through Node: install Node, then run `make book`")

    def run(script: str, timeout: float = 900, **job: Any) -> Any:
        command = ["node", str(HERE / script)]
        text = json.dumps({"site": site, "shots": shots(), **job})
        done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=timeout)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    return run


def shots() -> str | None:
    """Return the folder for screenshots, if ``MECHLIB_SHOTS`` names one."""
    folder = os.environ.get("MECHLIB_SHOTS")
    if folder:
        Path(folder).mkdir(parents=True, exist_ok=True)
    return folder
