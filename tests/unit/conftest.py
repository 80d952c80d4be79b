"""A manifest made by hand, with the files it promises."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ghost_edge.core.files import describe
from ghost_edge.core.gate.limits import Limits
from ghost_edge.core.manifest import Accuracy, Manifest, Model, Predictions, save_predictions, write_manifest
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.core.tensor import TensorSpec

LABELS = np.arange(1000) % 10
DIGESTS = tuple(map(str, range(1000)))


def make(folder: Path, *, wrong: int = 0, digests: tuple[str, ...] = DIGESTS) -> Manifest:
    """A folder with one model whose quantized answers are wrong on the first `wrong` of 1,000 images."""
    folder.mkdir(exist_ok=True)
    (folder / "m_int8.tflite").write_bytes(b"model")
    answers = LABELS.copy()
    answers[:wrong] += 1
    roles = {"float": LABELS.astype(np.int32), "quantized": answers.astype(np.int32)}
    save_predictions(Predictions(digests, LABELS, roles), folder / "predictions.npz")
    manifest = Manifest(
        name="m",
        preprocess=Preprocess(size=8, mean=(0.5,), std=(0.25,)),
        class_names=("a", "b"),
        models=(
            Model(
                role="quantized",
                artifact=describe(folder / "m_int8.tflite"),
                input=TensorSpec("image", (1, 8, 8, 3), "int8", 0.1, -3),
                output=TensorSpec("logits", (1, 10), "int8", 0.2, 4),
                accuracy=Accuracy({"top1": 0.9, "top5": 0.99}, 0.01, 0.005, 0.98, 30.5),
                median_ms=1.5,
            ),
        ),
        limits=Limits(max_drop=0.01, min_agreement=0.98),
        predictions=describe(folder / "predictions.npz"),
        gate=(),
        recipe_sha256="1",
        weights_sha256="2",
        tools={"numpy": "2.0"},
    )
    write_manifest(manifest, folder)
    return manifest


@pytest.fixture(scope="session")
def make_manifest() -> Callable[..., Manifest]:
    """make_manifest(folder, wrong=0, digests=...) writes manifest, model and predictions, and returns the manifest."""
    return make
