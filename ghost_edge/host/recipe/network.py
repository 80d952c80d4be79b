"""The network of a recipe: the files that decide it, and the Keras model with its weights."""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from ghost_edge.core.errors import ArtifactError, DataError, RecipeError
from ghost_edge.core.files import check_sha256, read_document, sha256_file, write_json
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.core.progress import Say
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.networks import NETWORKS
from ghost_edge.host.recipe.schema import NetworkTable, Recipe, require

RANDOM = "random"  # [network] weights = "random": to measure speed, never to deploy


@dataclasses.dataclass(frozen=True)
class NetworkFiles:
    """A recipe's [network] and the files that decide it.

    weights: None for random weights, and for those inside the source; source: the user's model or its code, None where
    the network is one of ours.
    """

    table: NetworkTable
    seed: int
    weights: Path | None
    source: Path | None
    places: Places

    @property
    def fingerprint(self) -> Mapping[str, Any]:
        """Everything that decides the model, files by their SHA-256."""
        is_code = self.source is not None and self.source.suffix == ".py"
        return {
            "kind": self.table.kind,
            "options": self.table.options,
            "seed": self.seed,
            "weights": sha256_file(self.weights) if self.weights else RANDOM,
            "source": sha256_file(self.source) if self.source else "",
            # code may import anything: it runs each time, and where it gives the same graph later stages do not
            "asked": time.time_ns() if is_code else 0,
        }


def find_network(recipe: Recipe, places: Places) -> NetworkFiles:
    """Find the files of a recipe's network; raises RecipeError, DataError or ArtifactError where one is missing."""
    table: NetworkTable = require(recipe.network, "network", "convert")
    find_source = NETWORKS[table.kind].source
    source = find_source(table.options, places) if find_source else None
    return NetworkFiles(table, recipe.seed, find_weights(recipe, places), source, places)


def find_weights(recipe: Recipe, places: Places) -> Path | None:
    """Return the weights file, checked against the recipe's SHA-256; None for random weights and a user's model."""
    network: NetworkTable = require(recipe.network, "network", "convert")
    if not network.weights and NETWORKS[network.kind].source:
        return None
    if not network.weights:
        raise RecipeError(
            '[network] names no weights; train them with `ghost-edge train`, or write weights = "random" '
            "to measure speed alone"
        )
    if network.weights == RANDOM:
        return None
    try:
        path = places.find(network.weights)
    except DataError as error:
        raise ArtifactError(
            f"[network] weights: {network.weights} is not beside {recipe.path}; `ghost-edge train {recipe.path}` makes "
            "them, --data names the folder of some that are elsewhere"
        ) from error
    if not path.is_file():
        raise ArtifactError(f"[network] weights: {path} is not a file; name a checkpoint")
    check_sha256(path, network.weights_sha256)
    return path


def is_trained(recipe: Recipe, places: Places) -> bool:
    """Return True where the weights that [network] names are there, or none are needed."""
    weights = recipe.network.weights if recipe.network else ""
    return weights in ("", RANDOM) or any((folder / weights).exists() for folder in places.folders)


def make_network(network: NetworkFiles, say: Say) -> Any:
    """Build the keras.Model, float32 [1, H, W, C] to [1, classes], with its weights.

    Raises ArtifactError where the weights do not fit the network.
    """
    import keras

    from ghost_edge.host.networks.state_dict import load_weights

    keras.utils.set_random_seed(network.seed)
    model = NETWORKS[network.table.kind].build(network.table.options, network.places)
    say(0.5, "network built")
    if network.weights is not None:
        load_weights(model, network.weights)
    elif network.table.weights == RANDOM:
        _stir(model, seed=network.seed)
    say(1.0, "weights in place")
    return model


def _stir(model: Any, *, seed: int) -> None:
    """Put noise in place of zeros: the converter leaves a bias of zeros out, and the file would be too small."""
    rng = np.random.default_rng(seed)
    for variable in model.trainable_weights:
        if not np.any(variable):
            variable.assign(rng.normal(0, 0.01, variable.shape))


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
