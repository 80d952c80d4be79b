"""Judge any model files on a recipe's evaluation pictures."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.accuracy import compare, top_k
from ghost_edge.core.dataset import Dataset
from ghost_edge.core.digest import sha256_file
from ghost_edge.core.errors import DataError
from ghost_edge.core.report import Column
from ghost_edge.device.evaluate import RunOptions, predict_isolated
from ghost_edge.host.datasets import open_dataset
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.recipe import Evaluation, Recipe, require

COLUMNS = (
    Column("artifact", "file"),
    Column("pictures", "images"),
    Column("top-1", "top1", ".2%"),
    Column("top-5", "top5", ".2%"),
    Column("drop", "drop", ".2%"),
    Column("margin", "margin", ".2%"),
    Column("agreement", "agreement", ".2%"),
)


def judge_files(
    files: Sequence[Path], recipe: Recipe, places: Places, how: RunOptions, reporter: Any
) -> list[dict[str, Any]]:
    """One row of COLUMNS for each file; drop and agreement are against the first file, None in its own row.

    Raises ArtifactError for a file that does not take such pictures, DataError where labels are none of its classes.
    """
    options: Evaluation = require(recipe.evaluation, "evaluation", "evaluate")
    dataset = open_dataset(options, places)
    labels = dataset.labels + options.label_offset
    rows: list[dict[str, Any]] = []
    reference: NDArray[np.int64] | None = None
    for file in files:
        reporter.started(file.name)
        # in a child process: a damaged file, or a processor that the interpreter was not built for, ends only that
        started = time.perf_counter()
        logits = predict_isolated(file, dataset.images, recipe.preprocess, how)
        reporter.finished(file.name, time.perf_counter() - started)
        check_labels(labels, classes=logits.shape[1], dataset=dataset)
        answers = logits.argmax(axis=1)
        reference = answers if reference is None else reference
        drop = dataclasses.asdict(compare(reference, answers, labels))
        row = {"file": str(file), "sha256": sha256_file(file), "top5": top_k(logits, labels, 5), **drop}
        rows.append(row if rows else {**row, "drop": None, "margin": None, "agreement": None})
    return rows


def check_labels(labels: NDArray[np.int64], *, classes: int, dataset: Dataset) -> None:
    """Raise DataError where a label is none of the model's classes."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise DataError(
            f"{dataset.name} has labels {low}..{high}, the model answers {classes} classes; "
            "check [network] classes and [evaluation] label_offset"
        )
