"""Install the peers into their own environment, run every benchmark, and print what was kept as one table.

Names of files as arguments run only those: `python benchmarks/run.py vcg paths`.
"""

import json
import subprocess
import sys
import venv
from pathlib import Path

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv" / "peers"
NOT_BENCHMARKS = {"run", "table", "reproduce"}  # the last needs the models


def main(wanted: list[str]) -> None:
    """Run the benchmarks one after the other, each in a process of its own; a missed goal is reported, not an error."""
    stamp = PEERS / ".installed"
    wishes = (HERE / "requirements.lock").read_text()
    if not stamp.exists() or stamp.read_text() != wishes:
        print("installing the peers into .venv/peers", flush=True)
        venv.create(PEERS, with_pip=True)
        subprocess.run([PEERS / "bin" / "python", "-m", "pip", "--disable-pip-version-check", "install", "--quiet",
                        "--no-deps", "--only-binary", ":all:", "--require-hashes", "-r", HERE / "requirements.lock"],
                       check=True)
        stamp.write_text(wishes)
    for path in sorted(HERE.glob("*.py")):
        if path.stem in NOT_BENCHMARKS or (wanted and path.stem not in wanted):
            continue
        if subprocess.run([sys.executable, path], check=False).returncode:
            print(f"{path.name} stopped with an error; its other rows are as they were.")
    rows = json.loads((HERE / "results.json").read_text())
    print(f"\n{'row':24}{'ratio':>10}  goal")
    for name, row in sorted(rows.items()):
        for ratio in row["ratios"]:
            print(f"{name:24}{ratio['value']:10.4g}  {ratio['verdict']}  [{ratio['what']}]")


if __name__ == "__main__":
    main(sys.argv[1:])
