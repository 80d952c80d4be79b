"""Activations that must share a scale, so that no QUANTIZE operation stands between them."""

from __future__ import annotations

from collections.abc import Hashable

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
