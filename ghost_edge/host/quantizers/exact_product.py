"""Scales of FULLY_CONNECTED whose product is exact in float32, so that every interpreter rounds alike."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ghost_edge.host.quantizers.flat import WEIGHTED, Flat

_BITS = 12  # of each factor; float32 holds 24


def make_products_exact(int8_tflite: bytes) -> bytes:
    """The file with input and weight scales of FULLY_CONNECTED cut to 12 bits, biases rescaled to the new product.

    tflite-runtime 2.14 multiplies the two in float32, later kernels in float64: where that product is not exact, a few
    outputs round the other way. A scale changes by at most 2^-12 of itself. Left alone where the input is used or made
    by an operation that may need its scale to be that of another tensor.
    """
    flat = Flat(int8_tflite)
    for op in flat.ops:
        source = op.inputs[0]
        users = [each for each in flat.ops if source in each.inputs]
        makers = [each for each in flat.ops if source in each.outputs]
        if op.name != "FULLY_CONNECTED" or len(op.inputs) < 3 or len(users) > 1:
            continue
        if not makers or makers[0].name not in WEIGHTED:
            continue
        for index in op.inputs[:2]:
            scales = flat.scales_in_place(index)
            scales[:] = _cut(scales)
        product = flat.scales_in_place(source) * flat.scales_in_place(op.inputs[1])
        scales, biases = flat.scales_in_place(op.inputs[2]), flat.values(op.inputs[2])
        biases[:] = np.rint(biases * (scales.astype(np.float64) / product)).astype(np.int32)
        scales[:] = product
    return bytes(flat.content)


def _cut(scales: NDArray[np.float32]) -> NDArray[np.float32]:
    """The nearest numbers of 12 significant bits."""
    mantissas, exponents = np.frexp(scales)
    cut: NDArray[np.float32] = np.ldexp(np.rint(mantissas * 2**_BITS) / 2**_BITS, exponents).astype(np.float32)
    return cut
