"""Progress of a command: what runs, how far it is, how long it took."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Optional, Protocol, TypeVar

Result = TypeVar("Result")
Count = Callable[[int, int], None]  # the number that is done, and the number of all

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


def run_in_threads(jobs: Mapping[str, Callable[[Count], Result]], say: Say) -> dict[str, Result]:
    """Return the result of each job by name, as many at a time as there are cores: interpreters release Python's lock.

    A job calls count(done, total) for each image; the call ends the job after Ctrl-C, or after an error of another job.
    """
    shares, stop = dict.fromkeys(jobs, 0.0), threading.Event()

    def run(name: str) -> Result:
        def count(done: int, total: int) -> None:
            if stop.is_set():
                raise concurrent.futures.CancelledError
            shares[name] = done / total
            say(sum(shares.values()) / len(jobs), f"{name}: {done} of {total} images")

        return jobs[name](count)

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
    with concurrent.futures.ThreadPoolExecutor(cores) as threads:
        try:
            return dict(zip(jobs, threads.map(run, jobs)))
        except BaseException:
            stop.set()
            raise
