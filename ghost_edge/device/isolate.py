"""Isolation: a function run in a child process, whose death is a result."""

from __future__ import annotations

import contextlib
import ctypes
import dataclasses
import faulthandler
import os
import pickle
import select
import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from typing import Any, BinaryIO, Optional

from ghost_edge.core.errors import DeviceError, GhostEdgeError
from ghost_edge.device.board import read_board

CORTEX_A9 = "0xc09"
OUT_OF_MEMORY = "out of memory; try a smaller model or a swap file"
_STDOUT, _STDERR = 1, 2
_PR_SET_PDEATHSIG = 1  # prctl(2)
_BROKE = "the interpreter broke: little memory, a damaged file, or try --kernels reference"
_CAUSES = {
    signal.SIGILL: "this interpreter was built for another processor",
    signal.SIGKILL: "probably out of memory; see dmesg, and try a smaller model or a swap file",
    signal.SIGSEGV: _BROKE,
    signal.SIGBUS: _BROKE,
    signal.SIGABRT: _BROKE,
}


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Value that a child returned; or the sentence that says why it did not, and its class of error."""

    value: Any = None
    failure: str = ""
    error: type[GhostEdgeError] = DeviceError

    def unwrap(self, subject: str) -> Any:
        """Return the value; raises `error` with the failure, after the subject where that is not its beginning."""
        if self.failure:
            raise self.error(self.failure if self.failure.startswith(subject) else f"{subject}: {self.failure}")
        return self.value


def run_isolated(function: Callable[..., Any], *arguments: Any, timeout_s: float) -> Outcome:
    """Call function(*arguments) in a forked child and return what it returns; see isolated()."""
    with isolated(function, *arguments, timeout_s=timeout_s) as wait:
        return wait()


@contextlib.contextmanager
def isolated(function: Callable[..., Any], *arguments: Any, timeout_s: float) -> Iterator[Callable[[], Outcome]]:
    """Call function(*arguments) in a forked child while the block runs; yields a function that waits for the Outcome.

    What it returns must pickle. The child's stdout and stderr go to a file of its own; the last line there explains a
    failure. Fork and not exec: under qemu-user sys.executable cannot be started. Fork before an interpreter or a thread
    pool is in this process, and never beside a thread that computes: numpy's matrix products would wait for ever.
    On Ctrl-C, or any other exception in the block, the child is killed and reaped before it goes on.
    """
    with tempfile.TemporaryFile() as log:
        read_end, write_end = os.pipe()
        child = os.fork()
        if child == 0:
            _run_child(function, arguments, write_end, log.fileno())
        status: Optional[int] = None

        def wait() -> Outcome:
            nonlocal status
            reply = _read_all(read_end, timeout_s)
            if reply is None:
                return Outcome(failure=f"not done after {timeout_s:g} s, stopped; give it longer with --timeout")
            status = os.waitpid(child, 0)[1]
            if status == 0 and reply:
                outcome: Outcome = pickle.loads(reply)
                return outcome
            return Outcome(failure=_explain(status, _last_line(log)))

        try:
            os.close(write_end)
            yield wait
        finally:
            os.close(read_end)
            if status is None:
                with contextlib.suppress(ProcessLookupError, ChildProcessError):
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)


def explain_signal(number: int, cpu_part: str | None) -> str:
    """Return why a signal of signal(7) probably came; cpu_part: as in /proc/cpuinfo, such as "0xc09"."""
    if number == signal.SIGILL and cpu_part == CORTEX_A9:
        return "this interpreter's float kernels need VFPv4; use the int8 model"
    return _CAUSES.get(signal.Signals(number), "something outside stopped it")


def _run_child(function: Callable[..., Any], arguments: tuple[Any, ...], pipe: int, log: int) -> None:
    """Run the child's whole life; it never returns into the parent's code."""
    status = 1
    try:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent handles Ctrl-C and kills us
        signal.signal(signal.SIGTERM, signal.SIG_DFL)  # the parent's handler is not for us
        if sys.platform == "linux":
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # a parent that was killed leaves no orphan
        faulthandler.disable()  # its pages would hide the last words
        os.dup2(log, _STDOUT)
        os.dup2(log, _STDERR)
        with os.fdopen(pipe, "wb") as file:
            pickle.dump(_call(function, arguments), file)
        status = 0
    finally:
        if status:  # no `except`: whatever it is, its last line is the parent's explanation
            os.write(log, traceback.format_exc().encode())
        os._exit(status)


def _call(function: Callable[..., Any], arguments: tuple[Any, ...]) -> Outcome:
    try:
        return Outcome(function(*arguments))
    except GhostEdgeError as error:
        return Outcome(failure=" ".join(str(error).split()), error=type(error))
    except MemoryError:
        return Outcome(failure=OUT_OF_MEMORY)


def _read_all(pipe: int, timeout_s: float) -> bytes | None:
    """Read until the other end closes; None when that takes longer than timeout_s."""
    deadline = time.monotonic() + timeout_s
    content = bytearray()
    while select.select([pipe], [], [], max(0.0, deadline - time.monotonic()))[0]:
        block = os.read(pipe, 1 << 20)
        if not block:
            return bytes(content)
        content += block
    return None


def _explain(status: int, last_line: str) -> str:
    heard = f" ({last_line})" if last_line else ""
    if os.WIFSIGNALED(status):
        number = os.WTERMSIG(status)
        cause = explain_signal(number, read_board().cpu_part)
        return f"killed by {signal.Signals(number).name}: {cause}{heard}"
    if status == 0:
        return f"ended without a result{heard}"
    return f"ended with exit code {os.WEXITSTATUS(status)}{heard}"


def _last_line(log: BinaryIO) -> str:
    """Return the last line that is more than news, at most 200 characters; empty when there is none."""
    log.seek(0)
    lines = [line.strip() for line in log.read().decode(errors="replace").splitlines()]
    told = [line for line in lines if line and not line.startswith(("INFO:", "WARNING:", "W0000", "I0000"))]
    return told[-1][:200] if told else ""
