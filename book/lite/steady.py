"""Keep Chromium from compiling Python's interpreter anew at every wrong guess.

Where WebAssembly calls through a table, V8 guesses whom it will call; it may stake a function's whole machine code on
that, and compile the function anew when it was wrong (Lehmann & Liedtke 2025,
https://v8.dev/blog/wasm-speculative-optimizations). Python's interpreter is one large function with hundreds of such
calls, and was compiled several times in one run of a chapter. Behind a `catch` of the older kind V8 leaves a way for
calls that it did not guess. One that is never reached, at the function's start, is enough.
"""

from __future__ import annotations

INTERPRETER = "_PyEval_EvalFrameDefault"
IMPORTS, EXPORTS, CODE = 2, 7, 10  #: numbers of sections
FUNCTION, TABLE, MEMORY, GLOBAL, TAG = range(5)  #: kinds of imports and exports
DESCRIBED = {FUNCTION: 0, TABLE: 1, MEMORY: 0, GLOBAL: 2, TAG: 1}  #: bytes that say of what type an import is
#: try, if 0: throw of tag 0, end, catch of tag 0: drop, end
NEVER = bytes.fromhex("0640 4100 0440 4100 0800 0b 0700 1a 0b")


def steady(module: bytes, name: str = INTERPRETER) -> bytes:
    """Return a module in which V8 does not stake the code of the function exported as `name` on guesses.

    Raises
    ------
    ValueError
        If the module exports no such function of its own.
    """
    sections, at = [], 8
    while at < len(module):
        size, start = number(module, at + 1)
        sections.append((module[at], module[start : start + size]))
        at = start + size
    parts = dict(sections)
    index = exported(parts.get(EXPORTS, b"\0"), name) - imported(parts.get(IMPORTS, b"\0"))
    changed = [(kind, within(body, index) if kind == CODE else body) for kind, body in sections]
    return module[:8] + b"".join(bytes([kind]) + spelled(len(body)) + body for kind, body in changed)


def within(code: bytes, index: int) -> bytes:
    """Return the section of code with the catch in one function."""
    count, at = number(code, 0)
    if not 0 <= index < count:
        raise ValueError(f"the function is none of the module's own {count}")
    for _ in range(index):
        size, start = number(code, at)
        at = start + size
    size, start = number(code, at)
    groups, first = number(code, start)  # of local variables: how many, and their type
    for _ in range(groups):
        first = number(code, first)[1] + 1
    end = start + size
    return code[:at] + spelled(size + len(NEVER)) + code[start:first] + NEVER + code[first:end] + code[end:]


def exported(section: bytes, name: str) -> int:
    """Return the number of the function that is exported under a name."""
    count, at = number(section, 0)
    for _ in range(count):
        size, start = number(section, at)
        at = start + size
        kind = section[at]
        index, after = number(section, at + 1)
        if kind == FUNCTION and section[start:at] == name.encode():
            return index
        at = after
    raise ValueError(f"the module exports no function {name}")


def imported(section: bytes) -> int:
    """Return how many functions are imported: their numbers come first."""
    count, at = number(section, 0)
    functions = 0
    for _ in range(count):
        for _ in ("module", "name"):
            size, start = number(section, at)
            at = start + size
        kind = section[at]
        functions += kind == FUNCTION
        at += 1 + DESCRIBED[kind]
        if kind in (FUNCTION, TAG):  # the number of its type
            at = number(section, at)[1]
        elif kind in (TABLE, MEMORY):  # the least size, and the largest if there is one
            bounded, at = section[at] & 1, at + 1
            for _ in range(1 + bounded):
                at = number(section, at)[1]
    return functions


def number(data: bytes, at: int) -> tuple[int, int]:
    """Read an unsigned number in LEB128, and return it with the place behind it."""
    value = shift = 0
    while True:
        byte = data[at]
        value |= (byte & 127) << shift
        at, shift = at + 1, shift + 7
        if byte < 128:
            return value, at


def spelled(value: int) -> bytes:
    """Return an unsigned number in LEB128."""
    some = []
    while value > 127:
        some.append(value & 127 | 128)
        value >>= 7
    return bytes([*some, value])
