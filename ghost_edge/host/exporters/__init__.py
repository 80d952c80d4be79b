"""Formats beside .tflite: one row each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ghost_edge.host.exporters import onnx_float


class Exporter(NamedTuple):
    """The schema of an [[export]] table, the function that makes the file's bytes from the float .tflite, its name."""

    options: type[Any]
    export: Callable[[Any, Path], bytes]
    suffix: str


EXPORTERS: dict[str, Exporter] = {
    "onnx_float": Exporter(onnx_float.OnnxFloat, onnx_float.export, "_float.onnx"),
}
