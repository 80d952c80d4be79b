"""Histogram of a tensor, of the same size and the same for whatever order and number of images."""

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
    """Bins of width 2**exponent, int64 [2 * HALF], the middle edge at zero; the lowest and highest value, exact."""

    exponent: int
    counts: NDArray[np.int64]
    low: float
    high: float


def histogram(values: NDArray[np.float32]) -> Histogram:
    """Of one finite array [..., C]; the width is the least power of two with which the bins hold it.

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
    """All values together: bins melt into the wider ones exactly and counts are integers, so order is of no account."""
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
