"""Evaluation images for a board, with the outputs of the workstation's reference kernels."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ghost_edge.core.dataset import Image, select
from ghost_edge.core.errors import DataError
from ghost_edge.core.preprocess import Preprocess, fit_image
from ghost_edge.device.evaluate import EvaluationSet, RunOptions, raw_outputs_isolated
from ghost_edge.host.datasets import open_dataset
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.recipe.schema import Recipe, require


def sample_images(recipe: Recipe, places: Places, count: int, models: Sequence[Path]) -> EvaluationSet:
    """Choose `count` images evenly from [evaluation], with the outputs of models; DataError where it has fewer."""
    options = require(recipe.evaluation, "evaluation", "--images")
    dataset = open_dataset(options, places)
    if count > len(dataset):
        raise DataError(f"--images {count}: {dataset.name} has {len(dataset)} images; ask for no more")
    chosen = select(dataset, np.arange(count) * len(dataset) // count)  # a folder's first images are one class
    images = [store_image(image, recipe.preprocess) for image in chosen.images]
    how = RunOptions(kernels="reference")
    outputs = {path.stem: raw_outputs_isolated(path, images, recipe.preprocess, how)[0][0] for path in models}
    return EvaluationSet(np.stack(images), chosen.labels + options.label_offset, outputs, recipe.task)


def store_image(image: Image, options: Preprocess) -> Image:
    """Return uint8 [H, W, C], RGB or grey, of which prepare() makes the very input that it makes of the image itself.

    H, W: what prepare() covers before the crop: with a black frame around the crop there is nothing left to resize.
    """
    stored = "RGB" if options.channels == "BGR" else options.channels
    frames = (options.covered[0] - options.height, options.covered[1] - options.width)
    sides = [(frame // 2, frame - frame // 2) for frame in frames]
    return np.pad(fit_image(image, dataclasses.replace(options, channels=stored)), (*sides, (0, 0)))
