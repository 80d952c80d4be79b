"""Accuracy of model files on a recipe's evaluation images, and the images on which they disagree."""

from __future__ import annotations

import dataclasses
import io
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import PIL.Image
from numpy.typing import NDArray

from ghost_edge.core.dataset import Dataset, Image
from ghost_edge.core.errors import ArtifactError, DataError
from ghost_edge.core.files import as_paths, read_npz, save_npz, sha256_file
from ghost_edge.core.manifest import Accuracy, read_metadata
from ghost_edge.core.options import convert
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.core.progress import Progress, Reporter, timed
from ghost_edge.core.tables import Column
from ghost_edge.core.tasks import CLASSIFICATION, TASKS, check_truth
from ghost_edge.core.tensor import sqnr_db
from ghost_edge.device.evaluate import RunOptions, raw_outputs_isolated, real_outputs
from ghost_edge.host.datasets import open_dataset
from ghost_edge.host.datasets.folder import as_images
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.recipe.schema import Evaluation, Recipe, require

MOST = 24  # images: the ones that the float model was surest of
_SIDE = 96  # pixels of a thumbnail's longer side, at most
_KEYS = ("position", "label", "answers", "confidence", "png", "ends")


@dataclasses.dataclass(frozen=True)
class Evaluated:
    """Accuracy of a model file on labelled images; fractions.

    metrics: by the task's keys ("top1", "top5"). drop, margin, agreement: against the first file that was evaluated
    with it (None for that one), drop of the main metric with the half width of its 95 % interval.
    """

    file: Path
    sha256: str
    images: int
    metrics: dict[str, float]
    reference: float
    drop: Optional[float]
    margin: Optional[float]
    agreement: Optional[float]

    def row(self) -> dict[str, Any]:
        """Return a row of columns(), as JSON holds it."""
        (main, value), *others = self.metrics.items()
        return {
            **{"file": str(self.file), "sha256": self.sha256, **dict(others), "images": self.images},
            **{f"reference_{main}": self.reference, main: value},
            **{key: getattr(self, key) for key in ("drop", "margin", "agreement")},
        }


def columns(task: str = CLASSIFICATION) -> tuple[Column, ...]:
    """Return the columns of a table of Evaluated.row()."""
    metrics = (Column(name, key, ".2%") for key, name in TASKS[task].metrics.items())
    compared = (Column(key, key, ".2%") for key in ("drop", "margin", "agreement"))
    return (Column("artifact", "file"), Column("images", "images"), *metrics, *compared)


def evaluate(
    models: Union[str, Path, Sequence[Union[str, Path]]],
    dataset: Dataset,
    preprocess: Optional[Preprocess] = None,
    *,
    task: str = CLASSIFICATION,
    how: RunOptions = RunOptions(),  # noqa: B008  # frozen
    progress: Progress = Reporter(),  # noqa: B008  # it holds nothing
) -> list[Evaluated]:
    """Return the accuracy of model files (.tflite, .onnx), each compared with the first one, image by image.

    preprocess: from an image to the models' input; None: what each file's metadata says. Raises ArtifactError for a
    file that does not take such images or has no metadata, DataError where a label is none of its classes or an image
    has no label, DeviceError where a model does not run here.
    """
    found, row = list[Evaluated](), TASKS[task]
    reference: Any = None
    preprocess, dataset = convert(preprocess, Optional[Preprocess], "preprocess"), _labelled(dataset)
    for file in as_paths(models):
        with timed(progress, file.name):
            fed = preprocess or _own_preprocess(file)
            # in a child process: a damaged file, or a processor that the interpreter was not built for, ends only that
            outputs = real_outputs(file, *raw_outputs_isolated(file, dataset.images, fed, how))
        check_truth(dataset.labels, outputs, dataset.name, task)
        answers = row.decode(outputs)
        reference = answers if reference is None else reference
        drop, metrics = row.compare(reference, answers, dataset.labels), row.score(answers, dataset.labels)
        paired = (drop.drop, drop.margin, drop.agreement) if found else (None, None, None)
        found.append(Evaluated(file, sha256_file(file), drop.images, metrics, drop.reference, *paired))
    return found


def _labelled(dataset: Dataset) -> Dataset:
    """Return the dataset with its images decoded when asked for and its labels as an array, one for each image."""
    if not isinstance(dataset, Dataset):
        raise DataError(f"a {type(dataset).__name__} has no labels; give ghost_edge.Dataset(name, images, labels)")
    images, labels = as_images(dataset.images), np.asarray(dataset.labels)
    if labels.shape[:1] != (len(images),):
        raise DataError(
            f"{dataset.name} has {len(images)} images and labels {list(labels.shape)}; give a label for each"
        )
    return dataclasses.replace(dataset, images=images, labels=labels)


def _own_preprocess(file: Path) -> Preprocess:
    metadata = read_metadata(file)
    if metadata is None:
        raise ArtifactError(f"{file} does not say how it is fed; give a Preprocess, or a file that ghost-edge made")
    return metadata.preprocess


def evaluate_files(
    files: Sequence[Path], recipe: Recipe, places: Places, how: RunOptions, reporter: Progress
) -> list[Evaluated]:
    """Evaluate files on the evaluation images of a recipe; errors are those of evaluate()."""
    options: Evaluation = require(recipe.evaluation, "evaluation", "evaluate")
    opened = open_dataset(options, places)
    dataset = dataclasses.replace(opened, labels=opened.labels + options.label_offset)
    return evaluate(files, dataset, recipe.preprocess, task=recipe.task, how=how, progress=reporter)


@dataclasses.dataclass(frozen=True)
class Disagreement:
    """Image that two models answer differently: its place in the evaluation list, class, answers and probabilities.

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
    """Read what save_disagreements() wrote; ArtifactError where it is damaged."""
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
    """Return the probability of the answer, float64 [N]: softmax of the logits, unless they are probabilities."""
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


def accuracy_by_role(
    outputs: Mapping[str, Sequence[NDArray[np.float32]]], truth: NDArray[Any], task: str = CLASSIFICATION
) -> dict[str, Accuracy]:
    """Return the accuracy of each model against the one named "float", from its outputs, each float32 [N, values]."""
    row = TASKS[task]
    answers = {role: row.decode(values) for role, values in outputs.items()}
    made = {}
    for role, values in outputs.items():
        found, noise = row.compare(answers["float"], answers[role], truth), sqnr_db(outputs["float"][0], values[0])
        made[role] = Accuracy(
            metrics=row.score(answers[role], truth),
            drop=found.drop,
            margin=found.margin,
            agreement=found.agreement,
            sqnr_db=noise if math.isfinite(noise) else None,
        )
    return made
