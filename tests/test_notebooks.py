"""What every notebook promises a reader. That its cells give what is printed there is nbval's task."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
PATHS = sorted(NOTEBOOKS.glob("*.ipynb"))
BIBLIOGRAPHY = (NOTEBOOKS.parent / "book" / "references.bib").read_text()
GLOSSARY = (NOTEBOOKS.parent / "book" / "glossary.md").read_text()

CHAPTERS = [path for path in PATHS if path.name[0].isdigit()]  # the others are pages of the appendix
each = pytest.mark.parametrize("path", PATHS, ids=lambda path: path.stem)
chapter = pytest.mark.parametrize("path", CHAPTERS, ids=lambda path: path.stem)


def cells(path: Path, kind: str) -> list[dict[str, Any]]:
    """Return a notebook's cells of one kind, with their sources as text."""
    found = [cell for cell in json.loads(path.read_text())["cells"] if cell["cell_type"] == kind]
    return [{**cell, "source": "".join(cell["source"])} for cell in found]


def prose(path: Path) -> str:
    """Return all of a notebook's text."""
    return "\n\n".join(cell["source"] for cell in cells(path, "markdown"))


def tags(cell: dict[str, Any]) -> set[str]:
    """Return a cell's tags."""
    return set(cell["metadata"].get("tags", []))


@each
def test_outputs_are_committed_and_quiet(path: Path) -> None:
    for cell in cells(path, "code"):
        assert cell["execution_count"], f"run the notebook and save it: {cell['source'][:60]}"
        for output in cell["outputs"]:
            assert output["output_type"] != "error" and output.get("name") != "stderr", cell["source"]


@each
def test_it_is_short(path: Path) -> None:
    code = cells(path, "code")
    long = [cell["source"] for cell in code if len(cell["source"].splitlines()) > 30]
    assert not long, "move it into mechlib"
    assert len(code) + len([cell for cell in cells(path, "markdown") if "solution" not in tags(cell)]) <= 75


@each
def test_only_explorers_and_timings_are_exempt_from_comparison(path: Path) -> None:
    for cell in cells(path, "code"):
        exempt = {tag for tag in tags(cell) if tag.startswith("nbval-")}
        assert exempt <= {"nbval-ignore-output"}
        assert not exempt or re.search("explore|interact|results.json", cell["source"]), cell["source"]


@each
def test_it_runs_in_a_browser_too(path: Path) -> None:
    source = "\n".join(cell["source"] for cell in cells(path, "code"))
    absent_there = r"asyncio\.run\(|\bimport (threading|subprocess|multiprocessing|requests)\b|^[!%]"
    assert not re.search(absent_there, source, re.M)


@chapter
def test_it_has_exercises_and_each_its_solution(path: Path) -> None:
    text = prose(path)
    exercises = re.findall(r"^:{3,}\{exercise\}", text, re.M)
    solutions = [cell["source"] for cell in cells(path, "markdown") if "solution" in tags(cell)]
    assert len(exercises) >= 4 and len(solutions) == len(exercises)
    for solution in solutions:
        assert solution.startswith('<details class="solution"><summary>') and solution.endswith("\n\n</details>")
    assert "<details>" in text, "give hints"


@each
def test_no_output_shows_a_solution(path: Path) -> None:
    for cell in cells(path, "code"):
        assert "solution" not in tags(cell) and ": Right." not in json.dumps(cell["outputs"]), cell["source"]


@each
def test_its_citations_terms_and_links_lead_somewhere(path: Path) -> None:
    text = prose(path)
    for keys in re.findall(r"\{cite(?::\w+)?\}`([^`]+)`", text):
        assert all(f"{{{key.strip()}," in BIBLIOGRAPHY for key in keys.split(",")), keys
    for term in re.findall(r"\{term\}`([^`<]+?)(?:\s*<[^`]*)?`", text):
        name = re.search(rf"\{{term\}}`{re.escape(term)}\s*<([^>`]+)>`", text)
        assert f"\n{name[1] if name else term}\n" in GLOSSARY, term
    for target in re.findall(r"\]\(([^)#:\s]+\.(?:ipynb|md))[^)]*\)", text):
        assert (NOTEBOOKS / target).exists() or (NOTEBOOKS.parent / "book" / target).exists(), target


@each
def test_it_says_where_it_stops_working_and_where_to_read_on(path: Path) -> None:
    headings = " ".join(re.findall(r"^#+ (.+)$", prose(path), re.M)).lower()
    assert re.search(r"stop|limit|where .* (ends|fails)|does not", headings), headings
    assert re.search(r"read(ing)?\b|references", headings), headings


