"""How long each artifact takes here, measured by the command that measures on the board."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from ghost_edge.core.errors import DeviceError
from ghost_edge.core.files import write_bytes
from ghost_edge.host.chain.work import Work


def run(work: Work) -> tuple[Path, ...]:
    """Write latency.json, the output of `ghost-edge bench --json -`, from a process without TensorFlow."""
    files = list(map(str, work.models.values()))
    command = [sys.executable, "-m", "ghost_edge", "bench", *files, "--max-seconds", "2", "--json", "-"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["it said nothing"])[-1]
        raise DeviceError(f"an artifact does not run here: {reason}")
    path = work.path(work.names.latency)
    write_bytes((json.dumps(json.loads(done.stdout), indent=2) + "\n").encode(), path)
    return (path,)
