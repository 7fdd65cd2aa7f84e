"""Break the package on purpose, a little at a time, and list the breaks that no test notices: `make mutants`.

mutmut makes the breaks and runs the tests that reach each. This script draws a sample, keeps to a time, and prints the
survivors and the score of each sub-package. A survivor that changes nothing anybody could see is accepted in
``tests/mutants.toml``, with the reason. Options: `make mutants MUTANTS="--all"`, or ``--only 'mechlib.rules.*'``,
``--sample 400 --minutes 60``.
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
import tempfile
import time
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
STATS = ROOT / "mutants" / "mutmut-stats.json"
MUTMUT = [sys.executable, "-m", "mutmut"]
SURVIVED, UNTESTED = 0, 33  # exit codes that mutmut keeps: all tests passed; no test reaches the function


def main() -> int:
    """Run mutmut on a sample; return 1 if there is a survivor that is not accepted and the score is too low."""
    options = parsed()
    until = time.monotonic() + 60 * options.minutes
    workers = ["--max-children", str(options.workers)]
    STATS.unlink(missing_ok=True)  # tests may reach other functions than last time
    # a name that is none, of which mutmut complains: the breaks are made, and which test reaches which function is seen
    complaint = mutmut(["run", *workers, "none"], until)
    if not STATS.exists():
        raise SystemExit(f"{complaint}\na test fails where nothing is broken: mend that first, with `make unit`")
    names = sorted(name for name in results() if fnmatch.fnmatch(name, options.only))
    if not names:
        raise SystemExit(f"mutmut made no breaks named {options.only}: run it by hand, `python -m mutmut run`")
    if not options.all:
        names = drawn(names, options.sample, options.seed)
    forget(names)
    print(mutmut(["run", *workers, *names], until), file=sys.stderr)
    return report(names, options.score)


def parsed() -> argparse.Namespace:
    """Return the options."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="every break, with no limit but --minutes")
    parser.add_argument("--sample", type=int, default=100, help="how many breaks are tried in each sub-package")
    parser.add_argument("--only", default="*", help="those whose name matches, such as 'mechlib.attacks.audit.*'")
    parser.add_argument("--minutes", type=float, help="when to stop: 20, or a day with --all")
    parser.add_argument("--seed", type=int, default=0, help="of the sample")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--score", type=float, default=0.85, help="the least share to notice in each sub-package")
    options = parser.parse_args()
    options.minutes = options.minutes or (24 * 60 if options.all else 20)
    return options


def pytest_collection_modifyitems(items: list[Any]) -> None:
    """Have the quick tests first: pytest calls it, and a break that a quick test notices is done with."""
    seconds = json.loads(STATS.read_text(encoding="utf-8"))["duration_by_test"] if STATS.exists() else {}
    items.sort(key=lambda item: seconds.get(item.nodeid, 0))


def mutmut(arguments: list[str], until: float) -> str:
    """Run mutmut, and end it with its workers when the time is over or at Ctrl-C; return what it complained of."""
    with (tempfile.TemporaryFile("w+", encoding="utf-8") as complaint,
          subprocess.Popen([*MUTMUT, *arguments], cwd=ROOT, start_new_session=True, stderr=complaint) as process):
        try:
            process.wait(max(until - time.monotonic(), 1))
        except subprocess.TimeoutExpired:
            print("\nthe time is over: what was found by now is kept")
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGTERM)
                process.wait()
        complaint.seek(0)
        return complaint.read()


def results() -> dict[str, int | None]:
    """Return what is known of every break, by its name: None where it was not tried."""
    found: dict[str, int | None] = {}
    for path in (ROOT / "mutants").rglob("*.meta"):
        found |= json.loads(path.read_text(encoding="utf-8"))["exit_code_by_key"]
    return found


def forget(names: Iterable[str]) -> None:
    """Strike out what an earlier run found of these breaks, so that what is not reached counts as not tried."""
    for path in (ROOT / "mutants").rglob("*.meta"):
        kept = json.loads(path.read_text(encoding="utf-8"))
        kept["exit_code_by_key"] |= dict.fromkeys(kept["exit_code_by_key"].keys() & set(names))
        path.write_text(json.dumps(kept, indent=4), encoding="utf-8")


def drawn(names: list[str], sample: int, seed: int) -> list[str]:
    """Return a random sample of the breaks of each sub-package."""
    rng, chosen = random.Random(seed), list[str]()
    for part in sorted({part_of(name) for name in names}):
        own = [name for name in names if part_of(name) == part]
        chosen += rng.sample(own, min(sample, len(own)))
    return chosen


def part_of(name: str) -> str:
    """Return the sub-package that a break is in, such as "rules"."""
    return name.split(".")[1]


def report(names: Iterable[str], least: float) -> int:
    """Print the survivors among the named breaks and the scores; return the exit status."""
    known = results()
    entries = tomllib.loads((ROOT / "tests" / "mutants.toml").read_text(encoding="utf-8"))["accepted"]
    verdicts: dict[str, Counter[str]] = {}
    for name in names:
        count = verdicts.setdefault(part_of(name), Counter())
        if known[name] is None:
            count["not tried"] += 1
        elif known[name] not in (SURVIVED, UNTESTED):
            count["noticed"] += 1
        elif why := reason(name, taken_and_put(name), entries):
            count["accepted"] += 1
            print(f"accepted  {name}: {why}")
        else:
            count["survived"] += 1
            said = "no test reaches it" if known[name] == UNTESTED else "no test notices"
            taken, put = taken_and_put(name)
            print(f"\nSURVIVED  {name}: {said}")
            print(*(f"- {line}" for line in taken), *(f"+ {line}" for line in put), sep="\n")
    print()
    scores = []
    for part, count in verdicts.items():
        judged = count["noticed"] + count["survived"]
        scores.append(count["noticed"] / judged if judged else 0.0)
        print(f"{part:8} {judged + count['accepted']} breaks tried: {count['noticed']} noticed, {count['survived']} "
              f"survived, {count['accepted']} accepted as no change, {count['not tried']} not tried. "
              f"Score {scores[-1]:.0%} (at least {least:.0%})")
    return int(min(scores) < least)


def taken_and_put(name: str) -> tuple[list[str], list[str]]:
    """Return the lines that a break takes out, and those that it puts in."""
    shown = subprocess.run([*MUTMUT, "show", name], cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    changed = [line for line in shown if line[:3] not in ("+++", "---")]
    taken, put = ([line[1:].strip() for line in changed if line[:1] == sign] for sign in "-+")
    return taken, put


def reason(name: str, change: tuple[list[str], list[str]], entries: Iterable[dict[str, str]]) -> str | None:
    """Return why a survivor is accepted, if an entry of the list fits it in all that it says."""
    function, (taken, put) = name.rpartition("__mutmut_")[0], map(" ".join, change)
    return next((entry["why"] for entry in entries
                 if entry.get("function", function) == function and entry.get("becomes", put) == put
                 and ("loses" not in entry or taken.count(entry["loses"]) > put.count(entry["loses"]))), None)


if __name__ == "__main__":
    sys.exit(main())
