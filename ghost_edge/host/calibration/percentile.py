"""The range that holds all but the outermost values."""

from __future__ import annotations

import numpy as np

from ghost_edge.host.calibration.histogram import MIDDLES, Histogram

_OUTSIDE = 1e-5  # on each side; 1e-3 for every tensor was measured to cost 8 dB


def choose(seen: Histogram) -> tuple[float, float]:
    """The edges of the outermost bins behind which fewer than this share of the values lies; width of a bin exact."""
    share = np.cumsum(seen.counts) / seen.counts.sum()
    first, last = np.searchsorted(share, (_OUTSIDE, 1 - _OUTSIDE))
    width = 2.0**seen.exponent
    low, high = (MIDDLES[first] - 0.5) * width, (MIDDLES[last] + 0.5) * width
    return max(float(low), seen.low), min(float(high), seen.high)
