"""Print the whole course into one PDF: ``python book/pdf.py``, after ``make book``. Chromium does the printing.

The articles of all pages, in the order of the table of contents, are put into one page beside the others; their links
to each other become links inside it.
"""

from __future__ import annotations

import functools
import http.server
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

import yaml

BOOK = Path(__file__).resolve().parent
SITE = BOOK / "_build" / "html"
WHOLE = SITE / "print.html"
PDF = SITE / "course.pdf"
SOLUTION = re.compile(r'<details class="solution.*?</details>', re.DOTALL)


def pages() -> list[str]:
    """Return the names of the pages that are built, in the order of the table of contents."""
    toc = yaml.safe_load((BOOK / "_toc.yml").read_text())
    names = [toc["root"], *(chapter["file"] for part in toc["parts"] for chapter in part["chapters"])]
    return [name for name in names if (SITE / f"{name}.html").exists()]


def article(name: str) -> str:
    """Return one page's article, with anchors of its own, all folded text open, and no solution."""
    found = re.search(r'<article class="bd-article">(.*?)</article>', (SITE / f"{name}.html").read_text(), re.S)
    if found is None:
        raise ValueError(f"{name}.html holds no article: the theme's markup has changed")
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', found[1])
    text = re.sub(r'href="#([^"]*)"', rf'href="#{name}-\1"', text)
    text = re.sub(r'href="(\w+)\.html#([^"]+)"', r'href="#\1-\2"', text)
    text = re.sub(r'href="(\w+)\.html"', r'href="#\1"', text)
    text = opened(SOLUTION.sub("", text).replace(' loading="lazy"', ""))
    return f'<section class="printed-page" id="{name}">{text}</section>'


def solutions(names: list[str]) -> str:
    """Return the last section: the solutions of all pages, where nobody sees them before turning to them."""
    found = [block for name in names for block in SOLUTION.findall((SITE / f"{name}.html").read_text())]
    text = re.sub(r'\bid="[^"]+"', "", opened("".join(found)))
    return f'<section class="printed-page" id="solutions"><h1>Solutions</h1>{text}</section>'


def opened(text: str) -> str:
    """Return markup with all that is folded open: paper is not clicked."""
    return text.replace("<details", "<details open")


def join(names: list[str]) -> str:
    """Return the page of all articles, in the style of the first page that has a formula."""
    texts = {name: (SITE / f"{name}.html").read_text() for name in names}
    model = next((text for text in texts.values() if "formulas.css" in text), texts[names[0]])
    head = model[: model.index("<body")]
    style = "<style>.printed-page { break-before: page } .bd-article { max-width: none }</style>"
    body = "".join(article(name) for name in names) + solutions(names)
    return f'{head}{style}<body><main class="bd-content"><article class="bd-article">{body}</article></main></body>'


def offer() -> None:
    """Link to the PDF from the foot of every page."""
    before = '">All notebooks</a></p>'
    link = f'">All notebooks</a> · <a href="{PDF.name}">The course as one PDF</a></p>'
    for page in SITE.glob("*.html"):
        page.write_text(page.read_text(encoding="utf-8").replace(before, link), encoding="utf-8")


def browser() -> str:
    """Return the command of an installed Chromium."""
    for name in (os.environ.get("CHROMIUM", ""), "chromium", "chromium-browser", "google-chrome"):
        if name and shutil.which(name):
            return name
    sys.exit("No Chromium was found. Install it, or name it: CHROMIUM=/path/to/chromium make pdf")


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves the site without a word."""

    def log_message(self, *args: object) -> None:
        """Say nothing."""


def main() -> None:
    """Join the pages, print them, and leave only the PDF."""
    names = pages()
    if not names:
        sys.exit("There is no book yet: run `make book` first.")
    WHOLE.write_text(join(names))
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(SITE)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with tempfile.TemporaryDirectory() as profile:
        flags = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
        output = [f"--user-data-dir={profile}", "--virtual-time-budget=60000", "--no-pdf-header-footer"]
        address = f"http://127.0.0.1:{server.server_port}/{WHOLE.name}"
        command = [browser(), *flags, *output, f"--print-to-pdf={PDF}", address]
        done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    WHOLE.unlink()
    if done.returncode or not PDF.exists():
        sys.exit(f"Chromium could not print the course:\n{done.stderr}")
    offer()
    print(f"{PDF}: {len(names)} pages of the book, {PDF.stat().st_size / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
