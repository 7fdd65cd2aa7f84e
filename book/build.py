"""Build the book: ``python book/build.py [--draft]``. Pages, notebooks and assets are laid side by side in
``book/_build/src``, so that every page is in the root of the site, and Jupyter Book turns warnings into errors.

A draft leaves out the chapters that do not exist yet, and the live pages.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml
from diagrams import diagram
from edition import edition
from landing import fill

BOOK = Path(__file__).resolve().parent
ROOT = BOOK.parent
NOTEBOOKS = ROOT / "notebooks"
BUILD = BOOK / "_build"
SOURCE = BUILD / "src"
SITE = BUILD / "html"
WIDGET = "application/vnd.jupyter.widget-view+json"
LIVE = "lite/notebooks/index.html?path="


def links(name: str) -> str:
    """Return the row of links under a chapter's title."""
    row = [f'<a href="{LIVE}{name}">Run this page live</a>']
    row += [f'<a href="_sources/{name}" download>Download the notebook</a>']
    if github := edition().github:
        colab = f"https://colab.research.google.com/github/{github}/blob/main/notebooks/{name}"
        binder = f"https://mybinder.org/v2/gh/{github}/main?labpath=notebooks/{name}"
        row += [f'<a href="{colab}">Colab</a>', f'<a href="{binder}">Binder</a>']
    return '<p class="page-links">' + " ".join(row) + "</p>"


def for_the_page(cell: dict[str, Any]) -> None:
    """Give pictures their descriptions, and leave out what only a kernel can mean."""
    cell["outputs"] = [output for output in cell["outputs"] if "Not attempted yet." not in str(output.get("text", ""))]
    for output in cell.get("outputs", []):
        for described in output.get("metadata", {}).values():
            if isinstance(described, dict) and "alt" in described:
                cell["metadata"].setdefault("mystnb", {}).setdefault("image", {})["alt"] = described["alt"]
        output.get("data", {}).pop(WIDGET, None)  # a page without a kernel shows the explorer's own HTML
        if page := output.get("data", {}).get("text/html"):  # a number and its error stay in one line
            output["data"]["text/html"] = "".join(page).replace(" ± ", "\u00a0±\u00a0")


def name_theorems(text: str, stem: str, count: Iterator[int]) -> str:
    """Give each theorem without a label one that no other page has; Sphinx would number them alike on every page."""
    pattern = r"^(:{3,}\{prf:(?!proof|ref)\w+\}[^\n]*\n)(?!:label:)"
    return re.sub(pattern, lambda match: f"{match[1]}:label: {stem}-statement-{next(count)}\n", text, flags=re.M)


def stage_notebook(path: Path) -> None:
    """Copy one notebook into the sources, with what only a page has."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    count = itertools.count(1)
    for cell in notebook["cells"]:
        if cell["cell_type"] == "code":
            for_the_page(cell)
        else:
            text = re.sub(r"```mermaid\n(.*?)```", lambda found: diagram(found[1]), "".join(cell["source"]), flags=re.S)
            cell["source"] = name_theorems(text, path.stem, count)
    row = {"cell_type": "markdown", "id": "page-links", "metadata": {}, "source": links(path.name)}
    title, newline, rest = "".join(notebook["cells"][0]["source"]).partition("\n")
    notebook["cells"][0]["source"] = title
    follow = {"cell_type": "markdown", "id": "page-promise", "metadata": {}, "source": rest.strip() + newline}
    notebook["cells"][1:1] = [row, follow]
    (SOURCE / path.name).write_text(json.dumps(notebook, ensure_ascii=False), encoding="utf-8")


def stage(draft: bool) -> None:
    """Lay all sources side by side."""
    shutil.rmtree(SOURCE, ignore_errors=True)
    SOURCE.mkdir(parents=True)
    for path in BOOK.iterdir():
        if path.is_dir() and path.name in {"_ext", "assets"}:
            shutil.copytree(path, SOURCE / path.name)
        elif path.suffix in {".md", ".bib", ".yml"}:
            shutil.copyfile(path, SOURCE / path.name)
    front = SOURCE / "index.md"
    front.write_text(fill(front.read_text(encoding="utf-8")), encoding="utf-8")
    for page in (BOOK / "howto").glob("*.md"):  # beside the others, so that one page links to another by its name
        shutil.copyfile(page, SOURCE / page.name)
    shutil.copyfile(ROOT / "CHANGELOG.md", SOURCE / "changelog.md")
    if (told := ROOT / "recordings" / "RECORDINGS.md").exists() or not draft:
        page = told.read_text(encoding="utf-8").replace("](../notebooks/", "](")
        page = re.sub(r"\[[^]]*\]\(\.\./(training/[^)]*)\)", r"`\1`", page)  # a script is no page of the book
        (SOURCE / "recordings.md").write_text(page, encoding="utf-8")
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        stage_notebook(path)
    if draft:
        toc = yaml.safe_load((SOURCE / "_toc.yml").read_text())
        for part in toc["parts"]:
            part["chapters"] = [c for c in part["chapters"] if list(SOURCE.glob(c["file"] + ".*"))]
        toc["parts"] = [part for part in toc["parts"] if part["chapters"]]
        (SOURCE / "_toc.yml").write_text(yaml.safe_dump(toc))
        config = yaml.safe_load((SOURCE / "_config.yml").read_text())
        config["sphinx"]["config"]["suppress_warnings"] = ["myst.domains", "myst.xref_missing"]
        (SOURCE / "_config.yml").write_text(yaml.safe_dump(config))


def run(*command: str) -> None:
    """Run one step and stop the build where it fails."""
    done = subprocess.run([sys.executable, *command], cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
    if done.returncode:
        sys.exit(done.returncode)


def main() -> None:
    """Lay out the sources, build the pages, and put the live notebooks beside them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draft", action="store_true", help="leave out missing chapters and the live pages")
    draft = parser.parse_args().draft
    run("book/vendor.py")
    stage(draft)
    shutil.rmtree(SITE, ignore_errors=True)
    options = ["--path-output", str(BUILD.parent), "-W", "-n", "--keep-going", "--all", "--quiet"]
    run("-c", "from jupyter_book.cli.main import main; main()", "build", str(SOURCE), *options)
    run("book/finish.py")
    if not draft:
        run("book/lite/build.py")
    run("book/bom.py", str(SITE / "bom.cdx.json"))
    # what debuggers read, and icon fonts for browsers of 2010: 4 MB that no reader needs
    for path in [*SITE.rglob("*.map"), *SITE.glob("lite/build/fa-*.svg")]:
        path.unlink()
    size = sum(path.stat().st_size for path in SITE.rglob("*") if path.is_file())
    print(f"book/_build/html: {len(list(SITE.glob('*.html')))} pages, {size / 1e6:.0f} MB in all")


if __name__ == "__main__":
    main()
