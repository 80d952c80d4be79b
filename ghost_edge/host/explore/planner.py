"""Choice of the segments of a network that leave int8: least latency for each amount of noise."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ghost_edge.host.quantization.mixed import Span
from ghost_edge.host.tflite.graph import Model

Floats = NDArray[np.float64]
Plan = tuple[bool, ...]  # True for each segment that leaves int8


def segments(graph: Model) -> tuple[Span, ...]:
    """Return first and last operation of each part between two activations through which everything passes.

    Only there a change of precision costs one operation; a bottleneck with its shortcut is never cut.
    """
    read_last = {index: number for number, each in enumerate(graph.operations) for index in each.inputs}
    ends, alive = [], set(graph.inputs)
    for number, operation in enumerate(graph.operations):
        alive = {index for index in alive | set(operation.outputs) if read_last.get(index, -1) > number}
        if len(alive) == 1:
            ends.append(number)
    last = len(graph.operations) - 1
    ends = [end for end in ends if end < last] + [last]
    return tuple(zip([0, *(end + 1 for end in ends[:-1])], ends))


def fit_times(plans: Sequence[Plan], times: Sequence[float]) -> tuple[Floats, Floats]:
    """Fit the cost of leaving int8 for each segment, [segments], and of each change of precision, [segments - 1].

    times: latencies of files made by the plans, in units of the int8 file's. Least squares.
    """
    rows = [[*plan, *(left != right for left, right in itertools.pairwise(plan))] for plan in plans]
    found = np.linalg.lstsq(np.asarray(rows, np.float64), np.asarray(times) - 1, rcond=None)[0]
    return found[: len(plans[0])], np.maximum(found[len(plans[0]) :], 0)


def cheapest_plans(noise: Floats, extra: Floats, changes: Floats) -> tuple[Plan, ...]:
    """Return the plans that no other beats in both latency and noise, cheapest first, by a price on noise.

    noise: power that each segment adds in int8, [segments]; extra, changes: by fit_times(). Noise of segments adds
    up while it is small. Plans between two on the convex hull are left out (Lagrange relaxation).
    """
    scale = max(float(np.abs(extra).sum()), 1e-9) / max(float(noise.sum()), 1e-30)
    prices = (0.0, *np.geomspace(1e-4, 1e4, 400) * scale)
    return tuple(dict.fromkeys(_cheapest(price * noise, extra, changes) for price in prices))


def _cheapest(stay: Floats, leave: Floats, changes: Floats) -> Plan:
    """Find the cheapest plan by Viterbi's algorithm: each segment stays in int8 or leaves it."""
    costs = [float(stay[0]), float(leave[0])]
    paths: list[Plan] = [(False,), (True,)]
    for number in range(1, len(stay)):
        change = float(changes[number - 1])
        steps = []
        for state, cost in ((False, float(stay[number])), (True, float(leave[number]))):
            before = min((False, True), key=lambda other: costs[other] + change * (other != state))
            steps.append((costs[before] + change * (before != state) + cost, (*paths[before], state)))
        costs, paths = [cost for cost, _ in steps], [path for _, path in steps]
    return paths[int(costs[1] < costs[0])]


def spans(plan: Plan, parts: Sequence[Span]) -> tuple[Span, ...]:
    """Join neighbouring segments that leave int8 into spans of operations."""
    joined = []
    for leaves, group in itertools.groupby(zip(plan, parts), key=lambda pair: pair[0]):
        members = [part for _, part in group]
        if leaves:
            joined.append((members[0][0], members[-1][1]))
    return tuple(joined)
