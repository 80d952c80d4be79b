"""ONNX files made of a .tflite: one row for each exporter."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from ghost_edge.core.manifest import METADATA_NAME
from ghost_edge.host.onnx import int8
from ghost_edge.host.onnx.float import OnnxFloat
from ghost_edge.host.onnx.float import export as export_float
from ghost_edge.host.tflite.graph import Model


class Exporter(NamedTuple):
    """A row of EXPORTERS: the schema of an [[export]] table, the function that makes the bytes, the end of the name.

    source: the .tflite that the file is made of, "float" or "quantized".
    """

    options: type[Any]
    export: Callable[[Model, Any], bytes]
    suffix: str
    source: str


EXPORTERS: dict[str, Exporter] = {
    "onnx_float": Exporter(OnnxFloat, export_float, "_float.onnx", "float"),
    "onnx_int8": Exporter(int8.OnnxInt8, int8.write_qdq, "_int8.onnx", "quantized"),
}


def add_metadata(content: bytes, text: str) -> bytes:
    """Return an .onnx with the text as an entry in its metadata_props."""
    import onnx  # here, because a recipe without exports should not wait for it

    model = onnx.load_from_string(content)
    model.metadata_props.add(key=METADATA_NAME, value=text)
    made: bytes = model.SerializeToString(deterministic=True)
    return made
