"""Let every artifact answer the evaluation images, and compare the answers one by one."""

from __future__ import annotations

import dataclasses
import functools
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.dataset import check_labels, image_digest
from ghost_edge.core.files import write_json
from ghost_edge.core.manifest import Predictions, save_predictions
from ghost_edge.device.evaluate import predict
from ghost_edge.host.accuracy.evaluate import judge_all, save_disagreements
from ghost_edge.host.chain.work import Work
from ghost_edge.host.datasets import open_dataset
from ghost_edge.host.recipe.schema import Evaluation


def run(work: Work) -> tuple[Path, ...]:
    """Write predictions.npz, accuracy.json and disagreements.npz; nothing where the recipe has no [evaluation]."""
    options: Evaluation | None = work.recipe.evaluation
    if options is None:
        return ()
    dataset = open_dataset(options, work.places)
    labels = dataset.labels + options.label_offset
    models = work.models
    logits: dict[str, NDArray[np.float32]] = {}
    for number, (role, path) in enumerate(models.items()):
        say = functools.partial(_tell, work, path.name, number, len(models))
        logits[role] = predict(path, dataset.images, work.recipe.preprocess, say=say)
    check_labels(labels, classes=logits["float"].shape[1], dataset=dataset)
    predictions, accuracy = work.path(work.names.predictions), work.path(work.names.accuracy)
    save_predictions(
        Predictions(
            digests=tuple(map(image_digest, dataset.images)),
            labels=labels,
            answers={role: values.argmax(axis=1).astype(np.int32) for role, values in logits.items()},
        ),
        predictions,
    )
    write_json({role: dataclasses.asdict(entry) for role, entry in judge_all(logits, labels).items()}, accuracy)
    apart = work.path(work.names.disagreements)
    save_disagreements(dataset.images, labels, logits["float"], logits["quantized"], apart)
    return predictions, accuracy, apart


def _tell(work: Work, name: str, number: int, models: int, done: int, total: int) -> None:
    work.tell((number + done / total) / models, f"{name}: {done} of {total} images")
