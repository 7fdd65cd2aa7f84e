"""A router's log: what it knew of each model, whom it chose, and what came of it. One JSON object a decision::

    {"id": "q-17", "scores": {"small": 0.9, "large": 0.8},
     "costs": {"small": 80, "large": 800},
     "chosen": "small", "found": {"small": 0, "large": 1}}

`scores` are what the choice was made by, in [0, 1]; a model without one, or with null, was not asked or said nothing.
`costs` may be left out. So may `found`, how right each answer was (1, 0, or a grade between): of all models, of some,
or a single number for the chosen one.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mechlib.mechanism import Bools, Floats, Ints


@dataclass(frozen=True, repr=False)
class Log:
    """Decisions in the order they were made; NaN is what was not logged.

    Attributes
    ----------
    models : tuple of str
        In the order of their mean cost, or of their names where no costs are known.
    scores, costs, found : arrays (decisions, models)
    chosen : array of int (decisions,)
        Which model, by number.
    """

    models: tuple[str, ...]
    scores: Floats
    costs: Floats
    found: Floats
    chosen: Ints

    def __len__(self) -> int:
        """Return the number of decisions."""
        return len(self.chosen)

    @property
    def choices(self) -> Floats:
        """1 for the chosen model, 0 for the others, (decisions, models)."""
        return np.eye(len(self.models))[self.chosen]

    @property
    def priced(self) -> bool:
        """Whether the cost of every model that could be chosen is known."""
        return not np.isnan(self.costs[~np.isnan(self.scores)]).any()

    @property
    def complete(self) -> Bools:
        """Which decisions can be replayed: it is known of every model that spoke whether it was right, (decisions,)."""
        return np.asarray((np.isnan(self.scores) | ~np.isnan(self.found)).all(axis=1))


def read_log(log: str | Path | Iterable[Mapping[str, Any]]) -> Log:
    """Read a log from a file of JSON lines, or from the objects themselves.

    Raises
    ------
    ValueError
        If a line is no decision, and which; if fewer than two models are ever scored, or there is no line.
    """
    if isinstance(log, (str, Path)):
        lines = Path(log).read_text(encoding="utf-8").split("\n")  # splitlines() also splits at U+2028
        numbered = [(number, line) for number, line in enumerate(lines, 1) if line.strip()]
        rows = [(number, _parsed(number, line)) for number, line in numbered]
    elif isinstance(log, Iterable) and not isinstance(log, (bytes, Mapping)):
        rows = [*enumerate(log, 1)]
    else:
        raise TypeError(f"log is {log!r:.80}: it must be the name of a file of JSON lines, or the objects in it")
    for number, row in rows:
        _check(number, row)
    models = sorted({model for _, row in rows for model, score in row["scores"].items() if score is not None})
    if len(models) < 2:
        raise ValueError(f"the log has scores of {models or 'no model'}: a router chooses among two models or more")
    tables = {name: np.full((len(rows), len(models)), np.nan) for name in ("scores", "costs", "found")}
    for t, (_, row) in enumerate(rows):
        for name, table in tables.items():
            given = row.get(name) or {} if name != "found" else _found(row)
            table[t] = [np.nan if given.get(model) is None else float(given[model]) for model in models]
    chosen = np.array([models.index(row["chosen"]) for _, row in rows])
    with np.errstate(invalid="ignore"):
        mean = np.nansum(tables["costs"], axis=0) / (~np.isnan(tables["costs"])).sum(axis=0)
    order = np.argsort(np.nan_to_num(mean), kind="stable")
    rank = np.argsort(order)
    scores, costs, found = (table[:, order] for table in tables.values())
    return Log(tuple(models[i] for i in order), scores, costs, found, rank[chosen])


def _parsed(number: int, line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"log, line {number} is not JSON ({error}): write one object a line") from None


def _check(number: int, row: Any) -> None:
    """Refuse what is no decision, by the number of its line."""
    where = f"log, decision {number}"
    if not isinstance(row, Mapping) or not {"scores", "chosen"} <= set(row) or not isinstance(row["scores"], Mapping):
        raise ValueError(f"{where} must be an object with scores, by model, and the model that was chosen")
    found = _found(row)
    costs = row.get("costs") or {}
    for name, table, top in (("scores", row["scores"], 1.0), ("costs", costs, np.inf), ("found", found, 1.0)):
        if not isinstance(table, Mapping):
            raise ValueError(f"{where}: {name} is {table!r:.40}; give a number for each model, by name")
        for model, value in table.items():
            if value is not None and not (isinstance(value, (int, float)) and 0 <= value <= top and value < np.inf):
                raise ValueError(f"{where}: {name} of {model!r} is {value!r:.40}; give a number "
                                 f"{'in [0, 1]' if top == 1 else 'of at least 0'}, or null where there is none")
            if model not in row["scores"] and value is not None:
                raise ValueError(f"{where}: {name} has a model {model!r:.40} of which there is no score; score it, as "
                                 "null if it said nothing")
    if not isinstance(row["chosen"], str) or not all(isinstance(model, str) for model in row["scores"]):
        raise ValueError(f"{where} must name its models as text; it chose {row['chosen']!r:.40}")
    if row["scores"].get(row["chosen"]) is None:
        raise ValueError(f"{where}: {row['chosen']!r} was chosen, and has no score; it has scores of "
                         f"{', '.join(row['scores'])}")


def _found(row: Mapping[str, Any]) -> Any:
    found = row.get("found")
    return {row["chosen"]: found} if isinstance(found, (int, float)) else found or {}
