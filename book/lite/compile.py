"""Give every wheel of ``/wheels``, and the standard library, bytecode in place of source. Runs in the browser's Python.

Otherwise half of a cold start goes into compiling. mechlib itself is not among the wheels: its source is to be read.
"""

import importlib.util
import io
import marshal
import warnings
import zipfile
from pathlib import Path

from lazy import lazy

HEADER = importlib.util.MAGIC_NUMBER + (1).to_bytes(4, "little") + bytes(8)  # a hash that nobody checks
AS_IT_IS = "anyio-"  # it parses its own source
UNREAD = ("/tests/", "/sample_data/", "jedi/third_party/django-stubs/", "jedi/third_party/typeshed/third_party/")


def compiled(archive: bytes, root: str) -> bytes:
    """Return the archive with its modules compiled, as they would be under `root`, and without what nobody reads."""
    target = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(archive)) as old, zipfile.ZipFile(target, "w") as new:
        sources = {name: old.read(name).decode() for name in old.namelist() if name.startswith("anthropic/")}
        for entry in old.infolist():
            name = entry.filename
            data = lazy(name, sources).encode() if name in sources and name.endswith(".py") else old.read(entry)
            if any(part in name for part in UNREAD) or entry.is_dir():
                continue
            if name.endswith(".py"):
                code = compile(data, root + name, "exec", dont_inherit=True)
                name, data = name + "c", HEADER + marshal.dumps(code)
            info = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
            new.writestr(info, data, zipfile.ZIP_DEFLATED, 9)
    return target.getvalue()


warnings.simplefilter("ignore", SyntaxWarning)
for path in sorted(Path("/wheels").iterdir()):
    if path.suffix in {".whl", ".zip"} and not path.name.startswith(AS_IT_IS):
        root = "/lib/python3.14/site-packages/" if path.suffix == ".whl" else "/lib/python314.zip/"
        path.write_bytes(compiled(path.read_bytes(), root))
