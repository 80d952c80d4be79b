"""Real models for the tests of a bench."""

from __future__ import annotations

from pathlib import Path

import pytest


@pytest.fixture
def models(data_folder: Path) -> Path:
    return data_folder / "models"
