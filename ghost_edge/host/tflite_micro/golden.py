"""Inputs whose answers a kit brings along."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.dataset import Image
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.device.bench import random_input
from ghost_edge.device.evaluate import stored_input
from ghost_edge.device.runtimes.model import Model
from ghost_edge.device.runtimes.open import check_model_file, open_model
from ghost_edge.host.board.evaluation_set import sample_images
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.recipe.schema import Recipe


@dataclasses.dataclass(frozen=True)
class Golden:
    """inputs: as the model takes them, one array a vector. source: where they are from, in a few words."""

    inputs: Sequence[NDArray[Any]]
    source: str


def answer(model: Model, values: NDArray[Any]) -> bytes:
    """All outputs for one input, one after the other, as they are stored."""
    model.set_inputs([values])
    model.invoke()
    return b"".join(output.tobytes() for output in model.outputs_now())


def noise(tflite: Path, count: int) -> Golden:
    """Of a seed: it proves the arithmetic, and says nothing of images."""
    check_model_file(tflite)
    (spec,), rng = open_model(tflite, kernels="reference").inputs, np.random.default_rng(0)
    return Golden([random_input(spec, rng) for _ in range(count)], "noise")


def images(tflite: Path, recipe: Recipe, places: Places, count: int) -> Golden:
    """Of the recipe's [evaluation]; raises as sample_images(), and ArtifactError where the model takes others."""
    sample = sample_images(recipe, places, count, [])
    return feed(tflite, list(sample.images), recipe.preprocess, "images of [evaluation]")


def feed(tflite: Path, images: Sequence[Image], preprocess: Preprocess, source: str) -> Golden:
    """Images, uint8 [H, W, C], as the model takes them."""
    check_model_file(tflite)
    (spec,) = open_model(tflite, kernels="reference").inputs
    return Golden([stored_input(image, preprocess, spec, tflite) for image in images], source)
