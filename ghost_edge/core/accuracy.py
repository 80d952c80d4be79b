"""Statistics of accuracy: noise in decibels, and p-values of paired tests."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def sqnr_db(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> float:
    """Return the signal-to-quantization-noise ratio of [N, ...] in decibels; inf where the two are equal."""
    noise = float(np.square(reference.astype(np.float64) - candidate).sum())
    signal = float(np.square(reference.astype(np.float64)).sum())
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def mcnemar_p(lost: int, won: int) -> float:
    """Return the one-sided exact p-value of "nothing is lost": P(lost or more of lost + won fair coins).

    McNemar's test for paired proportions (Psychometrika 12, 1947), with the binomial distribution itself.
    """
    count = lost + won
    term = tail = math.comb(count, lost)
    for index in range(lost, count):
        term = term * (count - index) // (index + 1)
        tail += term
    return float(tail / 2**count)


def loss_p(lost: int, won: int, count: int, limit: float) -> float:
    """Return the one-sided p-value of "no more than the fraction `limit` of `count` images is lost".

    limit 0: mcnemar_p(). Over 0: the normal approximation with Agresti & Min's variance for paired proportions.
    """
    if limit == 0:
        return mcnemar_p(lost, won)
    variance = (lost + won + 1) - (lost - won) ** 2 / (count + 2)
    return 0.5 * math.erfc((lost - won - count * limit) / math.sqrt(2 * variance))


def holm(p_values: Sequence[float]) -> list[float]:
    """Return the Holm-adjusted p-values (family-wise error rate 5 % where those under 0.05 count).

    Holm's step-down (Scandinavian Journal of Statistics 6, 1979); needs no independence.
    """
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = worst
    return adjusted
