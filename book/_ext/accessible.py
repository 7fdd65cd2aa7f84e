"""Mend what the theme and its extensions leave for readers who listen to a page instead of seeing it."""

from __future__ import annotations

import re
from pathlib import Path

from sphinx.application import Sphinx

MENDS = [
    # a name that leaves out the visible words cannot be spoken to a computer
    (r'(<button class="btn search-button-field[^>]*?) aria-label="Search"', r"\1"),
    (r'(<i class="theme-switch [^>]*?) title="[^"]*"', r'\1 aria-hidden="true"'),
    (r'<summary aria-label="Toggle hidden content">', "<summary>"),
    # everything on a page stands in a region that has a name
    (r'(<div id="pst-primary-sidebar" class="[^"]*")>', r'\1 role="complementary" aria-label="The course">'),
    # the cell above the names of the rows is empty, and no heading
    (r"<th[^>]*>\s*(?:<p>\s*</p>)?\s*</th>", "<td></td>"),
    (r' role="doc-biblioentry"', ""),  # a role that is no longer one
    # the entries have roles of their own, so that no list can hold them
    (r'<div role="list" class="citation-list">', r'<div class="citation-list">'),
]


def mend(app: Sphinx, exception: Exception | None) -> None:
    """Rewrite the built pages."""
    if exception is not None or app.builder.format != "html":
        return
    for page in Path(app.outdir).glob("*.html"):
        text = page.read_text(encoding="utf-8")
        for pattern, replacement in MENDS:
            text = re.sub(pattern, replacement, text, flags=re.DOTALL)
        page.write_text(text, encoding="utf-8")


def setup(app: Sphinx) -> dict[str, bool]:
    """Run when all pages are written."""
    app.connect("build-finished", mend)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
