"""How pytest's nbval runs the notebooks: as JupyterLab would, and without a network interface."""

import itertools
import tempfile
from pathlib import Path

from jupyter_client.manager import KernelManager
from nbval import kernel

FOLDER = tempfile.TemporaryDirectory(prefix="nb")
NUMBER = itertools.count()


class SocketFileKernelManager(KernelManager):
    """Talks to its kernel through files, so that a notebook runs where even the loopback interface is down."""

    def __init__(self, **options: object) -> None:
        name = str(Path(FOLDER.name) / str(next(NUMBER)))
        super().__init__(transport="ipc", ip=name, connection_file=f"{name}.json", **options)


def execute_as_lab_does(self: kernel.RunningKernel, source: str, allow_stdin: bool | None = None) -> str:
    """Keep history, which IPython needs in order to honour a trailing semicolon."""
    return self.kc.execute(source, store_history=True, allow_stdin=allow_stdin, stop_on_error=False)


kernel.KernelManager = SocketFileKernelManager
kernel.RunningKernel.execute_cell_input = execute_as_lab_does
