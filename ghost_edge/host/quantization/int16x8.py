"""int16 activations with int8 weights: between int8 and float in accuracy, on plain kernels."""

from __future__ import annotations

from litert_quantizer import recipe

from ghost_edge.host.calibration.observe import Ranges
from ghost_edge.host.quantization.int8 import Int8
from ghost_edge.host.quantization.tool import apply
from ghost_edge.host.tflite.edit import pack, unpack
from ghost_edge.host.tflite.graph import Model


class Int16x8(Int8):
    """[quantization] with kind = "int16x8": symmetric int16 activations, int8 weights."""


def quantize(options: Int8, source: Model, ranges: Ranges) -> bytes:
    """Symmetric int16 activations (zero point 0), int64 biases; raises as apply()."""
    return free_scales(apply(recipe.static_wi8_ai16(), source, ranges.unclipped(ranges.names)))


def free_scales(content: bytes) -> bytes:
    """The file with ADD and SUB that take any int16 scales, not powers of two alone."""
    model = unpack(content)
    for operator in model.subgraphs[0].operators:
        # true by default: where all scales happen to be powers of two, ADD and SUB then refuse to prepare
        if hasattr(operator.builtinOptions, "potScaleInt16"):
            operator.builtinOptions.potScaleInt16 = False
    return pack(model)
