r"""Check a learner's answer to an exercise, and say what is wrong with it: by a witness, where there is one.

In a notebook: ``check("02-a", my_rule)``. It prints a line and returns None. None or ``...`` as the answer is "not
attempted yet". How an exercise is judged is data, one table an exercise in ``notebooks/checks/02.toml``. Strings
marked \* are Python: an expression, or statements that define `answer`. They see `np` and whatever `setup` defines::

    ["02-a"]
    kind = "number"                  # or one of those below
    ask = "`payment`, what A pays"   # what to define; said until there is an answer
    setup = "from mechlib import vcg"                # * statements, run first
    expected = "vcg([[5, 0], [0, 6]]).payments[0]"   # * better computed than typed
    near = [                                         # * optional
      {value = "5", say = "That is A's value; what do the others lose through A?"},
    ]
    # * optional: says of any other number what is wrong with it
    witness = "lambda x: f'With {x:g} to pay, A ...'"
    hint = "Solve it again without A."   # optional, said after every miss
    right = "A pays its externality."    # optional, said after success
    also = ["4.0"]                       # other right answers*, which must pass
    # at least two typical wrong answers*, with words that their message must contain
    wrong = [
      {answer = "5", message = "A's value"},
      {answer = "'four'", message = "number"},
    ]

What the kinds take, besides the keys above:

- number: a number. `expected`\ \*, `tolerance` (absolute, 1e-6 unless told), `near`, and `witness`\ \*, a function of
  the number that was given to the sentence that is said of it, by a case: what would follow if it were right.
- choice: a letter or word. `key`, and ``say = {a = "why not a", ...}`` with a message for each wrong option.
- values: an array, a tuple, any value. `expected`\ \*, `tolerance`, `near`.
- function: a function. `expected`\ \* is the reference function, `cases`\ \* a list of argument tuples, `tolerance`.
  In `near` each value is a function that gets it wrong in a known way.
- audit: a mechanism. `setting`\ \*, such as ``Values(range(5), 4)``, or a bare grid in `types`\ \*, and
  ``options = {feasible = "np.eye(4)"}``\ \* go to `mechlib.audit`, or to `audit_bayes` where `prior` is among the
  options; `wants`: some of dsic (bic), ir, efficient, no_deficit, balanced. ``result = "Award"`` says that the rule
  pays the agents: a plain pair is then read so, and an Outcome is refused; by default it is the other way round.
- proper: a scoring rule. Truth must be strictly best; a failure names the belief and the better lie.
- property: anything at all, judged by its `test`\ \* alone.

`test`\ \* is open to every kind and runs last: statements in which `answer` is the answer and ``assert ok, "message"``
says what is wrong. A number that is missed is never given away, and called too high or too low where it is neither in
`near` nor told by a `witness`; for functions, arrays and mechanisms the message says on which input, what came out and
what was expected.
"""

from __future__ import annotations

import copy
import functools
import math
import tomllib
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mechlib.agents.folders import shipped


