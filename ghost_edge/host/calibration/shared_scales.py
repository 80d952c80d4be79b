"""Which activations must have one scale, so that no QUANTIZE operation is put between them."""

from __future__ import annotations

from collections.abc import Hashable

from ghost_edge.host.tflite.graph import Model

# what only moves or picks values: the kernels take one scale on both sides (arXiv 1712.05877, section A.3)
_MOVERS = {"CONCATENATION", "PAD", "RESHAPE", "TRANSPOSE", "SQUEEZE", "EXPAND_DIMS", "SLICE", "STRIDED_SLICE", "SPLIT"}
_MOVERS |= {"GATHER", "PACK", "UNPACK", "MAX_POOL_2D", "AVERAGE_POOL_2D", "MAXIMUM", "MINIMUM", "RESIZE_BILINEAR"}
_MOVERS |= {"RESIZE_NEAREST_NEIGHBOR", "DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "MIRROR_PAD"}


class Ties:
    """Union-find: tie(a, b), then root(a) == root(b)."""

    def __init__(self) -> None:
        self._parents: dict[Hashable, Hashable] = {}

    def root(self, item: Hashable) -> Hashable:
        """The member that stands for all those tied to item."""
        while self._parents.setdefault(item, item) != item:
            self._parents[item] = self._parents[self._parents[item]]
            item = self._parents[item]
        return item

    def tie(self, one: Hashable, other: Hashable) -> None:
        """From now on both are in one class."""
        self._parents[self.root(one)] = self.root(other)


def one_scale(graph: Model) -> tuple[tuple[str, ...], ...]:
    """Names of all float activations, those that must have one scale together."""
    ties, groups = Ties(), dict[Hashable, tuple[str, ...]]()
    moving = [tensor for tensor in graph.tensors if tensor.dtype == "float32" and not tensor.constant]
    known = {tensor.index for tensor in moving}
    for operation in graph.operations:
        if operation.name in _MOVERS:
            for index in known.intersection(operation.inputs + operation.outputs):
                ties.tie(index, operation.outputs[0])
    for tensor in moving:
        groups[ties.root(tensor.index)] = (*groups.get(ties.root(tensor.index), ()), tensor.name)
    return tuple(groups.values())
