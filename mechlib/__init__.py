"""Mechanism design for LLM agents: a mechanism is a function from reports to an outcome."""

import sys

if sys.platform == "emscripten":  # pragma: no cover
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # a browser starts no threads
