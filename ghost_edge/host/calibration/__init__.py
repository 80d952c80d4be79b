"""From what was observed to the ranges that scales are made of: one row an estimator."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from ghost_edge.host.calibration import entropy, minmax, mse, percentile
from ghost_edge.host.calibration.histogram import Histogram, merge
from ghost_edge.host.calibration.observe import Observed, Ranges
from ghost_edge.host.calibration.shared_scales import one_scale
from ghost_edge.host.tflite.graph import Model


def _estimate(observed: Observed, graph: Model, *, choose: Callable[[Histogram], tuple[float, float]]) -> Ranges:
    """One range for all tensors that must have one scale, chosen on their histograms together."""
    row, ranges = {name: index for index, name in enumerate(observed.names)}, np.zeros((len(observed.names), 4))
    for names in one_scale(graph):
        rows = [row[name] for name in names]
        together = merge(observed.histograms[index] for index in rows)
        ranges[rows] = *choose(together), together.low, together.high
    return Ranges(observed.names, *ranges.astype(np.float32).T)


ESTIMATORS: dict[str, Callable[[Observed, Model], Ranges]] = {
    "mse": functools.partial(_estimate, choose=mse.choose),
    "minmax": functools.partial(_estimate, choose=minmax.choose),
    "entropy": functools.partial(_estimate, choose=entropy.choose),
    "percentile": functools.partial(_estimate, choose=percentile.choose),
}
