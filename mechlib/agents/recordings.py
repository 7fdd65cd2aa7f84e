"""Recordings on disk: one JSON line a call, appended and synced call by call, sorted when a run is over."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any


def key(method: str, path: str, body: Any, sample: int = 0) -> str:
    """Return the SHA-256 under which a request is stored; a `sample` of 0 is the plain request."""
    parts = {"method": method.lower(), "path": path, "body": body, **({"sample": sample} if sample else {})}
    return hashlib.sha256(json.dumps(parts, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def read(path: Path) -> list[dict[str, Any]]:
    """Return a cassette's entries; a half line at the end, left by a crash, is dropped with a warning.

    A malformed line, and two different replies to one request, are ValueErrors.
    """
    if not path.exists():
        return []
    lines = path.read_bytes().split(b"\n")
    if (last := lines.pop()) and whole(last):
        lines.append(last)
    elif last:
        warnings.warn(f"{path.name} ends in half a line, which a crash left: it is ignored", stacklevel=3)
    entries: dict[str, dict[str, Any]] = {}
    for number, line in enumerate(lines, 1):
        try:
            entry = json.loads(line)
            entry["response"], entry["request"]["body"], entry["provenance"]
            known = entries.setdefault(entry["key"], entry)
        except (ValueError, LookupError, TypeError, RecursionError) as error:
            raise ValueError(f"{path.name}, line {number}: not a recording ({error!r}); delete the line") from None
        if known["response"] != entry["response"] or known["provenance"] != entry["provenance"]:
            raise ValueError(f"{path.name}, line {number}: two different replies for one request; delete one of them")
    return list(entries.values())


def whole(line: bytes) -> bool:
    """Whether a last line without its end is a whole recording nevertheless, as editors leave it."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def append(path: Path, entry: Mapping[str, Any]) -> dict[str, Any]:
    """Add one entry and return once it is on the disk; several processes may do so at once.

    What is returned is what the cassette now holds under the key: the entry, or what another process recorded before.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    start = f'{{"key": "{entry["key"]}"'.encode()
    with _locked(path), open(path, "a+b") as file:
        file.seek(0)
        end, gap = 0, b""
        for line in file:
            if line.endswith(b"\n") or whole(line):
                end, gap = end + len(line), b"" if line.endswith(b"\n") else b"\n"
                if line.startswith(start):
                    return dict(json.loads(line))
        file.truncate(end)  # a crash may have left half a line: cut it off before the next whole one
        file.write(gap + dump(entry).encode() + b"\n")
        file.flush()
        os.fsync(file.fileno())
    return dict(entry)


def tidy(path: Path, wanted: Collection[str] | None = None) -> tuple[int, int]:
    """Sort a cassette and drop every key not wanted, also while others append; return how many were kept, dropped."""
    with _locked(path):
        entries = read(path)
        kept = [entry for entry in entries if wanted is None or entry["key"] in wanted]
        kept.sort(key=lambda entry: (str(entry["request"]["body"].get("model")), entry["key"]))
        scratch = path.with_suffix(".part")
        scratch.unlink(missing_ok=True)  # whatever a crash, or somebody's link, has left there
        with open(scratch, "xb") as file:
            file.write("".join(dump(entry) + "\n" for entry in kept).encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)  # in one step: a crash leaves the one or the other
    return len(kept), len(entries) - len(kept)


def dump(entry: Mapping[str, Any]) -> str:
    """Return the canonical line of an entry."""
    return json.dumps(entry, sort_keys=True, ensure_ascii=False)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    if sys.platform in ("win32", "emscripten"):
        yield
        return
    import fcntl

    while True:
        with open(path, "ab") as file:  # closing it lets go of the lock
            fcntl.flock(file.fileno(), fcntl.LOCK_EX)
            if os.path.samestat(os.fstat(file.fileno()), os.stat(path)):  # else a rewrite has put another in its place
                yield
                return
