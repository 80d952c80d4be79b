"""Classification: one class for each image."""

from __future__ import annotations

import math
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import DataError
from ghost_edge.core.tasks.task import Answers, Comparison, Outputs, Task, Truth

_NORMAL_95 = 1.959964  # two-sided 95 % quantile of the normal distribution
_KEPT = 5  # classes of an answer: top-5


def decode(outputs: Outputs) -> NDArray[np.int32]:
    """Return the classes with the highest scores, int32 [N, 5 or fewer], best first; ties go to the lower class.

    outputs: the first holds the scores, float32 [N, classes].
    """
    return np.argsort(-outputs[0], axis=1, kind="stable")[:, :_KEPT].astype(np.int32)


def misfit(labels: Truth, outputs: Outputs) -> str:
    """Return why the labels cannot belong to these outputs, empty where they can."""
    if labels.ndim != 1 or labels.dtype.kind not in "iu":
        return f"labels {labels.dtype} {list(labels.shape)}, expected class indices int64 [N]"
    low, high, classes = int(labels.min()), int(labels.max()), outputs[0].shape[1]
    return "" if low >= 0 and high < classes else f"labels {low}..{high}, the model answers {classes} classes"


def score(answers: Answers, labels: Truth) -> dict[str, float]:
    """Return the shares of images whose label is the first class of the answer, and one of its first five."""
    found = answers == np.asarray(labels)[:, np.newaxis]
    return {"top1": float(found[:, :1].any(axis=1).mean()), "top5": float(found.any(axis=1).mean())}


def compare(reference: Answers, candidate: Answers, labels: Truth) -> Comparison:
    """Compare answers, class indices [N] or [N, 5], image by image.

    The interval is Agresti & Min's for paired proportions (Statistics in Medicine 24, 2005): half an image is added
    to each cell of the table, so that a handful of differing images does not look like certainty.
    Raises DataError where the three differ in length or are empty.
    """
    if not len(labels) or not len(reference) == len(candidate) == len(labels):
        raise DataError(
            f"{len(reference)} and {len(candidate)} answers for {len(labels)} labels; "
            "both models must see the same images"
        )
    was_right, is_right, count = right(reference, labels), right(candidate, labels), len(labels)
    lost, won = int((was_right & ~is_right).sum()), int((~was_right & is_right).sum())
    total = count + 2
    variance = (lost + won + 1) - (lost - won) ** 2 / total
    return Comparison(
        images=count,
        metric=TASK.metric,
        reference=float(was_right.mean()),
        value=float(is_right.mean()),
        drop=(lost - won) / count,
        margin=_NORMAL_95 * math.sqrt(max(variance, 0.0)) / total,
        agreement=float(same(reference, candidate).mean()),
    )


def right(answers: Answers, labels: Truth) -> NDArray[np.bool_]:
    """Return which answers have the label as first class, bool [N]."""
    return np.asarray(keep(answers) == labels, np.bool_)


def same(answers: Answers, others: Answers) -> NDArray[np.bool_]:
    """Return which answers of two models have the same first class, bool [N]."""
    return np.asarray(keep(answers) == keep(others), np.bool_)


def keep(answers: Answers) -> Answers:
    """Return the first class of each answer, [N]."""
    return answers if answers.ndim == 1 else answers[:, 0]


def pack(classes: Answers, labels: Optional[Truth]) -> bytes:
    """Return differences to the labels, almost all zero, or the labels themselves, as 32-bit integers."""
    return bytes((classes - (0 if labels is None else labels)).astype("<i4").tobytes())


def unpack(content: bytes, labels: Optional[Truth]) -> Answers:
    """Return what pack() was given: labels int64 [N], answers int32 [N]; ValueError for another number of them."""
    stored: NDArray[Any] = np.frombuffer(content, "<i4")
    if labels is None:
        return stored.astype(np.int64)
    if len(stored) != len(labels):
        raise ValueError(f"{len(stored)} answers for {len(labels)} labels")
    return np.asarray((stored + labels).astype(np.int32))


TASK = Task(
    metrics={"top1": "top-1", "top5": "top-5"},
    limits={},
    decode=decode,
    misfit=misfit,
    score=score,
    compare=compare,
    right=right,
    same=same,
    keep=keep,
    pack=pack,
    unpack=unpack,
)
