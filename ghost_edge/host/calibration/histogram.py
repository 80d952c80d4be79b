"""Histogram of a tensor's values: its size is fixed, and the order and number of images do not change it."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

HALF = 2048  # bins on each side of zero
MIDDLES = np.arange(-HALF, HALF) + 0.5  # of the bins, in units of their width
_COUNTED = 2**16  # values of one tensor and image: 16 a bin; all of them took twice the time at 224 px
_DEEPEST_SHIFT = 62  # int64


@dataclasses.dataclass(frozen=True)
class Histogram:
    """Counts of values, int64 [2 * HALF], in bins of width 2**exponent; the middle edge is zero.

    low, high: the exact extremes.
    """

    exponent: int
    counts: NDArray[np.int64]
    low: float
    high: float


def histogram(values: NDArray[np.float32]) -> Histogram:
    """Count one finite array [..., C] in bins whose width is the least power of two that holds it.

    Of a large array every n-th position is counted, n-fold.
    """
    low, high = float(values.min()), float(values.max())
    exponent = int(np.floor(np.log2(max(-low, high, 1e-12) / HALF))) + 1
    every = -(-values.size // _COUNTED)
    sample = values.reshape(-1, *values.shape[-1:])[::every]
    # int16: an array of intp is so large that the system maps it anew each time, which took five times as long
    bins = np.floor(sample.ravel() * np.float32(2.0**-exponent)).astype(np.int16) + np.int16(HALF)
    return Histogram(exponent, np.bincount(bins, minlength=2 * HALF) * every, low, high)


def merge(parts: Iterable[Histogram]) -> Histogram:
    """Add histograms: bins melt exactly into the wider ones and counts are integers, so the order does not matter."""
    parts = tuple(parts)
    exponent = max(part.exponent for part in parts)
    counts = np.zeros(2 * HALF, np.int64)
    for part in parts:
        shift = min(exponent - part.exponent, _DEEPEST_SHIFT)
        if shift == 0:
            counts += part.counts
        else:
            np.add.at(counts, (np.arange(-HALF, HALF) >> shift) + HALF, part.counts)
    return Histogram(exponent, counts, min(part.low for part in parts), max(part.high for part in parts))
