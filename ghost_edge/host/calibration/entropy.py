"""The range whose 8-bit histogram tells least apart from the observed one: the Kullback-Leibler divergence."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.host.calibration.histogram import HALF, MIDDLES, Histogram

_STEPS = 255
_SHARES = np.linspace(0.3, 1, 36)  # of the extremes


def choose(seen: Histogram) -> tuple[float, float]:
    """Clip both extremes to the one share of them with the least divergence (Migacz, GTC 2017; Wu et al., 2020).

    The divergence counts values, not their size: outliers go that the least squared error would keep.
    """
    low, high = min(seen.low, 0.0), max(seen.high, 0.0)
    share = float(_SHARES[np.argmin([divergence(seen, low * each, high * each) for each in _SHARES])])
    return low * share, high * share


def divergence(seen: Histogram, low: float, high: float) -> float:
    """In nats, of the histogram with what is outside put into its outermost bins from the same in 255 steps."""
    width = 2.0**seen.exponent
    counts = seen.counts.astype(np.float64)
    counts[HALF] = 0  # the bin from zero: nearly all of it is the exact zeros of a ReLU
    every = np.arange(2 * HALF)
    first, last = np.clip(np.floor(np.array([low, high]) / width).astype(np.intp) + HALF, 0, 2 * HALF - 1)
    inside = np.clip(every, first, last)
    clipped, kept = np.bincount(inside, counts, 2 * HALF), np.where(every == inside, counts, 0)
    steps = np.clip(np.floor((MIDDLES * width - low) / max(high - low, 1e-30) * _STEPS), 0, _STEPS - 1).astype(np.intp)
    levels, filled = np.bincount(steps, kept, _STEPS), np.bincount(steps, kept > 0, _STEPS)
    coarse = np.where(kept > 0, levels[steps] / np.maximum(filled[steps], 1), 0)
    return _divergence(clipped, coarse)


def _divergence(observed: NDArray[Any], coarse: NDArray[Any]) -> float:
    there = observed > 0
    if not there.any() or not coarse.any():
        return 0.0
    true, made = observed[there] / observed.sum(), np.maximum(coarse[there] / coarse.sum(), 1e-12)
    return float((true * np.log(true / made)).sum())
