"""A template: read your own router's log, audit it, write the report: ``python examples/audit_router.py LOG.jsonl``.

Change `decision` until it reads a line of your log. The fields that it reads here are those of the sample, which is
audited when no log is named.
"""

import json
import sys
from pathlib import Path
from typing import Any

from mechlib import audit_router
from mechlib.agents.folders import find


def decision(line: dict[str, Any]) -> dict[str, Any]:
    """Return a line of your log as one decision."""
    return {
        "scores": line["scores"],  # by model, in [0, 1]; None for a model that was not asked
        "costs": line["costs"],  # by model, in any one unit of money; leave it out if you do not know
        "chosen": line["chosen"],  # the model's name
        "found": line["found"],  # by model: 1 right, 0 wrong; or one number, of the chosen model; or None
    }


def main() -> None:
    """Audit the log and write the report beside it, into the working directory."""
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else find("data/router.jsonl")
    lines = path.read_text(encoding="utf-8").splitlines()
    report = audit_router(decision(json.loads(line)) for line in lines if line.strip())
    Path("router.html").write_text(report.page(), encoding="utf-8")
    print(report)
    print("\nThe same as a page: router.html")


if __name__ == "__main__":
    main()
