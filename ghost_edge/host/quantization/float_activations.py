"""Smaller weights under float32 activations: int8 with inputs quantized at run time, or float16."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from litert_quantizer import recipe
from litert_quantizer.recipe_manager import AlgorithmName, RecipeManager

from ghost_edge.host.calibration.observe import Ranges
from ghost_edge.host.quantization.tool import apply
from ghost_edge.host.tflite.graph import Model


@dataclasses.dataclass(frozen=True)
class FloatActivations:
    """[quantization] with kind = "dynamic" or "float16": no options.

    Evened-out channels were 0.7 dB better for "dynamic" on one shipped model and 0.4 dB worse on another.
    """

    equalize: ClassVar[bool] = False
    adapt_rounding: ClassVar[bool] = False
    correct_bias: ClassVar[bool] = False


class Dynamic(FloatActivations):
    """[quantization] with kind = "dynamic": int8 weights, inputs quantized at run time."""


class Float16(FloatActivations):
    """[quantization] with kind = "float16": float16 weights."""


def dynamic(options: FloatActivations, source: Model, ranges: Ranges) -> bytes:
    """int8 weights a scale a channel; kernels quantize their inputs as they run. Raises as apply()."""
    return apply(recipe.dynamic_wi8_afp32(), source, ranges)


def float16(options: FloatActivations, source: Model, ranges: Ranges) -> bytes:
    """float16 weights, each behind a DEQUANTIZE that XNNPACK runs once, when it opens the file. Raises as apply()."""
    scheme = RecipeManager()
    scheme.add_weight_only_config(".*", "*", 16, algorithm_key=AlgorithmName.FLOAT_CASTING)
    return apply(scheme.get_quantization_recipe(), source, ranges)
