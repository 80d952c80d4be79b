"""Full-integer int8: per-channel weights, int8 activations, int8 input and output."""

from __future__ import annotations

import dataclasses

from litert_quantizer import recipe

from ghost_edge.host.calibration.observe import Ranges
from ghost_edge.host.quantization.tool import apply
from ghost_edge.host.tflite.graph import Model


@dataclasses.dataclass(frozen=True)
class Int8:
    """[quantization] of the integer schemes, kind = "int8" for one: symmetric weights a scale a channel.

    equalize: even out the ranges of the channels first. adapt_rounding: round weights with regard to each other, some
    seconds. correct_bias: take back the shift that rounded weights make. The two last where images held back confirm.
    """

    equalize: bool = True
    adapt_rounding: bool = False
    correct_bias: bool = True


class Int8FloatIo(Int8):
    """[quantization] with kind = "int8_float_io": the int8 model with float32 input and output."""


class Uint8Io(Int8):
    """[quantization] with kind = "uint8_io": the int8 model with uint8 input and output, normalisation inside."""


def quantize(options: Int8, source: Model, ranges: Ranges) -> bytes:
    """Asymmetric int8 activations (Jacob et al., CVPR 2018, section 3); raises as apply()."""
    return apply(recipe.static_wi8_ai8(), source, ranges)
