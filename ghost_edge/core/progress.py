"""Progress of a command: what runs, how far it is, how long it took."""

from __future__ import annotations

import contextlib
import functools
import time
from collections.abc import Callable, Iterator
from typing import Optional, Protocol

Say = Callable[[float, str], None]  # the share that is done, 0..1, and a few words


class Progress(Protocol):
    """A listener to the steps of a command."""

    def started(self, step: str) -> None:
        """Hear that a step runs now."""

    def progress(self, step: str, share: float, text: str) -> None:
        """Hear how far the running step is: share 0..1, and a few words."""

    def finished(self, step: str, seconds: Optional[float]) -> None:
        """Hear that a step is done; seconds is None where it was up to date."""


class Reporter:
    """A Progress that shows nothing."""

    def started(self, step: str) -> None:
        """Show nothing."""

    def progress(self, step: str, share: float, text: str) -> None:
        """Show nothing."""

    def finished(self, step: str, seconds: Optional[float]) -> None:
        """Show nothing."""


def silent(share: float, text: str) -> None:
    """Be a Say that nobody listens to."""


@contextlib.contextmanager
def timed(reporter: Progress, step: str) -> Iterator[Say]:
    """Report a step as started, and with its seconds as finished unless it raises; gives the Say of the step."""
    reporter.started(step)
    started = time.perf_counter()
    yield functools.partial(reporter.progress, step)
    reporter.finished(step, time.perf_counter() - started)


def part(say: Say, start: float, share: float) -> Say:
    """Return a Say for a part of the work: its 0..1 is start..start + share of the whole."""
    return lambda done, text: say(start + share * done, text)


def count(say: Say, total: int, unit: str = "images") -> Callable[[int], None]:
    """Return a function that says "<done> of <total> <unit>" when it is given the number that is done."""
    return lambda done: say(done / total, f"{done} of {total} {unit}")