@dataclass(frozen=True)
class Exercise:
    """An exercise's table in the TOML file; the fields are its keys (see the module's docstring)."""

    kind: str
    ask: str
    setup: str = ""
    expected: str = ""
    tolerance: float = 1e-6
    near: Sequence[Mapping[str, str]] = ()
    witness: str = ""
    key: str = ""
    say: Mapping[str, str] = field(default_factory=dict)
    cases: str = ""
    setting: str = ""
    types: str = ""
    result: str = "Outcome"
    options: Mapping[str, str] = field(default_factory=dict)
    wants: Sequence[str] = ()
    test: str = ""
    hint: str = ""
    right: str = ""
    also: Sequence[str] = ()
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
        text = show((value[:40] if value.ndim else value).tolist())
    elif isinstance(value, (list, tuple)):
        inside = ", ".join(map(show, value[:40]))  # more is longer than 100 characters, whatever it is
        text = f"[{inside}]" if isinstance(value, list) else f"({inside})"
    else:
        text = getattr(value, "__name__", repr(value)).replace("<lambda>", "your function")
        if " object at 0x" in text:
            text = type(value).__name__  # not where it lies in memory
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
        if np.asarray(given).dtype.kind in "US":  # "inf" is a word, although numpy reads it as a number
            raise TypeError
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
        if isinstance(answer, str):
            raise TypeError
        given = float(answer)
        if math.isnan(given):
            raise ValueError
    except (TypeError, ValueError):
        return f"Give a single number; {show(answer)} is not one."
    if abs(given - expected) <= exercise.tolerance or given == expected:
        return None
    if (known := _near(exercise, given, names)) is not None:
        return known
    if exercise.witness:
        return str(python(exercise.witness, names)(given))
    return f"{show(given)} is too {'high' if given > expected else 'low'}."


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
    reference, cases = python(exercise.expected, names), python(exercise.cases, names)
    for k, case in enumerate(cases):
        given = answer(*copy.deepcopy(case))
        difference = _difference(given, reference(*case), exercise.tolerance)
        if difference is not None:
            problem = f"{answer.where} {difference}."
            return _near_function(exercise, answer, names, cases[k:]) or problem
    return None


def _near_function(exercise: Exercise, answer: Any, names: Mapping[str, Any], cases: Sequence[Any]) -> str | None:
    """Say in which known way a function is wrong, if it is so in all the cases that are left."""
    for miss in exercise.near:
        known = python(miss["value"], names)
        try:
            if all(_difference(answer(*copy.deepcopy(c)), known(*c), exercise.tolerance) is None for c in cases):
                return miss["say"]
        except Exception:  # it fails where the known mistake does not: another one
            continue
    return None


def _audit(exercise: Exercise, answer: Any, names: Mapping[str, Any]) -> str | None:
    from mechlib.attacks.audit import audit, audit_bayes
    from mechlib.settings import Actions, Beliefs, Joint, Values

    if not callable(answer):
        return f"Give a mechanism, a function from reports to an outcome; {show(answer)} is not one."
    known = {"Values": Values, "Beliefs": Beliefs, "Actions": Actions, "Joint": Joint, **names}
    options = {name: python(str(source), known) for name, source in exercise.options.items()}
    setting = python(exercise.setting or exercise.types, known)
    judge = audit_bayes if "prior" in options else audit
    mistakes = list[str]()
    try:
        report = judge(_directed(exercise.result, answer, mistakes), setting, **options)
    except ValueError as error:
        if mistakes:
            return mistakes[0]
        if "more than is feasible" in str(error):
            return "It hands out more than is feasible."
        raise
    low, high = report.budget or (0.0, 0.0)
    money, least, most = ("Rewards", 0.0 - high, 0.0 - low) if report.sells else ("Payments", low, high)
    lie = report.sentence
    loss = f"an honest agent {'expects' if report.kind == 'Bayes' else 'ends with'} {show(report.worst_utility)}"
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
            f"{money} must sum to 0, but run from {show(least)} to {show(most)}.",
        ),
    }
    return next((failures[want][1] for want in exercise.wants if failures[want][0]), None)


def _directed(result: str, answer: Callable[..., Any], mistakes: list[str]) -> Callable[..., Any]:
    """Return the learner's rule, with a plain pair read as the `Outcome` or the `Award` that the exercise asks for.

    That it returns the other of the two is added to `mistakes`.
    """
    from mechlib.mechanism import Award, Outcome

    kind, other = (Award, Outcome) if result == "Award" else (Outcome, Award)
    money = "rewards TO the agents, in an Award" if kind is Award else "payments BY the agents, in an Outcome"

    def rule(*reports: Any) -> Any:
        given = answer(*reports)
        if isinstance(given, other):
            mistakes.append(f"It returns an {other.__name__}. Here the money is {money}.")
            raise TypeError(mistakes[0])
        pair = isinstance(given, (tuple, list)) and len(given) == 2 and not hasattr(given, "_fields")
        return kind(*given) if pair else given

    functools.update_wrapper(rule, answer, updated=())  # which arguments it asks for is read off the learner's own
    return rule


