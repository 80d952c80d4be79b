"""Facts about a converted model: manifest.json and predictions.npz beside it, metadata inside it."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import ArtifactError, RecipeError
from ghost_edge.core.files import Artifact, read_document, read_npz, save_npz, seal, write_json
from ghost_edge.core.gate.limits import Limits
from ghost_edge.core.options import from_table
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.core.tasks import CLASSIFICATION, TASKS
from ghost_edge.core.tensor import TensorSpec

METADATA_NAME = "ghost_edge"  # of the entry in the metadata of a .tflite, and in the metadata_props of an .onnx
_MARK = b'{"ghost_edge": 1, '

FORMAT = 1
FILE_NAME = "manifest.json"


@dataclasses.dataclass(frozen=True)
class Accuracy:
    """Accuracy of an artifact on the evaluation images; fractions, and decibels against the float .tflite's output.

    metrics: values of the task's metrics by their keys, the main one first.
    """

    metrics: dict[str, float]
    drop: float
    margin: float
    agreement: float
    sqnr_db: Optional[float] = None

    @property
    def main(self) -> float:
        """Value of the task's main metric, such as top-1."""
        return next(iter(self.metrics.values()))


def accuracy_table(accuracy: Accuracy) -> dict[str, Optional[float]]:
    """Return an Accuracy as one flat JSON table: the metrics, then drop, margin, agreement and sqnr_db."""
    return {**accuracy.metrics, **{key: value for key, value in vars(accuracy).items() if key != "metrics"}}


def parse_accuracy(table: Mapping[str, Any]) -> Accuracy:
    """Return the Accuracy of a table that accuracy_table() made; raises RecipeError for a value that is no number."""
    own = {key: table[key] for key in ("drop", "margin", "agreement", "sqnr_db") if key in table}
    metrics = {key: value for key, value in table.items() if key not in own}
    return from_table(Accuracy, {"metrics": metrics, **own}, "accuracy")


@dataclasses.dataclass(frozen=True)
class Model:
    """Artifact that runs: its input and output, accuracy (None: not evaluated) and latency on the workstation."""

    role: str
    artifact: Artifact
    input: TensorSpec
    output: TensorSpec
    accuracy: Optional[Accuracy] = None
    median_ms: Optional[float] = None


@dataclasses.dataclass(frozen=True)
class Manifest:
    """Contents of manifest.json; predictions: the answers, image by image (None: not evaluated).

    gate: reasons why the gate failed when the model was made. tools: package name to
    version, ghost-edge's too. recipe: its tables; recipe_file: its name. trained: from the model card of the weights
    (empty: there is none). task: a name in TASKS.
    """

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
    task: str = CLASSIFICATION


def write_manifest(manifest: Manifest, folder: Path) -> Path:
    """Write manifest.json into the folder, whole or not at all."""
    path = folder / FILE_NAME
    table = {"format": FORMAT, **without_default_task(dataclasses.asdict(manifest))}
    for row, model in zip(table["models"], manifest.models):
        row["accuracy"] = model.accuracy and accuracy_table(model.accuracy)
    write_json(seal(table), path)
    return path


def without_default_task(table: Mapping[str, Any]) -> dict[str, Any]:
    """Return the table without "task" where that is the default one: files of a classifier name none."""
    return {key: value for key, value in table.items() if key != "task" or value != CLASSIFICATION}


def read_manifest(path: Path) -> Manifest:
    """Read a manifest from its file or its folder; ArtifactError where it is missing, damaged or of another format."""
    path = path / FILE_NAME if path.is_dir() else path
    manifest = read_document(path, Manifest, format=FORMAT, sealed=True, change=_parse_accuracies)
    if "quantized" not in [model.role for model in manifest.models]:
        raise ArtifactError(f"{path} is damaged: it lists no quantized model; run ghost-edge convert again")
    if manifest.task not in TASKS:
        known = ", ".join(TASKS)
        raise ArtifactError(f"{path} is of the task {manifest.task!r}, this ghost-edge knows {known}; update it")
    for model in manifest.models:
        if model.accuracy and [*model.accuracy.metrics] != [*TASKS[manifest.task].metrics]:
            raise ArtifactError(
                f"{path} is damaged: its metrics are not those of {manifest.task}; run ghost-edge convert again"
            )
    return manifest


