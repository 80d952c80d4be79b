"""Calibration: from images to the ranges that activations are quantized with; one row for each range estimator."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np

from ghost_edge.host.calibration import estimators
from ghost_edge.host.calibration.histogram import Histogram, merge
from ghost_edge.host.calibration.observe import Observed, Ranges
from ghost_edge.host.calibration.shared_scales import scale_groups
from ghost_edge.host.tflite.graph import Model


def _estimate(observed: Observed, model: Model, *, choose: Callable[[Histogram], tuple[float, float]]) -> Ranges:
    """Choose one range for all tensors that share a scale, on their histograms together."""
    row, ranges = {name: index for index, name in enumerate(observed.names)}, np.zeros((len(observed.names), 4))
    for names in scale_groups(model):
        rows = [row[name] for name in names]
        together = merge(observed.histograms[index] for index in rows)
        ranges[rows] = *choose(together), together.low, together.high
    return Ranges(observed.names, *ranges.astype(np.float32).T)


ESTIMATORS: dict[str, Callable[[Observed, Model], Ranges]] = {
    "mse": functools.partial(_estimate, choose=estimators.mse),
    "minmax": functools.partial(_estimate, choose=estimators.minmax),
    "entropy": functools.partial(_estimate, choose=estimators.entropy),
    "percentile": functools.partial(_estimate, choose=estimators.percentile),
}
