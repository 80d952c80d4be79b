"""litert-quantizer, fed with ranges of our own."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from litert_quantizer import quantizer

from ghost_edge.core.errors import ConversionError
from ghost_edge.host.calibration.observe import Ranges
from ghost_edge.host.tflite.graph import Model


def apply(scheme: Any, source: Model, ranges: Ranges) -> bytes:
    """Quantize a float .tflite by one of its recipes; ConversionError with its own reason where it refuses."""
    measured = {
        name: {"min": low.reshape(()), "max": high.reshape(())}
        for name, low, high in zip(ranges.names, ranges.low, ranges.high)
    }
    tool = quantizer.Quantizer(source.content, scheme)
    try:
        made = tool.quantize(measured, enable_progress_bar=False, enable_progress_report=False)
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ConversionError(f"{Path(source.name).name} could not be quantized: {reason}") from error
    return bytes(made.quantized_model)
