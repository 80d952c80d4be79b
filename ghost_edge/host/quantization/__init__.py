"""Schemes of quantization after training: one row each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ghost_edge.core.preprocess import Preprocess
from ghost_edge.host.calibration.observe import Ranges
from ghost_edge.host.quantization import float_activations, int8, int16x8, io_dtypes, mixed
from ghost_edge.host.tflite.verify import Dtypes


class Quantizer(NamedTuple):
    """The schema of [quantization], the function that makes the .tflite, and the dtypes that may be in it.

    finish: the last step, once biases are corrected.
    """

    options: type[Any]
    quantize: Callable[[Any, Path, Ranges], bytes]
    dtypes: Dtypes
    finish: Callable[[bytes, Preprocess], bytes] | None = None


_INT8, _FLOAT32 = frozenset({"int8"}), frozenset({"float32"})
_UINT8 = frozenset({"uint8"})
_INTEGERS = _INT8 | {"int32"}
_WIDE = _INTEGERS | {"int16", "int64"}
_FLOAT = float_activations.FloatActivations
QUANTIZERS: dict[str, Quantizer] = {
    "int8": Quantizer(int8.Int8, int8.quantize, Dtypes(_INT8, _INTEGERS, "int8")),
    "int8_float_io": Quantizer(int8.Int8, int8.quantize, Dtypes(_FLOAT32, _INTEGERS, "int8"), io_dtypes.float_ends),
    "uint8_io": Quantizer(int8.Int8, int8.quantize, Dtypes(_UINT8, _INTEGERS, "int8"), io_dtypes.byte_ends),
    "int16x8": Quantizer(int8.Int8, int16x8.quantize, Dtypes(frozenset({"int16"}), _WIDE, "int8")),
    "mixed": Quantizer(mixed.Mixed, mixed.quantize, Dtypes(_INT8 | _FLOAT32 | {"int16"}, _WIDE | _FLOAT32, "int8")),
    "dynamic": Quantizer(_FLOAT, float_activations.dynamic, Dtypes(_FLOAT32, _INTEGERS | _FLOAT32, "int8")),
    "float16": Quantizer(
        _FLOAT, float_activations.float16, Dtypes(_FLOAT32, _FLOAT32 | {"float16", "int32"}, "float16")
    ),
}
