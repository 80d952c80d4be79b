"""Boards that QEMU emulates, for tests: skipped where it is not installed."""

from __future__ import annotations

import functools
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

Run = Callable[..., "subprocess.CompletedProcess[str]"]
SCRIPTS = Path(__file__).resolve().parent.parent / "device"
SHORT = ("--runs", "5", "--seconds", "0", "--warmup", "1", "--precision", "0")  # its speed says nothing about a board's
_NOT_INSTALLED = 77  # the scripts' exit code


def run_script(name: str, *arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run a script of tests/device; skips the test, with the script's reason, where something is not installed."""
    command = ["bash", str(SCRIPTS / name), *map(str, arguments)]
    here = {**os.environ, "PYTHON": sys.executable, **environment}
    run = subprocess.run(command, capture_output=True, text=True, check=False, env=here, timeout=900)
    if run.returncode == _NOT_INSTALLED:
        pytest.skip(run.stderr.strip().splitlines()[-1])
    return run


def board_python(arch: str) -> Run:
    """The python3.11 of an emulated board, armhf or arm64, which is built when it is not there yet."""
    built = run_script("emulator.sh", "build", arch)
    assert built.returncode == 0, built.stderr
    return functools.partial(run_script, "emulator.sh", "python", arch)


def board_command(arch: str) -> Run:
    """The command line on that board: board_command("armhf")("bench", path, ...)."""
    return functools.partial(board_python(arch), "-m", "ghost_edge")
