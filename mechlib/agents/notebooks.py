"""Run notebooks cell by cell, as ``mechlib record`` does, and leave out what a roster's models do not offer."""

from __future__ import annotations

import ast
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tqdm import tqdm


@dataclass
class Run:
    """A notebook as it was executed: the sentences in place of cells that were left out, and the errors of others."""

    notebook: Any
    left_out: list[str] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)


def execute(path: Path, go_on: bool, log: Path, title: str, total: int | None = None) -> Run:
    """Execute a notebook in a fresh kernel, which inherits this process's environment, and show progress by call.

    A cell that asks for what the roster's models do not offer is left out, with a sentence in its place, and so are the
    cells that need what it would have made. With `go_on`, a cell that fails keeps its error and the next one follows;
    else a RuntimeError ends the run. The cells that were executed are in `Run.notebook` either way.

    Parameters
    ----------
    path : Path
        The notebook; the file is not changed.
    go_on : bool
        Whether to go on after an error.
    log : Path
        Where the kernel logs its calls; see `mechlib.agents.plan`.
    title : str
        What the progress bar says.
    total : int, optional
        How many calls are expected.
    """
    import nbformat
    from nbclient import NotebookClient
    from nbclient.exceptions import CellExecutionError

    run = Run(nbformat.read(str(path), as_version=4))  # type: ignore[no-untyped-call]
    client = NotebookClient(run.notebook, timeout=None, resources={"metadata": {"path": str(path.resolve().parent)}})
    known: set[str] = set()
    gone: set[str] = set()
    with client.setup_kernel(), _progress(log, title, total):
        for index, cell in enumerate(run.notebook.cells):
            if cell.cell_type != "code":
                continue
            made = _makes(cell.source)
            try:
                client.execute_cell(cell, index)
            except CellExecutionError as error:
                sentence = _left_out(error, gone)
                if sentence:
                    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=sentence + "\n")]  # type: ignore[no-untyped-call]
                    run.left_out.append(sentence)
                    gone |= made - known
                    _forget(client, made - known)
                    continue
                run.failed.append(f"cell {index}: {error.ename}: {error.evalue}".strip())
                if not go_on:
                    return run
                gone |= made - known
            known |= made
    return run


def _left_out(error: Any, gone: set[str]) -> str | None:
    """Return the sentence in place of a cell that could not be run for want of what nobody offers; else None."""
    if error.ename == "NotOffered":
        return str(error.evalue)
    name = next((name for name in gone if error.ename == "NameError" and f"'{name}'" in error.evalue), None)
    return f"This needs {name}, which was left out above." if name else None


def _makes(source: str) -> set[str]:
    """Return the names that a cell assigns, defines or imports."""
    try:
        tree = compile(source, "cell", "exec", ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    except SyntaxError:
        return set()  # a magic
    found: set[str] = set()
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(statement.name)
        else:
            nodes = list(ast.walk(statement))
            found |= {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
            found |= {(node.asname or node.name).partition(".")[0] for node in nodes if isinstance(node, ast.alias)}
    return found


def _forget(client: Any, names: set[str]) -> None:
    """Delete names in the kernel, so that no later cell takes half a result for a whole one."""
    wanted = ", ".join(map(repr, sorted(names)))
    client.kc.execute(f"for _name in [{wanted}]: globals().pop(_name, None)", silent=True, store_history=False)


@contextmanager
def _progress(log: Path, title: str, total: int | None) -> Iterator[None]:
    """Show a bar that moves by call."""
    over = threading.Event()

    def watch() -> None:
        with tqdm(desc=title, total=total, unit="call") as bar:
            while True:
                last = over.wait(0.3)
                bar.update(_lines(log) - bar.n)
                if last:
                    return

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield
    finally:
        over.set()
        watching.join()


def _lines(log: Path) -> int:
    return log.read_bytes().count(b"\n") if log.exists() else 0


def save(run: Run, path: Path) -> Path:
    """Write an executed notebook, in one step."""
    import nbformat

    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_suffix(".part")
    nbformat.write(run.notebook, str(part))  # type: ignore[no-untyped-call]
    os.replace(part, path)
    return path