def _parse_accuracies(table: dict[str, Any]) -> dict[str, Any]:
    models = [{**row, "accuracy": row.get("accuracy") and parse_accuracy(row["accuracy"])} for row in table["models"]]
    return {**table, "models": models}


@dataclasses.dataclass(frozen=True)
class Predictions:
    """Answers of all models; digests: identity of each image; labels: the truth [N]; answers: role to [N]."""

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
    """Return the answers of a model; raises ArtifactError that lists the roles there are."""
    if role not in predictions.answers:
        raise ArtifactError(f"there are no answers of {role!r}; there are {', '.join(predictions.answers)}")
    return predictions.answers[role]


def candidates(predictions: Predictions) -> dict[str, NDArray[np.int32]]:
    """Return the answers of the quantized models by role: the .tflite, and the int8 ONNX model if there is one."""
    int8_onnx = {role: answers for role, answers in predictions.answers.items() if role == "int8_onnx"}
    return {"quantized": answers_of(predictions, "quantized"), **int8_onnx}


@dataclasses.dataclass(frozen=True)
class Metadata:
    """Preprocessing and class names, as in manifest.json.

    twin_sha256: SHA-256 of the same model in the other format. In an .onnx, of the .tflite file; in a .tflite, of the
    .onnx without its metadata, which is made first. Empty: no int8 ONNX model was asked for.
    """

    preprocess: Preprocess
    class_names: tuple[str, ...]
    twin_sha256: str = ""


def metadata_text(metadata: Metadata) -> str:
    """Return the metadata as one line of ASCII JSON, which stands in the file as it is."""
    text = json.dumps({"ghost_edge": 1, **dataclasses.asdict(metadata)})
    assert text.encode().startswith(_MARK), "read_metadata() would not find it"
    return text


def read_metadata(path: Path) -> Optional[Metadata]:
    """Return the metadata of a .tflite or .onnx file, None where it has none, without a reader of either format.

    Raises ArtifactError where the file cannot be read or the metadata is damaged.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}); check the path") from error
    return parse_metadata(content, str(path))


def parse_metadata(content: bytes, name: str) -> Optional[Metadata]:
    """Return the metadata in the bytes of a .tflite or .onnx file; name: for messages; else as read_metadata()."""
    start = content.rfind(_MARK)
    if start < 0:
        return None
    try:
        table, _ = json.JSONDecoder().raw_decode(content[start:].decode("ascii", errors="replace"))
        table = {key: value for key, value in table.items() if key != METADATA_NAME}
        return from_table(Metadata, table, "the metadata")
    except (ValueError, TypeError, AttributeError, RecursionError, RecipeError) as error:
        raise ArtifactError(f"{name} is damaged: what it says about itself cannot be read ({error})") from error


def describe_input(metadata: Metadata) -> str:
    """Return in one line how to feed the file and what it answers."""
    options, count = metadata.preprocess, len(metadata.class_names)
    first = ", ".join(metadata.class_names[:3]) + (", ..." if count > 3 else "")
    return (
        f"{options.channels} {options.height} x {options.width}, "
        f"(pixel / {options.divide_by:g} - {list(options.mean)}) / {list(options.std)}; {count} classes: {first}"
    )


def check_fed(path: Path, preprocess: Preprocess) -> str:
    """Return a doubt where the file's metadata says that it is fed in another way, else nothing."""
    metadata = read_metadata(path)
    if metadata is None:
        return ""
    own, given = (
        {key: list(value) if isinstance(value, tuple) else value for key, value in dataclasses.asdict(each).items()}
        for each in (metadata.preprocess, preprocess)
    )
    other = [f"{key} {own[key]}, not {given[key]}" for key in own if key != "layout" and own[key] != given[key]]
    return f"doubt: {path} says that it was made for {'; '.join(other)}" if other else ""
