"""What a wheel carries beside the code: the course's notebooks, rosters, questions, exercises, recordings and figures.

In the repository they lie where they belong; ``mechlib.agents.folders`` finds them in either place.
"""

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

SHIPPED = ["notebooks/*.ipynb", "notebooks/checks/*.toml", "rosters/*.toml", "data/*.jsonl", "recordings/*.jsonl"]
SHIPPED += ["recordings/*/*.jsonl", "benchmarks/results.json", "training/results/*.json"]


class Shipped(BuildHookInterface):
    """Puts the files under ``mechlib/_data``, laid out as in the repository."""

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Name the files to the builder; an editable install reads the repository's own."""
        if version == "editable":
            return
        root = Path(self.root)
        names = [path.relative_to(root).as_posix() for pattern in SHIPPED for path in sorted(root.glob(pattern))]
        build_data["force_include"].update({str(root / name): f"mechlib/_data/{name}" for name in names})
