"""Each notebook, run to the end in the reader's browser, shows what the committed one shows."""

from __future__ import annotations

import ast
import configparser
import functools
import http.server
import json
import os
import re
import threading
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from conftest import HERE, SITE, Handler

ROOT = HERE.parents[1]
NOTEBOOKS = sorted(path.name for path in (SITE / "lite" / "files").glob("*.ipynb"))
if chosen := os.environ.get("MECHLIB_PAGES"):  # some alone, for who is at work on them
    NOTEBOOKS = [name for name in NOTEBOOKS if re.search(chosen, name)]
VIEW = "application/vnd.jupyter.widget-view+json"


def sanitized(text: str) -> str:
    """Replace what the notebooks' own tests replace too."""
    rules = configparser.RawConfigParser()
    rules.read(ROOT / "tests" / "nbval.cfg")
    for section in rules.sections():
        text = re.sub(rules[section]["regex"], rules[section]["replace"], text)
    return text


def shown(cell: dict[str, Any]) -> list[str]:
    """Return what a cell shows as text, one item an output; pictures, widgets and progress bars are left out."""
    streams: dict[str, str] = {}
    texts = []
    for output in cell.get("outputs", []):
        if output["output_type"] == "stream":
            streams[output["name"]] = streams.get(output["name"], "") + "".join(output["text"])
        elif output["output_type"] == "error":
            texts.append(f"{output['ename']}: {output['evalue']}")
        elif "image/png" not in output["data"] and VIEW not in output["data"]:
            data = output["data"].get("text/html", output["data"].get("text/plain", ""))
            texts.append("".join(data))
    said = [sanitized(text.strip()) for text in [*streams.values(), *texts]]
    return [text for text in said if text and not re.search(r"\d%\|", text)]


def compared(cell: dict[str, Any]) -> bool:
    """Say whether a cell's text is held equal: not where the notebook's tests leave it out as well."""
    return cell["cell_type"] == "code" and "nbval-ignore-output" not in cell["metadata"].get("tags", [])


def source(cell: dict[str, Any]) -> str:
    """Return a cell's source as one string."""
    return "".join(cell["source"])


def is_expression(text: str) -> bool:
    """Say whether Python reads the text as one expression."""
    try:
        return bool(ast.parse(text.strip(), mode="eval"))
    except SyntaxError:
        return False


def exercise_of(cells: list[dict[str, Any]], name: str) -> tuple[dict[str, Any], str] | None:
    """Return an exercise to try (its cell, what to put in) and what its solution prints."""
    table = tomllib.loads((ROOT / "notebooks" / "checks" / f"{name[:2]}.toml").read_text(encoding="utf-8"))
    for cell in cells:
        solution = re.search(r"```python\n(.*?)\n```", source(cell), re.DOTALL)
        if solution is None or "solution" not in cell["metadata"].get("tags", []):
            continue
        exercise = re.findall(r'check\("([^"]+)"', solution[1])[-1]
        spec = table[exercise]
        stub = next(c for c in cells if f'check("{exercise}"' in source(c) and c["cell_type"] == "code")
        wrong = next((w for w in spec["wrong"] if is_expression(w["answer"]) and "message" in w), None)
        if wrong is None:
            continue
        lie = f'{spec.get("setup", "")}\nimport numpy as np\ncheck("{exercise}", {wrong["answer"].strip()})'
        tries = {"cell": stub["id"], "tries": [lie, solution[1]], "message": wrong["message"]}
        return tries, f"{exercise}: Right."
    return None


@pytest.fixture(scope="module")
def committed() -> dict[str, list[dict[str, Any]]]:
    return {name: json.loads((ROOT / "notebooks" / name).read_text(encoding="utf-8"))["cells"] for name in NOTEBOOKS}


