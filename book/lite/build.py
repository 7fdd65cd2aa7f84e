"""Build the live pages: JupyterLite with this course in it, under ``book/_build/html/lite``.

Usage: ``python book/lite/build.py [OUTPUT]``, after ``python book/vendor.py``. Python for the browser is Pyodide from
npm; its compiled wheels ride in the PyPI wheel ``open-webui`` and must match the SHA-256 in npm's own
``pyodide-lock.json``; all other wheels must match ``wheels.lock``. All are compiled, so that a page starts faster.
Downloads and compiled wheels stay in ``.cache/lite``: a second build needs no network and no compiler.
"""

from __future__ import annotations

import ast
import gzip
import hashlib
import io
import json
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tarfile
import tempfile
import zipfile
from email.parser import Parser
from pathlib import Path
from typing import Any

from steady import steady

from mechlib import HOMES
from notebooks import imports, live, needs_scipy, recordings

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
CACHE = ROOT / ".cache" / "lite"
PYODIDE = HERE.parent / "node_modules" / "pyodide"
EXTENSIONS = Path(sysconfig.get_path("data")) / "share" / "jupyter" / "labextensions"
KERNEL = EXTENSIONS / "@jupyterlite" / "pyodide-kernel-extension" / "static" / "pypi"

CARRIER = "open-webui"
CORE = ["pyodide.mjs", "pyodide.asm.mjs", "pyodide.asm.wasm", "python_stdlib.zip"]
FROM_PYODIDE = ["numpy", "scipy", "matplotlib", "contourpy", "cycler", "fonttools", "kiwisolver", "packaging", "pillow"]
FROM_PYODIDE += ["pyparsing", "python-dateutil", "six", "micropip"]
KERNEL_WHEELS = ["ipykernel", "piplite", "pyodide_kernel", "widgetsnbextension-4"]
COMPILER = ["compile.mjs", "compile.py", "lazy.py"]
STARTED = ["ipykernel", "comm", "pyodide-kernel", "jedi", "ipython", "micropip", "piplite", "mechlib"]
SITE_PACKAGES = "/lib/python3.14/site-packages/"
# What stands in Pyodide's loader of libraries in place of its own text, so that a library can come to where it was
# before (see frozen.mjs).
PLACED = {
    "function loadModule(){": "function loadModule(){var placed=Module.placed?.(libName);",
    "var memoryBase=": "var memoryBase=placed?placed.data:",
    "var tableBase=": "var tableBase=placed?placed.table:",
    "if(metadata.tableSize){wasmTable.grow(metadata.tableSize)}": (
        "if(metadata.tableSize&&!placed){wasmTable.grow(metadata.tableSize)}"
        "Module.loaded?.({name:libName,data:memoryBase,table:tableBase,size:metadata.tableSize});"
    ),
    "moduleExports=relocateExports(instance.exports,memoryBase);": (
        "moduleExports=relocateExports(instance.exports,memoryBase);placed?.put(moduleExports);"
    ),
    "if(applyRelocs){": "if(applyRelocs&&!placed){",
    "if(init){": "if(init&&!placed){",
}
UNUSED_THERE = {"colorama", "exceptiongroup", "httpcore2", "pexpect", "psutil", "pytz", "truststore"}


