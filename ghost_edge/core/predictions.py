"""What models answered, picture by picture: the raw material of every paired comparison."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import ArtifactError
from ghost_edge.core.npz import read_npz, save_npz


@dataclasses.dataclass(frozen=True)
class Predictions:
    """digests: identity of each picture; labels int64 [N]; answers: role of a model to int32 [N], class indices."""

    digests: tuple[str, ...]
    labels: NDArray[np.int64]
    answers: Mapping[str, NDArray[np.int32]]


def save_predictions(predictions: Predictions, path: Path) -> None:
    """Write an .npz, byte for byte the same for the same answers."""
    arrays = {"digests": np.asarray(predictions.digests), "labels": predictions.labels}
    save_npz({**arrays, **{f"answers_{role}": values for role, values in predictions.answers.items()}}, path)


def load_predictions(path: Path) -> Predictions:
    """Read what save_predictions wrote; raises ArtifactError where it is damaged."""
    arrays = read_npz(path)
    if not {"digests", "labels"} <= arrays.keys():
        raise ArtifactError(f"{path} holds no digests and labels; it is not a predictions file")
    answers = {key[len("answers_") :]: values for key, values in arrays.items() if key.startswith("answers_")}
    return Predictions(tuple(map(str, arrays["digests"])), arrays["labels"], answers)


def answers_of(predictions: Predictions, role: str) -> NDArray[np.int32]:
    """The answers of one model; raises ArtifactError that lists the roles there are."""
    if role not in predictions.answers:
        raise ArtifactError(f"there are no answers of {role!r}; there are {', '.join(predictions.answers)}")
    return predictions.answers[role]


def candidates(predictions: Predictions) -> dict[str, NDArray[np.int32]]:
    """Answers of the models that lost something, by role: the quantized one, and its ONNX twin if there is one."""
    twins = {role: answers for role, answers in predictions.answers.items() if role == "int8_onnx"}
    return {"quantized": answers_of(predictions, "quantized"), **twins}
