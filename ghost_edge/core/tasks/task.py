"""Interface of a task: what an answer of a model is, and how answers are scored and compared."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Optional

import numpy as np
from numpy.typing import NDArray

Outputs = Sequence[NDArray[np.float32]]
Answers = NDArray[Any]
Truth = NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Comparison:
    """Paired comparison of a model with its reference on the same images; all but `images` are fractions.

    metric: name of the task's main metric, such as "top-1"; reference and value: its values for the two models.
    drop: reference minus value. margin: half width of the drop's 95 % interval.
    agreement: share of images with the same answer, right or wrong.
    """

    images: int
    metric: str
    reference: float
    value: float
    drop: float
    margin: float
    agreement: float


@dataclasses.dataclass(frozen=True)
class Task:
    """Functions over arrays of N images; answers and truth have N rows, of a form that the task decides.

    metrics: key in JSON files to name in tables; the first is the main one, which [gate] max_drop limits.
    limits: [gate] keys whose default differs from that of Limits.
    decode: a model's outputs as real numbers, each float32 [N, values], to the answers that all others take.
    misfit: why the truth cannot be of a model with such outputs, in a few words; empty where it can.
    score: value of each of `metrics`, a fraction, by its key.
    compare: reference and candidate to a Comparison; DataError where they or the truth have other numbers of images.
    right, same: bool [N], image by image: is the answer right; is it the answer of the other model.
    keep: the part of the answers that predictions.npz holds; compare, right and same take it too.
    pack, unpack: kept answers, or the truth itself (against None), to bytes that compress well, and back; unpack raises
    ValueError where the bytes are not of as many images.
    """

    metrics: Mapping[str, str]
    limits: Mapping[str, float]
    decode: Callable[[Outputs], Answers]
    misfit: Callable[[Truth, Outputs], str]
    score: Callable[[Answers, Truth], dict[str, float]]
    compare: Callable[[Answers, Answers, Truth], Comparison]
    right: Callable[[Answers, Truth], NDArray[np.bool_]]
    same: Callable[[Answers, Answers], NDArray[np.bool_]]
    keep: Callable[[Answers], Answers]
    pack: Callable[[Answers, Optional[Truth]], bytes]
    unpack: Callable[[bytes, Optional[Truth]], Answers]

    @property
    def metric(self) -> str:
        """Name of the main metric, such as "top-1"."""
        return next(iter(self.metrics.values()))
