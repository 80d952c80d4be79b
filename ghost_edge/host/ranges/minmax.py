"""Ranges from the lowest to the highest value seen, shared where an operation needs one scale."""

from __future__ import annotations

import dataclasses

from ghost_edge.host.graph import Graph
from ghost_edge.host.ranges.observer import Ranges


def estimate(observed: Ranges, graph: Graph) -> Ranges:
    """Widen the ranges of a CONCATENATION's inputs and output to their union.

    The kernel needs one scale for all of them (arXiv 1712.05877, section A.3); with one range for all, producers
    write at that scale and no QUANTIZE operation is put in between.
    """
    low, high = observed.low.copy(), observed.high.copy()
    row = {name: index for index, name in enumerate(observed.names)}
    tied = [
        [row[graph.tensors[index].name] for index in operation.inputs + operation.outputs]
        for operation in graph.operations
        if operation.name == "CONCATENATION"
    ]
    for _ in tied:  # once would not do: a range widened by one concatenation widens those it feeds or is fed by
        for rows in tied:
            low[rows], high[rows] = low[rows].min(), high[rows].max()
    return dataclasses.replace(observed, low=low, high=high)
