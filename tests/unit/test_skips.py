"""In CI a skipped test is a failed one."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKIPS = {
    "in the test": "def test_it():\n    pytest.skip('no board here')\n",
    "by a mark": "@pytest.mark.skip(reason='no board here')\ndef test_it():\n    pass\n",
    "by a fixture": "@pytest.fixture\ndef board():\n    pytest.skip('no board')\n\ndef test_it(board):\n    pass\n",
    "the whole file": "pytest.skip('no board here', allow_module_level=True)\n",
    "a missing package": "pytest.importorskip('no_board_here')\n",
    "no parameters": "@pytest.mark.parametrize('board', [])\ndef test_it(board):\n    pass\n",
}
# a second test, so that a run in which everything else was skipped still ran something
ANOTHER = "def test_another():\n    pass\n"


def run_pytest(repository: Path, folder: Path, source: str, *, in_ci: str) -> subprocess.CompletedProcess[str]:
    shutil.copy(repository / "tests" / "conftest.py", folder)
    (folder / "test_it.py").write_text(f"import pytest\n\n{source}")
    (folder / "test_another.py").write_text(ANOTHER)
    command = [sys.executable, "-m", "pytest", "-q", "-rs", "-p", "no:cacheprovider", str(folder)]
    environment = {**os.environ, "GHOST_EDGE_CI": in_ci}
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS.keys())
def test_a_skip_fails_the_run_in_ci(repository: Path, tmp_path: Path, source: str) -> None:
    run = run_pytest(repository, tmp_path, source, in_ci="1")
    assert run.returncode != 0, run.stdout
    assert "was skipped, and in CI nothing may be" in run.stdout


@pytest.mark.parametrize("source", SKIPS.values(), ids=SKIPS.keys())
def test_a_skip_is_allowed_elsewhere(repository: Path, tmp_path: Path, source: str) -> None:
    run = run_pytest(repository, tmp_path, source, in_ci="0")
    assert (run.returncode, "1 skipped" in run.stdout) == (0, True), run.stdout


def test_an_expected_failure_is_no_skip(repository: Path, tmp_path: Path) -> None:
    source = "@pytest.mark.xfail(strict=True)\ndef test_it():\n    raise ValueError\n"
    assert run_pytest(repository, tmp_path, source, in_ci="1").returncode == 0
