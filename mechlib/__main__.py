"""Command line: ``mechlib models | serve | record NOTEBOOK ... | recordings check | recordings prune |
router LOG.jsonl | course``.
"""

from __future__ import annotations

import argparse
import os
import re
import sys
import tempfile
from importlib import metadata
from pathlib import Path
from typing import Any

from mechlib.agents import notebooks, plan, weights
from mechlib.agents.folders import find, home, shipped
from mechlib.agents.recordings import dump, key, read, tidy
from mechlib.agents.roster import Roster

_SECRET = re.compile(r"""sk-ant-\w|"(authorization|x-api-key|api[-_]key|cookie)"\s*:|\bBearer\s+\w{16}""", re.I)


def main(arguments: list[str] | None = None) -> int:
    """Run one command and return its exit status."""
    parser = argparse.ArgumentParser(prog="mechlib", description=__doc__)
    parser.add_argument("--version", action="version", version=f"mechlib {metadata.version('mechlib')}")
    commands = parser.add_subparsers(dest="command", required=True)
    fetch = commands.add_parser("models", help="download the weights")
    fetch.set_defaults(run=_models)
    serve = commands.add_parser("serve", help="serve the open models until Ctrl-C")
    serve.set_defaults(run=_serve)
    serve.add_argument("model", nargs="*", help="only these (default: all)")
    for command in (fetch, serve):
        command.add_argument("--roster", default="open")
    record = commands.add_parser("record", help="run notebooks and record what is missing")
    record.set_defaults(run=_record)
    record.add_argument("notebook", nargs="+", type=Path)
    record.add_argument("--roster", default=os.environ.get("MECHLIB_ROSTER") or "open", help="default: MECHLIB_ROSTER")
    record.add_argument("--dry-run", action="store_true", help="print calls, tokens and cost, and send nothing")
    record.add_argument("--batch", action="store_true", help="send what can wait by Message Batches, at half the price")
    record.add_argument("--output", type=Path, help="folder for the executed notebooks (.cache/executed/ROSTER)")
    kept = commands.add_parser("recordings", help="check them, or drop what no notebook asks for")
    kept.set_defaults(run=_recordings)
    kept.add_argument("action", choices=["check", "prune"])
    kept.add_argument("--usage", default=os.environ.get("MECHLIB_USAGE"), help="logs of the keys that were replayed")
    router = commands.add_parser("router", help="audit a router by its log of choices, scores and costs")
    router.set_defaults(run=_router)
    router.add_argument("log", nargs="?", type=Path, help="JSON lines (default: the sample in the package)")
    router.add_argument("--worth", type=float, help="what a right answer is worth, in the money of the costs")
    router.add_argument("--prize", type=float, help="what being chosen is worth to a model's owner, beyond its cost")
    router.add_argument("--html", type=Path, help="write the report there, as a page")
    course = commands.add_parser("course", help="copy the course's notebooks into a folder")
    course.set_defaults(run=_course)
    course.add_argument("folder", nargs="?", type=Path, default=Path("mechlib-course"))
    options = parser.parse_args(arguments)
    try:
        return int(options.run(options))
    except (OSError, ValueError, RuntimeError) as error:
        print(f"mechlib {options.command}: {error}", file=sys.stderr)
        return 1


def _models(options: argparse.Namespace) -> int:
    for name, entry in Roster.load(options.roster).weights.items():
        print(f"{name}: {weights.fetch(entry)}, SHA-256 as the roster says ({entry['licence']})")
    return 0


def _serve(options: argparse.Namespace) -> int:
    weights.serve(Roster.load(options.roster), options.model)
    return 0


def _record(options: argparse.Namespace) -> int:
    before, name, failed = dict(os.environ), Path(options.roster).stem, 0
    os.environ.update(MECHLIB_ROSTER=str(options.roster), MECHLIB_HOME=str(home()))
    try:
        for path in options.notebook:
            asked = _planned(path) if options.dry_run or options.batch else []
            if options.dry_run or options.batch:
                print(f"{path.name}, roster {name}:\n{plan.report(asked, Roster.load(), options.batch)}", flush=True)
            if options.batch and not options.dry_run:
                _by_batches(path, asked)
            if not options.dry_run:
                failed += _recorded(path, name, options.output, len(asked) or None)
    finally:
        os.environ.clear()
        os.environ.update(before)
    for cassette in _cassettes().values():
        tidy(cassette)
    return 1 if failed else 0


def _recorded(path: Path, roster: str, output: Path | None, total: int | None) -> int:
    """Run a notebook, record what is missing, save what was executed; return how many cells failed."""
    run, made = _execute(path, "record", roster != "open", path.name, total)
    saved = notebooks.save(run, (output or home() / ".cache" / "executed" / roster) / path.name)
    print(f"{saved}: executed, with {len(made)} calls", flush=True)
    for sentence in dict.fromkeys(run.left_out):
        print(f"left out: {sentence}")
    if run.failed and roster == "open":
        raise RuntimeError(f"{path.name} stopped; what was recorded is kept.\n{run.failed[0]}")
    for error in run.failed:
        print(f"failed: {error}", file=sys.stderr)
    return len(run.failed)


