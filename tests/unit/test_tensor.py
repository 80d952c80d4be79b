"""Real numbers and the integers that stand for them."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ghost_edge.core.tensor import TensorSpec, dequantize, quantize

# real = 0.5 * (stored - 3): powers of two, so that every expected value is exact (equation 1 of arXiv 1712.05877)
INT8 = TensorSpec("x", (4,), "int8", scale=0.5, zero_point=3)
BYTES = TensorSpec("image", (1, 2, 2, 3), "uint8")
FLOAT = TensorSpec("x", (4,), "float32")


@pytest.mark.parametrize(
    ("spec", "bytes_go_in"),
    [
        (TensorSpec("image", (1,), "uint8", float(np.float32(1 / 255))), True),
        (TensorSpec("image", (1,), "uint8", 1 / 255, zero_point=128), False),
        (TensorSpec("image", (1,), "uint8", 1 / 127.5), False),
        (TensorSpec("image", (1,), "int8", 1 / 255), False),
        (BYTES, False),
    ],
)
def test_a_model_that_takes_bytes_is_known_by_its_scale(spec: TensorSpec, bytes_go_in: bool) -> None:
    assert spec.holds_bytes is bytes_go_in


def real(*values: float) -> Any:
    return np.array(values, np.float32)


def test_quantize_follows_the_equation() -> None:
    assert_array_equal(quantize(real(0.0, 1.0, -1.0, 10.5), INT8), [3, 5, 1, 24])


def test_dequantize_follows_the_equation() -> None:
    assert_array_equal(dequantize(np.array([3, 5, 1, 24], np.int8), INT8), real(0.0, 1.0, -1.0, 10.5))


def test_half_a_step_is_rounded_to_the_even_integer() -> None:
    # 0.25 / 0.5 = 0.5 -> 0, 0.75 / 0.5 = 1.5 -> 2, each plus the zero point 3
    assert_array_equal(quantize(real(0.25, 0.75, -0.25, -0.75), INT8), [3, 5, 3, 1])


@pytest.mark.parametrize(
    ("dtype", "low", "high"), [("int8", -128, 127), ("uint8", 0, 255), ("int16", -32768, 32767), ("uint16", 0, 65535)]
)
def test_values_outside_the_range_are_clipped_and_do_not_wrap(dtype: str, low: int, high: int) -> None:
    stored = quantize(real(-1e6, 1e6), TensorSpec("x", (2,), dtype, scale=0.5, zero_point=0))
    assert (stored.dtype, list(stored)) == (np.dtype(dtype), [low, high])


@pytest.mark.parametrize("stored", [np.arange(-128, 128, dtype=np.int8)])
def test_every_stored_integer_survives_the_way_to_real_and_back(stored: Any) -> None:
    # 0.0235 is a typical input scale (six sigmas over 255 steps), not exact in binary on purpose
    spec = TensorSpec("x", (256,), "int8", scale=0.0235, zero_point=-11)
    assert_array_equal(quantize(dequantize(stored, spec), spec), stored)


def test_the_way_back_loses_half_a_step_at_most() -> None:
    values = np.linspace(-60, 60, 1001, dtype=np.float32)
    back = dequantize(quantize(values, INT8), INT8)
    assert float(np.abs(back - values).max()) <= INT8.scale / 2


def test_another_scale_gives_other_integers() -> None:
    halved = TensorSpec("x", (4,), "int8", scale=0.25, zero_point=3)
    assert list(quantize(real(1.0), halved)) != list(quantize(real(1.0), INT8))


def test_a_float_tensor_is_passed_on_unrounded() -> None:
    values = real(0.1, -254.7)
    assert_array_equal(quantize(values, FLOAT), values)
    assert_array_equal(dequantize(values, FLOAT), values)


def test_bytes_without_a_scale_are_rounded_not_cut() -> None:
    # 255 / 255 / (1 / 255) is 254.99998 in float32: what a recipe with std = 1/255 computes for a white pixel
    assert_array_equal(quantize(real(254.99998, 0.6, 0.4), BYTES), [255, 1, 0])


def test_bytes_without_a_scale_are_clipped_and_do_not_wrap() -> None:
    assert_array_equal(quantize(real(-3.0, 256.4), BYTES), [0, 255])


def test_bytes_without_a_scale_are_read_as_they_are() -> None:
    assert_array_equal(dequantize(np.array([0, 7, 255], np.uint8), BYTES), real(0.0, 7.0, 255.0))


def test_subtracting_the_zero_point_does_not_wrap() -> None:
    spec = TensorSpec("x", (1,), "int8", scale=1.0, zero_point=127)
    assert_array_equal(dequantize(np.array([-128], np.int8), spec), real(-255.0))


@pytest.mark.parametrize(("spec", "expected"), [(INT8, True), (BYTES, False), (FLOAT, False)])
def test_a_tensor_is_quantized_when_it_has_a_scale(spec: TensorSpec, expected: bool) -> None:
    assert spec.is_quantized is expected
