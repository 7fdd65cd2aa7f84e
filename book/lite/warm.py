"""Do what every chapter does first, so that the frozen Python has done it.

Nothing here is for its own sake: each line brings modules and tables that a chapter would wait for. `build.py` lets it
run after the imports of all chapters, and then awaits `hear`.
"""

import json
import multiprocessing.context  # noqa: F401

import piplite.piplite  # noqa: F401
from anthropic.resources.messages import batches  # noqa: F401
from IPython.core import logger  # noqa: F401

from mechlib import client
from mechlib.agents import personas  # noqa: F401
from mechlib.agents.folders import find
from mechlib.course import plots

exec("from numpy import *", {})  # as scipy does, with modules of numpy's that nothing else asks for

figure, (left, right) = plots.figure(columns=2)
plots.lines([1, 2], {"one": [0, 1], "two": [1, 0]}, axes=left, title="Title", xscale="log")
plots.bars({"one": 1.0, "two": 0.5}, axes=right)
plots.png(figure)


async def hear() -> None:
    """Replay a call, which nobody keeps."""
    with find("recordings/incentives.jsonl").open(encoding="utf-8") as recorded:
        request = json.loads(recorded.readline())["request"]["body"]
    await client("incentives").messages.create(**request)
