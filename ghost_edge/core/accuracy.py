"""Paired comparison of two models on the same images."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import DataError

_NORMAL_95 = 1.959964  # two-sided 95 % quantile of the normal distribution


@dataclasses.dataclass(frozen=True)
class AccuracyDrop:
    """How a candidate answers the images that a reference answered; all but `images` are fractions.

    drop: top-1 of the reference minus that of the candidate, on the same images.
    margin: half width of its 95 % interval, from the images on which only one of the two is right.
    agreement: share of images with the same answer, right or wrong.
    """

    images: int
    reference_top1: float
    top1: float
    drop: float
    margin: float
    agreement: float


def compare(
    reference: NDArray[np.integer[Any]], candidate: NDArray[np.integer[Any]], labels: NDArray[np.integer[Any]]
) -> AccuracyDrop:
    """Compare answers (class indices) [N] image by image; DataError where the three differ in length or are empty.

    The interval is Agresti & Min's for paired proportions (Statistics in Medicine 24, 2005): half an image is added
    to each cell of the table, so that a handful of differing images does not look like certainty.
    """
    if not len(labels) or not len(reference) == len(candidate) == len(labels):
        raise DataError(
            f"{len(reference)} and {len(candidate)} answers for {len(labels)} labels; "
            "both models must see the same images"
        )
    right, still_right = reference == labels, candidate == labels
    count = len(labels)
    lost, won = int((right & ~still_right).sum()), int((~right & still_right).sum())
    total = count + 2
    variance = (lost + won + 1) - (lost - won) ** 2 / total
    return AccuracyDrop(
        images=count,
        reference_top1=float(right.mean()),
        top1=float(still_right.mean()),
        drop=(lost - won) / count,
        margin=_NORMAL_95 * math.sqrt(max(variance, 0.0)) / total,
        agreement=float((reference == candidate).mean()),
    )


def top_k(logits: NDArray[np.float32], labels: NDArray[np.integer[Any]], k: int) -> float:
    """Share of images whose label is among the k highest of float32 [N, classes]; ties go to the lower class."""
    order = np.argsort(-logits, axis=1, kind="stable")[:, :k]
    return float((order == np.asarray(labels)[:, np.newaxis]).any(axis=1).mean())


def sqnr_db(reference: NDArray[np.float32], candidate: NDArray[np.float32]) -> float:
    """Signal-to-quantization-noise ratio of [N, classes] in decibels; inf where the two are equal."""
    noise = float(np.square(reference.astype(np.float64) - candidate).sum())
    signal = float(np.square(reference.astype(np.float64)).sum())
    if noise == 0:
        return math.inf
    return 10 * math.log10(signal / noise) if signal > 0 else -math.inf


def mcnemar_p(lost: int, won: int) -> float:
    """One-sided exact p-value of "nothing is lost": the chance of so many lost or more among lost + won fair coins.

    McNemar's test for paired proportions (Psychometrika 12, 1947), with the binomial distribution itself.
    """
    count = lost + won
    term = tail = math.comb(count, lost)
    for index in range(lost, count):
        term = term * (count - index) // (index + 1)
        tail += term
    return float(tail / 2**count)


def loss_p(lost: int, won: int, count: int, limit: float) -> float:
    """One-sided p-value of "no more than this fraction of `count` images is lost".

    limit 0: mcnemar_p(). Over 0: the normal approximation with Agresti & Min's variance, see compare().
    """
    if limit == 0:
        return mcnemar_p(lost, won)
    variance = (lost + won + 1) - (lost - won) ** 2 / (count + 2)
    return 0.5 * math.erfc((lost - won - count * limit) / math.sqrt(2 * variance))


def holm(p_values: Sequence[float]) -> list[float]:
    """The same adjusted for their number: those under 5 % are false alarms, if all are, in 5 % of cases in all.

    Holm's step-down (Scandinavian Journal of Statistics 6, 1979); needs no independence.
    """
    adjusted, worst = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(sorted(range(len(p_values)), key=p_values.__getitem__)):
        worst = max(worst, min(1.0, p_values[index] * (len(p_values) - rank)))
        adjusted[index] = worst
    return adjusted
