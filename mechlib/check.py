r"""Check a learner's answer to an exercise, and say what is wrong with it: by a witness, where there is one.

In a notebook: ``check("02-a", my_rule)``. It prints a line and returns None. None or ``...`` as the answer is "not
attempted yet". How an exercise is judged is data, one table an exercise in ``notebooks/checks/02.toml``. Strings
marked \* are Python: an expression, or statements that define `answer`. They see `np` and whatever `setup` defines::

    ["02-a"]
    kind = "number"                   # number, choice, values, function, audit, proper or property
    ask = "`payment`, what A pays"    # shown as: Not attempted yet. Define `payment`, what A pays.
    setup = "from mechlib.vcg import vcg"                 # * statements, run first
    expected = "vcg([[5, 0], [0, 6]]).payments[0]"        # * better computed than typed
    near = [{value = "5", say = "That is A's value; what do the others lose through A?"}]    # * optional
    hint = "Solve it again without A."   # optional, said after every miss
    right = "A pays its externality."    # optional, said after success
    wrong = [                            # at least two: typical wrong answers*, with words their message must contain
      {answer = "5", message = "A's value"},
      {answer = "'four'", message = "number"},
    ]

What the kinds take, besides the keys above:

- number: a number. `expected`\ \*, `tolerance` (absolute, 1e-6 unless told), `near`.
- choice: a letter or word. `key`, and ``say = {a = "why not a", ...}`` with a message for each wrong option.
- values: an array, a tuple, any value. `expected`\ \*, `tolerance`, `near`.
- function: a function. `expected`\ \* is the reference function, `cases`\ \* a list of argument tuples, `tolerance`.
- audit: a mechanism. `types`\ \* and ``options = {n = "3", utility = "lambda i, t, o: ..."}``\ \* go to
  `mechlib.audit.audit`, or to `audit_bayes` where `prior` is among the options; `wants`: some of dsic (bic), ir,
  efficient, no_deficit, balanced.
- proper: a scoring rule. Truth must be strictly best; a failure names the belief and the better lie.
- property: anything at all, judged by its `test`\ \* alone.

`test`\ \* is open to every kind and runs last: statements in which `answer` is the answer and ``assert ok, "message"``
says what is wrong. A number that is missed is called too high or too low, and never given away; for functions, arrays
and mechanisms the message says on which input, what came out and what was expected.
"""

from __future__ import annotations

import functools
import tomllib
import traceback
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mechlib.judges import KINDS, Exercise, asserted, show


class Verdict(NamedTuple):
    """Whether an answer is right, and the sentence that says so or says why not."""

    right: bool
    message: str


def check(exercise: str, answer: Any) -> None:
    """Print whether `answer` solves the exercise, or what is wrong with it; return None.

    Raises LookupError where no ``checks/NN.toml`` has the exercise.
    """
    print(f"{exercise}: {verdict(find(exercise), answer).message}")


def find(exercise: str) -> Exercise:
    """Return an exercise by its id, such as "02-a", from ``checks/02.toml`` near the notebook or in the repository."""
    for folder in _folders():
        path = folder / f"{exercise.split('-')[0]}.toml"
        if path.is_file():
            table = tomllib.loads(path.read_text(encoding="utf-8"))
            if exercise in table:
                return Exercise(**table[exercise])
            raise LookupError(f"exercise {exercise!r} is not in {path.name}; it has {', '.join(sorted(table))}")
    raise LookupError(f"no checks/{exercise.split('-')[0]}.toml for exercise {exercise!r}; run this in notebooks/")


def _folders() -> Iterator[Path]:
    package = Path(__file__).resolve().parent
    for base in (Path.cwd(), *Path.cwd().parents, package, package.parent):
        yield from (base / "checks", base / "notebooks" / "checks")


def verdict(exercise: Exercise, answer: Any) -> Verdict:
    """Judge an answer. Whatever it makes the checker raise is told as a sentence: see `_reason`."""
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
