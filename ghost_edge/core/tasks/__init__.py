"""Tasks: one file for each, and one line in TASKS."""

from __future__ import annotations

from ghost_edge.core.errors import DataError
from ghost_edge.core.tasks import classification
from ghost_edge.core.tasks.task import Outputs, Truth

CLASSIFICATION = "classification"  # of files that name no task
TASKS = {CLASSIFICATION: classification.TASK}


def check_truth(truth: Truth, outputs: Outputs, name: str, task: str = CLASSIFICATION) -> None:
    """Raise DataError where the truth of the dataset `name` cannot be of a model with such outputs."""
    misfit = TASKS[task].misfit(truth, outputs)
    if misfit:
        raise DataError(f"{name} has {misfit}; check [network] classes and [evaluation] label_offset")
