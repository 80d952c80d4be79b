"""The default recipe, converted once for all tests that look at the result."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest


def ghost_edge(*arguments: object) -> subprocess.CompletedProcess[str]:
    """Run the command line in a process of its own."""
    command = [sys.executable, "-m", "ghost_edge", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Folder of `ghost-edge convert` without a recipe."""
    folder = tmp_path_factory.mktemp("converted")
    run = ghost_edge("convert", "--out", folder)
    assert run.returncode == 0, run.stderr
    return folder
