"""Make a notebook ready for the live pages: links, numbers and references lead to the pages of the book.

Sphinx has resolved all of them before: what a notebook says by a role or a directive is read off its page, in order.
The addresses begin with BOOK, which no other site can have; ``live.js`` puts that of the book in its place.
"""

from __future__ import annotations

import ast
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

BOOK = "https://book.invalid/"
SITE = Path(__file__).resolve().parents[1] / "_build" / "html"
ROOT = Path(__file__).resolve().parents[2]
NUMBERED = re.compile(r"^(:{3,})\{(exercise|prf:(?!proof|ref)\w+)\}[ \t]*([^\n]*)\n((?::\w+:[^\n]*\n)*)", re.M)
PROOF = re.compile(r"^(:{3,})\{prf:proof\}[ \t]*\n", re.M)  # which has no number
CITED = re.compile(r"\{cite(?::\w+)?\}`[^`]*`")
TERM = re.compile(r"\{term\}`([^`<]*?)(?: *<([^`>]*)>)?`")


def plain(markup: str) -> str:
    """Return the words of some markup."""
    return html.unescape(re.sub(r"<[^>]*>", "", markup)).strip()


def markdown(markup: str) -> str:
    """Return a reference of the book as Markdown, its links kept."""
    link = re.compile(r'<a class="reference internal" href="([^"]+)"[^>]*>(.*?)</a>', re.S)
    return plain(link.sub(lambda found: f"[{plain(found[2])}]({BOOK}{found[1]})", markup))


class Page:
    """What one page of the book says where its notebook has a role or a directive, each in the order of reading."""

    def __init__(self, stem: str) -> None:
        text = (SITE / f"{stem}.html").read_text(encoding="utf-8")
        self.name = f"{stem}.html"
        article = text.partition('<article class="bd-article">')[2].partition("</article>")[0]
        self.citations = self.each(r'<span class="bibtex-citation"[^>]*>(.*?)</span>', article, markdown)
        titled = r'<div class="(?:exercise|proof (?!proof)\w+) admonition[^>]*>\s*<p class="admonition-title">(.*?)</p>'
        self.titles = self.each(titled, article, plain)
        listed = (SITE / "glossary.html").read_text(encoding="utf-8")
        self.terms = {plain(words): anchor for anchor, words in re.findall(r'<dt id="(term-[^"]+)">(.*?)<a ', listed)}

    def each(self, pattern: str, text: str, say: Any) -> Iterator[str]:
        """Yield each match, said in Markdown."""
        return iter([say(found) for found in re.findall(pattern, text, re.S)])

    def cell(self, text: str) -> str:
        """Return a cell of Markdown with everything resolved that only Sphinx can resolve."""
        text = CITED.sub(lambda _: next(self.citations), text)
        text = NUMBERED.sub(lambda found: f"{found[1]}{{admonition}} {next(self.titles)}\n", text)
        text = PROOF.sub(r"\1{admonition} Proof\n", text)
        text = TERM.sub(self.term, text)
        text = re.sub(r"\]\((\w+)\.(?:ipynb|md)(#[^)]*)?\)", lambda f: f"]({BOOK}{f[1]}.html{f[2] or ''})", text)
        return re.sub(r"\]\((#[^)]+)\)", lambda found: f"]({BOOK}{self.name}{found[1]})", text)

    def term(self, found: re.Match[str]) -> str:
        """Link a term to the glossary."""
        meant = found[2] or found[1]
        anchor = next((a for words, a in self.terms.items() if words.lower() == meant.lower()), "")
        return f"[{found[1]}]({BOOK}glossary.html#{anchor})"