def sha256(path: Path) -> str:
    """Return a file's SHA-256, in hexadecimal."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def canonical(name: str) -> str:
    """Return a package's name as Pyodide's lock spells its keys."""
    return re.sub(r"[-_.]+", "-", name).lower()


def downloaded() -> dict[str, Path]:
    """Return the wheels of ``wheels.lock`` by package, fetching what the cache does not hold."""
    lines = [line for line in (HERE / "wheels.lock").read_text().splitlines() if not line.startswith("#")]
    wanted = {line.split("==")[0]: line.rsplit("sha256:", 1)[1] for line in lines}
    CACHE.mkdir(parents=True, exist_ok=True)
    have = {sha256(path): path for path in CACHE.glob("*.whl")}
    if not set(wanted.values()) <= set(have):
        browser = ["--python-version=3.14", "--abi=cp314", "--platform=pyemscripten_2026_0_wasm32", "--platform=any"]
        fetch([line for line in lines if not line.startswith(CARRIER)], [*browser, "--implementation=cp"])
        fetch([line for line in lines if line.startswith(CARRIER)], ["--python-version=3.12"])
        have = {sha256(path): path for path in CACHE.glob("*.whl")}
    return {name: have[digest] for name, digest in wanted.items()}


def fetch(lines: list[str], target: list[str]) -> None:
    """Download exactly these wheels, made for the given target, into the cache."""
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as requirements:
        requirements.write("\n".join(lines))
        requirements.flush()
        pip = [sys.executable, "-m", "pip", "download", "-qq", "--require-hashes", "-r", requirements.name]
        subprocess.run([*pip, "--only-binary=:all:", "--no-deps", *target, "-d", str(CACHE)], check=True)


def metadata(wheel: Path) -> tuple[str, str, list[str], list[str]]:
    """Return a wheel's name, version, dependencies that apply in the browser, and top-level modules."""
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
        entry = next(name for name in names if re.fullmatch(r"[^/]+\.dist-info/METADATA", name))
        fields = Parser().parsestr(archive.read(entry).decode())
    required = [line for line in fields.get_all("Requires-Dist", []) if "extra ==" not in line]
    depends = sorted({canonical(re.split(r"[^\w.-]", line, maxsplit=1)[0]) for line in required} - UNUSED_THERE)
    modules = sorted({name.split("/")[0].removesuffix(".py") for name in names if name.endswith(".py")})
    return fields["Name"], fields["Version"], depends, [name for name in modules if name.isidentifier()]


def lock_entry(wheel: Path) -> dict[str, Any]:
    """Describe a wheel as Pyodide's lock does."""
    name, version, depends, modules = metadata(wheel)
    return {
        "name": canonical(name),
        "version": version,
        "file_name": wheel.name,
        "install_dir": "site",
        "sha256": sha256(wheel),
        "package_type": "package",
        "imports": modules,
        "depends": depends,
        "unvendored_tests": False,
    }


def pack(path: Path, files: dict[str, bytes], level: int = 9) -> None:
    """Write files into one archive, which start.mjs lays into Python's file system: a tar file, gzipped.

    Its name does not end in .gz, which some servers take for a promise that the browser unpacks it.
    """
    unpacked = io.BytesIO()
    with tarfile.open(fileobj=unpacked, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, data in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            archive.addfile(entry, io.BytesIO(data))
    path.write_bytes(gzip.compress(unpacked.getvalue(), level, mtime=0))


def unzipped(wheel: Path) -> dict[str, bytes]:
    """Return the files of a wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def repack(wheel: Path, path: Path) -> None:
    """Replace a wheel by an archive, which a page unpacks faster, and which Pyodide knows as a package as well."""
    pack(path, unzipped(wheel))
    wheel.unlink()


def unpacked(path: Path) -> dict[str, bytes]:
    """Return the files of an archive that `pack` wrote."""
    with tarfile.open(path, "r:gz") as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive}  # type: ignore[union-attr]


def build_mechlib(folder: Path) -> None:
    """Build mechlib's own wheel, less its notebooks, which are pages here, and an archive for each recording.

    What notebooks read comes in archives. The drive of the live pages cannot serve it: it takes every name with "json"
    in it for one JSON document.
    """
    with tempfile.TemporaryDirectory() as scratch:
        command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", scratch]
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
        built = next(Path(scratch).glob("mechlib-*.whl"))
        replayed = {name for each in needs().values() for name in each}
        with zipfile.ZipFile(built) as whole, zipfile.ZipFile(folder / built.name, "w", zipfile.ZIP_DEFLATED) as wheel:
            for entry in whole.infolist():
                name = Path(entry.filename)
                if name.parent.name == "recordings" and name.suffix == ".jsonl":
                    if recording(name.stem) in replayed:
                        pack(folder / f"{recording(name.stem)}.pack", {entry.filename: whole.read(entry)})
                elif name.suffix != ".ipynb":
                    wheel.writestr(entry, whole.read(entry), zipfile.ZIP_DEFLATED)


def recording(stem: str) -> str:
    """Return the name of the archive that carries one recording."""
    return f"recording-{stem}"


def needs() -> dict[str, list[str]]:
    """Return, for each notebook, what others can do without: its recordings, and scipy's 13 MB."""
    asked = {}
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        scipy = ["scipy"] if needs_scipy(path, {*users_of("scipy")}, HOMES) else []
        asked[path.name] = [*map(recording, recordings(path)), *scipy]
    return asked


def users_of(package: str) -> list[str]:
    """Return mechlib's modules that may import a package, themselves or through another module."""
    texts = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): path.read_text(encoding="utf-8")
        for path in (ROOT / "mechlib").glob("*/*.py")
    }
    users = {name for name, text in texts.items() if re.search(rf"^ *(?:from|import) {package}\b", text, re.M)}
    while found := {name for name, text in texts.items() if name not in users and users & imported(text)}:
        users |= found
    return sorted(users)