@pytest.fixture(scope="module")
def lived(drive: Callable[..., Any], committed: dict[str, list[dict[str, Any]]]) -> dict[str, dict[str, Any]]:
    jobs = []
    for name, cells in committed.items():
        explorers = [c["id"] for c in cells if re.search(r"^\w+_explorer\(", source(c), re.MULTILINE)]
        found = exercise_of(cells, name) if (ROOT / "notebooks" / "checks" / f"{name[:2]}.toml").exists() else None
        jobs.append({"name": name, "explorer": next(iter(explorers), None), "exercise": found[0] if found else None})
    runs = drive("live.mjs", timeout=1500, notebooks=jobs, width=2)
    for run in runs:
        print(f"{run['name']}: last cell after {run.get('seconds', -1):.0f} s, {run.get('requests')} requests")
    return {run["name"]: run | {"exercise": job["exercise"]} for run, job in zip(runs, jobs, strict=True)}


@pytest.mark.parametrize("name", NOTEBOOKS)
class TestLivePage:
    """One notebook in the live pages."""

    def test_runs_to_the_end_with_the_committed_text(self, lived: Any, committed: Any, name: str) -> None:
        assert "failure" not in lived[name], lived[name]["failure"]
        live = {cell["id"]: cell for cell in lived[name]["cells"]}
        assert lived[name]["asked"] == 0, "the page asked for a kernel"
        for cell in committed[name]:
            if cell["cell_type"] == "code":
                errors = [o for o in live[cell["id"]]["outputs"] if o["output_type"] == "error"]
                assert not errors, (cell["id"], errors)
            if compared(cell):
                assert shown(live[cell["id"]]) == shown(cell), cell["id"]
        assert [c for c in live.values() if c["cell_type"] == "code"][-1]["execution_count"]

    def test_has_no_problem_and_asks_no_other_site(self, lived: Any, name: str) -> None:
        assert lived[name]["problems"] == []

    def test_leads_to_the_book_offers_to_run_all_and_is_dark_where_the_reader_is(self, lived: Any, name: str) -> None:
        course, page = lived[name]["course"], name.replace(".ipynb", ".html")
        assert course["back"].endswith(f"/course/{page}")
        assert course["offered"] and course["dark"]
        assert not [link for link in course["links"] if "book.invalid" in link]
        for link in course["links"]:
            if "/course/" in link and "/lite/" not in link:
                target, _, anchor = link.partition("/course/")[2].partition("#")
                text = (SITE / target).read_text(encoding="utf-8")
                assert not anchor or f'id="{anchor}"' in text, link

    def test_says_nothing_that_only_the_book_can_resolve(self, name: str) -> None:
        for cell in json.loads((SITE / "lite" / "files" / name).read_text(encoding="utf-8"))["cells"]:
            assert isinstance(cell["source"], str)
            if cell["cell_type"] == "markdown":
                raw = r"\{(?:cite|term|ref|numref|prf)[:}]|\{exercise\}|\]\(\w+\.(?:ipynb|md)"
                assert not re.search(raw, cell["source"])
            assert all(isinstance(output.get("text", ""), str) for output in cell.get("outputs", []))

    def test_loads_the_recordings_of_its_chapter_alone(self, lived: Any, committed: Any, name: str) -> None:
        replayed = {each for cell in committed[name] for each in re.findall(r'client\("(\w+)"', source(cell))}
        archives = (SITE / "lite" / "static" / "pyodide").glob("recording-*.pack")
        every = {path.stem.removeprefix("recording-") for path in archives}
        loaded = set(lived[name]["course"]["recordings"])
        assert replayed & every <= loaded
        assert loaded < every

    def test_starts_python_once(self, lived: Any, name: str) -> None:
        assert lived[name]["course"]["pythons"] == 1, "the kernel did not take the Python that had begun"

    def test_draws_its_diagrams(self, lived: Any, committed: Any, name: str) -> None:
        assert lived[name]["diagrams"] == sum("```mermaid" in source(cell) for cell in committed[name])

    def test_its_explorer_moves(self, lived: Any, name: str) -> None:
        if not lived[name].get("explorer"):
            pytest.skip("this chapter has no explorer of this kind")
        moved = lived[name]["explorer"]
        assert moved and "error" not in moved, moved
        assert moved["before"] != moved["after"]

    def test_its_exercise_tells_wrong_from_right(self, lived: Any, committed: Any, name: str) -> None:
        if not lived[name].get("tries"):
            pytest.skip("no exercise here with an answer of one line")
        found = exercise_of(committed[name], name)
        assert found
        wrong, right = lived[name]["tries"]
        assert found[0]["message"] in wrong
        assert sanitized(right.strip()).startswith(found[1])


