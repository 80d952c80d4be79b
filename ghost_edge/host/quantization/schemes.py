"""Quantization schemes: int8, int16x8, dynamic and float16, made by litert-quantizer with ranges of our own."""

from __future__ import annotations

import contextlib
import dataclasses
import io
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
from litert_quantizer import quantizer, recipe
from litert_quantizer.recipe_manager import AlgorithmName, RecipeManager

from ghost_edge.core.errors import ConversionError
from ghost_edge.host.calibration.observe import Ranges
from ghost_edge.host.quantization.bias_correction import fit_biases
from ghost_edge.host.tflite.edit import pack
from ghost_edge.host.tflite.graph import Model, parse_model, unpack


@dataclasses.dataclass(frozen=True)
class Int8:
    """[quantization] of the integer schemes, kind = "int8" for one: symmetric weights, per-channel scales.

    equalize: cross-layer equalization first. adapt_rounding: round weights with regard to each other, which takes
    seconds. correct_bias: add the mean error of rounded weights to the biases. adapt_rounding and correct_bias are kept
    where they raise the SQNR on calibration images held back.
    """

    equalize: bool = True
    adapt_rounding: bool = False
    correct_bias: bool = True


class Int8FloatIo(Int8):
    """[quantization] with kind = "int8_float_io": the int8 model with float32 input and output."""


class Uint8Io(Int8):
    """[quantization] with kind = "uint8_io": the int8 model with uint8 input and output, normalisation inside."""


class Int16x8(Int8):
    """[quantization] with kind = "int16x8": int16 activations and int8 weights, between int8 and float in accuracy."""


@dataclasses.dataclass(frozen=True)
class FloatActivations:
    """[quantization] with kind = "dynamic" or "float16": no options.

    Cross-layer equalization was 0.7 dB better for "dynamic" on one shipped model and 0.4 dB worse on another.
    """

    equalize: ClassVar[bool] = False
    adapt_rounding: ClassVar[bool] = False
    correct_bias: ClassVar[bool] = False


class Dynamic(FloatActivations):
    """[quantization] with kind = "dynamic": int8 weights, inputs quantized at run time."""


class Float16(FloatActivations):
    """[quantization] with kind = "float16": float16 weights."""


def apply(scheme: Any, source: Model, ranges: Ranges) -> bytes:
    """Quantize a float model by a recipe of litert-quantizer; ConversionError with its own reason where it refuses."""
    measured = {
        name: {"min": low.reshape(()), "max": high.reshape(())}
        for name, low, high in zip(ranges.names, ranges.low, ranges.high)
    }
    tool = quantizer.Quantizer(source.content, scheme)
    try:
        # one of its progress bars cannot be turned off; a bias beyond INT32 overflows in it, and is mended below
        with contextlib.redirect_stderr(io.StringIO()), np.errstate(invalid="ignore"):
            made = tool.quantize(measured, enable_progress_bar=False, enable_progress_report=False)
    except (ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())
        raise ConversionError(f"{Path(source.name).name} could not be quantized: {reason}") from error
    return fit_biases(source, parse_model(bytes(made.quantized_model), source.name))


def int8(options: Int8, source: Model, ranges: Ranges) -> bytes:
    """Quantize to asymmetric int8 activations (Jacob et al., CVPR 2018, section 3); raises as apply()."""
    return apply(recipe.static_wi8_ai8(), source, ranges)


def int16x8(options: Int16x8, source: Model, ranges: Ranges) -> bytes:
    """Quantize to symmetric int16 activations (zero point 0) with int64 biases; raises as apply()."""
    return free_scales(apply(recipe.static_wi8_ai16(), source, ranges.unclipped(ranges.names)))


def free_scales(content: bytes) -> bytes:
    """Return the file with ADD and SUB that take any int16 scales, not powers of two alone."""
    model = unpack(content)
    for operator in model.subgraphs[0].operators:
        # true by default: where all scales happen to be powers of two, ADD and SUB then refuse to prepare
        if hasattr(operator.builtinOptions, "potScaleInt16"):
            operator.builtinOptions.potScaleInt16 = False
    return pack(model)


def dynamic(options: Dynamic, source: Model, ranges: Ranges) -> bytes:
    """Quantize weights to int8, per channel; kernels quantize their inputs as they run. Raises as apply()."""
    return apply(recipe.dynamic_wi8_afp32(), source, ranges)


def float16(options: Float16, source: Model, ranges: Ranges) -> bytes:
    """Store weights in float16, each behind a DEQUANTIZE that XNNPACK runs once, on opening. Raises as apply()."""
    scheme = RecipeManager()
    scheme.add_weight_only_config(".*", "*", 16, algorithm_key=AlgorithmName.FLOAT_CASTING)
    return apply(scheme.get_quantization_recipe(), source, ranges)
