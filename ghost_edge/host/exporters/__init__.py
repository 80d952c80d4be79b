"""Formats beside .tflite: one row each."""
from __future__ import annotations
import dataclasses
from typing import NamedTuple, Any
@dataclasses.dataclass(frozen=True)
class OnnxFloat:
    pass
class Exporter(NamedTuple):
    options: type[Any]
EXPORTERS={"onnx_float":Exporter(OnnxFloat)}
