"""The model card beside a weights file: what the weights were trained on, and how well they did."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ghost_edge.core.errors import ArtifactError
from ghost_edge.core.files import read_document, sha256_file, write_json
from ghost_edge.core.preprocess import Preprocess


@dataclasses.dataclass(frozen=True)
class ImageCount:
    """Name of a dataset and the number of its images that were used."""

    data: str
    images: int


@dataclasses.dataclass(frozen=True)
class ModelCard:
    """weights/<name>.json, in the order of its keys.

    network: the [network] table with every default. training: the settings of [training] and the recipe's seed.
    seconds: of fitting. top1: fraction of right answers on evaluated_on. made_of: SHA-256 of everything that decides
    the weights, empty in model cards written before it was kept.
    """

    name: str
    network: dict[str, Any]
    preprocess: Preprocess
    trained_on: ImageCount
    evaluated_on: ImageCount
    class_names: tuple[str, ...]
    training: dict[str, Any]
    seconds: int
    top1: float
    weights_sha256: str
    made_of: str = ""


def write_model_card(model_card: ModelCard, weights: Path) -> None:
    """Write the model card beside the weights, <weights>.json, whole or not at all."""
    write_json(dataclasses.asdict(model_card), weights.with_suffix(".json"))


def read_model_card(weights: Path) -> ModelCard | None:
    """Read the model card beside the weights; None without one, also where it is about other weights."""
    try:
        found = read_document(weights.with_suffix(".json"), ModelCard)
    except ArtifactError:  # none, or somebody's own file of that name
        return None
    return found if weights.is_file() and found.weights_sha256 == sha256_file(weights) else None
