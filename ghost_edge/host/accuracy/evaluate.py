"""Judge any model files on a recipe's evaluation images."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from ghost_edge.core.accuracy import compare, sqnr_db, top_k
from ghost_edge.core.dataset import Dataset, Image
from ghost_edge.core.errors import ArtifactError, DataError
from ghost_edge.core.files import read_npz, save_npz, sha256_file
from ghost_edge.core.manifest import Accuracy
from ghost_edge.core.progress import Progress, timed
from ghost_edge.core.tables import Column
from ghost_edge.device.evaluate import RunOptions, predict_isolated
from ghost_edge.host.datasets import open_dataset
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.recipe.schema import Evaluation, Recipe, require

MOST = 24  # images: the ones that the float model was surest of
_SIDE = 96  # pixels of a thumbnail's longer side, at most
_KEYS = ("position", "label", "answers", "confidence", "png", "ends")

COLUMNS = (
    Column("artifact", "file"),
    Column("images", "images"),
    Column("top-1", "top1", ".2%"),
    Column("top-5", "top5", ".2%"),
    Column("drop", "drop", ".2%"),
    Column("margin", "margin", ".2%"),
    Column("agreement", "agreement", ".2%"),
)


def judge_files(
    files: Sequence[Path], recipe: Recipe, places: Places, how: RunOptions, reporter: Progress
) -> list[dict[str, Any]]:
    """One row of COLUMNS for each file; drop and agreement are against the first file, None in its own row.

    Raises ArtifactError for a file that does not take such images, DataError where labels are none of its classes.
    """
    options: Evaluation = require(recipe.evaluation, "evaluation", "evaluate")
    dataset = open_dataset(options, places)
    labels = dataset.labels + options.label_offset
    rows: list[dict[str, Any]] = []
    reference: NDArray[np.int64] | None = None
    for file in files:
        with timed(reporter, file.name):
            # in a child process: a damaged file, or a processor that the interpreter was not built for, ends only that
            logits = predict_isolated(file, dataset.images, recipe.preprocess, how)
        check_labels(labels, classes=logits.shape[1], dataset=dataset)
        answers = logits.argmax(axis=1)
        reference = answers if reference is None else reference
        drop = dataclasses.asdict(compare(reference, answers, labels))
        row = {"file": str(file), "sha256": sha256_file(file), "top5": top_k(logits, labels, 5), **drop}
        rows.append(row if rows else {**row, "drop": None, "margin": None, "agreement": None})
    return rows


def check_labels(labels: NDArray[np.int64], *, classes: int, dataset: Dataset) -> None:
    """Raise DataError where a label is none of the model's classes."""
    low, high = int(labels.min()), int(labels.max())
    if low < 0 or high >= classes:
        raise DataError(
            f"{dataset.name} has labels {low}..{high}, the model answers {classes} classes; "
            "check [network] classes and [evaluation] label_offset"
        )


@dataclasses.dataclass(frozen=True)
class Disagreement:
    """One image: its place in the evaluation list, its class, and each model's answer with its softmax probability.

    answers, confidence: of the float and of the quantized model. png: the thumbnail's bytes.
    """

    position: int
    label: int
    answers: tuple[int, int]
    confidence: tuple[float, float]
    png: bytes


def save_disagreements(
    images: Sequence[Image],
    labels: NDArray[np.int64],
    reference: NDArray[np.float32],
    candidate: NDArray[np.float32],
    path: Path,
) -> None:
    """Write at most MOST, of images uint8 [H, W, C] and logits float32 [N, classes]; same input, same bytes."""
    answers = np.stack([reference.argmax(axis=1), candidate.argmax(axis=1)], axis=1)
    # of a network that ends in a softmax; decided by the float model alone: int8 steps of 1/256 do not sum up to 1
    is_probability = bool((reference >= 0).all() and np.allclose(reference.sum(axis=1), 1.0, atol=1e-3))
    confidence = np.stack([_confidence(each, is_probability) for each in (reference, candidate)], axis=1)
    apart = np.flatnonzero(answers[:, 0] != answers[:, 1])
    chosen = apart[np.argsort(-confidence[apart, 0], kind="stable")][:MOST]
    pngs = [_thumbnail(images[int(index)]) for index in chosen]
    save_npz(
        {
            "position": chosen,
            "label": labels[chosen],
            "answers": answers[chosen],
            "confidence": confidence[chosen],
            "png": np.frombuffer(b"".join(pngs), np.uint8),
            "ends": np.cumsum([len(png) for png in pngs], dtype=np.int64),
        },
        path,
    )


def load_disagreements(path: Path) -> tuple[Disagreement, ...]:
    """What save_disagreements() wrote; ArtifactError where it is damaged."""
    arrays = read_npz(path, _KEYS)
    count = len(arrays["position"])
    if any(arrays[key].shape != (count, 2) for key in ("answers", "confidence")) or len(arrays["ends"]) != count:
        raise ArtifactError(f"{path} is not what convert of this version writes; run ghost-edge convert again")
    content, ends = arrays["png"].tobytes(), [0, *arrays["ends"].tolist()]
    rows = zip(*(arrays[key].tolist() for key in _KEYS[:4]), ends, ends[1:], strict=False)
    return tuple(
        Disagreement(position, label, tuple(answers), tuple(confidence), content[start:end])
        for position, label, answers, confidence, start, end in rows
    )


def _confidence(logits: NDArray[np.float32], is_probability: bool) -> NDArray[np.float64]:
    """The probability of the answer, float64 [N]: softmax of the logits, unless they are one."""
    if is_probability:
        return np.asarray(logits.max(axis=1), np.float64)
    shifted = logits.astype(np.float64) - logits.max(axis=1, keepdims=True)
    return np.asarray(1.0 / np.exp(shifted).sum(axis=1))


def _thumbnail(image: Image) -> bytes:
    thumbnail = PIL.Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
    thumbnail.thumbnail((_SIDE, _SIDE))
    content = io.BytesIO()
    thumbnail.save(content, format="PNG")
    return content.getvalue()


def judge_all(logits: Mapping[str, NDArray[np.float32]], labels: NDArray[np.int64]) -> dict[str, Accuracy]:
    """Accuracy of each artifact against the one named "float", from logits float32 [N, classes]."""
    reference = logits["float"]
    judged = {}
    for role, values in logits.items():
        drop = compare(reference.argmax(axis=1), values.argmax(axis=1), labels)
        noise = sqnr_db(reference, values)
        judged[role] = Accuracy(
            top1=drop.top1,
            top5=top_k(values, labels, 5),
            drop=drop.drop,
            margin=drop.margin,
            agreement=drop.agreement,
            sqnr_db=noise if math.isfinite(noise) else None,
        )
    return judged
