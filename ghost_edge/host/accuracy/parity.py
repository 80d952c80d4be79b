"""Parity of runtimes: how far the answers of one model are apart, in LSB of the quantized output."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.dataset import Image
from ghost_edge.core.errors import ArtifactError, ConversionError, DeviceError
from ghost_edge.core.files import read_document, read_npz, save_npz, sha256_file
from ghost_edge.core.manifest import read_metadata
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.core.progress import Count, run_in_threads, silent
from ghost_edge.core.tables import Column
from ghost_edge.core.tasks import CLASSIFICATION, TASKS
from ghost_edge.device.evaluate import RunOptions, predict_all, stored_input
from ghost_edge.device.runtimes.onnx import PRECISE
from ghost_edge.device.runtimes.open import INTERPRETERS, is_installed
from ghost_edge.host.onnx.compare import OpDistance, check_operations, compare_ops
from ghost_edge.host.tflite.graph import read_model

KERAS, REFERENCE, UNASKED = "Keras", "int8 reference", "int8 .onnx unasked"
RUNS = {  # label to role of the file in manifest.json, runtime, kernels
    "float .tflite": ("float", "litert", "default"),
    "float .onnx": ("float_onnx", "onnxruntime", "default"),
    REFERENCE: ("quantized", "litert", "reference"),
    "int8 optimised": ("quantized", "litert", "optimised"),
    "int8 XNNPACK": ("quantized", "litert", "default"),
    "int8 .onnx": ("int8_onnx", "onnxruntime", "default"),
    UNASKED: ("int8_onnx", "onnxruntime", "optimised"),
    "int8 .onnx plain": ("int8_onnx", "onnxruntime", "reference"),
    "TFLite Micro": ("quantized", "tflite-micro", "default"),
}
_LEVELS = 256
_RANDOM = 8  # inputs


@dataclasses.dataclass(frozen=True)
class Pair:
    """A pair of runs on the same images.

    max_lsb: largest difference, in LSB of the quantized output. differ: share of the outputs that are an LSB or more
    apart. agreement: share of the images with the same answer.
    """

    first: str
    second: str
    max_lsb: int
    differ: float
    agreement: float


@dataclasses.dataclass(frozen=True)
class Parity:
    """Contents of parity.json.

    runs: labels in the order of the matrix. operations: distances of the int8 ONNX model, op by op on identical inputs;
    empty without that model. refused: a line for each optional runtime that does not run the file.
    """

    images: int
    runs: tuple[str, ...]
    pairs: tuple[Pair, ...]
    operations: tuple[OpDistance, ...]
    refused: tuple[str, ...] = ()

    def pair(self, first: str, second: str) -> Pair | None:
        """Return the entry of the matrix, in whatever order it was measured; None where a run is missing."""
        return next((each for each in self.pairs if {each.first, each.second} == {first, second}), None)


def measure_parity(
    files: Mapping[str, Path], images: Sequence[Image], preprocess: Preprocess, keras: NDArray[np.float32] | None
) -> Parity:
    """Let every runtime that is installed answer images, uint8 [H, W, C], and compare each with each.

    files: by role, as RUNS names them. keras: answers of the network before conversion, float32 [N, classes], which
    convert takes from its frozen graph; None leaves them out. Raises what predict_all() and compare_ops() raise.
    """
    quantized = read_model(files["quantized"])
    runs = {label: run for label, run in RUNS.items() if run[0] in files and is_installed(run[1])}

    def answer(label: str, count: Count) -> NDArray[np.float32] | DeviceError:
        role, runtime, kernels = runs[label]
        try:
            return predict_all(files[role], images, preprocess, RunOptions(runtime, kernels), count)[0]
        except DeviceError as error:
            if not INTERPRETERS[runtime].only_if_asked:
                raise
            return error

    answers = run_in_threads({label: functools.partial(answer, label) for label in runs}, silent)
    operations, logits = list[OpDistance](), {KERAS: keras} if keras is not None else {}
    if "int8_onnx" in files:
        spec = quantized.tensors[quantized.inputs[0]].spec
        given = (stored_input(image, preprocess, spec, files["quantized"]) for image in images)
        operations = compare_ops(quantized, files["int8_onnx"].read_bytes(), given)
    logits.update({label: found for label, found in answers.items() if not isinstance(found, DeviceError)})
    refused = [str(found) for found in answers.values() if isinstance(found, DeviceError)]
    pairs = compare_runs(logits, quantized.output_scale)
    return Parity(len(images), tuple(logits), pairs, tuple(operations), tuple(refused))


def compare_runs(logits: Mapping[str, NDArray[np.float32]], step: float) -> tuple[Pair, ...]:
    """Compare every two answers, float32 [N, classes]; step: the size of an LSB, 0: 1/256 of the first one's span."""
    pairs, task = [], TASKS[CLASSIFICATION]
    answers = {label: task.keep(task.decode([values])) for label, values in logits.items()}
    for (first, one), (second, other) in itertools.combinations(logits.items(), 2):
        apart = np.rint(np.abs(one.astype(np.float64) - other) / (step or np.ptp(one) / _LEVELS))
        agreement = float(task.same(answers[first], answers[second]).mean())
        pairs.append(Pair(first, second, int(apart.max()), float((apart > 0).mean()), agreement))
    return tuple(pairs)


