"""Tasks: one file for each, and one line in TASKS."""

from __future__ import annotations

from ghost_edge.core.tasks import classification

CLASSIFICATION = "classification"  # of files that name no task
TASKS = {CLASSIFICATION: classification.TASK}
