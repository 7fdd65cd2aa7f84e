"""What the course asks of Sphinx beyond its configuration."""

from __future__ import annotations

import inspect
import re
from importlib import import_module
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from sphinx.application import Sphinx
from sphinx.ext.napoleon.docstring import GoogleDocstring
from sphinx.util.docutils import SphinxDirective

import mechlib


def skip_field_aliases(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out the one-line docstrings that Python itself writes for the fields of a NamedTuple."""
    return True if (getattr(obj, "__doc__", None) or "").startswith("Alias for field number") else None


def skip_functions_as_values(app: Sphinx, what: str, name: str, obj: Any, skip: bool, options: Any) -> bool | None:
    """Leave out a field whose default is a function of the module: it is no method of the class."""
    return True if what == "class" and inspect.isfunction(obj) and "." not in obj.__qualname__ else None


def plain_signature(
    app: Sphinx, what: str, name: str, obj: Any, options: Any, signature: str | None, returns: str | None
) -> tuple[str | None, str | None]:
    """Write defaults as one would type them, and where Python made a signature up, that of the class itself or none."""
    if what == "class" and signature == "(*args, **kwargs)":
        own = list(inspect.signature(obj.__init__).parameters.values())[1:]
        bare = inspect.Signature([each.replace(annotation=inspect.Parameter.empty) for each in own])
        return "" if getattr(obj, "_is_protocol", False) else str(bare), returns
    typed = re.sub(r"<function (\w+)[^>]*>", r"\1", signature or "")
    return typed.replace("<factory>", "...").replace("=Ellipsis", "=..."), returns


class PublicNames(SphinxDirective):
    """A table of all that `mechlib` itself offers: what each module is for, and its names, linked."""

    def run(self) -> list[nodes.Node]:
        lines = [".. list-table::", "   :header-rows: 1", "   :class: public-names", "   :widths: 50 50", ""]
        lines += ["   * - what it is for", "     - names"]
        for module, names in mechlib._NAMES.items():
            said = (import_module(f"mechlib.{module}").__doc__ or "").strip().partition("\n")[0]
            links = ", ".join(f":py:obj:`~mechlib.{module}.{name}`" for name in names.split())
            lines += [f"   * - {said}", f"     - {links}"]
        holder = nodes.Element()
        self.state.nested_parse(StringList(lines, self.get_source_info()[0]), self.content_offset, holder)
        return holder.children


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


def list_attributes(docstring: GoogleDocstring, section: str) -> list[str]:
    """List attributes as parameters are: as fields, "low, high" would become a "high" of the type "low,"."""
    return docstring._format_fields("Attributes", docstring._consume_fields())


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the above."""
    app.connect("autodoc-skip-member", skip_field_aliases)
    app.connect("autodoc-skip-member", skip_functions_as_values)
    app.connect("autodoc-process-signature", plain_signature)
    app.add_directive("public-names", PublicNames)
    app.connect("html-page-context", drop_unused_scripts, priority=900)
    app.connect("missing-reference", leave_types_as_prose, priority=900)
    GoogleDocstring._consume_inline_attribute = read_whole_attribute
    GoogleDocstring._parse_attributes_section = list_attributes
    return {"parallel_read_safe": True, "parallel_write_safe": True}
