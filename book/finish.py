"""Finish the built pages: ``python book/finish.py``, after Sphinx.

Sphinx and its theme load on every page what few pages need: a typesetter of formulas, all icons of a font, the index of
the search. Here formulas are typeset once and for all, icons come from the course's style sheet, and a page keeps only
the scripts that it uses. Each page gets a description, its address, a picture for those who share it, and a footer that
says which edition it is.
"""

from __future__ import annotations

import html
import json
import re
import shutil
import subprocess

from beside import ARCHIVE, SITE, UNLISTED, write_404, write_archive, write_maps
from edition import BOOK, ROOT, Site, edition

SEARCH = {"searchtools.js", "language_data.js", "searchindex.js"}
FORMULA = re.compile(r'<(span|div) class="math notranslate nohighlight">(.*?)</\1>', re.S)
# a formula in a line with a bracket before it or a stop behind it, which would begin the next line by itself
HUGGED = re.compile(r'[(\[“]?<span class="math"><mjx-container.*?</mjx-container></span>[.,;:!?)\]”’]*', re.S)
UNUSED = ["vendor/fontawesome", "scripts/fontawesome.js", "locales", "sphinx-thebe.js", "sphinx-thebe.css", "images"]


def tex(body: str, display: bool) -> str:
    """Return a formula as TeX, without the marks that Sphinx puts around it."""
    text = html.unescape(body).strip()
    return text.removeprefix(r"\[" if display else r"\(").removesuffix(r"\]" if display else r"\)").strip()


def typeset(pages: dict[str, str]) -> dict[str, str]:
    """Replace every formula of every page by a drawing, and by MathML for those who listen."""
    asked = {
        name: [{"tex": tex(body, kind == "div"), "display": kind == "div"} for kind, body in FORMULA.findall(text)]
        for name, text in pages.items()
    }
    names = [name for name in asked if asked[name]]
    done = subprocess.run(
        ["node", str(BOOK / "typeset.mjs")],
        input=json.dumps([asked[name] for name in names]), capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"a formula could not be typeset:\n{done.stderr}")
    made = json.loads(done.stdout)
    (SITE / "_static" / "formulas.css").write_text(made["styles"], encoding="utf-8")
    return pages | {name: with_formulas(pages[name], drawn) for name, drawn in zip(names, made["pages"], strict=True)}


def with_formulas(text: str, drawn: dict[str, str]) -> str:
    """Put a page's formulas into it, and the shapes of their letters, once, at its end."""
    formulas = iter(drawn["html"])
    text = FORMULA.sub(lambda found: f'<{found[1]} class="math">{next(formulas)}</{found[1]}>', text)
    text = HUGGED.sub(r'<span class="whole">\g<0></span>', text)
    glyphs = f'<svg class="glyphs" aria-hidden="true" width="0" height="0">{drawn["glyphs"]}</svg>'
    link = '<link rel="stylesheet" href="_static/formulas.css" />'
    return text.replace("</article>", f"{glyphs}</article>", 1).replace("</head>", f"{link}</head>", 1)


def lighten(name: str, text: str) -> str:
    """Drop the scripts and styles that a page does not use, and all but one of its viewport tags."""

    def used(found: re.Match[str]) -> str:
        file = found[1].split("?")[0].rsplit("/", 1)[-1]
        idle = (
            file in {"fontawesome.js", "mathjax.js"}
            or (file in SEARCH and name != "search")
            or (file == "explorers.js" and "data-mechlib-explorer" not in text)
            or (file == "design-tabs.js" and "sd-tab-" not in text)
            or (file in {"proof.css", "exercise.css"} and f'class="{file[:-4]}' not in text)
        )
        return "" if idle else found[0]

    text = re.sub(r'\s*<script[^>]* src="([^"]+)"[^>]*></script>', used, text)
    text = re.sub(r'\s*<link[^>]* href="([^"]+\.css[^"]*)"[^>]*>', used, text)
    text = re.sub(r"\s*<script>window\.MathJax = .*?</script>", "", text)
    viewport = re.compile(r'\s*<meta name="viewport"[^>]*>')
    return viewport.sub("", text).replace('<meta charset="utf-8" />', VIEWPORT, 1)


