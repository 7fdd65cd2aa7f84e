"""How each kind of exercise is judged; `mechlib.check` says what the kinds are and how they are written."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Exercise:
    """An exercise's table in the TOML file; the fields are its keys (see the module's docstring)."""

    kind: str
    ask: str
    setup: str = ""
    expected: str = ""
    tolerance: float = 1e-6
    near: Sequence[Mapping[str, str]] = ()
    key: str = ""
    say: Mapping[str, str] = field(default_factory=dict)
    cases: str = ""
    types: str = ""
    options: Mapping[str, str] = field(default_factory=dict)
    wants: Sequence[str] = ()
    test: str = ""
    hint: str = ""
    right: str = ""
    wrong: Sequence[Mapping[str, str]] = ()

    def names(self) -> dict[str, Any]:
        """Return the names that the table's Python sees."""
        names: dict[str, Any] = {"np": np}
        exec(self.setup, names)
        return names


def python(source: str, names: Mapping[str, Any]) -> Any:
    """Evaluate an expression, or run statements and return the `answer` they define."""
    scope = dict(names)
    try:
        code = compile(source.strip(), "<check>", "eval")
    except SyntaxError:
        exec(source, scope)
        return scope["answer"]
    return eval(code, scope)


def show(value: Any) -> str:
    """Return a value as a short line of text: arrays as lists, four digits, cut at 100 characters."""
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        parts = (f"{name}={show(part)}" for name, part in zip(value._fields, value, strict=True))
        text = f"{type(value).__name__}({', '.join(parts)})"
    elif isinstance(value, (bool, np.bool_, int, np.integer)):
        text = str(value)
    elif isinstance(value, (float, np.floating)):
        text = f"{value:.4g}"
    elif isinstance(value, np.ndarray):
        text = show(value.tolist())
    elif isinstance(value, (list, tuple)):
        inside = ", ".join(map(show, value))
        text = f"[{inside}]" if isinstance(value, list) else f"({inside})"
    else:
        text = getattr(value, "__name__", repr(value)).replace("<lambda>", "your function")
    return text if len(text) <= 100 else text[:97] + "..."


def _difference(given: Any, expected: Any, tolerance: float) -> str | None:
    """Say how two values differ, or return None when they agree; tuples part by part, numbers to the tolerance."""
    if isinstance(expected, tuple):
        if not isinstance(given, (tuple, list)) or len(given) != len(expected):
            return f"gave {show(given)}, expected {show(expected)}"
        names = getattr(expected, "_fields", range(len(expected)))
        for name, part, wanted in zip(names, given, expected, strict=True):
            if (problem := _difference(part, wanted, tolerance)) is not None:
                return f"{problem} ({name})"
        return None
    if given is None:
        return "gave None (does it end in `return`?)"
    try:
        ours, theirs = np.asarray(expected, dtype=float), np.asarray(given, dtype=float)
    except (TypeError, ValueError):  # words, sets and other things that are not numbers
        return None if np.array_equal(given, expected) else f"gave {show(given)}, expected {show(expected)}"
    if ours.shape != theirs.shape:
        return f"gave {show(given)}, of shape {theirs.shape}; expected shape {ours.shape}"
    if np.isclose(theirs, ours, rtol=1e-9, atol=tolerance, equal_nan=True).all():
        return None
    return f"gave {show(given)}, expected {show(expected)}"


def _near(exercise: Exercise, answer: Any, names: Mapping[str, Any]) -> str | None:
    for miss in exercise.near:
        if _difference(answer, python(miss["value"], names), exercise.tolerance) is None:
            return miss["say"]
    return None


def _number(exercise: Exercise, answer: Any, names: Mapping[str, Any]) -> str | None:
    expected = float(python(exercise.expected, names))
    try:
        given = float(answer)
    except (TypeError, ValueError):
        return f"Give a single number; {show(answer)} is not one."
    if abs(given - expected) <= exercise.tolerance or given == expected:
        return None
    return _near(exercise, given, names) or f"{show(given)} is too {'high' if given > expected else 'low'}."


