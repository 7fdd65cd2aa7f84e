"""What the repository promises as a whole: its locks, its documents and its house rules."""

import doctest
import importlib
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

import mechlib

ROOT = Path(__file__).resolve().parent.parent
COPIES = r"docslib|paperzz|studylib|scribd|paperexplained|biolab|pdfkul|osti\.gov"  # sites that keep texts of others
LOCKS = ["requirements.lock", "requirements-models.lock", "requirements-mutants.lock"]
TEXT = set(".bib .cff .cfg .css .ipynb .js .json .jsonl .lock .md .mjs .py .svg .toml .yml".split())  # noqa: SIM905


def tracked() -> list[Path]:
    """Return the files that belong to the project: what git tracks, or would."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout.splitlines()
    return [path for name in names if (path := ROOT / name).is_file()]


FILES = tracked()
TEXTS = [path for path in FILES if path.suffix in TEXT or path.name in {"Makefile", "LICENSE", "run"}]
MODULES = sorted(
    ".".join(path.relative_to(ROOT).with_suffix("").parts)
    for path in (ROOT / "mechlib").rglob("*.py")
    if not path.stem.startswith("__")
)
DOCUMENTS = ["README.md", "book/index.md", "book/api.md"]
DOCUMENTS += sorted(path.relative_to(ROOT).as_posix() for path in (ROOT / "book" / "howto").glob("*.md"))
DOCUMENTS.remove("book/howto/bring_agents.md")  # its blocks are programs, which tests/test_agents.py runs
KEYS = r"sk-ant-[\w-]{8,}|\bsk-[A-Za-z0-9]{20,}|ghp_[A-Za-z0-9]{20,}|AKIA[0-9A-Z]{16}|BEGIN [A-Z ]*PRIVATE KEY"


def module_file(name: str) -> str:
    """Return the path of a module's source."""
    return name.replace(".", "/") + ".py"


def pins(lock: str) -> list[str]:
    """Return a lock's requirements, without their hashes."""
    return re.findall(r"^([a-z0-9].*==.*?) \\$", (ROOT / lock).read_text(), flags=re.M)


def offences(pattern: str, paths: list[Path]) -> list[str]:
    """Return every place in the texts where a pattern occurs, as ``file:line``."""
    found = re.compile(pattern)
    return [
        f"{path.relative_to(ROOT)}:{number}"
        for path in paths
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1)
        if found.search(line)
    ]


def test_conda_gets_the_versions_of_the_lock() -> None:
    environment = yaml.safe_load((ROOT / "environment.yml").read_text())
    names = [entry for entry in environment["dependencies"] if isinstance(entry, str)]
    (pip,) = [entry["pip"] for entry in environment["dependencies"] if isinstance(entry, dict)]
    assert {"pip"} < set(names) and any(name.startswith("python") for name in names)
    assert pip == [*pins("requirements.lock"), "-e ."], "run `make environment.yml`"


@pytest.mark.parametrize("lock", LOCKS)
def test_a_lock_has_a_hash_for_everything_and_names_no_index(lock: str) -> None:
    text = (ROOT / lock).read_text()
    blocks = re.split(r"^(?=[a-z0-9])", text, flags=re.M)[1:]
    assert len(blocks) == len(pins(lock)) and all("--hash=sha256:" in block for block in blocks)
    assert not re.search(r"index-url|find-links|trusted-host|https?://|file:", text)


@pytest.mark.parametrize(
    "lock", ["benchmarks/requirements.lock", "training/requirements.lock", "book/lite/wheels.lock"]
)
def test_whatever_else_is_installed_has_hashes_too(lock: str) -> None:
    blocks = re.split(r"^(?=[a-z0-9])", (ROOT / lock).read_text(), flags=re.M)[1:]
    assert blocks and all(re.match(r"[\w.-]+==[\w.]+", block) and "--hash=sha256:" in block for block in blocks)
    if lock.startswith("benchmarks"):
        wanted = re.findall(r"^[\w-]+==[\w.]+", (ROOT / "benchmarks" / "requirements.in").read_text(), flags=re.M)
        assert {block.split(" ")[0] for block in blocks} >= set(wanted)


def test_every_install_of_the_project_checks_hashes() -> None:
    makefile, bench = (ROOT / "Makefile").read_text(), (ROOT / "benchmarks" / "run.py").read_text()
    installs = [line for line in makefile.splitlines() if "$(PIP) " in line]
    assert len(installs) >= 4 and all("--require-hashes" in line or line.endswith("-e .") for line in installs)
    assert "--require-hashes" in bench and "requirements.lock" in bench


def test_actions_are_pinned_by_commit() -> None:
    for path in (ROOT / ".github" / "workflows").glob("*.yml"):
        used = re.findall(r"uses: (.*)", path.read_text())
        assert used and all(re.fullmatch(r"[\w./-]+@[0-9a-f]{40} # v\d+", each) for each in used), path.name


