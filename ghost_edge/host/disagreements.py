"""The pictures on which float and quantized model answer otherwise, kept small enough to be looked at."""

from __future__ import annotations

import dataclasses
import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from ghost_edge.core.dataset import Image
from ghost_edge.core.errors import ArtifactError
from ghost_edge.core.npz import read_npz, save_npz

MOST = 24  # pictures: the ones that the float model was surest of
_SIDE = 96  # pixels of a thumbnail's longer side, at most
_KEYS = ("position", "label", "answers", "confidence", "png", "ends")


@dataclasses.dataclass(frozen=True)
class Disagreement:
    """One picture: its place in the evaluation list, its class, and each model's answer with its softmax probability.

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
    """Write at most MOST, of pictures uint8 [H, W, C] and logits float32 [N, classes]; same input, same bytes."""
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
    picture = PIL.Image.fromarray(image.squeeze(-1) if image.shape[-1] == 1 else image)
    picture.thumbnail((_SIDE, _SIDE))
    content = io.BytesIO()
    picture.save(content, format="PNG")
    return content.getvalue()
