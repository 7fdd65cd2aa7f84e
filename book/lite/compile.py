"""Give every wheel of ``/wheels``, and the standard library, bytecode in place of source. Runs in the browser's Python.

Otherwise half of a cold start goes into compiling. mechlib keeps its source beside the bytecode: it is to be read.
"""

import importlib.util
import io
import marshal
import sys
import warnings
import zipfile
from pathlib import Path

from lazy import lazy

HEADER = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8)  # a hash that nobody checks
AS_IT_IS = "anyio-"  # it parses its own source
LOADER = "pyodide/_package_loader.py"
PRELOADS = b"def should_load_dynlib(path: str | Path) -> bool:\n"
UNREAD = ("/tests/", "/sample_data/", "jedi/third_party/django-stubs/", "jedi/third_party/typeshed/third_party/")


def waiting(source: bytes) -> bytes:
    """Return Pyodide's loader such that a library is loaded by the import that needs it, as in any other Python.

    Pyodide loads all libraries of a package at once, since a page may not do it later; a worker, where the live pages
    have their Python, may. Of scipy's hundred a chapter needs half.
    """
    if source.count(PRELOADS) != 1:
        raise ValueError(f"{LOADER} has another form: see should_load_dynlib")
    return source.replace(PRELOADS, PRELOADS + b"    return False\n")


def place(name: str) -> str:
    """Return where the bytecode of a source that stays is looked for."""
    folder, _, file = name.rpartition("/")
    return f"{folder}/__pycache__/{file.removesuffix('.py')}.{sys.implementation.cache_tag}.pyc"


def write(archive: zipfile.ZipFile, name: str, data: bytes) -> None:
    """Add a file that is the same in every build."""
    archive.writestr(zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0)), data, zipfile.ZIP_DEFLATED, 9)


def compiled(archive: bytes, root: str, keep_source: bool) -> bytes:
    """Return the archive with its modules compiled, as they would be under `root`, and without what nobody reads."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(target, "w") as new:
        sources = {name: old.read(name).decode() for name in old.namelist() if name.startswith("anthropic/")}
        for entry in old.infolist():
            name = entry.filename
            data = lazy(name, sources).encode() if name in sources and name.endswith(".py") else old.read(entry)
            if any(part in name for part in UNREAD) or entry.is_dir():
                continue
            if name == LOADER:
                data = waiting(data)
            if name.endswith(".py"):
                code = HEADER + marshal.dumps(compile(data, root + name, "exec", dont_inherit=True))
                if keep_source:
                    write(new, place(name), code)
                else:
                    name, data = name + "c", code
            write(new, name, data)
    return target.getvalue()


warnings.simplefilter("ignore", SyntaxWarning)
for path in sorted(Path("/wheels").iterdir()):
    if path.suffix in {".whl", ".zip"} and not path.name.startswith(AS_IT_IS):
        root = "/lib/python3.14/site-packages/" if path.suffix == ".whl" else "/lib/python314.zip/"
        path.write_bytes(compiled(path.read_bytes(), root, path.name.startswith("mechlib-")))
