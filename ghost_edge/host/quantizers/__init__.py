"""Schemes of quantization after training: one row each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ghost_edge.host.quantizers import int8
from ghost_edge.host.ranges.observer import Ranges


class Quantizer(NamedTuple):
    """The schema of [quantization], the function that makes the .tflite, and the dtypes that may be in it."""

    options: type[Any]
    quantize: Callable[[Any, Path, Ranges], bytes]
    dtypes: frozenset[str]


QUANTIZERS: dict[str, Quantizer] = {
    "int8": Quantizer(int8.Int8, int8.quantize, frozenset({"int8", "int32"})),
}