def imported(text: str) -> set[str]:
    """Return what a source imports by ``from``: modules, and each name in them as if it were one."""
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.ImportFrom)]
    names = {f"{node.module}.{name.name}" for node in nodes for name in node.names}
    return names | {node.module or "" for node in nodes}


def compile_all(wheels: list[Path], group: str) -> None:
    """Put bytecode into wheels, or take what an earlier build made of the same ones."""
    inputs = [*sorted(wheels), *(HERE / name for name in COMPILER), PYODIDE / "pyodide-lock.json"]
    digest = hashlib.sha256("".join(map(sha256, inputs)).encode()).hexdigest()[:16]
    made = CACHE / f"compiled-{group}-{digest}"
    if not made.exists():
        for old in CACHE.glob(f"compiled-{group}-*"):
            shutil.rmtree(old)
        with tempfile.TemporaryDirectory(dir=CACHE) as scratch:
            for wheel in wheels:
                shutil.copyfile(wheel, Path(scratch, wheel.name))
            subprocess.run(["node", str(HERE / COMPILER[0]), scratch], check=True)
            shutil.copytree(scratch, made)
    for wheel in wheels:
        shutil.copyfile(made / wheel.name, wheel)


def lay_python(folder: Path) -> None:
    """Fill a folder with Pyodide, the archives that go with it, and a lock that names scipy alone."""
    folder.mkdir(parents=True)
    for name in CORE:
        shutil.copyfile(PYODIDE / name, folder / name)
    for name in ("start.mjs", "frozen.mjs"):
        shutil.copyfile(HERE / name, folder / name)
    place_libraries(folder / "pyodide.asm.mjs")
    interpreter = folder / "pyodide.asm.wasm"
    interpreter.write_bytes(steady(interpreter.read_bytes()))
    lock = json.loads((PYODIDE / "pyodide-lock.json").read_text())
    wheels = downloaded()
    packages = {name: lock["packages"][name] for name in FROM_PYODIDE}
    with zipfile.ZipFile(wheels.pop(CARRIER)) as carrier:
        for name, package in packages.items():
            data = carrier.read("open_webui/frontend/pyodide/" + package["file_name"])
            if hashlib.sha256(data).hexdigest() != package["sha256"]:
                raise ValueError(f"{CARRIER} carries a {name} wheel that is not Pyodide's: its SHA-256 is not npm's")
            (folder / package["file_name"]).write_bytes(data)
    kernel = [next(KERNEL.glob(f"{name}*.whl")) for name in KERNEL_WHEELS]
    for source in [*wheels.values(), *kernel]:
        shutil.copyfile(source, folder / source.name)
    for wheel in sorted(folder.glob("*.whl")):
        if wheel.name not in {package["file_name"] for package in packages.values()}:
            entry = lock_entry(wheel)
            packages[entry["name"]] = entry
    compile_all([path for path in folder.iterdir() if path.suffix in {".whl", ".zip"}], "others")
    build_mechlib(folder)
    compile_all([*folder.glob("mechlib-*.whl")], "course")
    packages["mechlib"] = lock_entry(next(folder.glob("mechlib-*.whl")))
    needed = {canonical(need) for package in packages.values() for need in package["depends"]} - UNUSED_THERE
    if needed - set(packages):
        raise ValueError(f"{sorted(needed - set(packages))} must be added to wheels.lock: the packages there need them")
    scipy = packages.pop("scipy")  # 13 MB that most chapters do without
    repack(folder / scipy["file_name"], folder / "scipy.tgz")
    scipy |= {"imports": [*scipy["imports"], *users_of("scipy")], "depends": [], "file_name": "scipy.tgz"}
    scipy["sha256"] = sha256(folder / "scipy.tgz")
    lock["packages"] = {"scipy": scipy}
    bundle(folder, [packages[name] for name in sorted(packages)])
    (folder / "pyodide-lock.json").write_text(json.dumps(lock, indent=1))
    freeze(folder)