def sources(text: str) -> list[str]:
    """Return what a text cites or links to, in order."""
    found = re.findall(r"\{cite(?::\w+)?\}`([^`]+)`|\]\((https?://[^)]+)\)", text)
    return [name.strip() for keys, link in found for name in (link or keys).split(",")]


def reading(path: Path) -> list[str]:
    """Return the two lists at a chapter's end of what to read next: for builders, and for theorists."""
    builders, theorists = prose(path).split("**For builders**\n\n- ")[1].split("**For theorists**\n\n- ")
    return [part.split("\n\n")[0] for part in (builders, theorists)]


@chapter
def test_a_chapter_says_what_builders_and_theorists_read_next(path: Path) -> None:
    for part in reading(path):
        items = part.split("\n- ")
        assert 2 <= len(items) <= 4, part
        for item in items:
            said = re.sub(r"\*[^*]+\*|\{cite\}`[^`]+`|\[[^]]+\]\([^)]+\)", "", item)  # beside titles, keys and links
            assert sources(item) and len(said.split()) >= 5, f"say what it gives: {item}"


def test_no_chapter_sends_a_reader_where_another_does() -> None:
    listed = [source for path in CHAPTERS for part in reading(path) for source in sources(part)]
    assert len(listed) == len(set(listed)), sorted({source for source in listed if listed.count(source) > 1})


def test_further_reading_is_that_of_the_chapters() -> None:
    table = (NOTEBOOKS.parent / "book" / "reading.md").read_text().split("## By chapter")[1]
    rows = {re.findall(r"\w+\.ipynb", row)[0]: row.split(" | ")[1:] for row in re.findall(r"^\| \[.*$", table, re.M)}
    assert rows.keys() == {path.name for path in CHAPTERS}
    for path in CHAPTERS:
        assert [sources(part) for part in rows[path.name]] == [sources(part) for part in reading(path)], path.stem


@each
def test_its_pictures_are_described(path: Path) -> None:
    for cell in cells(path, "code"):
        for output in cell["outputs"]:
            if "image/png" in output.get("data", {}):
                alt = output["metadata"].get("image/png", {}).get("alt") or output["metadata"].get("alt")
                assert alt, f"a picture without alt text after: {cell['source'][:80]}"


@each
def test_an_explorer_is_stored_as_the_page_without_a_kernel_shows_it(path: Path) -> None:
    for cell in cells(path, "code"):
        if re.search(r"^\w+_explorer\(", cell["source"], re.M):
            (output,) = cell["outputs"]
            assert "data-mechlib-explorer" in "".join(output["data"]["text/html"]), cell["source"]
            assert "application/vnd.jupyter.widget-view+json" not in output["data"], cell["source"]


@each
def test_captions_are_numbered_in_order(path: Path) -> None:
    """Every picture of a page that has captions is followed by one: "Figure 2.3. ..."; "Figure A2.1. ..." elsewhere."""
    number = str(int(path.name[:2])) if path in CHAPTERS else f"A{int(path.name.split('_')[1])}"
    outputs = [output for cell in cells(path, "code") for output in cell["outputs"]]
    texts = ["".join(output.get("data", {}).get("text/plain", "")) for output in outputs]
    pictures = [place for place, output in enumerate(outputs) if "image/png" in output.get("data", {})]
    captions = [text for text in texts if re.match(r"Figure A?\d", text)]
    for place, text in enumerate(captions, start=1):
        assert text.startswith(f"Figure {number}.{place}. "), text
    if captions:
        assert [texts[place + 1] for place in pictures] == captions, "a picture without its caption under it"


@pytest.mark.skipif(not shutil.which("unshare"), reason="no network namespaces on this system")
def test_notebooks_are_tested_where_there_is_no_network() -> None:
    """What `make notebooks` puts in front of pytest leaves no interface that is up, not even the loopback's."""
    probe = "import socket; s = socket.socket(); s.settimeout(2); print(s.connect_ex(('127.0.0.1', 9)))"
    run = subprocess.run(["unshare", "-rn", sys.executable, "-c", probe], capture_output=True, text=True)
    if run.returncode:
        pytest.skip("this system does not let ordinary users make namespaces")
    assert int(run.stdout) not in (0, 111), "refused would mean that the loopback interface answers"


@pytest.mark.parametrize("path", [path for path in PATHS if path not in CHAPTERS], ids=lambda path: path.stem)
def test_a_page_of_the_appendix_and_its_chapter_lead_to_each_other(path: Path) -> None:
    (own,) = NOTEBOOKS.glob(f"{path.stem.split('_')[1]}_*.ipynb")
    assert path.name in prose(own) and own.name in prose(path)
    assert path.stem in (NOTEBOOKS.parent / "book" / "_toc.yml").read_text()
