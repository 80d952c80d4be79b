"""Calibration: from images to the ranges that activations are quantized with; one row for each range estimator.

Activations that share a scale get one range, so that no QUANTIZE operation stands between them.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Hashable

import numpy as np

from ghost_edge.host.calibration import estimators
from ghost_edge.host.calibration.observe import Histogram, Observed, Ranges, merge
from ghost_edge.host.tflite.graph import Model

# operations that only move or pick values: their kernels take one scale on both sides (arXiv 1712.05877, section A.3)
_MOVERS = {"CONCATENATION", "PAD", "RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS", "SLICE", "STRIDED_SLICE", "SPLIT"}
_MOVERS |= {"GATHER", "PACK", "UNPACK", "MAX_POOL_2D", "AVERAGE_POOL_2D", "MAXIMUM", "MINIMUM", "RESIZE_BILINEAR"}
_MOVERS |= {"RESIZE_NEAREST_NEIGHBOR", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "MIRROR_PAD"}


class UnionFind:
    """Disjoint sets: after join(a, b), root(a) == root(b)."""

    def __init__(self) -> None:
        self._parents: dict[Hashable, Hashable] = {}

    def root(self, item: Hashable) -> Hashable:
        """Return the member that represents the set of an item."""
        while self._parents.setdefault(item, item) != item:
            self._parents[item] = self._parents[self._parents[item]]
            item = self._parents[item]
        return item

    def join(self, one: Hashable, other: Hashable) -> None:
        """Make one set of the sets of two items."""
        self._parents[self.root(one)] = self.root(other)


def scale_groups(model: Model) -> tuple[tuple[str, ...], ...]:
    """Return the names of all float activations, grouped by the scale that they share."""
    sets, groups = UnionFind(), dict[Hashable, tuple[str, ...]]()
    moving = [tensor for tensor in model.tensors if tensor.is_float_activation]
    known = {tensor.index for tensor in moving}
    for operation in model.operations:
        if operation.name in _MOVERS:
            for index in known.intersection(operation.inputs + operation.outputs):
                sets.join(index, operation.output)
    for tensor in moving:
        groups[sets.root(tensor.index)] = (*groups.get(sets.root(tensor.index), ()), tensor.name)
    return tuple(groups.values())


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
