"""In CI a skipped test is a failed one."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

SKIPS = {
    "in_the_test": "def test_it():\n    pytest.skip('no board here')\n",
    "by_a_mark": "@pytest.mark.skip(reason='no board here')\ndef test_it():\n    pass\n",
    "by_a_fixture": "@pytest.fixture\ndef board():\n    pytest.skip('no board')\n\ndef test_it(board):\n    pass\n",
    "the_whole_file": "pytest.skip('no board here', allow_module_level=True)\n",
    "a_missing_package": "pytest.importorskip('no_board_here')\n",
    "no_parameters": "@pytest.mark.parametrize('board', [])\ndef test_it(board):\n    pass\n",
}
# a failure that is expected is no skip; and so that a run in which all else was skipped still ran something
OTHERS = {
    "an_expected_failure": "@pytest.mark.xfail(strict=True)\ndef test_it():\n    raise ValueError\n",
    "another": "def test_it():\n    pass\n",
}


def run_pytest(repository: Path, folder: Path, in_ci: str) -> subprocess.CompletedProcess[str]:
    """Run all of SKIPS and OTHERS, a file each, in one process."""
    shutil.copy(repository / "tests" / "conftest.py", folder)
    for name, source in {**SKIPS, **OTHERS}.items():
        (folder / f"test_{name}.py").write_text(f"import pytest\n\n{source}")
    options = ["-q", "-rA", "-p", "no:cacheprovider", "--continue-on-collection-errors"]
    environment = {**os.environ, "GHOST_EDGE_CI": in_ci}
    command = [sys.executable, "-m", "pytest", *options, str(folder)]
    return subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def in_ci(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    return run_pytest(repository, tmp_path_factory.mktemp("in_ci"), "1")


@pytest.fixture(scope="module")
def elsewhere(repository: Path, tmp_path_factory: pytest.TempPathFactory) -> subprocess.CompletedProcess[str]:
    return run_pytest(repository, tmp_path_factory.mktemp("elsewhere"), "0")


def outcome(run: subprocess.CompletedProcess[str], name: str) -> str:
    """Return FAILED, ERROR, SKIPPED, XFAIL or PASSED: what pytest's summary says of a file."""
    (found,) = re.findall(rf"^([A-Z]+) (?:\[1\] )?test_{name}\.py\b", run.stdout, re.MULTILINE)
    return str(found)


@pytest.mark.parametrize("name", SKIPS)
def test_a_skip_fails_the_run_in_ci(in_ci: subprocess.CompletedProcess[str], name: str) -> None:
    assert in_ci.returncode == 1, in_ci.stdout
    assert outcome(in_ci, name) in ("FAILED", "ERROR")
    assert re.search(rf"test_{name}\.py\S* was skipped, and in CI nothing may be", in_ci.stdout)


@pytest.mark.parametrize("name", SKIPS)
def test_a_skip_is_allowed_elsewhere(elsewhere: subprocess.CompletedProcess[str], name: str) -> None:
    assert (elsewhere.returncode, outcome(elsewhere, name)) == (0, "SKIPPED"), elsewhere.stdout


def test_an_expected_failure_is_no_skip(in_ci: subprocess.CompletedProcess[str]) -> None:
    assert (outcome(in_ci, "an_expected_failure"), outcome(in_ci, "another")) == ("XFAIL", "PASSED")
