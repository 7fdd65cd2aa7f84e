"""Kill a writer without warning, again and again, and pay for its imports once."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator

PARENT = """
import asyncio, os, sys
{set_up}
for _ in sys.stdin:
    if os.fork() == 0:
        print(os.getpid(), flush=True)
        asyncio.run(main())
    os.wait()
    print("dead", flush=True)
"""


def kill_nine(set_up: str, arguments: Iterable[object], counts: Iterable[int]) -> Iterator[list[int]]:
    """Yield, once for each count, the numbers that a process had printed when it was killed.

    `set_up` defines ``async def main()``, which prints a number after each write that it acknowledges. One parent runs
    it, and forks a process for each count. That process is killed a moment after it printed its count-th number; the
    moment grows from trial to trial, so that the signal meets the next write at another point each time.
    """
    command = [sys.executable, "-c", PARENT.format(set_up=set_up), *map(str, arguments)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True, "bufsize": 1}
    # unbuffered, a number and its line break are two writes, and a kill may come between them
    settings = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "PYTHONUNBUFFERED": ""}
    with subprocess.Popen(command, env=settings, **pipes) as parent:  # type: ignore[call-overload]
        for trial, count in enumerate(counts):
            parent.stdin.write("fork\n")
            child = int(parent.stdout.readline())
            lines = [parent.stdout.readline() for _ in range(count)]
            assert "dead\n" not in lines and lines[-1], f"the process ended by itself: {lines}"
            time.sleep(trial * 0.0005)
            os.kill(child, signal.SIGKILL)
            while (line := parent.stdout.readline()) != "dead\n":
                assert line, "the parent died as well"
                lines.append(line)
            yield [int(line) for line in lines]