def _choice(exercise: Exercise, answer: Any, names: Mapping[str, Any]) -> str | None:
    given = str(answer).strip().lower()
    if given == exercise.key.lower():
        return None
    options = sorted({exercise.key, *exercise.say})
    return exercise.say.get(given, f"{show(answer)} is none of the options {', '.join(options)}.")


def _values(exercise: Exercise, answer: Any, names: Mapping[str, Any]) -> str | None:
    problem = _difference(answer, python(exercise.expected, names), exercise.tolerance)
    return None if problem is None else _near(exercise, answer, names) or f"You {problem}."


def _function(exercise: Exercise, answer: Any, names: Mapping[str, Any]) -> str | None:
    if not callable(answer):
        return f"Give a function; {show(answer)} is not one."
    reference = python(exercise.expected, names)
    for case in python(exercise.cases, names):
        given = answer(*copy.deepcopy(case))
        problem = _difference(given, reference(*case), exercise.tolerance)
        if problem is not None:
            return f"{answer.where} {problem}."
    return None


def _audit(exercise: Exercise, answer: Any, names: Mapping[str, Any]) -> str | None:
    from mechlib.audit import audit, audit_bayes
    from mechlib.audit_report import sentence

    if not callable(answer):
        return f"Give a mechanism, a function from reports to an outcome; {show(answer)} is not one."
    options = {name: python(str(source), names) for name, source in exercise.options.items()}
    judge = audit_bayes if "prior" in options else audit
    report = judge(answer, python(exercise.types, names), **options)
    low, high = report.budget or (0.0, 0.0)
    lie = "" if report.witness is None else sentence(report.witness)
    loss = f"an honest agent ends with {show(report.worst_utility)}"
    failures = {
        "dsic": (report.witness is not None, f"It is not truthful: {lie}."),
        "bic": (report.witness is not None, f"It is not truthful on average: {lie}."),
        "ir": (not report.is_ir, f"It is not individually rational: {loss}."),
        "efficient": (
            not report.is_efficient,
            f"It is not efficient: it loses {show(report.welfare_lost)} of welfare.",
        ),
        "no_deficit": (low < -report.tolerance, f"It runs a deficit of {show(-low)}."),
        "balanced": (
            max(-low, high) > report.tolerance,
            f"Payments must sum to 0, but run from {show(low)} to {show(high)}.",
        ),
    }
    return next((failures[want][1] for want in exercise.wants if failures[want][0]), None)


def _proper(exercise: Exercise, answer: Any, names: Mapping[str, Any]) -> str | None:
    from mechlib.scoring import better_lie

    if not callable(answer):
        return f"Give a rule, a function of confidence and accuracy; {show(answer)} is not one."
    lie = better_lie(answer)
    if lie is None:
        return None
    gain = f"{show(lie.gain)} more than the truth" if lie.gain > 1e-9 else "as much as the truth"
    return f"It is not strictly proper: at belief {show(lie.belief)}, reporting {show(lie.report)} expects {gain}."


def asserted(test: str, answer: Any, names: Mapping[str, Any]) -> str | None:
    """Run an exercise's test and return what its assertion says, or None when the answer passes."""
    try:
        exec(test, {**names, "answer": answer})
    except AssertionError as problem:
        return str(problem) or "It does not pass the test."
    return None


def _property(exercise: Exercise, answer: Any, names: Mapping[str, Any]) -> str | None:
    return None if exercise.test else "This exercise has no test."


KINDS: dict[str, Callable[[Exercise, Any, Mapping[str, Any]], str | None]] = {
    "number": _number,
    "choice": _choice,
    "values": _values,
    "function": _function,
    "audit": _audit,
    "proper": _proper,
    "property": _property,
}
