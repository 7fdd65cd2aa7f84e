"""Python's interpreter for the browser gets a catch that is never reached, and nothing else changes."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "book" / "lite"))

from steady import INTERPRETER, NEVER, spelled, steady  # noqa: E402


def section(kind: int, *parts: bytes) -> bytes:
    data = spelled(len(parts)) + b"".join(parts)
    return bytes([kind]) + spelled(len(data)) + data


def named(name: str, rest: bytes) -> bytes:
    return spelled(len(name)) + name.encode() + rest


def sized(body: bytes) -> bytes:
    return spelled(len(body)) + body


def module(body: bytes, name: str = INTERPRETER, index: int = 3) -> bytes:
    """Return a module with an import of each kind, two of functions, and two functions of its own."""
    kinds = [b"\x00\x00", b"\x01\x70\x01\x01\xff\x01", b"\x02\x00\x01", b"\x03\x7f\x01", b"\x04\x00\x01", b"\x00\x00"]
    return b"\0asm\1\0\0\0" + b"".join([
        section(0, b"of the maker's own"),
        section(1, b"\x60\x00\x00", b"\x60\x01\x7f\x00"),
        section(2, *(named("env", named(f"import {k}", kind)) for k, kind in enumerate(kinds))),
        section(3, b"\x00", b"\x00"),
        section(7, named("memory", b"\x02\x00"), named("other", b"\x00\x02"), named(name, b"\x00" + spelled(index))),
        section(10, sized(b"\x00\x0b"), sized(body)),
        section(11),
    ])


@pytest.mark.parametrize("length", [1, 111, 112, 20000])  # where the sizes that stand before it take a byte more, too
def test_the_catch_comes_behind_the_local_variables_and_the_rest_stays(length: int) -> None:
    variables, code = b"\x02\x01\x7f\x81\x01\x7e", b"\x01" * length + b"\x0b"
    assert steady(module(variables + code)) == module(variables + NEVER + code)


def test_a_module_without_the_function_is_refused() -> None:
    with pytest.raises(ValueError, match="exports no function _PyEval"):
        steady(module(b"\x00\x0b", name="another"))
    with pytest.raises(ValueError, match="none of the module's own 2"):
        steady(module(b"\x00\x0b", index=1))