class CutOff(Handler):
    """A server that falls silent once it is told to."""

    cut = False

    def do_GET(self) -> None:
        """Answer until the line is cut."""
        if CutOff.cut:
            self.close_connection = True
        elif self.path.endswith("cut-the-line"):
            CutOff.cut = True
            self.send_error(410)
        else:
            super().do_GET()


def test_a_page_that_was_visited_runs_without_its_server(drive: Callable[..., Any]) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(CutOff, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/course/"
    seen = drive("kept.mjs", site=address, name="01_revelation_principle.ipynb")
    server.shutdown()
    assert CutOff.cut
    first, second = ([shown(cell) for cell in cells if compared(cell)] for cells in seen["cells"])
    assert first == second and any(second)
    assert seen["kept"] == [f"mechlib-live-{edition()}"]


class NextEdition(Handler):
    """A server whose site is published anew once it is told to: pages, worker and `live.js` are of another edition."""

    published = False

    def do_GET(self) -> None:
        """Answer, from the new edition if there is one."""
        path = Path(self.translate_path(self.path))
        if self.path.endswith("publish-the-next"):
            NextEdition.published = True
            self.send_error(410)
        elif NextEdition.published and path.name in {"index.html", "service-worker.js", "live.js"}:
            text = path.read_text("utf-8").replace(edition(), NEXT)
            more = {"live.js": "window.published = true;", "service-worker.js": "// another one"}
            data = f"{text}\n{more.get(path.name, '')}\n".encode()
            self.send_response(200)
            self.send_header("Content-Type", self.guess_type(str(path)))
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
        else:
            super().do_GET()


NEXT = "0123456789abcdef"


def edition() -> str:
    """Return the name of the edition that was built."""
    page = (SITE / "lite" / "notebooks" / "index.html").read_text("utf-8")
    return re.findall(r'data-edition="(\w+)"', page)[0]


def test_a_new_edition_takes_the_place_of_the_one_that_was_kept(drive: Callable[..., Any]) -> None:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(NextEdition, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    address = f"http://127.0.0.1:{server.server_port}/course/"
    seen = drive("renewed.mjs", site=address, name="01_revelation_principle.ipynb", next=NEXT)
    server.shutdown()
    assert seen["before"] == {"edition": edition(), "published": False, "kept": [f"mechlib-live-{edition()}"]}
    assert seen["after"] == {"edition": NEXT, "published": True, "kept": [f"mechlib-live-{NEXT}"]}


def test_python_is_whole_though_it_was_frozen(drive: Callable[..., Any]) -> None:
    chance = "import random, numpy; print(random.random(), numpy.random.random())"
    codes = {
        "import scipy.stats; print(scipy.stats.norm.cdf(0))": "0.5",  # in a chapter that loads no scipy
        "import inspect, mechlib; print(inspect.getsource(mechlib.second_price).split('(')[0])": "def second_price",
        "import fontTools.ttLib, importlib.metadata; print(importlib.metadata.version('numpy').count('.'))": "2",
        "import importlib, mechlib.settings as m; print(importlib.reload(m).__name__)": "mechlib.settings",
        "import asyncio; await asyncio.sleep(0.01); print('slept')": "slept",
        "import uuid; print(len({uuid.uuid4() for _ in range(9)}))": "9",
    }
    seen = drive("kernel.mjs", name="00_why_pipelines_defect.ipynb", codes=[*codes, "1 / 0", chance], again=[chance])
    *said, error, before, after = seen["said"]
    assert said == [*codes.values()]
    assert "ZeroDivisionError" in error and "line 1" in error
    assert len({*before.split(), *after.split()}) == 4, "chance is the same on every page"
    assert seen["problems"] == []


def test_every_notebook_has_a_live_page() -> None:
    if os.environ.get("MECHLIB_PAGES"):
        pytest.skip("some pages alone were asked for")
    assert sorted(path.name for path in (ROOT / "notebooks").glob("*.ipynb")) == NOTEBOOKS
    assert (SITE / "lite" / "notebooks" / "index.html").exists()