def _proper(exercise: Exercise, answer: Any, names: Mapping[str, Any]) -> str | None:
    from mechlib.rules.scoring import better_lie

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


class Verdict(NamedTuple):
    """Whether an answer is right, and the sentence that says so or says why not."""

    right: bool
    message: str


def check(exercise: str, answer: Any) -> None:
    """Print whether `answer` solves the exercise, or what is wrong with it; return None.

    Raises LookupError where no ``checks/NN.toml`` has the exercise: see `find`.
    """
    if not isinstance(exercise, str):
        raise TypeError(f"exercise is {exercise!r:.80}: it must be its name, such as \"02-a\"")
    print(f"{exercise}: {verdict(find(exercise), answer).message}")


def find(exercise: str) -> Exercise:
    """Return an exercise by its id, such as "02-a", of the course, or of ``checks/02.toml`` beside the notebook.

    A table holds Python that is run. So no folder above the working directory is looked into.
    """
    name, known = f"{exercise.split('-')[0]}.toml", list[str]()
    for folder in (shipped() / "notebooks" / "checks", Path.cwd() / "checks"):
        if (folder / name).is_file():
            table = tomllib.loads((folder / name).read_text(encoding="utf-8"))
            if exercise in table:
                return Exercise(**table[exercise])
            known += table
    if known:
        raise LookupError(f"exercise {exercise!r} is not in {name}; it has {', '.join(sorted({*known}))}")
    raise LookupError(f"no checks/{name} for exercise {exercise!r}: the course has none, nor has this folder")


def verdict(exercise: Exercise, answer: Any) -> Verdict:
    """Judge an answer. Whatever it makes the checker raise is told as a sentence."""
    if answer is None or answer is ...:
        return Verdict(False, f"Not attempted yet. Define {exercise.ask.rstrip('.')}.")
    names = exercise.names()
    judged = _Watched(answer) if callable(answer) and not isinstance(answer, type) else answer
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            problem = KINDS[exercise.kind](exercise, judged, names)
            if problem is None and exercise.test:
                problem = asserted(exercise.test, judged, names)
        except Exception as error:  # the learner's own code may raise anything
            problem = _reason(error, judged, exercise.ask.rstrip("."))
    if problem is None:
        return Verdict(True, f"Right. {exercise.right}".rstrip())
    return Verdict(False, f"Not yet. {problem} {exercise.hint}".rstrip().replace(". your", ". Your"))


def _reason(error: Exception, judged: Any, ask: str) -> str:
    """Say whether the learner's function failed, on which input, or what it gave that the checker cannot read."""
    given = show(judged)
    if isinstance(judged, _Watched):
        for cause in (error, error.__cause__):
            if cause in judged.failures:
                return f"{judged.failures[cause]} raised {type(cause).__name__}: {cause}".rstrip(": .") + "."
        if judged.where != judged.name:
            given = f"{judged.where} gave {show(judged.result)}, which"
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    if isinstance(error, ValueError) and frame.f_globals.get("__name__", "").startswith("mechlib."):
        # a sentence of ours; what it says to those who call `audit` themselves is left out
        said = str(error).partition(". For anything else")[0]
        return f"{said[:1].upper()}{said[1:].rstrip('.')}. Give {ask}."
    return f"{given} cannot be judged: it is not of the form that is asked for. Give {ask}."


class _Watched:
    """The learner's function, which remembers its last call, what came out, and the inputs on which it failed."""

    def __init__(self, function: Callable[..., Any]) -> None:
        functools.update_wrapper(self, function, updated=())
        self.where = self.name = show(function)
        self.result: Any = None
        self.failures: dict[BaseException, str] = {}

    def __call__(self, *args: Any, **options: Any) -> Any:
        texts = (text if len(text) <= 50 else "..." for text in map(show, args))
        self.where = f"{self.name}({', '.join(texts)})"
        try:
            self.result = self.__wrapped__(*args, **options)
        except Exception as error:
            self.failures[error] = self.where
            raise
        return self.result

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["__wrapped__"], name)