def bundle(folder: Path, packages: list[dict[str, Any]]) -> None:
    """Put the wheels that every chapter needs into one archive, and what it holds into held.mjs."""
    files = {}
    for package in packages:
        wheel = folder / package["file_name"]
        files |= unzipped(wheel)
        wheel.unlink()
    pack(folder / "packages.pack", files, level=1)  # `freeze` packs it again, and smaller
    held = {package["name"]: package["version"] for package in packages}
    (folder / "held.mjs").write_text(f"export default {json.dumps(held)};\n")


def place_libraries(loader: Path) -> None:
    """Let Pyodide's loader put a library where it was before."""
    text = loader.read_text(encoding="utf-8")
    for old, new in PLACED.items():
        if text.count(old) != 1:
            raise ValueError(f"{loader.name} has another form: {old!r} is not there once")
        text = text.replace(old, new)
    loader.write_text(text, encoding="utf-8")


def freeze(folder: Path) -> None:
    """Keep Python as it is once all is imported that the chapters import; scipy, which few need, is left out.

    The archive of packages then does without the bytecode that has been loaded.
    """
    lines = dict.fromkeys(line for code in started().values() for line in code.split("\n") if "scipy" not in line)
    with tempfile.TemporaryDirectory() as scratch:
        script = Path(scratch, "script.py")
        script.write_text("\n".join([*lines, (HERE / "warm.py").read_text(encoding="utf-8"), "await hear()"]))
        subprocess.run(["node", str(HERE / "freeze.mjs"), str(folder), str(script), scratch], check=True)
        pack(folder / "frozen.pack", {name: Path(scratch, name).read_bytes() for name in ("places", "memory")})
        names = json.loads(Path(scratch, "loaded").read_text(encoding="utf-8"))
    loaded = {name.removeprefix(SITE_PACKAGES) for name in names if name.endswith(".pyc")}
    files = unpacked(folder / "packages.pack")
    pack(folder / "packages.pack", {name: data for name, data in files.items() if name not in loaded})


def lay_notebooks(folder: Path) -> None:
    """Copy the notebooks, made ready for the live pages."""
    folder.mkdir()
    for path in sorted((ROOT / "notebooks").glob("*.ipynb")):
        (folder / path.name).write_text(json.dumps(live(path), indent=1, ensure_ascii=False), encoding="utf-8")


def settings() -> dict[str, Any]:
    """Return the site's configuration: one kernel, nothing from outside."""
    kernel = {
        "disablePyPIFallback": True,
        "loadPyodideOptions": {
            "lockFileURL": "./static/pyodide/pyodide-lock.json",
            "packages": [*STARTED, *sorted({name for each in needs().values() for name in each})],
        },
    }
    config = {
        "appName": "mechlib",
        "exposeAppInBrowser": True,
        "disabledExtensions": ["@jupyterlab/cell-toolbar-extension"],  # it throws on cells that are out of sight
        "litePluginSettings": {"@jupyterlite/pyodide-kernel-extension:kernel": kernel},
    }
    return {"jupyter-lite-schema-version": 0, "jupyter-config-data": config}


def dress(output: Path) -> None:
    """Give the page of notebooks its bar, and let it ask for what its chapter needs."""
    page = output / "notebooks" / "index.html"
    text = page.read_text(encoding="utf-8")
    asked = f"{json.dumps(needs())}, {json.dumps(started())}, {json.dumps(lay_ahead(output))}"
    text, patched = re.subn(
        r"(await import\(\s*'\.\./config-utils\.js[^']*'\s*\);)",
        lambda found: f"{found[1]}\n        (await import('../live.js')).configure({asked});",
        text,
    )
    text, dressed = re.subn(r"(<body[^>]*>)", lambda f: f[1] + (HERE / "live.html").read_text("utf-8"), text, count=1)
    if (patched, dressed) != (1, 1):
        raise ValueError("JupyterLite's page of notebooks has another form: see notebooks/index.html")
    text = text.replace("<html", '<html lang="en"', 1).replace("Jupyter Notebook - Notebooks", "Live chapter")
    page.write_text(text, encoding="utf-8")
    shutil.copyfile(HERE / "live.js", output / "live.js")


