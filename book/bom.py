"""Write the software bill of materials that stands beside the book: ``python book/bom.py FILE``.

It is read off the locks and nothing else: Python packages, npm packages, the wheels of the live pages, the weights that
the rosters name, and the actions that continuous integration runs. The form is CycloneDX 1.6 as JSON. A Python package
carries the hashes of all its files that the lock allows.
"""

from __future__ import annotations

import base64
import json
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
PYTHON = [
    "requirements.lock", "requirements-models.lock", "requirements-mutants.lock", "benchmarks/requirements.lock",
    "training/requirements.lock", "book/lite/wheels.lock",
]  # fmt: skip
NPM = "book/package-lock.json"
Component = dict[str, Any]


def component(purl: str, kind: str, name: str, version: str, hashes: list[tuple[str, str]], lock: str) -> Component:
    """Describe one thing as CycloneDX does."""
    made = {"type": kind, "bom-ref": purl, "name": name, "version": version, "purl": purl}
    listed = [{"alg": algorithm, "content": digest} for algorithm, digest in sorted(set(hashes))]
    return {**made, "hashes": listed, "properties": [{"name": "mechlib:lock", "value": lock}]}


def python_packages(lock: str) -> Iterator[Component]:
    """Yield what a lock of pip holds."""
    text = (ROOT / lock).read_text(encoding="utf-8")
    for block in re.split(r"^(?=[A-Za-z0-9])", text, flags=re.M)[1:]:
        name, version = re.match(r"([\w.-]+)==([^\s;\\]+)", block).groups()  # type: ignore[union-attr]
        hashes = [("SHA-256", digest) for digest in re.findall(r"--hash=sha256:([0-9a-f]{64})", block)]
        yield component(f"pkg:pypi/{name}@{version}", "library", name, version, hashes, lock)


def npm_packages() -> Iterator[Component]:
    """Yield what npm's lock holds."""
    for place, entry in json.loads((ROOT / NPM).read_text(encoding="utf-8"))["packages"].items():
        if place:
            name = place.rpartition("node_modules/")[2]
            algorithm, _, digest = entry["integrity"].partition("-")
            assert algorithm == "sha512", f"{name} has a hash of another kind in {NPM}"
            hashes = [("SHA-512", base64.b64decode(digest).hex())]
            purl = f"pkg:npm/{name.replace('@', '%40')}@{entry['version']}"
            made = component(purl, "library", name, entry["version"], hashes, NPM)
            yield made | ({"licenses": [{"license": {"name": entry["license"]}}]} if "license" in entry else {})


def weights() -> Iterator[Component]:
    """Yield the weights that the rosters name."""
    for path in sorted((ROOT / "rosters").glob("*.toml")):
        for name, entry in tomllib.loads(path.read_text(encoding="utf-8")).get("weights", {}).items():
            purl = f"pkg:generic/{entry['file']}?checksum=sha256:{entry['sha256']}"
            hashes = [("SHA-256", entry["sha256"])]
            made = component(purl, "machine-learning-model", name, entry["upstream"], hashes, f"rosters/{path.name}")
            yield {**made, "licenses": [{"license": {"id": entry["licence"]}}]}


def actions() -> Iterator[Component]:
    """Yield the actions that continuous integration runs."""
    for path in sorted((ROOT / ".github" / "workflows").glob("*.yml")):
        for name, commit in re.findall(r"uses: ([\w./-]+)@([0-9a-f]{40})\b", path.read_text(encoding="utf-8")):
            lock = f".github/workflows/{path.name}"
            yield component(f"pkg:github/{name}@{commit}", "application", name, commit, [], lock)


def bill() -> dict[str, Any]:
    """Return the whole bill; what several locks name is listed once, with all that they say."""
    found: dict[str, Component] = {}
    for each in [*(made for lock in PYTHON for made in python_packages(lock)), *npm_packages(), *weights(), *actions()]:
        known = found.setdefault(each["bom-ref"], each)
        for part in ("hashes", "properties"):
            known[part] += [entry for entry in each[part] if entry not in known[part]]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = project.get("version", "0")
    root = {"type": "library", "bom-ref": "mechlib", "name": "mechlib", "version": version,
            "licenses": [{"license": {"id": project["license"]}}]}  # fmt: skip
    components = [found[name] for name in sorted(found)]
    number = uuid.uuid5(uuid.NAMESPACE_URL, json.dumps([root, components], sort_keys=True))  # same locks, same number
    return {"bomFormat": "CycloneDX", "specVersion": "1.6", "serialNumber": f"urn:uuid:{number}", "version": 1,
            "metadata": {"component": root}, "components": components}  # fmt: skip


if __name__ == "__main__":
    made = bill()
    Path(sys.argv[1]).write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
    print(f"{Path(sys.argv[1]).name}: {len(made['components'])} components in the software bill of materials")
