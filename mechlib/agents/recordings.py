"""Recordings on disk: one JSON line a call, appended and synced call by call, sorted when a run is over."""

from __future__ import annotations

import hashlib
import json
import os
import sys
import threading
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_CANONICAL = json.JSONEncoder(
    sort_keys=True, separators=(",", ":")
).encode  # made once: that takes longer than its work


def key(method: str, path: str, body: Any, sample: int = 0, **more: Any) -> str:
    """Return the SHA-256 under which a request is stored; a `sample` of 0 is the plain request.

    `more` is what else changes the answer, where there is any: the ``query``, the ``betas``, another ``version`` of the
    API than that of the first recordings. What a request does not have is no part of its key.
    """
    parts = {"method": method.lower(), "path": path, "body": body, **({"sample": sample} if sample else {}), **more}
    return hashlib.sha256(_CANONICAL(parts).encode()).hexdigest()


class Tape:
    """A cassette's file: its lines by key. They are read once, and parsed when they are asked for.

    A half line at the end, left by a crash, is ignored with a warning. Several threads and processes may `add` at once.

    Parameters
    ----------
    path : Path
        The file; one that is not there is an empty tape.
    beneath : Path, optional
        Another cassette, whose entries are there too, and which is never written.

    Raises
    ------
    ValueError
        If a line is no recording, or two different replies are stored under one key.
    """

    def __init__(self, path: Path, beneath: Path | None = None) -> None:
        self.path = path
        self._lines: dict[str, bytes] = Tape(beneath)._lines if beneath else {}
        self._number = self._read = 0
        self._last = b""
        self._writing = threading.Lock()
        if path.exists():
            with open(path, "rb") as file:
                self._catch_up(file)
                if file.seek(0, os.SEEK_END) > self._read:
                    warnings.warn(f"{path.name} ends in half a line, which a crash left: it is ignored", stacklevel=4)

    def __len__(self) -> int:
        return len(self._lines)

    def get(self, name: str) -> dict[str, Any] | None:
        """Return the entry under a key, or None."""
        line = self._lines.get(name)
        return None if line is None else _entry(line, f"{self.path.name}, {name[:12]}")

    def entries(self, holding: str = "") -> Iterator[dict[str, Any]]:
        """Yield the entries whose line holds a text."""
        for line in list(self._lines.values()):
            if holding.encode() in line:
                yield _entry(line, self.path.name)

    def add(self, entry: Mapping[str, Any]) -> dict[str, Any]:
        """Write one entry at the end of the file and return once it is on the disk.

        Of the file, only what others wrote meanwhile is read. What is returned is what the tape now holds under the
        key: the entry, or what another process recorded before.
        """
        self.path.parent.mkdir(parents=True, exist_ok=True)
        with self._writing, _locked(self.path), open(self.path, "a+b") as file:
            self._catch_up(file)
            if known := self.get(entry["key"]):
                return known
            line = dump(entry).encode() + b"\n"
            file.truncate(self._read)  # a crash may have left half a line: cut it off before the next whole one
            if self._last and not self._last.endswith(b"\n"):  # as editors leave it
                file.write(b"\n")
                self._read, self._last = self._read + 1, self._last + b"\n"
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
            self._take(line)
        return dict(entry)

    def _catch_up(self, file: IO[bytes]) -> None:
        file.seek(self._read - len(self._last))
        if file.read(len(self._last)) != self._last:  # a rewrite has put another file in its place
            self._number = self._read = 0
            file.seek(0)
        for line in file:
            if line.endswith(b"\n") or whole(line):
                self._take(line)

    def _take(self, line: bytes) -> None:
        self._number, self._read, self._last = self._number + 1, self._read + len(line), line
        place = f"{self.path.name}, line {self._number}"
        plain = line.startswith(b'{"key": "') and line[73:76] == b'", '
        name = line[9:73].decode() if plain else _entry(line, place)["key"]
        known = self._lines.setdefault(name, line)
        if known.rstrip() != line.rstrip():
            _same(_entry(known, place), _entry(line, place), place)


def read(path: Path) -> list[dict[str, Any]]:
    """Return all entries of a cassette; a half line at the end, left by a crash, is dropped with a warning.

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
        place = f"{path.name}, line {number}"
        entry = _entry(line, place)
        _same(entries.setdefault(entry["key"], entry), entry, place)
    return list(entries.values())


def whole(line: bytes) -> bool:
    """Whether a last line without its end is a whole recording nevertheless, as editors leave it."""
    try:
        return isinstance(json.loads(line), dict)
    except (ValueError, RecursionError):
        return False


def _entry(line: bytes, place: str) -> dict[str, Any]:
    try:
        entry: dict[str, Any] = json.loads(line)
        entry["response"], entry["request"]["body"], entry["provenance"], entry["key"] + ""
    except (ValueError, LookupError, TypeError, RecursionError) as error:
        raise ValueError(f"{place}: not a recording ({error!r}); delete the line") from None
    return entry


def _same(known: Mapping[str, Any], entry: Mapping[str, Any], place: str) -> None:
    if known["response"] != entry["response"] or known["provenance"] != entry["provenance"]:
        raise ValueError(f"{place}: two different replies for one request; delete one of them")


def tidy(path: Path, wanted: Collection[str] | None = None) -> tuple[int, int]:
    """Sort a cassette and drop every key not wanted, also while others append; return how many were kept, dropped."""
    with _locked(path):
        entries = read(path)
        kept = [entry for entry in entries if wanted is None or entry["key"] in wanted]
        kept.sort(key=lambda entry: (str(model(entry["request"])), entry["key"]))
        scratch = path.with_suffix(".part")
        scratch.unlink(missing_ok=True)  # whatever a crash, or somebody's link, has left there
        with open(scratch, "xb") as file:
            file.write("".join(dump(entry) + "\n" for entry in kept).encode())
            file.flush()
            os.fsync(file.fileno())
        os.replace(scratch, path)  # in one step: a crash leaves the one or the other
    return len(kept), len(entries) - len(kept)


def model(request: Mapping[str, Any]) -> str | None:
    """Return which model a stored request asks; None where it asks none, such as a listing."""
    body = request["body"]
    return body.get("model") if isinstance(body, Mapping) else None


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
