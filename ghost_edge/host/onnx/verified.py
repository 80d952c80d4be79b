"""Export an int8 .tflite as an int8 ONNX model, and compare the two op by op before it counts as made."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from ghost_edge.core.errors import ArtifactError, ConversionError
from ghost_edge.core.files import write_bytes
from ghost_edge.core.metadata import metadata_text, parse_metadata
from ghost_edge.device.bench import random_input
from ghost_edge.host.onnx import add_metadata
from ghost_edge.host.onnx.compare import LEAST_EQUAL, LIMIT_LSB, OpDistance, compare_ops, find_apart
from ghost_edge.host.onnx.int8 import OnnxInt8, write_qdq
from ghost_edge.host.tflite.graph import Model, read_model

_RANDOM = 8  # inputs


@dataclasses.dataclass(frozen=True)
class OnnxModel:
    """An int8 ONNX model (QDQ) with the scales of its .tflite. operations: how far each op is from the .tflite's."""

    content: bytes = dataclasses.field(repr=False)
    operations: tuple[OpDistance, ...]

    def save(self, path: str | Path) -> Path:
        """Write the .onnx file, whole or not at all, and return its path."""
        write_bytes(self.content, Path(path))
        return Path(path)


def to_onnx(tflite: str | Path | Model, options: OnnxInt8 = OnnxInt8()) -> OnnxModel:  # noqa: B008  # frozen
    """Export an int8 or uint8 .tflite, whoever made it, as ONNX with the same scales.

    Every op of the two is run on the same random inputs. Raises ArtifactError for a damaged file or one with several
    inputs, ConversionError where an op has no form in ONNX or differs by more than rounding explains.
    """
    model, rng = tflite if isinstance(tflite, Model) else read_model(tflite), np.random.default_rng(0)
    specs = [model.tensors[index].spec for index in model.inputs]
    if len(specs) != 1:
        raise ArtifactError(f"{model.name} has {len(specs)} inputs; a model with one can be compared with its ONNX")
    try:
        content = write_qdq(model, options)
    except ConversionError as error:
        raise ConversionError(f"{error}; export takes full-integer files of the operations it knows") from error
    operations = compare_ops(model, content, (random_input(specs[0], rng) for _ in range(_RANDOM)))
    check_operations(operations, "the int8 ONNX model", model.name, "report it with the file")
    metadata = parse_metadata(model.content, model.name)
    if metadata is not None:
        sha256 = hashlib.sha256(model.content).hexdigest()
        content = add_metadata(content, metadata_text(dataclasses.replace(metadata, twin_sha256=sha256)))
    return OnnxModel(content, tuple(operations))


def check_operations(operations: Sequence[OpDistance], onnx: str, tflite: str, what_to_do: str) -> None:
    """Raise ConversionError naming the first ONNX operation that is further away than rounding explains."""
    apart = find_apart(operations)
    if apart is not None:
        raise ConversionError(
            f"{onnx} differs from {tflite} at operation {apart.index}, {apart.operation} {apart.name}: on identical "
            f"inputs by {apart.max_lsb} LSB, {apart.equal:.1%} of the values equal; rounding explains {LIMIT_LSB} LSB "
            f"and {LEAST_EQUAL:.0%}: {what_to_do}"
        )