VIEWPORT = '<meta charset="utf-8" />\n    <meta name="viewport" content="width=device-width, initial-scale=1" />'


def plain(markup: str) -> str:
    """Return the words of some markup."""
    return " ".join(html.unescape(re.sub(r"<(svg|script|style)\b.*?</\1>|<[^>]*>", "", markup, flags=re.S)).split())


def described(text: str, site: Site) -> str:
    """Return what a page says of itself: its first paragraph, cut at a word."""
    article = text.partition('<article class="bd-article">')[2]
    paragraphs = (plain(found[1]) for found in re.finditer(r"<p(?: class=\"lead\")?>(.*?)</p>", article, re.S))
    first = next((words for words in paragraphs if len(words) > 40), site.description)
    return first if len(first) <= 200 else first[:197].rsplit(" ", 1)[0] + " …"


def introduce(name: str, text: str, site: Site) -> str:
    """Tell search engines and those who share a page what it is, where it is, and how it looks."""
    article = text.partition('<article class="bd-article">')[2]
    heading = re.search(r"<h1>(.*?)<a class=\"headerlink\"", article, re.S)
    own = plain(heading[1]) if heading and name != "index" else ""
    title = f"{own} · {site.title}" if own else site.title
    about = site.description if name == "index" else described(text, site)
    address = site.address + ("" if name == "index" else f"{name}.html")
    tags = {
        "og:type": "website" if name == "index" else "article",
        "og:site_name": site.title,
        "og:title": own or site.title,
        "og:description": about,
        "og:url": address,
        "og:image": f"{site.address}_static/card.png",
        "og:image:alt": "Agents send reports, a rule turns them into an outcome: which rule makes truth pay?",
        "og:image:width": "1200",
        "og:image:height": "630",
    }
    lines = [f'<meta name="description" content="{html.escape(about)}" />']
    lines += [f'<meta property="{key}" content="{html.escape(value)}" />' for key, value in tags.items()]
    lines += ['<meta name="twitter:card" content="summary_large_image" />', *ICONS]
    if name in UNLISTED:
        lines.append('<meta name="robots" content="noindex" />')
    else:
        lines.append(f'<link rel="canonical" href="{html.escape(address)}" />')
    text = re.sub(r"<title>.*?</title>", lambda _: f"<title>{html.escape(title)}</title>", text, count=1, flags=re.S)
    if name == "index":
        lines.append('<script type="module" src="_static/landing.js"></script>')
    return text.replace("</head>", "    " + "\n    ".join(lines) + "\n  </head>", 1)


ICONS = [
    '<link rel="icon" type="image/png" sizes="32x32" href="_static/icon-32.png" />',
    '<link rel="icon" type="image/png" sizes="192x192" href="_static/icon-192.png" />',
    '<link rel="apple-touch-icon" href="_static/icon-180.png" />',
    '<meta name="theme-color" media="(prefers-color-scheme: light)" content="#ffffff" />',
    '<meta name="theme-color" media="(prefers-color-scheme: dark)" content="#14181e" />',
]


def footer(site: Site) -> str:
    """Return the line at the foot of each page: which edition it is, and where to take the whole of it."""
    links = [f'<a href="{html.escape(site.repository)}">Repository</a>', f'<a href="{ARCHIVE}">All notebooks</a>']
    said = f'Version {site.version}, <time datetime="{site.date}">{site.date}</time>.'
    return f'<p class="edition">{said} {" · ".join(links)}</p>'


def number_exercises(text: str) -> str:
    """Call each exercise what its check calls it: 02-a, and not by a count over all pages."""
    caption = r'(<div class="exercise admonition" id="ex-(\d\d-[a-z])">.*?<span class="caption-number">Exercise )\d+'
    text = re.sub(caption, r"\1\2", text, flags=re.S)
    titled = r'(<span class="caption-number">Exercise \d\d-[a-z]) </span> \((.*?) <em>\((easy|medium|hard)\)</em>\)</p>'
    text = re.sub(titled, r'\1</span> · \2 <span class="difficulty">\3</span></p>', text)
    return re.sub(r'(href="[^"]*#ex-(\d\d-[a-z])"[^>]*>(?:<span[^>]*>)*Exercise )\d+', r"\1\2", text)


