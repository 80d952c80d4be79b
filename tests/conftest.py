"""Fixtures for all tests, and the rule that nothing may be skipped in CI."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import pytest

# a runner that was started in the background ignores Ctrl-C, and so would every command that a test interrupts
signal.signal(signal.SIGINT, signal.default_int_handler)
REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of images and third-party models that is not part of the project."""
    # an empty variable is an unset one, as in host/datasets/places.py
    folder = Path(os.environ.get("GHOST_EDGE_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; name the folder with GHOST_EDGE_DATA")
    return folder.resolve()


@pytest.fixture(scope="session")
def golden_folder(repository: Path, data_folder: Path) -> Path:
    """What the authors' code computes."""
    places = [parent / "golden" / "ghostnet" for parent in (data_folder.parent, repository.parent / "shared")]
    for folder in places:
        if folder.is_dir():
            return folder
    pytest.skip(f"neither {places[0]} nor {places[1]} is there: it holds what the authors' code computes")


Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def ghost_edge() -> Command:
    """Run the command line in a process of its own: ghost_edge("convert", path, ...)."""

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "ghost_edge", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    return run


@pytest.fixture(scope="session")
def converted(tmp_path_factory: pytest.TempPathFactory, ghost_edge: Command) -> Path:
    """Folder of `ghost-edge convert` without a recipe: made once, to be looked at or copied."""
    folder = tmp_path_factory.mktemp("converted")
    run = ghost_edge("convert", "--out", folder)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.fixture(scope="session")
def converted_cifar10(
    tmp_path_factory: pytest.TempPathFactory, ghost_edge: Command, repository: Path, data_folder: Path
) -> Path:
    """The same for models/ghostnet_cifar10.toml; its test is marked `data`."""
    folder = tmp_path_factory.mktemp("converted_cifar10")
    recipe = repository / "models" / "ghostnet_cifar10.toml"
    run = ghost_edge("convert", recipe, "--data", data_folder, "--out", folder)
    assert run.returncode == 0, run.stderr
    return folder


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """With GHOST_EDGE_CI=1 a test that skips has failed: CI has everything that a test may ask for."""
    outcome = yield
    _refuse_skip(outcome.get_result(), item.nodeid)


@pytest.hookimpl(hookwrapper=True)
def pytest_make_collect_report(collector: pytest.Collector) -> Generator[None, Any, None]:
    """The same for a whole file: importorskip, or skip(allow_module_level=True)."""
    outcome = yield
    _refuse_skip(outcome.get_result(), collector.nodeid)


def _refuse_skip(report: Any, name: str) -> None:
    if report.skipped and not hasattr(report, "wasxfail") and os.environ.get("GHOST_EDGE_CI") == "1":
        report.outcome = "failed"
        report.longrepr = f"{name} was skipped, and in CI nothing may be: {report.longrepr}"