def amend(output: Path, without: str) -> None:
    """Let the kernel take the Python that has begun, and leave out an extension.

    That extension draws every cell again whenever one is drawn; `live` does its work.
    """
    page = output / "jupyter-lite.json"
    config = json.loads(page.read_text(encoding="utf-8"))
    data = config["jupyter-config-data"]
    kernel = data["litePluginSettings"]["@jupyterlite/pyodide-kernel-extension:kernel"]
    kernel["pyodideUrl"] = "./static/pyodide/start.mjs"  # the build has put Pyodide's own there
    data["federated_extensions"] = [each for each in data["federated_extensions"] if each["name"] != without]
    page.write_text(json.dumps(config, indent=2, sort_keys=True), encoding="utf-8")
    shutil.rmtree(output / "extensions" / without)


def lay_ahead(output: Path) -> str:
    """Lay the worker that starts ahead beside the kernel's own, and return its address within the live pages."""
    (worker,) = output.glob("extensions/@jupyterlite/pyodide-kernel-extension/static/comlink.worker.*.js")
    own = (HERE / "ahead.js").read_text(encoding="utf-8").replace("the kernel's worker", worker.name)
    worker.with_name("ahead.js").write_text(own, encoding="utf-8")
    return worker.with_name("ahead.js").relative_to(output).as_posix()


def started() -> dict[str, str]:
    """Return, for each notebook, the Python that imports the kernel, what draws figures, and what its cells import."""
    notebooks = sorted((ROOT / "notebooks").glob("*.ipynb"))
    # IPython looks into the notebook's folder first, where each look is a question to the page: last will do
    folder = ["import sys", "sys.path.remove('')", "sys.path.append('')"]
    first = ["import pyodide_kernel", *folder, "import matplotlib.backends.backend_agg", "import mechlib.course.plots"]
    return {path.name: "\n".join([*first, *imports(path)]) for path in notebooks}


def keep(output: Path) -> None:
    """Let the site's service worker keep what pages load, and name the edition in the pages: a hash of all files."""
    files = sorted(path for path in output.rglob("*") if path.is_file())
    told = "".join(f"{path.relative_to(output)} {sha256(path)}\n" for path in files)
    edition = hashlib.sha256((told + sha256(HERE / "keep.js")).encode()).hexdigest()[:16]
    worker = output / "service-worker.js"
    own = (HERE / "keep.js").read_text(encoding="utf-8")
    worker.write_text(own + worker.read_text(encoding="utf-8"), encoding="utf-8")
    for page in (output / "notebooks" / "index.html", output / "lab" / "index.html"):
        text = page.read_text(encoding="utf-8")
        page.write_text(text.replace("<html", f'<html data-edition="{edition}"', 1), encoding="utf-8")


def main() -> None:
    """Stage the site's parts, then let JupyterLite put them together."""
    output = Path(sys.argv[1] if len(sys.argv) > 1 else HERE.parent / "_build" / "html" / "lite").resolve()
    os.environ.setdefault("SOURCE_DATE_EPOCH", "1767225600")
    with tempfile.TemporaryDirectory() as scratch:
        stage = Path(scratch)
        lay_notebooks(stage / "contents")
        lay_python(stage / "static" / "pyodide")
        (stage / "jupyter-lite.json").write_text(json.dumps(settings(), indent=2))
        shutil.rmtree(output, ignore_errors=True)
        command = [sys.executable, "-m", "jupyterlite_core", "build", "--lite-dir", str(stage)]
        parts = ["--contents", "contents", "--output-dir", str(output), "--apps", "notebooks", "--apps", "lab"]
        options = ["--no-sourcemaps", "--no-libarchive"]
        result = subprocess.run([*command, *parts, *options], cwd=stage, capture_output=True, text=True)
        if result.returncode:
            raise SystemExit(f"jupyter lite build failed:\n{result.stdout}\n{result.stderr}")
    for path in [*output.rglob("*.map"), *output.glob("build/*.eot"), *output.glob("build/fa-*.svg")]:
        path.unlink()  # maps of sources, and fonts for browsers of long ago
    amend(output, without="jupyterlab-myst")
    dress(output)
    listing = output / "api" / "contents" / "all.json"
    contents = json.loads(listing.read_text())
    contents["content"].sort(key=lambda entry: str(entry["name"]))  # else in the order of the disk
    listing.write_text(json.dumps(contents, indent=2, sort_keys=True))
    keep(output)
    size = sum(path.stat().st_size for path in output.rglob("*") if path.is_file())
    print(f"{output}: {size / 1e6:.0f} MB of live pages")


if __name__ == "__main__":
    main()
