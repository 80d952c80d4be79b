"""Run the calibration pictures through the float model and keep the range of every activation."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ghost_edge.core.dataset import Dataset, image_digest, select
from ghost_edge.core.errors import DataError
from ghost_edge.core.preprocess import prepare
from ghost_edge.host.datasets import open_dataset
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.graph import read_graph
from ghost_edge.host.ranges import ESTIMATORS
from ghost_edge.host.ranges.observer import observe, save_ranges
from ghost_edge.host.recipe import Calibration, Recipe, require
from ghost_edge.host.stages import Work


def run(work: Work) -> tuple[Path, ...]:
    """Write ranges.npz; raises DataError where the pictures cannot represent what the board will see."""
    options: Calibration = require(work.recipe.calibration, "calibration", "convert")
    dataset = calibration_set(work.recipe, work.places)
    tflite = work.path(work.names.float_tflite)
    graph = read_graph(tflite)
    inputs = (prepare(image, work.recipe.preprocess) for image in dataset.images)
    observed = observe(
        tflite, graph, inputs, say=lambda done: work.tell(done / len(dataset), f"{done} of {len(dataset)} pictures")
    )
    path = work.path(work.names.ranges)
    save_ranges(ESTIMATORS[options.ranges](observed, graph), path)
    return (path,)


def calibration_set(recipe: Recipe, places: Places) -> Dataset:
    """The chosen pictures: `samples` of them, spread by the recipe's seed. Raises DataError where they are unfit."""
    options: Calibration = require(recipe.calibration, "calibration", "convert")
    dataset = open_dataset(options, places)
    chosen = np.random.default_rng(recipe.seed).permutation(len(dataset))[: options.samples]
    dataset = select(dataset, np.sort(chosen))
    _check_variety(dataset)
    if recipe.evaluation is not None:
        check_disjoint(dataset, map(image_digest, open_dataset(recipe.evaluation, places).images))
    return dataset


def check_disjoint(calibration: Dataset, evaluation: Iterable[str]) -> None:
    """Raise DataError when a calibration picture is also an evaluation picture (by digest)."""
    judged = set(evaluation)
    shared = [digest for digest in map(image_digest, calibration.images) if digest in judged]
    if shared:
        raise DataError(
            f"{len(shared)} of {len(calibration)} calibration pictures are also evaluation pictures, "
            f"first {shared[0]}; the measured drop would be flattered: calibrate on training pictures"
        )


def _check_variety(dataset: Dataset) -> None:
    classes = len(np.unique(dataset.labels))
    if classes < 2:
        raise DataError(
            f"the {len(dataset)} calibration pictures from {dataset.name} are all of one class; "
            "ranges would fit that class alone: take pictures of every class"
        )
    if all(image.min() == image.max() for image in dataset.images):
        raise DataError(f"the calibration pictures from {dataset.name} are all of one colour; take real pictures")
