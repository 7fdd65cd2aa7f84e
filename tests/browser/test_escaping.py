"""Nothing that a model wrote reaches a page as markup."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nbformat
import numpy as np
import pytest
from conftest import HERE, SITE

from mechlib.agents.llm import client
from mechlib.agents.recordings import key
from mechlib.attacks.audit import audit
from mechlib.rules.auctions import first_price

ROOT = HERE.parents[1]
REPLY = """ANSWER: <script>window.injected = "script"</script><img src="injected.png" onerror="window.injected='image'">
</pre></div><img src="injected.png"> &lt;b&gt; $x$ `code` CONFIDENCE: 0.9"""
BODY = {"model": "any", "max_tokens": 9, "messages": [{"role": "user", "content": "Who?"}]}
HTML = {"body", "code", "div", "head", "html", "img", "main", "nav", "pre", "section", "span", "style", "svg", "table"}


@pytest.fixture(scope="module")
def reply(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the reply as a notebook gets it: recorded, replayed, and handed over by the SDK."""
    path = tmp_path_factory.mktemp("tape") / "tape.jsonl"
    answer = {
        "id": "m", "type": "message", "role": "assistant", "model": "any", "content": [{"type": "text", "text": REPLY}],
        "stop_reason": "end_turn", "stop_sequence": None, "usage": {"input_tokens": 1, "output_tokens": 1},
    }  # fmt: skip
    request = {"method": "post", "path": "/v1/messages", "body": BODY, "sample": 0}
    entry = {
        "key": key("post", "/v1/messages", BODY),
        "request": request,
        "response": answer,
        "provenance": {"seconds": 0.1},
    }
    path.write_text(json.dumps(entry) + "\n", encoding="utf-8")
    message = asyncio.run(client(path, "replay").messages.create(**BODY))  # type: ignore[arg-type]
    return str(message.content[0].text)


def page_of(reply: str) -> nbformat.NotebookNode:
    """Return a notebook that shows the reply in each way that the course's notebooks show one."""

    def mechanism(bids: Any) -> Any:
        return first_price(bids)

    mechanism.__name__ = reply
    report = audit(mechanism, np.linspace(0, 1, 3), n=2)
    cells = [nbformat.v4.new_markdown_cell("# A reply")]
    for output in (
        nbformat.v4.new_output("stream", name="stdout", text=reply),
        nbformat.v4.new_output("execute_result", data={"text/plain": repr(reply)}, execution_count=2),
        nbformat.v4.new_output("execute_result", data={"text/html": report._repr_html_(), "text/plain": repr(report)}),
        nbformat.v4.new_output("error", ename="ValueError", evalue=reply, traceback=[f"ValueError: {reply}"]),
    ):
        cells.append(nbformat.v4.new_code_cell("reply", outputs=[output]))
    return nbformat.v4.new_notebook(cells=cells)


def test_a_reply_with_a_script_and_an_image_is_text_on_its_page(
    reply: str, tmp_path: Path, drive: Callable[..., Any], site: str
) -> None:
    assert reply == REPLY
    source = tmp_path / "src"
    shutil.copytree(
        ROOT / "book", source, ignore=shutil.ignore_patterns("_build", "node_modules", "lite", "*.md", "*.py")
    )
    shutil.copytree(ROOT / "book" / "_ext", source / "_ext", dirs_exist_ok=True)
    (source / "_toc.yml").write_text("format: jb-book\nroot: reply\n", encoding="utf-8")
    nbformat.write(page_of(reply), source / "reply.ipynb")
    build = [
        "-c",
        "from jupyter_book.cli.main import main; main()",
        "build",
        str(source),
        "--path-output",
        str(tmp_path),
    ]
    done = subprocess.run([sys.executable, *build, "--quiet"], capture_output=True, text=True)
    page = tmp_path / "_build" / "html" / "reply.html"
    assert page.exists(), done.stdout + done.stderr
    target = SITE / "_injection.html"
    shutil.copyfile(page, target)
    try:
        seen = drive("injection.mjs", page=target.name)
    finally:
        target.unlink()
    assert seen["injected"] is None
    assert seen["images"] == 0
    assert seen["text"].count("window.injected = ") >= 3


def test_a_reply_with_a_script_and_an_image_is_text_in_a_live_page(drive: Callable[..., Any]) -> None:
    source = f"reply = {REPLY!r}\nprint(reply)\nreply"
    seen = drive("injection.mjs", live=source, notebook=next((SITE / "lite" / "files").glob("*.ipynb")).name)
    assert seen["injected"] is None
    assert seen["images"] == 0
    assert seen["text"].count("window.injected = ") >= 2


def test_no_tag_that_only_a_model_wrote_is_a_tag_on_any_page() -> None:
    written = set()
    for tape in (ROOT / "recordings").glob("*.jsonl"):
        for line in tape.read_text(encoding="utf-8").splitlines():
            written |= set(re.findall(r"<([a-z][a-z_-]{2,})>", json.dumps(json.loads(line)["response"])))
    for page in SITE.glob("*.html"):
        tags = set(re.findall(r"<([a-z][a-z_-]{2,})>", page.read_text(encoding="utf-8")))
        assert not tags & (written - HTML), page.name
