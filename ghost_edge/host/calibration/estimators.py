"""Range estimators: each chooses the range of an activation from its histogram."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ghost_edge.host.calibration.observe import HALF, MIDDLES, Histogram

Floats = NDArray[np.float64]
_LEVELS = 255  # intervals between the 256 values of 8 bits
_MSE_SHARES = np.linspace(0.3, 1, 71)  # of the extremes
_ENTROPY_SHARES = np.linspace(0.3, 1, 36)  # of the extremes
_ROUNDS = 2  # each side in turn: a third moved no range of the shipped models
_OUTSIDE = 1e-5  # share on each side; 1e-3 for every tensor was measured to cost 8 dB


def minmax(seen: Histogram) -> tuple[float, float]:
    """Return the lowest and the highest value: nothing is clipped, and one outlier makes the scale large."""
    return seen.low, seen.high


def percentile(seen: Histogram) -> tuple[float, float]:
    """Return the range that leaves out at most a share of 1e-5 of the values on each side, exact to a bin."""
    share = np.cumsum(seen.counts) / seen.counts.sum()
    first, last = np.searchsorted(share, (_OUTSIDE, 1 - _OUTSIDE))
    width = 2.0**seen.exponent
    low, high = (MIDDLES[first] - 0.5) * width, (MIDDLES[last] + 0.5) * width
    return max(float(low), seen.low), min(float(high), seen.high)


def mse(seen: Histogram) -> tuple[float, float]:
    """Return the range with the least mean squared error of int8: a finer scale inside against clipping outside.

    The lowest and the highest value are clipped, in turn, to the share of them with the least error.
    """
    low, high, below, above = min(seen.low, 0.0), max(seen.high, 0.0), 1.0, 1.0
    for _ in range(_ROUNDS):
        if low < 0:
            errors = squared_errors(seen, low * _MSE_SHARES, np.array(high * above))
            below = float(_MSE_SHARES[np.argmin(errors)])
        if high > 0:
            errors = squared_errors(seen, np.array(low * below), high * _MSE_SHARES)
            above = float(_MSE_SHARES[np.argmin(errors)])
    return low * below, high * above


def squared_errors(seen: Histogram, low: Floats, high: Floats) -> Floats:
    """Return the mean squared error of 8 bits over each range, which holds zero: rounding inside, clipping outside.

    low, high: float64 [ranges], or one for all.
    """
    counts = _without_zeros(seen)
    width = 2.0**seen.exponent
    # moments of all bins before each edge: the squares around a limit are made of them
    moments = np.cumsum([[0, *counts], [0, *(counts * MIDDLES)], [0, *(counts * MIDDLES**2)]], axis=1)
    low, high = low / width, high / width
    first, last = (np.clip(np.rint(edge) + HALF, 0, 2 * HALF).astype(np.intp) for edge in (low, high))
    under, over = moments[:, first], moments[:, -1:] - moments[:, last].reshape(3, -1)
    inside = (moments[0, last] - moments[0, first]) * ((high - low) / _LEVELS) ** 2 / 12
    clipped = sum(sums[2] - 2 * edge * sums[1] + edge**2 * sums[0] for sums, edge in ((under, low), (over, high)))
    return np.asarray((inside + clipped) * width**2 / max(int(seen.counts.sum()), 1))


def entropy(seen: Histogram) -> tuple[float, float]:
    """Return the range whose 8-bit histogram has the least Kullback-Leibler divergence from the observed one.

    Both extremes are clipped to one share of them (Migacz, GTC 2017; Wu et al., 2020, arXiv 2004.09602). The divergence
    counts values, not their size: it drops outliers that the least squared error would keep.
    """
    low, high = min(seen.low, 0.0), max(seen.high, 0.0)
    divergences = [divergence(seen, low * share, high * share) for share in _ENTROPY_SHARES]
    share = float(_ENTROPY_SHARES[np.argmin(divergences)])
    return low * share, high * share


def divergence(seen: Histogram, low: float, high: float) -> float:
    """Return the divergence, in nats, between the clipped histogram and the same histogram in 255 levels.

    Values outside low..high count in the outermost bins of the clipped histogram.
    """
    width, counts = 2.0**seen.exponent, _without_zeros(seen)
    every = np.arange(2 * HALF)
    first, last = np.clip(np.floor(np.array([low, high]) / width).astype(np.intp) + HALF, 0, 2 * HALF - 1)
    inside = np.clip(every, first, last)
    clipped, kept = np.bincount(inside, counts, 2 * HALF), np.where(every == inside, counts, 0)
    places = np.floor((MIDDLES * width - low) / max(high - low, 1e-30) * _LEVELS)
    levels = np.clip(places, 0, _LEVELS - 1).astype(np.intp)
    sums, filled = np.bincount(levels, kept, _LEVELS), np.bincount(levels, kept > 0, _LEVELS)
    coarse = np.where(kept > 0, sums[levels] / np.maximum(filled[levels], 1), 0)
    if not clipped.any() or not coarse.any():
        return 0.0
    there = clipped > 0
    true, made = clipped[there] / clipped.sum(), np.maximum(coarse[there] / coarse.sum(), 1e-12)
    return float((true * np.log(true / made)).sum())


def _without_zeros(seen: Histogram) -> Floats:
    """Return the counts as float64 but for the bin from zero: nearly all of it is the exact zeros of a ReLU."""
    counts = seen.counts.astype(np.float64)
    counts[HALF] = 0
    return counts
