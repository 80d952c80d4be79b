"""Live progress on stderr: a bar on a terminal, plain lines elsewhere; the output of the tools goes to a log."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Optional, TextIO

import click

from ghost_edge.core.errors import GhostEdgeError


class TerminalProgress:
    """A Progress that prints a line for each finished step; the running one has a bar, or a line every ten seconds."""

    def __init__(self, terminal: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._bars = Progress(
            TextColumn("{task.fields[stage]:<10}", markup=False),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(file=terminal, force_terminal=terminal.isatty()),
            transient=True,
            disable=not terminal.isatty(),
        )
        self._task: Any = None
        self._last = time.monotonic()
        self._bars.start()

    def started(self, stage: str) -> None:
        """Show a bar for the step."""
        self._task = self._bars.add_task("", total=1.0, stage=stage)

    def progress(self, stage: str, share: float, text: str) -> None:
        """Move the bar; without a terminal, print a line if the last one is ten seconds old."""
        self._bars.update(self._task, completed=share, description=text)
        if self._bars.disable and time.monotonic() - self._last > 10:
            self._say(f"{stage:<10} {share:4.0%}  {text}")

    def finished(self, stage: str, seconds: Optional[float]) -> None:
        """Replace the bar by a line: how long the step took, or that it was up to date."""
        if seconds is None:
            self._say(f"{stage:<10} up to date", "dim")
        else:
            self._bars.remove_task(self._task)
            self._say(f"{stage:<10} {seconds:.1f} s", "green")

    def close(self) -> None:
        """Remove the bar."""
        self._bars.stop()

    def _say(self, line: str, style: str = "") -> None:
        from rich.text import Text

        self._last = time.monotonic()
        self._bars.console.print(Text(line, style), soft_wrap=True)


@contextlib.contextmanager
def open_progress(log: Path = Path(os.devnull)) -> Iterator[Any]:
    """Give a Progress on the terminal, while everything else that is written to stderr lands in `log`.

    TensorFlow, tf2onnx and the interpreters write dozens of lines there, from C++ too: file descriptor 2 is moved.
    With --verbose nothing is moved.
    """
    context = click.get_current_context(silent=True)
    verbose = context is not None and bool(context.find_root().params.get("verbose"))
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "0" if verbose else "2")
    sys.stderr.flush()
    with contextlib.ExitStack() as stack:
        terminal = stack.enter_context(os.fdopen(os.dup(2), "w", buffering=1))
        if not verbose:
            try:
                log.parent.mkdir(parents=True, exist_ok=True)
                file = stack.enter_context(log.open("a"))
            except OSError as error:
                raise GhostEdgeError(f"{log} cannot be written ({error.strerror}); choose another --out") from error
            stack.callback(os.dup2, os.dup(2), 2)
            os.dup2(file.fileno(), 2)
        reporter = TerminalProgress(terminal)
        stack.callback(reporter.close)
        yield reporter