def boxed(text: str) -> str:
    """Return a cell with its boxes as HTML: JupyterLab's own Markdown knows no directives."""
    lines, open_fences = [], list[str]()
    options = False
    for line in text.split("\n"):
        opened = re.fullmatch(r"(:{3,})\{(admonition|margin)\} *(.*)", line)
        if opened:
            fence, kind, title = opened.groups()
            open_fences.append(fence)
            lines += [f'<div class="course-box course-{kind}">', "", *([f"**{title}**", ""] if title else [])]
        elif open_fences and line == open_fences[-1]:
            open_fences.pop()
            lines += ["", "</div>", ""]
        elif not (options and re.fullmatch(r":\w+:.*", line)):
            lines.append(line)
        options = bool(opened) or (options and line.startswith(":"))
    return "\n".join(lines)


def joined(value: Any) -> Any:
    """Return a text as one string: the live pages would print a list of lines with commas between them."""
    return "".join(value) if isinstance(value, list) else value


def top_imports(text: str) -> list[ast.Import | ast.ImportFrom]:
    """Return the imports at the top level of a cell."""
    flags = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    body = compile(text, "cell", "exec", flags=flags).body
    return [node for node in body if isinstance(node, ast.Import | ast.ImportFrom)]


def imports(path: Path) -> list[str]:
    """Return what the cells of a notebook import, a statement each."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    nodes = [node for cell in cells if cell["cell_type"] == "code" for node in top_imports(joined(cell["source"]))]
    return list(dict.fromkeys(map(ast.unparse, nodes)))


def may_import(text: str, modules: set[str], homes: dict[str, str]) -> bool:
    """Say whether a cell imports one of these modules, or a name of `mechlib` whose home is one of them."""
    for node in top_imports(text):
        names = {name.name for name in node.names}
        if isinstance(node, ast.Import):
            reached = names
        elif node.module == "mechlib":
            reached = {homes.get(name, "") for name in names}
        else:
            reached = {node.module or "", *(f"{node.module}.{name}" for name in names)}
        if reached & modules:
            return True
    return False


def live(path: Path) -> dict[str, Any]:
    """Return a notebook for the live pages."""
    notebook: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    notebook["metadata"]["kernelspec"] = {"display_name": "Python (Pyodide)", "language": "python", "name": "python"}
    page = Page(path.stem)
    for cell in notebook["cells"]:
        text = cell["source"] = joined(cell["source"])
        if cell["cell_type"] == "markdown":
            cell["source"] = boxed(page.cell(text))
        for output in cell.get("outputs", []):
            data = output.get("data", {})
            data.pop("application/vnd.jupyter.widget-view+json", None)
            output.update({key: joined(output[key]) for key in ("text",) if key in output})
            data.update({kind: joined(value) for kind, value in data.items()})
        if "outputs" in cell:
            cell["outputs"] = [o for o in cell["outputs"] if "Not attempted yet." not in str(o.get("text", ""))]
    return notebook


def needs_scipy(path: Path, scipy: set[str], homes: dict[str, str]) -> bool:
    """Say whether the notebook imports scipy, itself or by a module that may.

    The kernel loads what a cell imports by name. It cannot see through the names of `mechlib` itself.
    """
    return any(" scipy" in text or may_import(text, scipy, homes) for text in imports(path))


def recordings(path: Path) -> list[str]:
    """Return the recordings that a notebook replays, itself or by the modules of `mechlib.course` that it imports."""
    code = "\n".join(joined(cell["source"]) for cell in json.loads(path.read_text(encoding="utf-8"))["cells"])
    modules = {file.stem: file.read_text(encoding="utf-8") for file in (ROOT / "mechlib" / "course").glob("*.py")}
    texts, reached = [code], set[str]()
    while texts:
        text = texts.pop()
        code += text
        imports = re.findall(r"mechlib\.course(?:\.(\w+)| import (\([^)]*\)|[^\n]*))", text)
        named = {name for pair in imports for part in pair for name in re.findall(r"\w+", part)} & set(modules)
        texts += [modules[name] for name in named - reached]
        reached |= named
    stems = sorted(file.stem for file in (ROOT / "recordings").glob("*.jsonl"))
    return [stem for stem in stems if re.search(rf"[\"']{stem}[\"']", code)]
