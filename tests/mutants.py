"""Break the package on purpose, a little at a time, and list the breaks that no test notices: `make mutants`.

mutmut makes the breaks and runs the tests that reach each. This script draws a sample, keeps to a time, and prints the
score and the survivors. A survivor that changes nothing anybody could see is accepted in ``tests/mutants.toml``, with
the reason. Options: `make mutants MUTANTS="--all"`, or ``--only 'mechlib.rules.*'``, ``--sample 400 --minutes 60``.
"""

from __future__ import annotations

import argparse
import fnmatch
import json
import os
import random
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
MUTMUT = [sys.executable, "-m", "mutmut"]
SURVIVED, UNTESTED = 0, 33  # exit codes that mutmut keeps: all tests passed; no test reaches the function


def main() -> int:
    """Run mutmut on a sample; return 1 if there is a survivor that is not accepted and the score is too low."""
    options = parsed()
    until = time.monotonic() + 60 * options.minutes
    workers = ["--max-children", str(options.workers)]
    # a name that is none: the breaks are made, and it is found out which test reaches which function
    mutmut(["run", *workers, "none"], until)
    names = sorted(name for name in results() if fnmatch.fnmatch(name, options.only))
    if not names:
        raise SystemExit(f"mutmut made no breaks named {options.only}: run it by hand, `python -m mutmut run`")
    if options.sample and not options.all:
        names = random.Random(options.seed).sample(names, min(options.sample, len(names)))
    mutmut(["run", *workers, *names], until)
    return report(names, options.score)


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every break, with no limit but --minutes")
    parser.add_argument("--sample", type=int, default=300, help="how many breaks are tried")
    parser.add_argument("--only", default="*", help="those whose name matches, such as 'mechlib.attacks.audit.*'")
    parser.add_argument("--minutes", type=float, help="when to stop: 20, or a day with --all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--score", type=float, default=0.85, help="the least share that tests must notice")
    options = parser.parse_args()
    options.minutes = options.minutes or (24 * 60 if options.all else 20)
    return options


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Have the quick tests first: pytest calls it, and a break that a quick test notices is done with."""
    kept = ROOT / "mutants" / "mutmut-stats.json"
    seconds = json.loads(kept.read_text(encoding="utf-8"))["duration_by_test"] if kept.exists() else {}
    items.sort(key=lambda item: seconds.get(item.nodeid, 0))


def mutmut(arguments: list[str], until: float) -> None:
    """Run mutmut, and end it with its workers when the time is over or at Ctrl-C: what it found by then is kept."""
    with subprocess.Popen([*MUTMUT, *arguments], cwd=ROOT, start_new_session=True) as process:
        try:
            process.wait(max(until - time.monotonic(), 1))
        except subprocess.TimeoutExpired:
            print("\nthe time is over")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)


def results() -> dict[str, int | None]:
    """Return what is known of every break, by its name: None where it was not tried."""
    found: dict[str, int | None] = {}
    for path in (ROOT / "mutants").rglob("*.meta"):
        found |= json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return found


def report(names: Iterable[str], least: float) -> int:
    """Print the survivors among the named breaks and the score; return the exit status."""
    known = results()
    tried = [name for name in names if known[name] is not None]
    survivors = [name for name in tried if known[name] in (SURVIVED, UNTESTED)]
    accepted, left = 0, 0
    for name in survivors:
        change = difference(name)
        if why := reason(name, change):
            accepted += 1
            print(f"accepted  {name}: {why}")
        else:
            left += 1
            said = "no test reaches it" if known[name] == UNTESTED else "no test notices"
            print(f"\nSURVIVED  {name}: {said}\n{change}")
    noticed = len(tried) - len(survivors)
    judged = noticed + left
    score = noticed / judged if judged else 0.0
    print(f"\n{len(tried)} breaks tried: {noticed} noticed, {left} survived, {accepted} accepted as no change. "
          f"Score {score:.0%} (at least {least:.0%})")
    return int(score < least)


def difference(name: str) -> str:
    """Return the lines that a break takes out and puts in."""
    shown = subprocess.run([*MUTMUT, "show", name], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    return "\n".join(line for line in shown if line[:1] in "+-" and line[:3] not in ("+++", "---"))


def reason(name: str, change: str) -> str | None:
    """Return why a survivor is accepted, if it is: its function and the lines it puts in are on the list."""
    function = name.rpartition("__mutmut_")[0]
    put_in = " ".join(line[1:].strip() for line in change.splitlines() if line.startswith("+"))
    accepted = tomllib.loads((ROOT / "tests" / "mutants.toml").read_text(encoding="utf-8")).get("accepted", [])
    return next((entry["why"] for entry in accepted
                 if entry["function"] == function and entry["becomes"] == put_in), None)


if __name__ == "__main__":
    sys.exit(main())