def label_cells(text: str) -> str:
    """Write into each cell of a table of sentences what its column is called: on a phone the table is a list of cards.

    The roles say again what the elements are, since a browser forgets it of those that are laid out otherwise.
    """

    def labelled(found: re.Match[str]) -> str:
        heads = [plain(head) for head in re.findall(r"<th\b[^>]*>(.*?)</th>", found[0], re.S)]
        if len(heads) < 3 or "text-right" in found[0]:
            return found[0]
        count = iter(range(len(found[0])))

        def cell(_: re.Match[str]) -> str:
            return f'<td role="cell" data-label="{html.escape(heads[next(count) % len(heads)], quote=True)}"'

        marked = re.sub(r"<td\b", cell, found[0]).replace('class="table"', 'class="table stacked" role="table"', 1)
        for tag, role in (("thead", "rowgroup"), ("tbody", "rowgroup"), ("tr", "row"), ("th", "columnheader")):
            marked = re.sub(rf"<{tag}\b", f'<{tag} role="{role}"', marked)
        return marked

    return re.sub(r'<table class="table">.*?</table>', labelled, text, flags=re.S)


def keep_names_whole(text: str) -> str:
    """Mark the short cells of text, which stay on one line, and say where the name of a module may break.

    The shorter ones do everywhere; on a phone, where a table may well scroll, the longer ones do, too.
    """

    def marked(found: re.Match[str]) -> str:
        letters = len(plain(found[3]))
        name = "shorter" if letters <= 10 else "short"
        return f'<{found[1]} class="{name}"{found[2]}>{found[3]}</' if letters <= 20 else found[0]

    result = r'<(th scope="row"|td)( style="[^"]*text-align:left[^"]*")>((?:<b>)?[^<]*(?:</b>)?)</'  # what a cell shows
    call = r'<(td)((?: role="cell"[^>]*)?)>((?:<p>)?<code class="docutils literal[^>]*>(?:(?!</t[dr]>).)*?)</(?=td>)'
    text = re.sub(call, marked, re.sub(result, marked, text), flags=re.S)
    return re.sub(r"(?<=<h3>)mechlib[.\w]+(?=<)", lambda found: found[0].replace(".", ".<wbr>"), text)


def load_pictures_late(text: str) -> str:
    """Leave pictures for when they come into view; the first is often in view already."""
    count = iter(range(len(text)))
    late = ' decoding="async" loading="lazy"'
    return re.sub(r"<img (?![^>]*loading=)", lambda _: f"<img{late if next(count) else ''} ", text)


def main() -> None:
    """Finish every page, then write what stands beside them."""
    site = edition()
    pages = {path.stem: path.read_text(encoding="utf-8") for path in sorted(SITE.glob("*.html"))}
    pages = typeset(pages)
    for name, text in pages.items():
        text = lighten(name, keep_names_whole(label_cells(number_exercises(introduce(name, text, site)))))
        text = text.replace("\n\n</pre>", "\n</pre>")  # the line that ends an example's output is no part of it
        text = load_pictures_late(text.replace('<p class="edition"></p>', footer(site)))
        (SITE / f"{name}.html").write_text(text, encoding="utf-8")
    for path in (ROOT / "notebooks").glob("*.ipynb"):  # as committed, without what only a page has
        shutil.copyfile(path, SITE / "_sources" / path.name)
    for unused in UNUSED:
        path = SITE / "_static" / unused
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
    theme = SITE / "_static" / "styles" / "pydata-sphinx-theme.css"
    theme.write_text(re.sub(r"@font-face\{[^}]*fontawesome[^}]*\}", "", theme.read_text(encoding="utf-8")), "utf-8")
    write_404(site)
    write_maps(site)
    write_archive()


if __name__ == "__main__":
    main()
