"""The range with the least mean squared error of int8: finer steps inside against clipping outside."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from ghost_edge.host.calibration.histogram import HALF, MIDDLES, Histogram

Floats = NDArray[np.float64]
_STEPS = 255
_SHARES = np.linspace(0.3, 1, 71)  # of the extremes
_ROUNDS = 2  # each side in turn: a third moved no range of the shipped models


def choose(seen: Histogram) -> tuple[float, float]:
    """Clip the lowest and the highest value, in turn, to the share of them with the least error."""
    low, high, below, above = min(seen.low, 0.0), max(seen.high, 0.0), 1.0, 1.0
    for _ in range(_ROUNDS):
        if low < 0:
            below = float(_SHARES[np.argmin(squared_errors(seen, low * _SHARES, np.array(high * above)))])
        if high > 0:
            above = float(_SHARES[np.argmin(squared_errors(seen, np.array(low * below), high * _SHARES))])
    return low * below, high * above


def squared_errors(seen: Histogram, low: Floats, high: Floats) -> Floats:
    """Mean squared error of 8 bits over each [low, high], which holds zero: rounding inside, clipping outside.

    low, high: float64 [ranges], or one for all.
    """
    counts = seen.counts.astype(np.float64)
    counts[HALF] = 0  # the bin from zero: nearly all of it is the exact zeros of a ReLU
    width = 2.0**seen.exponent
    # moments of all bins before each edge: the squares around a limit are made of them
    moments = np.cumsum([[0, *counts], [0, *(counts * MIDDLES)], [0, *(counts * MIDDLES**2)]], axis=1)
    low, high = low / width, high / width
    first, last = (np.clip(np.rint(edge) + HALF, 0, 2 * HALF).astype(np.intp) for edge in (low, high))
    under, over = moments[:, first], moments[:, -1:] - moments[:, last].reshape(3, -1)
    inside = (moments[0, last] - moments[0, first]) * ((high - low) / _STEPS) ** 2 / 12
    clipped = sum(sums[2] - 2 * edge * sums[1] + edge**2 * sums[0] for sums, edge in ((under, low), (over, high)))
    return np.asarray((inside + clipped) * width**2 / max(int(seen.counts.sum()), 1))
