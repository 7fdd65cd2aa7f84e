"""What the course asks of Sphinx beyond its configuration."""

from __future__ import annotations

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.ext.napoleon.docstring import GoogleDocstring


def skip_field_aliases(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out the one-line docstrings that Python itself writes for the fields of a NamedTuple."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else None


def drop_unused_scripts(app: Sphinx, page: str, template: str, context: dict[str, Any], doctree: Any) -> None:
    """Drop Thebe, which runs code on servers of other sites: the pages run in the reader's browser instead."""
    for kind in ("script_files", "css_files"):
        context[kind] = [f for f in context.get(kind, []) if "thebe" not in f"{f.filename} {f.attributes.get('body')}"]


def leave_types_as_prose(app: Sphinx, env: Any, node: nodes.Element, content: nodes.Element) -> nodes.Element | None:
    """Print a docstring's types ("ndarray, shape (n,)") as they are; only references by role have to resolve."""
    return None if isinstance(content, nodes.literal) else content


def read_whole_attribute(docstring: GoogleDocstring) -> tuple[str, list[str]]:
    """Take an attribute's docstring as prose, also where its first line has a colon."""
    return "", docstring._consume_to_end()


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the above."""
    app.connect("autodoc-skip-member", skip_field_aliases)
    app.connect("html-page-context", drop_unused_scripts, priority=900)
    app.connect("missing-reference", leave_types_as_prose, priority=900)
    GoogleDocstring._consume_inline_attribute = read_whole_attribute
    return {"parallel_read_safe": True, "parallel_write_safe": True}
