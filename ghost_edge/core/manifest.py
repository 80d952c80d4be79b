"""manifest.json: everything that a board or a gate needs to know about a converted model."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import ArtifactError, RecipeError
from ghost_edge.core.files import Artifact, read_npz, save_npz, write_json
from ghost_edge.core.gate.limits import Limits
from ghost_edge.core.options import from_table
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.core.tensor import TensorSpec

FORMAT = 1
FILE_NAME = "manifest.json"


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """How an artifact answers the evaluation images; fractions, decibels against the float .tflite's logits."""

    top1: float
    top5: float
    drop: float
    margin: float
    agreement: float
    sqnr_db: Optional[float] = None


@dataclasses.dataclass(frozen=True)
class Model:
    """One artifact that runs: what goes in and out, how well it answers (None: not evaluated), how fast here."""

    role: str
    artifact: Artifact
    input: TensorSpec
    output: TensorSpec
    accuracy: Optional[Accuracy] = None
    median_ms: Optional[float] = None


@dataclasses.dataclass(frozen=True)
class Manifest:
    """format: number of this layout. predictions: the answers, image by image (None: not evaluated).

    gate: what the gate said when the model was made. tools: package name to version, ghost-edge's too. recipe: its
    tables; recipe_file: its name. trained: what the model card says of the weights (empty: there is none).
    """

    format: int
    name: str
    preprocess: Preprocess
    class_names: tuple[str, ...]
    models: tuple[Model, ...]
    limits: Limits
    predictions: Optional[Artifact]
    gate: tuple[str, ...]
    recipe_sha256: str
    weights_sha256: str
    tools: dict[str, str]
    recipe: dict[str, Any] = dataclasses.field(default_factory=dict)
    recipe_file: str = ""
    trained: dict[str, Any] = dataclasses.field(default_factory=dict)


def write_manifest(manifest: Manifest, folder: Path) -> Path:
    """Write manifest.json into the folder, whole or not at all."""
    path = folder / FILE_NAME
    write_json(seal(dataclasses.asdict(manifest)), path)
    return path


def seal(table: Mapping[str, Any]) -> dict[str, Any]:
    """The table with the SHA-256 of its content under "sha256": a flipped bit in a scale or a limit is seen."""
    content = {key: value for key, value in table.items() if key != "sha256"}
    return {**content, "sha256": hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()}


def read_manifest(path: Path) -> Manifest:
    """Read a manifest from its file or its folder; ArtifactError where it is missing, damaged or of another format."""
    path = path / FILE_NAME if path.is_dir() else path
    try:
        table = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise ArtifactError(f"{path} does not exist; ghost-edge convert writes it") from error
    except (OSError, ValueError, RecursionError) as error:
        raise ArtifactError(f"{path} is not a readable manifest ({error}); run ghost-edge convert again") from error
    if not isinstance(table, Mapping) or table.get("format") != FORMAT:
        found = table.get("format") if isinstance(table, Mapping) else type(table).__name__
        raise ArtifactError(
            f"{path} has format {found!r}, this ghost-edge reads {FORMAT}; run ghost-edge convert again"
        )
    try:
        if table.get("sha256") != seal(table)["sha256"]:
            raise ValueError("its content does not have the SHA-256 it names")
        return _parse({key: value for key, value in table.items() if key != "sha256"})
    except (RecipeError, TypeError, KeyError, ValueError, OverflowError) as error:
        raise ArtifactError(f"{path} is damaged: {error}; run ghost-edge convert again") from error


def _parse(table: Mapping[str, Any]) -> Manifest:
    if "quantized" not in [model["role"] for model in table["models"]]:
        raise ValueError("it lists no quantized model")
    predictions = table["predictions"]
    values = {
        **table,
        "preprocess": from_table(Preprocess, table["preprocess"], "preprocess"),
        "limits": from_table(Limits, table["limits"], "limits"),
        "predictions": predictions and from_table(Artifact, predictions, "predictions"),
        "models": tuple(_parse_model(model) for model in table["models"]),
    }
    return from_table(Manifest, values, "the manifest")


def _parse_model(table: Mapping[str, Any]) -> Model:
    nested: dict[str, Any] = {"artifact": Artifact, "input": TensorSpec, "output": TensorSpec, "accuracy": Accuracy}
    values = dict(table)
    for key, cls in nested.items():
        if values.get(key) is not None:
            values[key] = from_table(cls, values[key], key)
    return from_table(Model, values, "a model")


@dataclasses.dataclass(frozen=True)
class Predictions:
    """digests: identity of each image; labels int64 [N]; answers: role of a model to int32 [N], class indices."""

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
