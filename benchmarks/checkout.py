"""The checkout that is measured: the one around this folder, in processes of its own."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMAND = (sys.executable, "-m", "ghost_edge")
sys.path.insert(0, str(ROOT))  # before what is installed: another version would be measured without a word


def run_fresh(command: Sequence[object], log: Path, *, allowed: Sequence[int] = (0,), root: Path = ROOT) -> float:
    """Run a command in a process of its own and return its wall time in seconds, start and end of Python included.

    Its output goes to `log`; `root` is the checkout whose package it imports. Raises RuntimeError with the log's last
    lines where the exit code is not allowed.
    """
    path = os.pathsep.join(filter(None, (str(root), os.environ.get("PYTHONPATH"))))
    with log.open("wb") as output:
        started = time.perf_counter_ns()
        code = subprocess.run(
            list(map(str, command)),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "PYTHONPATH": path},
            check=False,
            cwd=None if root == ROOT else root,  # `python -m` looks in the working folder first
        ).returncode
        wall_s = (time.perf_counter_ns() - started) / 1e9
    if code not in allowed:
        tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:])
        raise RuntimeError(f"{' '.join(map(str, command))} ended with exit code {code}:\n{tail}")
    return wall_s
