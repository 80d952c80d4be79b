"""From what was observed to the ranges that scales are made of: one row an estimator."""

from __future__ import annotations

from collections.abc import Callable

from ghost_edge.host.graph import Graph
from ghost_edge.host.ranges import minmax
from ghost_edge.host.ranges.observer import Ranges

ESTIMATORS: dict[str, Callable[[Ranges, Graph], Ranges]] = {
    "minmax": minmax.estimate,
}
