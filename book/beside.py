"""What stands beside the pages: a page for wrong addresses, a map of the site, and the notebooks to take along."""

from __future__ import annotations

import html
import re
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

from edition import BOOK, ROOT, Site

SITE = BOOK / "_build" / "html"
ARCHIVE = "mechlib-course.zip"
UNLISTED = {"404", "genindex", "prf-prf", "py-modindex", "search"}
README = """The notebooks of "Mechanism design for LLM agents", and mechlib, the package that they use.

With Python 3.11 or newer:

    pip install "{wheel}[course]"
    jupyter lab notebooks/00_why_pipelines_defect.ipynb

No key and no account are needed: the models' replies come with the package, recorded.
"""


def write_404(site: Site) -> None:
    """Write the page for addresses that lead nowhere; it can be shown at any depth, so it says where links start."""
    text = (SITE / "glossary.html").read_text(encoding="utf-8")
    words = (
        '<h1>There is no such page</h1><p class="lead">The address may have changed, or was mistyped.</p>'
        '<p><a href="index.html">Start at the front</a>, <a href="search.html">search the course</a>, or choose a '
        "chapter from the contents.</p>"
    )
    words = f"<section>{words}</section>"
    text = re.sub(r'(<article class="bd-article">).*?(</article>)', rf"\1{words}\2", text, flags=re.S)
    text = re.sub(r'<div class="sidebar-secondary-items.*?</nav></div>\s*</div>', "", text, flags=re.S)
    text = re.sub(r'<footer class="prev-next-footer.*?</footer>', "", text, flags=re.S)
    text = re.sub(r'(<li class="toctree-l1) current active', r"\1", text)
    path = "/" + site.address.split("/", 3)[3]
    base = f"""document.write('<base href="' + (location.pathname.endsWith("/404.html") ? "." : "{path}") + '">')"""
    text = text.replace("<head>", f"<head>\n    <script>{base}</script>", 1)
    (SITE / "404.html").write_text(text, encoding="utf-8")


def write_maps(site: Site) -> None:
    """Write the map of the site and what search engines may read."""
    names = sorted(path.stem for path in SITE.glob("*.html") if path.stem not in UNLISTED)
    addresses = [site.address + ("" if name == "index" else f"{name}.html") for name in names]
    entries = "".join(f"<url><loc>{html.escape(a)}</loc><lastmod>{site.date}</lastmod></url>\n" for a in addresses)
    schema = "http://www.sitemaps.org/schemas/sitemap/0.9"
    text = f'<?xml version="1.0" encoding="UTF-8"?>\n<urlset xmlns="{schema}">\n{entries}</urlset>\n'
    (SITE / "sitemap.xml").write_text(text, encoding="utf-8")
    (SITE / "robots.txt").write_text(f"User-agent: *\nAllow: /\nSitemap: {site.address}sitemap.xml\n", encoding="utf-8")


def write_archive() -> None:
    """Pack the notebooks, and the package that they import, into one file to take along."""
    with tempfile.TemporaryDirectory() as scratch, zipfile.ZipFile(SITE / ARCHIVE, "w") as archive:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", scratch]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        wheel = next(Path(scratch).glob("mechlib-*.whl"))
        notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
        parts = {f"notebooks/{path.name}": path.read_bytes() for path in notebooks}
        parts |= {wheel.name: wheel.read_bytes(), "README.txt": README.format(wheel=wheel.name).encode()}
        for name, data in parts.items():
            entry = zipfile.ZipInfo(f"mechlib-course/{name}", (2026, 1, 1, 0, 0, 0))
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            archive.writestr(entry, data)
