"""Look at the calibration images before anything is quantized with them."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ghost_edge.core.dataset import Dataset
from ghost_edge.core.files import write_json
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.core.tasks import classification
from ghost_edge.device.evaluate import predict
from ghost_edge.host.chain.stages.build import find_weights
from ghost_edge.host.chain.stages.calibrate import choose_images
from ghost_edge.host.chain.work import Work
from ghost_edge.host.datasets import open_dataset
from ghost_edge.host.datasets.health import Finding, examine_images, examine_preprocess, refuse_fatal
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.recipe.model_card import read_model_card
from ghost_edge.host.recipe.schema import Recipe

_ASKED = 200  # images that the float model answers


def run(work: Work) -> tuple[Path, ...]:
    """Write doctor.json, the warnings; raises DataError with what makes the result worthless."""
    recipe = work.recipe
    dataset, found = look_at_images(recipe, work.places)
    images = [dataset.images[index] for index in range(0, len(dataset), -(-len(dataset) // _ASKED))]
    labels = dataset.labels[:: -(-len(dataset) // _ASKED)] + (
        recipe.evaluation.label_offset if recipe.evaluation else 0
    )

    def top1(preprocess: Preprocess) -> float:
        logits = predict(work.path(work.names.float_tflite), images, preprocess)
        return classification.score(classification.decode([logits]), labels)["top1"]

    weights = find_weights(recipe, work.places)
    model_card = read_model_card(weights) if weights else None
    stated = (model_card.top1, model_card.preprocess) if model_card else (None, None)
    found += examine_preprocess(recipe.preprocess, top1, stated[0], images, stated[1])
    refuse_fatal(found)
    write_json([dataclasses.asdict(finding) for finding in found], work.path(work.names.doctor))
    return (work.path(work.names.doctor),)


def look_at_images(recipe: Recipe, places: Places) -> tuple[Dataset, list[Finding]]:
    """The calibration images, and what can be said of them without a model."""
    dataset = choose_images(recipe, places)
    judges = open_dataset(recipe.evaluation, places).images if recipe.evaluation else ()
    return dataset, list(examine_images(dataset, judges))
