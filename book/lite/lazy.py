"""Let packages of the SDK and of scipy import a name when it is asked for, and not before.

Their ``__init__`` files import all that a package can do: the SDK's three thousand modules, of which a page needs a few
hundred, and all of scipy's optimisers, of which a page needs a few. In a browser that takes seconds.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping

PACKAGES = re.compile(r"(?:anthropic/(?:types|resources)/(?:.*/)?|scipy/optimize/|scipy/sparse/csgraph/)__init__\.py")
TOP = "anthropic/__init__.py"
SOURCES = re.compile(r"(?:anthropic/.*|scipy/optimize/\w+|scipy/sparse/csgraph/\w+)\.py")  # what is read here
CLOUDS = {"lib.aws", "lib.bedrock", "lib.foundry", "lib.google_cloud", "lib.vertex"}

LATER = '''
def __getattr__(name):
    from importlib import import_module

    if name in _WHERE:
        module, attribute = _WHERE[name]
        value = getattr(import_module(module, __name__), attribute)
    elif name.startswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    else:  # a module of this package, which the import of one of its names would have loaded
        try:
            value = import_module("." + name, __name__)
        except ModuleNotFoundError:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}") from None
    globals()[name] = value
    return value


def __dir__():
    return sorted({*globals(), *_WHERE})
'''


def names(folder: str, statement: ast.stmt, sources: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return what a relative import in a folder's ``__init__`` brings, by name: the module, and its name there."""
    assert isinstance(statement, ast.ImportFrom) and statement.module
    module = "." * statement.level + statement.module
    if statement.names[0].name != "*":
        return {each.asname or each.name: (module, each.name) for each in statement.names}
    place = f"{folder}/{statement.module.replace('.', '/')}"
    tree = ast.parse(sources[f"{place}.py" if f"{place}.py" in sources else f"{place}/__init__.py"])
    for part in tree.body:
        if isinstance(part, ast.Assign) and ast.unparse(part.targets[0]) == "__all__":
            return {name: (module, name) for name in ast.literal_eval(part.value)}
    brought = [each for part in tree.body if isinstance(part, ast.ImportFrom) for each in part.names]
    return {name: (module, name) for each in brought if not (name := each.asname or each.name).startswith("_")}


def waits(path: str, statement: ast.stmt) -> bool:
    """Say whether an import can wait until one of its names is asked for."""
    if not isinstance(statement, ast.ImportFrom) or not statement.level or not statement.module:
        return False
    if path == TOP:
        return statement.module in CLOUDS
    return statement.module.split(".")[-1] not in {each.asname or each.name for each in statement.names}


def lazy(path: str, sources: Mapping[str, str]) -> str:
    """Return the source of one file of a package, its imports put off where they can be.

    Parameters
    ----------
    path : str
        Within the wheel.
    sources : mapping
        All of the wheel's sources by path.
    """
    if path != TOP and not PACKAGES.fullmatch(path):
        return sources[path]
    tree = ast.parse(sources[path])
    put_off = [statement for statement in tree.body if waits(path, statement)]
    folder = path.rpartition("/")[0]
    where = {name: place for statement in put_off for name, place in names(folder, statement, sources).items()}
    tree.body = [statement for statement in tree.body if statement not in put_off]
    public = "__all__ = sorted({*__all__, *_WHERE})\n" if path.startswith("scipy/") else ""  # they list what they have
    return f"{ast.unparse(tree)}\n_WHERE = {where!r}\n{public}{LATER}"
