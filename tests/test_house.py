"""The house: imports go one way, and the package itself loads nothing until it is asked."""

import ast
import importlib
import subprocess
import sys
from pathlib import Path

import pytest

import mechlib

ROOT = Path(mechlib.__file__).parent.parent
FILES = sorted((ROOT / "mechlib").rglob("*.py"))
BELOW = {
    "mechanism": set[str](),
    "settings": {"mechanism"},
    "rules": {"mechanism", "settings"},  # a rule can be designed for a setting
    "attacks": {"mechanism", "settings", "rules"},
    "agents": set[str](),
    "desk": {"mechanism", "settings", "rules", "agents"},
    "course": {"mechanism", "settings", "rules", "attacks", "agents", "desk"},
    "__main__": {"mechanism", "settings", "rules", "attacks", "agents", "desk", "course"},
}


def module(path: Path) -> str:
    """Return the name of a module by its path, of a package by that of its ``__init__.py``."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports(path: Path) -> set[str]:
    """Return all that a source imports of ours, at its top or inside a function: modules, and names in modules."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            found |= {f"{node.module}.{name.name}" for name in node.names}
    return {name for name in found if name.split(".")[0] == "mechlib"}


def part(name: str) -> str:
    """Return which part of the house a module of ours is in, or "" for the package itself."""
    return name.partition(".")[2].partition(".")[0]


HOUSE = {module(path): imports(path) for path in FILES if path.parent.name != "mechlib" or path.stem != "__init__"}


@pytest.mark.parametrize("name", HOUSE)
def test_imports_go_one_way(name: str) -> None:
    """A name that is taken from `mechlib` itself, and not from its module, is in no part and fails here too."""
    own = part(name)
    assert {part(other) for other in HOUSE[name]} <= BELOW[own] | {own}


def test_no_two_modules_need_each_other() -> None:
    left = {name: {other if other in HOUSE else other.rpartition(".")[0] for other in HOUSE[name]} for name in HOUSE}
    while free := [name for name, needs in left.items() if not needs & set(left)]:
        for name in free:
            del left[name]
    assert not left, f"these import each other: {sorted(left)}"


def test_importing_the_package_loads_no_numpy() -> None:
    heavy = "{'numpy', 'scipy', 'tqdm', 'anthropic', 'matplotlib'}"
    code = f"import sys, mechlib; print(mechlib.__file__, sorted({heavy} & set(sys.modules)))"
    said = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert said.split(maxsplit=1) == [str(ROOT / "mechlib" / "__init__.py"), "[]\n"]


def test_importing_the_package_loads_nothing_but_the_standard_library() -> None:
    code = "import sys, mechlib; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded, bare = (
        set(subprocess.run([sys.executable, "-c", text], cwd=ROOT, capture_output=True, text=True).stdout.split())
        for text in (code, code.replace(", mechlib", "")))
    assert "mechlib" in loaded and loaded - bare <= {"mechlib", *sys.stdlib_module_names}


def test_every_public_name_is_what_its_module_calls_so() -> None:
    for name, home in mechlib.HOMES.items():
        assert getattr(mechlib, name) is getattr(importlib.import_module(home), name) and name in dir(mechlib)
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        mechlib.nothing  # noqa: B018


def test_what_type_checkers_see_is_what_is_loaded() -> None:
    tree = ast.parse((ROOT / "mechlib" / "__init__.py").read_text(encoding="utf-8"))
    (seen,) = [n for n in tree.body if isinstance(n, ast.If) and getattr(n.test, "id", "") == "TYPE_CHECKING"]
    names = {name.name: node.module for node in seen.body if isinstance(node, ast.ImportFrom) for name in node.names}
    assert names == mechlib.HOMES
