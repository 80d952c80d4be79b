"""Outputs of a model file for images, and the evaluation images that travel to the board."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import ArtifactError, DataError, DeviceError, GateError
from ghost_edge.core.files import open_artifact, read_npz, save_npz, sha256_file
from ghost_edge.core.manifest import FILE_NAME, read_manifest, read_metadata
from ghost_edge.core.preprocess import CHANNELS, Preprocess, prepare
from ghost_edge.core.progress import Count
from ghost_edge.core.tables import Column
from ghost_edge.core.tasks import CLASSIFICATION, TASKS
from ghost_edge.core.tensor import TensorSpec, dequantize, quantize
from ghost_edge.device.isolate import run_isolated
from ghost_edge.device.runtimes.model import one_line
from ghost_edge.device.runtimes.open import open_model

_OUTPUTS = "outputs_"


@dataclasses.dataclass(frozen=True)
class RunOptions:
    """Options of open_model()."""

    runtime: str = "auto"
    kernels: str = "default"
    threads: int = 1


def raw_outputs(
    path: Path,
    images: Sequence[NDArray[np.uint8]],
    preprocess: Preprocess,
    how: RunOptions = RunOptions(),
    say: Optional[Count] = None,
) -> tuple[list[NDArray[Any]], tuple[TensorSpec, ...]]:
    """Return the outputs of a model for N images, uint8 [H, W, C], each [N, values] as stored, and their specs.

    say(done, total) is called after each image. Raises ArtifactError when the model does not take such images,
    DataError when there are none or one is unfit, DeviceError when a run fails, and what open_model() raises.
    """
    return _run(path, images, lambda image, spec: stored_input(image, preprocess, spec, path), how, say)


def _run(
    path: Path,
    images: Sequence[NDArray[Any]],
    store: Callable[[NDArray[Any], TensorSpec], NDArray[Any]],
    how: RunOptions,
    say: Optional[Count] = None,
) -> tuple[list[NDArray[Any]], tuple[TensorSpec, ...]]:
    if len(images) == 0:
        raise DataError("there are no images to evaluate; check the evaluation list or its limit")
    model = open_model(path, **vars(how))
    if len(model.inputs) != 1:
        raise ArtifactError(
            f"{path} has {len(model.inputs)} inputs; only a model with one image as input can be evaluated"
        )
    outputs: list[list[NDArray[Any]]] = []
    for done, image in enumerate(images, start=1):
        model.set_inputs([store(image, model.inputs[0])])
        try:
            model.invoke()
        except RuntimeError as error:
            raise DeviceError(f"{path} failed on image {done}: {one_line(error)}") from error
        outputs.append([output.reshape(-1) for output in model.outputs_now()])
        if say is not None:
            say(done, len(images))
    return [np.stack(each) for each in zip(*outputs)], model.outputs


def raw_outputs_isolated(
    path: Path,
    images: Sequence[NDArray[np.uint8]],
    preprocess: Preprocess,
    how: RunOptions = RunOptions(),
    timeout_s: float = 3600.0,
) -> tuple[list[NDArray[Any]], tuple[TensorSpec, ...]]:
    """Call raw_outputs() in a child process: a signal, a time-out or a full memory becomes a DeviceError."""
    outcome = run_isolated(lambda: raw_outputs(path, images, preprocess, how), timeout_s=timeout_s)
    outputs, specs = outcome.unwrap(str(path))
    return outputs, specs


def real_outputs(path: Path, outputs: Sequence[NDArray[Any]], specs: Sequence[TensorSpec]) -> list[NDArray[np.float32]]:
    """Return stored outputs [N, values] as real numbers, float32; ArtifactError where one is NaN or infinite."""
    found = [dequantize(values, spec) for values, spec in zip(outputs, specs)]
    if not all(np.isfinite(values).all() for values in found):
        raise ArtifactError(f"{path} answers NaN or infinity; check its weights and [preprocess] mean and std")
    return found


def predict_all(
    path: Path,
    images: Sequence[NDArray[np.uint8]],
    preprocess: Preprocess,
    how: RunOptions = RunOptions(),
    say: Optional[Count] = None,
) -> list[NDArray[np.float32]]:
    """Return all outputs of raw_outputs() as real numbers, each float32 [N, values]; raises as it does."""
    return real_outputs(path, *raw_outputs(path, images, preprocess, how, say))


def predict_inputs(
    path: Path, inputs: Sequence[NDArray[np.float32]], how: RunOptions = RunOptions()
) -> NDArray[np.float32]:
    """Return the first output for N model inputs, float32 [1, ...], as real numbers: float32 [N, values]."""
    return real_outputs(path, *_run(path, inputs, quantize, how))[0]


def stored_input(image: NDArray[np.uint8], preprocess: Preprocess, spec: TensorSpec, path: Path) -> NDArray[Any]:
    """Return what the input tensor `spec` of the model at `path` holds for one image, uint8 [H, W, C]: [1, ...].

    Raises ArtifactError as match_input() does, DataError where the array is no image.
    """
    return quantize(prepare(image, match_input(path, spec, preprocess)), spec)


@functools.lru_cache(maxsize=64)  # asked for every image
def match_input(path: Path, spec: TensorSpec, preprocess: Preprocess) -> Preprocess:
    """Return the preprocessing in the layout of the model's input, without normalisation where it takes bytes.

    Raises ArtifactError with both shapes when the input fits in neither, or when nothing says what its integers mean.
    """
    if spec.dtype.startswith("int") and not spec.is_quantized:
        raise ArtifactError(
            f"{path} takes {spec.dtype} and does not say its scale and zero point; take a file that ghost-edge made"
        )
    height, width, channels = preprocess.height, preprocess.width, CHANNELS[preprocess.channels]
    shapes = {"NHWC": (1, height, width, channels), "NCHW": (1, channels, height, width)}
    if spec.holds_bytes:
        preprocess = dataclasses.replace(preprocess, mean=(0.0,), std=(1.0,), divide_by=255.0)
    for layout in (preprocess.layout, *shapes):
        if spec.shape == shapes[layout]:
            return dataclasses.replace(preprocess, layout=layout)
    raise ArtifactError(
        f"{path} takes {list(spec.shape)}, [preprocess] makes {list(shapes[preprocess.layout])}; "
        "set size and channels in [preprocess] to what the model takes"
    )


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
    images, labels = (arrays.get(key, np.empty(0)) for key in ("images", "labels"))
    outputs = {key[len(_OUTPUTS) :]: values for key, values in arrays.items() if key.startswith(_OUTPUTS)}
    if images.dtype != np.uint8 or images.ndim != 4 or labels.dtype.kind not in "iu":
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

    Raises ArtifactError if neither exists, or if the manifest lists this name with another SHA-256.
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
