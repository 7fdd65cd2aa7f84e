"""What every notebook promises a reader. That its cells give what is printed there is nbval's task."""

import ast
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
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


def folded(cell: dict[str, Any]) -> bool:
    """Say whether a code cell's source is out of sight until somebody asks for it."""
    return "hide-input" in tags(cell)


def stub(cell: dict[str, Any]) -> bool:
    """Say whether a code cell is where an exercise's answer goes."""
    return 'check("' in cell["source"]


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
def test_a_visible_cell_shows_one_idea_in_at_most_sixteen_lines_that_fit(path: Path) -> None:
    """Drawing and formatting belong in `mechlib.course` or in a folded cell."""
    for cell in cells(path, "code"):
        lines = cell["source"].splitlines()
        assert all(len(line) <= 88 for line in lines), f"{cell['id']} has a line of more than 88 characters"
        if not folded(cell) and not stub(cell):
            assert sum(bool(line.strip()) for line in lines) <= 16, f"{cell['id']} is too long: fold it, or move it out"


@each
def test_a_folded_cell_is_folded_in_jupyter_and_in_the_book_alike(path: Path) -> None:
    for cell in cells(path, "code"):
        assert folded(cell) == bool(cell["metadata"].get("jupyter", {}).get("source_hidden")), cell["id"]


# A reader needs so many minutes for a chapter's words, code cells and exercises. What is folded is not read: hints,
# solutions, the source of folded cells. So a folded cell counts for what it shows alone, a figure or a table to look
# at. A stub is part of its exercise, and the list of what to read on is for afterwards.
WORDS_A_MINUTE, CODE_CELL, FOLDED_CELL, EXERCISE = 200, 1.0, 0.5, 3.0


def minutes(path: Path) -> float:
    """Return how long a reader needs for a page."""
    text = "\n\n".join(cell["source"] for cell in cells(path, "markdown") if "solution" not in tags(cell))
    exercises = len(re.findall(r"^:{3,}\{exercise\}", text, re.M))
    unread = r"<details>.*?</details>|^```mermaid$.*?^```$|^## Where to read on$.*?(?=^## |\Z)"
    words = len(re.sub(unread, "", text, flags=re.M | re.S).split())
    needed = words / WORDS_A_MINUTE + EXERCISE * exercises
    for cell in cells(path, "code"):
        if folded(cell):
            needed += FOLDED_CELL * bool(cell["outputs"])
        elif not stub(cell):
            needed += CODE_CELL
    return needed


@chapter
def test_it_says_at_the_top_how_long_it_takes_and_that_is_an_hour_at_most(path: Path) -> None:
    said = int(re.search(r"\*\*Time:\*\* about (\d+) minutes", cells(path, "markdown")[0]["source"])[1])  # type: ignore[index]
    needed = minutes(path)
    assert needed <= 60, f"it takes {needed:.0f} minutes: cut what repeats"
    assert abs(said - needed) <= 5, f"it says {said} minutes and takes {needed:.0f}"


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


@each
def test_every_exercise_says_in_its_title_how_hard_it_is(path: Path) -> None:
    titles = re.findall(r"^:{3,}\{exercise\} (.*)$", prose(path), re.M)
    assert all(re.search(r" \*\((easy|medium|hard)\)\*$", title) for title in titles), titles


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


# Numbers that are typed into a caption or an alt text because they say what is drawn, not what was found.
GIVEN = {
    "nb02-41b": {"1.5"},  # what both machines are worth to the bidder
    "nb07-07": {"0.5", "0.6"},  # the belief and the rival's report, of which the curves are functions
    "nb09-41": {".98", ".90"},  # the discounts of the two reputations
    "nb10-06": {"0.5", "0.05"},  # the lengths of the steps
    "nb10-10": {"2.5", "99%", "1%"},  # the penalty of the paths that are drawn, and where populations start
}


def literals(node: ast.AST) -> Iterator[str]:
    """Yield the parts of a text that are typed as they stand: strings, and of f-strings what is outside braces."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr | ast.BinOp | ast.IfExp):
        parts = node.values if isinstance(node, ast.JoinedStr) else ast.iter_child_nodes(node)
        for part in parts:
            yield from literals(part)


def typed_numbers(source: str) -> set[str]:
    """Return the decimals and percentages typed into captions and alt texts; "95%" is no result."""
    found = set[str]()
    tree = compile(source, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        shown = [keyword.value for keyword in call.keywords if keyword.arg in ("alt", "caption")]
        shown += call.args[1:3] if ast.unparse(call.func) == "plots.show" else []
        for text in (text for node in shown for text in literals(node)):
            text = re.sub(r"^Figure A?\d+\.\d+\.|\b95%", "", text)
            found |= set(re.findall(r"\d*\.\d+|\d+ ?%", text))
    return found


def test_typed_numbers_are_found_wherever_they_stand() -> None:
    assert typed_numbers('plots.lines(x, alt=f"falls to .43 at {x:.2f}", caption="Figure 5.1. 95% sure.")') == {".43"}
    assert typed_numbers('plots.show(f, "at " + "0.5", f"Figure 2.3. {x} of 12 % or {y:.0%}")') == {"0.5", "12 %"}
    assert typed_numbers('table({"a": [0.43]}, "0.43 of them")') == set()


@each
def test_captions_and_alt_texts_state_no_result_that_was_typed(path: Path) -> None:
    for cell in cells(path, "code"):
        typed = typed_numbers(cell["source"])
        assert typed == GIVEN.get(cell["id"], set()), f"{cell['id']}: let the cell compute {typed}"


@each
def test_an_explorer_is_stored_as_the_page_without_a_kernel_shows_it(path: Path) -> None:
    for cell in cells(path, "code"):
        if re.search(r"^\w+_explorer\(", cell["source"], re.M):
            (output,) = cell["outputs"]
            assert "data-mechlib-explorer" in "".join(output["data"]["text/html"]), cell["source"]
            assert "application/vnd.jupyter.widget-view+json" not in output["data"], cell["source"]


def pictures_and_captions(path: Path) -> tuple[list[str], list[str]]:
    """Return a page's captions, and what is shown right under each of its pictures."""
    outputs = [output for cell in cells(path, "code") for output in cell["outputs"]]
    texts = ["".join(output.get("data", {}).get("text/plain", "")) for output in outputs]
    pictures = [place for place, output in enumerate(outputs) if "image/png" in output.get("data", {})]
    return [text for text in texts if re.match(r"Figure A?\d", text)], [texts[place + 1] for place in pictures]


@each
def test_every_picture_of_a_page_with_captions_has_one(path: Path) -> None:
    captions, under = pictures_and_captions(path)
    assert not captions or under == captions, "a picture without its caption under it"


@chapter
def test_figures_are_numbered_in_order_and_no_number_is_given_twice(path: Path) -> None:
    """Those of chapter 2 are 2.1, 2.2 and so on; those of its appendix A2.1 and so on, from its first page to its last.

    So two figures of the site never have one number.
    """
    number = path.name.split("_")[0]
    pages = {f"{int(number)}": [path], f"A{int(number)}": sorted(NOTEBOOKS.glob(f"appendix_{number}_*.ipynb"))}
    for start, paths in pages.items():
        captions = [text for page in paths for text in pictures_and_captions(page)[0]]
        for place, text in enumerate(captions, start=1):
            assert text.startswith(f"Figure {start}.{place}. "), text


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
