"""Full-integer int8: per-channel weights, int8 activations, int8 input and output."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from litert_quantizer import quantizer, recipe

from ghost_edge.core.errors import ConversionError
from ghost_edge.host.ranges.observer import Ranges


@dataclasses.dataclass(frozen=True)
class Int8:
    """[quantization] with kind = "int8": symmetric weights a scale a channel, asymmetric activations.

    equalize: even out the ranges of the channels first. correct_bias: take back the shift that rounded weights make,
    where pictures held back confirm it.
    """

    equalize: bool = True
    correct_bias: bool = True


def quantize(options: Int8, float_tflite: Path, ranges: Ranges) -> bytes:
    """Quantize a float .tflite with these ranges (Jacob et al., CVPR 2018, section 3).

    Raises ConversionError with the quantizer's own reason where it refuses.
    """
    measured = {
        name: {"min": low.reshape(()), "max": high.reshape(())}
        for name, low, high in zip(ranges.names, ranges.low, ranges.high)
    }
    tool = quantizer.Quantizer(str(float_tflite), recipe.static_wi8_ai8())
    try:
        made = tool.quantize(measured, enable_progress_bar=False, enable_progress_report=False)
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ConversionError(f"{float_tflite.name} could not be quantized: {reason}") from error
    return bytes(made.quantized_model)
