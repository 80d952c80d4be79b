"""The model card beside a weights file: what the weights were trained on, and how well they did."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.files import sha256_file, write_json
from ghost_edge.core.options import from_table
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
        table = json.loads(weights.with_suffix(".json").read_text(encoding="utf-8"))
        parts = {"preprocess": Preprocess, "trained_on": ImageCount, "evaluated_on": ImageCount}
        found = from_table(
            ModelCard, {**table, **{key: from_table(cls, table[key], key) for key, cls in parts.items()}}, "model card"
        )
        return found if found.weights_sha256 == sha256_file(weights) else None
    except (OSError, ValueError, KeyError, TypeError, RecipeError):  # somebody's own file of that name
        return None
