"""Fixtures for all tests, and the rule that nothing may be skipped in CI."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def data_folder() -> Path:
    """The folder of pictures and third-party models that is not part of the project."""
    # an empty variable is an unset one, as in host/datasets/places.py
    folder = Path(os.environ.get("GHOST_EDGE_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"{folder} is not there; name the folder with GHOST_EDGE_DATA")
    return folder.resolve()


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
