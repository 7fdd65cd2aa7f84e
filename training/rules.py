"""The rule to train under, by name: one of the six of chapter 6, or any function that the auditor takes."""

from __future__ import annotations

import importlib.util
from pathlib import Path

from mechlib.course.paid import RULES, Paid

__all__ = ["find"]


def find(name: str) -> Paid:
    """Return a rule of the table above, or any function from reports (and what is found) to an `Award` or `Outcome`.

    Such a function is named by its file, ``path/to/my_rules.py:my_rule``: the one that `audit`, `learn`, `replay` and
    `Coordinator` take. A name that leads to none is a ValueError.
    """
    if name in RULES:
        return RULES[name]
    file, _, function = name.rpartition(":")
    spec = importlib.util.spec_from_file_location(Path(file).stem, file) if Path(file).is_file() else None
    if spec is None or spec.loader is None:
        raise ValueError(f"RULE={name} is none of {', '.join(RULES)}; or name a function, as in my_rules.py:my_rule")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    if not callable(rule := getattr(module, function, None)):
        raise ValueError(f"RULE={name}: {file} has no function {function}")
    return Paid(rule)
