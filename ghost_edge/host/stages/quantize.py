"""From the float .tflite and the ranges to the quantized .tflite."""

from __future__ import annotations

from pathlib import Path

from ghost_edge.core.files import write_bytes
from ghost_edge.host.quantizers import QUANTIZERS
from ghost_edge.host.ranges.observer import load_ranges
from ghost_edge.host.stages import Work


def run(work: Work) -> tuple[Path, ...]:
    """Write <name>_<scheme>.tflite by the recipe's scheme."""
    scheme = work.recipe.quantization
    ranges = load_ranges(work.path(work.names.ranges))
    content = QUANTIZERS[scheme.kind].quantize(scheme.options, work.path(work.names.float_tflite), ranges)
    path = work.path(work.names.quantized)
    write_bytes(content, path)
    return (path,)
