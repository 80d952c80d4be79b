"""Specification of a model's input or output tensor, its quantization, and the noise that quantization adds."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclasses.dataclass(frozen=True)
class TensorSpec:
    """Tensor with real = scale * (stored - zero_point), one pair for all of it (Jacob et al., CVPR 2018, equation 1).

    scale is 0 for a tensor that is not quantized. shape has -1 where a dimension is open.
    """

    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: float = 0.0
    zero_point: int = 0

    @property
    def is_quantized(self) -> bool:
        """True where the stored integers stand for real numbers."""
        return self.scale > 0

    @property
    def holds_bytes(self) -> bool:
        """True for an input of an image's bytes as they are: the normalisation is inside the model."""
        return self.dtype == "uint8" and self.zero_point == 0 and abs(self.scale * 255 - 1) < 1e-6  # a float32's digits


def quantize(values: NDArray[np.float32], spec: TensorSpec) -> NDArray[Any]:
    """Return real numbers, float32 [...], in the stored dtype of the tensor.

    Integers are rounded half to even and clipped to their range, also without a scale (a model that is fed with bytes).
    """
    dtype = np.dtype(spec.dtype)
    if dtype.kind not in "iu":
        return values.astype(dtype)
    limits = np.iinfo(dtype)
    stored = np.rint(values / np.float32(spec.scale)) + spec.zero_point if spec.is_quantized else np.rint(values)
    return np.asarray(np.clip(stored, limits.min, limits.max).astype(dtype))


def dequantize(stored: NDArray[Any], spec: TensorSpec) -> NDArray[np.float32]:
    """Return stored values [...] of the tensor as real numbers, float32."""
    if not spec.is_quantized:
        return stored.astype(np.float32)
    return (stored.astype(np.float32) - np.float32(spec.zero_point)) * np.float32(spec.scale)


def sqnr_db(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> float:
    """Return the signal-to-quantization-noise ratio of [N, ...] in decibels; inf where the two are equal."""
    noise = float(np.square(reference.astype(np.float64) - candidate).sum())
    signal = float(np.square(reference.astype(np.float64)).sum())
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf
