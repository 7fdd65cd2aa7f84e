"""Install the npm packages that build the book, and lay the explorers under ``book/assets/vendor``.

Usage: ``python book/vendor.py``. The versions are those of ``package-lock.json``; ``npm ci`` checks what it unpacks
against the hashes there. Nothing is fetched when the unpacked packages already match the lock.
"""

from __future__ import annotations

import json
import shutil
import subprocess
from pathlib import Path

BOOK = Path(__file__).resolve().parent
MODULES = BOOK / "node_modules"
VENDOR = BOOK / "assets" / "vendor"
SCRIPTS = ("explore_models.js", "explore_evolution.js", "explore_view.js")
EXPLORERS = [BOOK.parent / "mechlib" / "course" / name for name in SCRIPTS]

# as soon as the page is parsed, before the scripts that are deferred
WAKE = """
if (document.readyState === "loading") document.addEventListener("readystatechange", () => wake(), { once: true });
else wake();
"""


def installed() -> bool:
    """Say whether ``node_modules`` holds exactly what the lock names."""
    record = MODULES / ".package-lock.json"
    if not record.exists():
        return False
    wanted = json.loads((BOOK / "package-lock.json").read_text())["packages"]
    wanted.pop("")
    return bool(json.loads(record.read_text())["packages"] == wanted)


def install() -> None:
    """Unpack the locked npm packages, from npm's own cache where it has them."""
    if not installed():
        subprocess.run(["npm", "ci", "--prefer-offline", "--no-audit", "--no-fund"], cwd=BOOK, check=True)


def main() -> None:
    """Install the npm packages, and join the explorers to one script."""
    install()
    shutil.rmtree(VENDOR, ignore_errors=True)
    VENDOR.mkdir(parents=True)
    script = "".join(path.read_text(encoding="utf-8") for path in EXPLORERS) + WAKE
    (VENDOR / "explorers.js").write_text(script, encoding="utf-8")


if __name__ == "__main__":
    main()
