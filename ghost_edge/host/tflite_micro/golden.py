"""Golden vectors: inputs whose outputs a kit must reproduce on the target, byte by byte."""

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


@dataclasses.dataclass(frozen=True)
class Golden:
    """inputs: one array a vector, dtype and shape of the model's input. source: a few words on their origin."""

    inputs: Sequence[NDArray[Any]]
    source: str


def answer(model: Model, values: NDArray[Any]) -> bytes:
    """Run the model on one input and return the stored bytes of all outputs, one after the other."""
    model.set_inputs([values])
    model.invoke()
    return b"".join(output.tobytes() for output in model.outputs_now())


def noise(tflite: Path, count: int) -> Golden:
    """Draw inputs from a fixed seed: they prove the arithmetic of a model whose images are not at hand."""
    check_model_file(tflite)
    (spec,), rng = open_model(tflite, kernels="reference").inputs, np.random.default_rng(0)
    return Golden([random_input(spec, rng) for _ in range(count)], "noise")


def from_images(tflite: Path, images: Sequence[Image], preprocess: Preprocess, source: str) -> Golden:
    """Prepare images, uint8 [H, W, C], as the model takes them; ArtifactError where it takes others."""
    check_model_file(tflite)
    (spec,) = open_model(tflite, kernels="reference").inputs
    return Golden([stored_input(image, preprocess, spec, tflite) for image in images], source)
