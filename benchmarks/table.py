"""How the benchmarks measure, ask a peer, and keep what they found: one row a claim in results.json."""

import json
import platform
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv" / "peers" / "bin" / "python"
RESULTS = HERE / "results.json"


class Ratio(NamedTuple):
    """One figure of merit, and the goal it is held against: at_least, at_most, or neither."""

    what: str
    value: float
    at_least: float | None = None
    at_most: float | None = None

    def verdict(self) -> str:
        """Say whether the goal is met."""
        if self.at_least is None and self.at_most is None:
            return "no goal"
        met = self.value >= self.at_least if self.at_least is not None else self.value <= (self.at_most or 0)
        goal = f"at least {self.at_least:g}" if self.at_least is not None else f"at most {self.at_most:g}"
        return f"{goal}: {'met' if met else 'MISSED'}"


def best_of(function: Callable[[], Any], times: int = 3) -> tuple[float, Any]:
    """Return the least process time of some runs, in seconds, and the last result."""
    best = float("inf")
    for _ in range(times):
        start = time.process_time()
        result = function()
        best = min(best, time.process_time() - start)
    return best, result


def ask_peer(code: str, data: Any) -> Any:
    """Run code in the peers' own environment; it reads `data`, may call `best_of`, and sets `answer`."""
    prelude = textwrap.dedent("""
        import json, sys, time
        data = json.load(sys.stdin)
        def best_of(function, times=3):
            best = float("inf")
            for _ in range(times):
                start = time.process_time(); result = function(); best = min(best, time.process_time() - start)
            return best, result
    """)
    done = subprocess.run([str(PEERS), "-c", prelude + textwrap.dedent(code) + "\nprint(json.dumps(answer))"],
                          input=json.dumps(data), capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"the peer failed; `make bench` installs it into {PEERS.parent}.\n{done.stderr[-2000:]}")
    return json.loads(done.stdout.splitlines()[-1])


def processor() -> str:
    """Name the machine's processor as the system does."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":")[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return platform.processor() or platform.machine()


def report(name: str, what: str, checked: str, seconds: dict[str, float], ratios: list[Ratio],
           packages: tuple[str, ...] = ("numpy", "scipy")) -> None:
    """Print a row and keep it in results.json under its name, with the machine, the date and the versions."""
    print(f"\n{name}: {what}\n  same answer: {checked}")
    for label, taken in seconds.items():
        print(f"  {taken:12.6f} s  {label}")
    for ratio in ratios:
        print(f"  {ratio.value:12.4g} x  {ratio.what}  ({ratio.verdict()})")
    sys.stdout.flush()
    rows = json.loads(RESULTS.read_text()) if RESULTS.exists() else {}
    rows[name] = {
        "what": what,
        "same_answer": checked,
        "seconds": seconds,
        "ratios": [ratio._asdict() | {"verdict": ratio.verdict()} for ratio in ratios],
        "machine": f"{processor()}, Python {platform.python_version()}",
        "date": datetime.now(UTC).date().isoformat(),
        "versions": {package: version(package) for package in packages},
    }
    RESULTS.write_text(json.dumps(rows, indent=1, sort_keys=True) + "\n")
