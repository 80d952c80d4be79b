"""Evaluation images that travel to the board, with the outputs of the workstation's int8 model."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import DataError, GateError
from ghost_edge.core.files import open_artifact, read_npz, save_npz, sha256_file
from ghost_edge.core.manifest import FILE_NAME, read_manifest
from ghost_edge.core.metadata import read_metadata
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.core.tables import Column
from ghost_edge.core.tasks import CLASSIFICATION, TASKS
from ghost_edge.device.evaluate import RunOptions, raw_outputs_isolated, real_outputs

_OUTPUTS = "outputs_"


@dataclasses.dataclass(frozen=True)
class EvaluationSet:
    """Images uint8 [N, H, W, C], resized and cropped; labels: the task's truth, int64 [N] for classification.

    outputs: stem of a model file to its first output, [N, values] in the file's own dtype, under reference kernels.
    """

    images: NDArray[np.uint8]
    labels: NDArray[np.int64]
    outputs: Mapping[str, NDArray[Any]]
    task: str = CLASSIFICATION

    @property
    def columns(self) -> tuple[Column, ...]:
        """Columns of a table of evaluate_set()'s rows."""
        metrics = (Column(name, key, ".2%") for key, name in TASKS[self.task].metrics.items())
        compared = Column("same bytes", "equal_outputs", ".2%"), Column("farthest off", "largest_difference", "d")
        return (Column("artifact", "file"), Column("images", "images", "d"), *metrics, *compared)


def save_evaluation_set(images: EvaluationSet, path: Path) -> None:
    """Write an .npz, byte for byte the same for the same images."""
    outputs = {_OUTPUTS + stem: values for stem, values in images.outputs.items()}
    task = {} if images.task == CLASSIFICATION else {"task": np.array(images.task)}
    save_npz({"images": images.images, "labels": images.labels, **task, **outputs}, path)


def load_evaluation_set(path: Path) -> EvaluationSet:
    """Read what save_evaluation_set() wrote; raises DataError where it is missing, damaged or not such a file."""
    arrays = read_npz(path, error=DataError)
    images, labels = arrays.get("images"), arrays.get("labels")
    outputs = {key[len(_OUTPUTS) :]: values for key, values in arrays.items() if key.startswith(_OUTPUTS)}
    if (
        images is None
        or labels is None
        or images.dtype != np.uint8
        or images.ndim != 4
        or labels.dtype.kind not in "iu"
    ):
        raise DataError(
            f"{path} must hold images, uint8 [N, H, W, C], labels, integers [N], and outputs [N, classes]; it holds "
            + ", ".join(f"{key} {values.dtype} {list(values.shape)}" for key, values in arrays.items())
        )
    if not len(images) or {len(images)} != {len(values) for values in (labels, *outputs.values())}:
        raise DataError(f"{path} has {len(images)} images and {len(labels)} labels; need as many of each, at least one")
    task = str(arrays.get("task", CLASSIFICATION))
    if task not in TASKS:
        raise DataError(f"{path} is of the task {task!r}, this ghost-edge knows {', '.join(TASKS)}; update it")
    return EvaluationSet(images, labels.astype(np.int64), outputs, task)


def evaluate_set(
    files: Sequence[Path],
    images: EvaluationSet,
    preprocess: Mapping[Path, Preprocess],
    how: RunOptions,
) -> tuple[list[dict[str, Any]], dict[str, NDArray[Any]]]:
    """Return a row of images.columns for each file, and by its stem the outputs, [N, values] in the file's own dtype.

    equal_outputs: share of the images whose outputs are those of the workstation, byte for byte; None where the
    images bring none for this file. largest_difference: in LSB of the output. Each file runs in a child
    process; raises as raw_outputs_isolated() does, and DataError where images, labels and file do not fit together.
    """
    rows, answers, task = [], {}, TASKS[images.task]
    for file in files:
        height, width = preprocess[file].covered
        if images.images.shape[1:3] != (height, width):
            raise DataError(
                f"the images are {list(images.images.shape[1:3])}, [preprocess] of {file} begins with "
                f"{height} x {width}; these are not its images: make the bundle again"
            )
        outputs, specs = raw_outputs_isolated(file, list(images.images), preprocess[file], how)
        real, labels = real_outputs(file, outputs, specs), images.labels
        misfit = task.misfit(labels, real)
        if misfit:
            raise DataError(f"{file}: the images have {misfit}; these are not its images")
        answers[file.stem] = first = outputs[0]
        rows.append(
            {
                "file": file.name,
                "sha256": sha256_file(file),
                "images": len(labels),
                **task.score(task.decode(real), labels),
                **_compare(file, first, images.outputs.get(file.stem)),
            }
        )
    return rows, answers


def read_preprocess(file: Path, manifest: Optional[Path] = None) -> Preprocess:
    """Read the preprocessing of a model file from the manifest beside it, or from the file's own metadata.

    Raises ArtifactError where there is neither, or the manifest promises another file under this name.
    """
    if manifest is None and not (file.parent / FILE_NAME).exists() and (metadata := read_metadata(file)):
        return metadata.preprocess
    found = read_manifest(manifest or file.parent)
    for model in found.models:
        if model.artifact.file == file.name:
            open_artifact(model.artifact, file.parent)
    return found.preprocess


def check_outputs(rows: Sequence[Mapping[str, Any]]) -> None:
    """Raise GateError where a row of evaluate_set() differs from the workstation's outputs by more than one LSB.

    The kernels must be the reference kernels. FULLY_CONNECTED of tflite-runtime 2.14 rounds a few values the other way.
    """
    other = [row["file"] for row in rows if (row["largest_difference"] or 0) > 1]
    if other:
        raise GateError(f"{other[0]} gives other outputs than on the workstation, see above; is it the same file?")


def _compare(file: Path, outputs: NDArray[Any], expected: Optional[NDArray[Any]]) -> dict[str, Any]:
    if expected is None:
        return {"equal_outputs": None, "largest_difference": None}
    if expected.shape != outputs.shape or expected.dtype != outputs.dtype or expected.dtype.kind not in "iu":
        raise DataError(
            f"{file} answers {outputs.dtype} {list(outputs.shape)}, on the workstation it was {expected.dtype} "
            f"{list(expected.shape)}; make the bundle again"
        )
    apart = np.abs(outputs.astype(np.int64) - expected)
    return {"equal_outputs": float((apart == 0).all(axis=1).mean()), "largest_difference": int(apart.max())}