def _planned(path: Path) -> list[plan.Call]:
    """Run a notebook on what is recorded and on stand-ins, and return its calls."""
    return _execute(path, "plan", True, f"{path.name}, planned", None)[1]


def _execute(
    path: Path, mode: str, go_on: bool, title: str, total: int | None
) -> tuple[notebooks.Run, list[plan.Call]]:
    with tempfile.TemporaryDirectory() as scratch:
        log = Path(scratch) / "calls.jsonl"
        os.environ.update(MECHLIB_LLM=mode, MECHLIB_CALLS=str(log))
        return notebooks.execute(path, go_on, log, title, total), plan.calls(log)


def _by_batches(path: Path, asked: list[plan.Call]) -> None:
    """Record by Message Batches what rests on no reply that is missing; then what rests on the new replies."""
    import anthropic

    from mechlib.agents import batches

    tried: set[str] = set()
    while ready := [call for call in batches.suitable(plan.missing(asked)) if call.key not in tried]:
        tried |= {call.key for call in ready}
        kept, lost = batches.record(ready, anthropic.Anthropic())
        print(f"{kept} of {len(ready)} calls were recorded by batches", *lost, sep="\n", flush=True)
        asked = _planned(path)


def _recordings(options: argparse.Namespace) -> int:
    used, cassettes = _used(options.usage), _cassettes()
    if options.action == "prune":
        if used is None:
            raise ValueError("prune must know what is asked for: run `make notebooks`, then give --usage .cache/usage")
        for name in sorted(cassettes.keys() & used.keys()):
            print("{}.jsonl: kept {}, dropped {}".format(name, *tidy(cassettes[name], used[name])))
    problems, calls = 0, 0
    for name in sorted(cassettes.keys() | (used or {}).keys()):
        entries = read(home() / "recordings" / f"{name}.jsonl")
        if used is not None and name not in used:
            print(f"{name}.jsonl: no notebook reads it yet")
        found = _problems(entries, None if used is None else used.get(name))
        for problem in found:
            print(f"{name}.jsonl: {problem}", file=sys.stderr)
        problems, calls = problems + len(found), calls + len(entries)
    scope = "also against what the notebooks asked for" if used is not None else "usage not known: run `make notebooks`"
    print(f"{calls} recorded calls in {len(cassettes)} cassettes, {problems} problems ({scope})")
    return 1 if problems else 0


def _router(options: argparse.Namespace) -> int:
    from mechlib.attacks.router import audit_router

    report = audit_router(options.log or find("data/router.jsonl"), worth=options.worth, prize=options.prize)
    if options.html:
        options.html.write_text(report.page(), encoding="utf-8")
        print(f"the report is in {options.html}")
    else:
        print(report)
    return 0


def _course(options: argparse.Namespace) -> int:
    pages = sorted((shipped() / "notebooks").glob("*.ipynb"))
    options.folder.mkdir(parents=True, exist_ok=True)
    for path in pages:
        target = options.folder / path.name
        if target.exists():
            raise FileExistsError(f"{target} is there already, and may hold your work: name another folder")
        target.write_bytes(path.read_bytes())
    print(f"{len(pages)} notebooks in {options.folder}: open them with `jupyter lab {options.folder}`")
    return 0


def _cassettes() -> dict[str, Path]:
    """Return the recordings by name: those of a roster with a folder of its own as ``folder/name``."""
    root = home() / "recordings"
    paths = sorted([*root.glob("*.jsonl"), *root.glob("*/*.jsonl")])
    return {path.relative_to(root).with_suffix("").as_posix(): path for path in paths}


def _problems(entries: list[dict[str, Any]], used: set[str] | None) -> list[str]:
    found = []
    for entry in entries:
        request, name = entry["request"], entry["key"][:12]
        if entry["key"] != key(**request):
            found.append(f"{name} is not the key of its request: the line was edited; record it again")
        if missing := {"weights", "server", "sdk", "date", "seconds"} - set(entry["provenance"]):
            found.append(f"{name} does not say its {', '.join(sorted(missing))}; record it again")
        if _SECRET.search(dump(entry)) or "headers" in request:
            found.append(f"{name} holds what looks like a header or a key; delete the line")
        if used is not None and entry["key"] not in used:
            found.append(f"{name} is asked for by no notebook; `python -m mechlib recordings prune` drops it")
    for stranger in sorted((used or set()) - {entry["key"] for entry in entries}):
        found.append(f"{stranger[:12]} was asked for and is missing; record it")
    return found


def _used(folder: str | None) -> dict[str, set[str]] | None:
    logs = [*Path(folder).glob("*.txt"), *Path(folder).glob("*/*.txt")] if folder else []
    used: dict[str, set[str]] = {}
    for log in logs:
        name = log.relative_to(str(folder)).as_posix().rpartition("-")[0]
        used.setdefault(name, set()).update(log.read_text(encoding="ascii").split())
    return used if logs else None


if __name__ == "__main__":
    sys.exit(main())
