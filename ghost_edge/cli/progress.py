"""Live progress on stderr: a bar on a terminal, plain lines elsewhere; the tools' own chatter goes to a log."""

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


class PlainProgress:
    """A line when a stage is done, and one at most every ten seconds while it runs."""

    def __init__(self, terminal: TextIO) -> None:
        self._terminal, self._last = terminal, time.monotonic()

    def started(self, stage: str) -> None:
        """Nothing yet: the line comes when the stage is done."""

    def progress(self, stage: str, share: float, text: str) -> None:
        """Say how far the stage is, if nothing was said for ten seconds."""
        if time.monotonic() - self._last > 10:
            self._say(f"{stage:<10} {share:4.0%}  {text}")

    def finished(self, stage: str, seconds: Optional[float]) -> None:
        """Say how long the stage took, or that it was up to date."""
        self._say(f"{stage:<10} {'up to date' if seconds is None else f'{seconds:.1f} s'}")

    def close(self) -> None:
        """Nothing to clean up."""

    def _say(self, line: str) -> None:
        self._last = time.monotonic()
        click.echo(line, file=self._terminal)


class RichProgress:
    """A bar for the running stage, above it a line for each that is done."""

    def __init__(self, terminal: TextIO) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

        self._bars = Progress(
            TextColumn("{task.fields[stage]:<10}"),
            BarColumn(bar_width=30),
            TimeElapsedColumn(),
            TextColumn("{task.description}", markup=False),
            console=Console(file=terminal),
            transient=True,
        )
        self._task: Any = None
        self._bars.start()

    def started(self, stage: str) -> None:
        """Show a bar for the stage."""
        self._task = self._bars.add_task("", total=1.0, stage=stage)

    def progress(self, stage: str, share: float, text: str) -> None:
        """Move the bar."""
        self._bars.update(self._task, completed=share, description=text)

    def finished(self, stage: str, seconds: Optional[float]) -> None:
        """Replace the bar by a line."""
        if seconds is not None:
            self._bars.remove_task(self._task)
        mark = "[dim]up to date[/dim]" if seconds is None else f"[green]done[/green] {seconds:.1f} s"
        self._bars.console.print(f"{stage:<10} {mark}", highlight=False)

    def close(self) -> None:
        """Take the bar away."""
        self._bars.stop()


@contextlib.contextmanager
def open_progress(log: Path) -> Iterator[Any]:
    """A reporter on the terminal, while everything else that is written to stderr lands in `log`.

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
        reporter = RichProgress(terminal) if terminal.isatty() else PlainProgress(terminal)
        stack.callback(reporter.close)
        yield reporter
