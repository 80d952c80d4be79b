"""Formats beside .tflite: one row each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ghost_edge.core.card import NAME
from ghost_edge.host.exporters import onnx_float, onnx_int8


class Exporter(NamedTuple):
    """The schema of an [[export]] table, the function that makes the file's bytes, the end of its name.

    source: the .tflite that it is made of, "float" or "quantized".
    """

    options: type[Any]
    export: Callable[[Any, Path], bytes]
    suffix: str
    source: str


EXPORTERS: dict[str, Exporter] = {
    "onnx_float": Exporter(onnx_float.OnnxFloat, onnx_float.export, "_float.onnx", "float"),
    "onnx_int8": Exporter(onnx_int8.OnnxInt8, onnx_int8.export, "_int8.onnx", "quantized"),
}


def add_card(content: bytes, text: str) -> bytes:
    """An .onnx with an entry in its metadata_props."""
    import onnx  # here, because a recipe without exports should not wait for it

    model = onnx.load_from_string(content)
    model.metadata_props.add(key=NAME, value=text)
    made: bytes = model.SerializeToString(deterministic=True)
    return made
