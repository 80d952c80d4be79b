"""The outside data of a run: network, model card and images, each found and opened once and shared by all stages."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.dataset import Dataset
from ghost_edge.host.datasets import Images, Library
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.recipe.model_card import ModelCard, read_model_card
from ghost_edge.host.recipe.network import NetworkFiles, find_network
from ghost_edge.host.recipe.schema import Calibration, Recipe, require


class Outside:
    """Everything that a recipe names and no stage makes; a property raises the error of what is missing."""

    def __init__(self, recipe: Recipe, places: Places) -> None:
        self._recipe, self._places, self._library = recipe, places, Library(places)

    @functools.cached_property
    def network(self) -> NetworkFiles:
        """The network's table, and the files that decide it."""
        return find_network(self._recipe, self._places)

    @functools.cached_property
    def model_card(self) -> ModelCard | None:
        """The model card of the weights; None where there is none."""
        return read_model_card(self.network.weights) if self.network.weights else None

    @functools.cached_property
    def calibration(self) -> Images:
        """The chosen calibration images: `samples` of them, spread by the recipe's seed."""
        table: Calibration = require(self._recipe.calibration, "calibration", "convert")
        samples, seed = table.samples, self._recipe.seed

        def choose(count: int) -> NDArray[np.int64]:
            return np.sort(np.random.default_rng(seed).permutation(count)[:samples])

        return self._library.images(table, choose, samples=samples, seed=seed)

    @functools.cached_property
    def evaluation(self) -> Images | None:
        """The evaluation images; None where the recipe has no [evaluation]."""
        table = self._recipe.evaluation
        return self._library.images(table) if table else None

    @property
    def label_offset(self) -> int:
        """The number that is added to labels where the model has a background class 0."""
        return self._recipe.evaluation.label_offset if self._recipe.evaluation else 0

    @functools.cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the labels; none where the recipe names no images."""
        table = self._recipe.evaluation or self._recipe.calibration
        return self._library.class_names(table) if table else ()


def choose_images(recipe: Recipe, places: Places) -> Dataset:
    """Open the chosen calibration images: `samples` of them, spread by the recipe's seed."""
    return Outside(recipe, places).calibration.dataset