def check_parity(parity: Parity, files: Mapping[str, Path]) -> None:
    """Raise ConversionError where the int8 ONNX model is of another .tflite, or as check_operations() does."""
    if "int8_onnx" not in files:
        return
    onnx, tflite = files["int8_onnx"], files["quantized"]
    check_operations(
        parity.operations,
        onnx.name,
        tflite.name,
        'to go on without it, list [[export]] kind = "onnx_float" alone; report the network',
    )
    metadata = read_metadata(onnx)
    if metadata is not None and metadata.twin_sha256 != sha256_file(tflite):
        raise ConversionError(f"{onnx.name} was made of another {tflite.name}; convert again, deploy both")


def saturation_doubts(parity: Parity) -> list[str]:
    """Return a warning where this processor saturates sums in a session of ONNX Runtime without our option."""
    pair = parity.pair("int8 .onnx", UNASKED)
    if pair is None or pair.max_lsb == 0:
        return []
    return [
        f"doubt: without the session option {PRECISE} = 1 ONNX Runtime saturates sums on this processor, which has no "
        f"VNNI: the int8 .onnx is then off by up to {pair.max_lsb} LSB; ghost-edge sets it, your program has to"
    ]


def save_images(images: Sequence[Image], keras: NDArray[np.float32], model: Path, path: Path) -> None:
    """Write images, uint8 [H, W, C], and Keras' answers, float32 [N, classes], for a float .tflite."""
    digest = np.frombuffer(bytes.fromhex(sha256_file(model)), np.uint8)
    save_npz({"images": np.stack(images), "keras": keras, "model": digest}, path)


def load_images(path: Path, model: Path) -> tuple[list[Image], NDArray[np.float32]]:
    """Read what save_images() wrote; ArtifactError where it is of another model, or no such file."""
    arrays = read_npz(path)
    if arrays.keys() != {"images", "keras", "model"}:
        raise ArtifactError(f"{path} is not what convert of this version writes; run ghost-edge convert again")
    images, keras, digest = arrays["images"], arrays["keras"], arrays["model"]
    if digest.tobytes().hex() != sha256_file(model) or images.ndim != 4 or keras.shape[:1] != images.shape[:1]:
        raise ArtifactError(f"{path} holds the images of another model than {model.name}; convert again")
    return list(images), keras


def load_parity(path: Path) -> Parity:
    """Read parity.json; raises ArtifactError where it is missing, damaged, or of another version."""
    return read_document(path, Parity)


def columns(parity: Parity) -> tuple[Column, ...]:
    """Return the columns of the matrix as a table: the last run needs none."""
    return (Column("", "run"), *(Column(label, label) for label in parity.runs[:-1]))


def rows(parity: Parity) -> list[dict[str, Any]]:
    """Return the lower half of the matrix: largest difference in LSB, share of outputs that differ, agreement."""
    made = []
    for number, label in enumerate(parity.runs[1:], 1):  # the first has nobody before it
        row: dict[str, Any] = {"run": label, **dict.fromkeys(parity.runs, "")}
        for other in parity.runs[:number]:
            pair = parity.pair(label, other)
            assert pair is not None
            row[other] = f"{pair.max_lsb} / {pair.differ:.0%} / {pair.agreement:.0%}"
        made.append(row)
    return made