def test_the_bill_of_materials_holds_every_lock() -> None:
    command = [sys.executable, "-c", "import json, bom; print(json.dumps(bom.bill()))"]
    said = subprocess.run(command, cwd=ROOT / "book", capture_output=True, text=True, check=True).stdout
    bill = json.loads(said)
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.6")
    listed = {each["bom-ref"]: each for each in bill["components"]}
    every = [path.read_text() for path in tracked() if path.suffix == ".lock"]
    pinned = {f"pkg:pypi/{name}@{version}" for text in every
              for name, version in re.findall(r"^([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", text, re.M)}
    assert len(listed) == len(bill["components"])
    assert {ref for ref in listed if ref.startswith("pkg:pypi/")} == pinned and len(pinned) > 200
    for lock in LOCKS:
        for pin in pins(lock):
            each = listed[f"pkg:pypi/{pin.partition(' ')[0].replace('==', '@')}"]
            digests = re.findall(rf"^{re.escape(pin)} \\\n((?: +--hash=.*\n)+)", (ROOT / lock).read_text(), flags=re.M)
            wanted = set(re.findall(r"[0-9a-f]{64}", digests[0]))
            assert wanted and wanted <= {entry["content"] for entry in each["hashes"]}
    npm = json.loads((ROOT / "book" / "package-lock.json").read_text())["packages"]
    assert sum(ref.startswith("pkg:npm/") for ref in listed) == sum(map(bool, npm)) > 0
    assert sum(ref.startswith("pkg:github/") for ref in listed) == 6
    assert all(each["hashes"] for ref, each in listed.items() if not ref.startswith("pkg:github/"))


def test_the_locks_agree() -> None:
    first, *others = (dict(pin.split("==", 1) for pin in pins(lock) if ";" not in pin) for lock in LOCKS)
    assert all(first[name] == version for lock in others for name, version in lock.items() if name in first)


def test_no_machine_s_paths_and_no_keys_are_in_the_tree() -> None:
    here = Path(__file__)
    texts = [path for path in TEXTS if path != here]
    assert offences(r"/(?:home|Users|root|work)/\w", texts) == []
    assert offences(KEYS, texts) == []


def test_the_package_names_nothing_utils_or_helpers() -> None:
    parts = {part for module in MODULES for part in module.split(".")}
    assert not {"utils", "util", "helpers", "common", "misc"} & parts


def test_every_module_is_in_the_reference() -> None:
    shown = re.findall(r"automodule:: ([\w.]+)", (ROOT / "book" / "api.md").read_text())
    assert sorted(shown) == MODULES


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_examples_in_the_documents_are_true(
    document: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are run in a folder of their own: what they show does not depend on the repository around them."""
    monkeypatch.chdir(tmp_path)
    text = re.sub(r"^```.*$", "", (ROOT / document).read_text(), flags=re.M)
    examples = doctest.DocTestParser().get_doctest(text, {}, document, document, 0)
    result = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE | doctest.ELLIPSIS).run(examples)
    assert result.attempted >= 3 and result.failed == 0


@pytest.mark.parametrize("name", [name for name in MODULES if ">>>" in (ROOT / module_file(name)).read_text()])
def test_the_examples_in_the_docstrings_are_true(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name), optionflags=doctest.NORMALIZE_WHITESPACE)
    assert result.attempted and result.failed == 0


def test_every_how_to_page_is_in_the_book() -> None:
    listed = re.findall(r"- file: (\w+)", (ROOT / "book" / "_toc.yml").read_text())
    pages = {path.stem for path in (ROOT / "book" / "howto").glob("*.md")}
    assert pages <= set(listed) and len(listed) == len(set(listed))


def test_the_readme_leads_to_files_that_exist() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)|src=\"([^\"]+)\"", (ROOT / "README.md").read_text())
    assert all((ROOT / (link or source)).exists() for link, source in targets)


def test_every_reference_can_be_looked_up_or_says_that_it_cannot() -> None:
    entries = (ROOT / "book" / "references.bib").read_text().split("\n@")[1:]
    keys = [entry.split("{", 1)[1].split(",", 1)[0] for entry in entries]
    assert len(keys) == len(set(keys)) >= 50
    for key, entry in zip(keys, entries, strict=True):
        fields = dict(re.findall(r"^\s*(\w+)\s*=\s*\{(.*)\},?$", entry.lower(), re.M))
        known = {name for name in ("doi", "eprint", "isbn") if fields.get(name)}
        if fields.get("note", "").startswith("no identifier confirmed"):
            assert not known, f"{key} has an identifier: take the note away"
            assert not entry.startswith("incollection"), f"{key}: the page shows no note of this kind of entry"
        else:
            page = fields.get("url") and not re.search(COPIES, fields["url"])
            assert known or page, f"{key}: give an identifier, or say in its note that none was confirmed"
        assert "eprint" not in known or fields.get("archiveprefix") == "arxiv", key


def test_the_version_is_the_same_everywhere() -> None:
    assert f"version: {mechlib.__version__}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"## {mechlib.__version__} " in (ROOT / "CHANGELOG.md").read_text()
