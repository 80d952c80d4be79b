"""A stage of the chain: a function of what it declares, the key made of exactly that, and the data it is set by."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge import __version__
from ghost_edge.core.dataset import Image, spread
from ghost_edge.core.files import sha256_file
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.core.progress import Say
from ghost_edge.device.environment import optional_version, tool_versions
from ghost_edge.host.datasets import Images, Library
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.onnx import EXPORTERS
from ghost_edge.host.recipe.network import ModelCard, NetworkFiles, find_network, read_model_card
from ghost_edge.host.recipe.output import Layout
from ghost_edge.host.recipe.schema import Calibration, Choice, Recipe, require

# A field of Inputs or Outputs: a file; files; None where the recipe does not ask for it.
Files = Path | tuple[Path, ...] | None


@dataclasses.dataclass(frozen=True)
class Nothing:
    """Inputs of a stage that reads no file of an earlier one, or settings of one that needs none."""


@dataclasses.dataclass(frozen=True)
class Models:
    """Inputs of a stage that runs the artifacts; exports: without those that were left out."""

    float_tflite: Path
    quantized: Path
    exports: tuple[Path, ...]

    @property
    def by_role(self) -> dict[str, Path]:
        """The artifacts by role: the reference first, then what is deployed."""
        onnx = {path.stem.rsplit("_", 1)[-1] + "_onnx": path for path in self.exports}
        return {"float": self.float_tflite, "quantized": self.quantized, **onnx}


@dataclasses.dataclass(frozen=True)
class Representative:
    """Settings of a stage that runs a model on the calibration images."""

    calibration: Images
    preprocess: Preprocess

    def few(self, least: int, most: int, *, pixels: int) -> list[Image]:
        """Return some of the images, about `pixels` in all: reference kernels are slow."""
        count = pixels // (self.preprocess.height * self.preprocess.width)
        return spread(self.calibration.dataset.images, max(least, min(most, count)))


@dataclasses.dataclass(frozen=True)
class Stage:
    """A step of the chain.

    run: from Inputs, Settings, the Outputs to write and a Say to the Outputs that it wrote, three frozen dataclasses,
    filled by field name: Inputs from the Outputs of earlier stages, Outputs from the Layout, Settings from the Outside
    or its recipe, unless own_settings makes them. run reads nothing else.
    tools: packages whose version changes the result. version: raised when the code of the stage changes its output.
    """

    name: str
    run: Callable[[Any, Any, Any, Say], Any]
    tools: tuple[str, ...] = ()
    version: int = 1
    own_settings: Callable[[Outside], Any] | None = None

    @property
    def inputs_class(self) -> type[Any]:
        """The dataclass of its Inputs."""
        return self._class("inputs")

    @property
    def outputs_class(self) -> type[Any]:
        """The dataclass of its Outputs."""
        return self._class("return")

    def _class(self, argument: str) -> type[Any]:
        found: type[Any] = typing.get_type_hints(self.run)[argument]
        return found

    def settings(self, outside: Outside) -> Any:
        """Return its Settings; raises the error of what is missing."""
        return self.own_settings(outside) if self.own_settings else outside.settings(self._class("settings"))

    def take(self, made: Mapping[str, Files]) -> Any:
        """Return its Inputs, from the files of earlier stages by field name."""
        return _fill(self.inputs_class, lambda name: made[name])

    def place(self, names: Layout, folder: Path) -> Any:
        """Return its Outputs as a recipe names them, in a folder."""

        def inside(field: str) -> Files:
            name = getattr(names, field)
            return folder / name if isinstance(name, str) else tuple(folder / each for each in name)

        return _fill(self.outputs_class, inside)


def _fill(cls: type[Any], find: Callable[[str], Any]) -> Any:
    return cls(**{field.name: find(field.name) for field in dataclasses.fields(cls)})


class Outside:
    """A recipe, and everything that it names and no stage makes: found and opened once, shared by all stages.

    A property raises the error of what is missing.
    """

    def __init__(self, recipe: Recipe, places: Places) -> None:
        self.recipe, self._places, self._library = recipe, places, Library(places)

    def settings(self, cls: type[Any]) -> Any:
        """Return the Settings of a stage: each field is a property of this class or else a field of the recipe."""
        return _fill(cls, lambda name: getattr(self if hasattr(Outside, name) else self.recipe, name))

    @functools.cached_property
    def network(self) -> NetworkFiles:
        """The network's table, and the files that decide it."""
        return find_network(self.recipe, self._places)

    @property
    def weights_sha256(self) -> str:
        """SHA-256 of the weights file; empty without one."""
        return sha256_file(self.network.weights) if self.network.weights else ""

    @functools.cached_property
    def model_card(self) -> ModelCard | None:
        """The model card of the weights; None where there is none."""
        return read_model_card(self.network.weights) if self.network.weights else None

    @functools.cached_property
    def calibration(self) -> Images:
        """The chosen calibration images: `samples` of them, spread by the recipe's seed."""
        samples, seed = self._calibration.samples, self.recipe.seed

        def choose(count: int) -> NDArray[np.int64]:
            return np.sort(np.random.default_rng(seed).permutation(count)[:samples])

        return self._library.images(self._calibration, choose, samples=samples, seed=seed)

    @property
    def _calibration(self) -> Calibration:
        table: Calibration = require(self.recipe.calibration, "calibration", "convert")
        return table

    @property
    def estimator(self) -> str:
        """The row of ESTIMATORS that makes ranges of histograms."""
        return self._calibration.ranges

    @property
    def equalize(self) -> bool:
        """True where the scheme asks for cross-layer equalization first."""
        return bool(self.recipe.quantization.options.equalize)

    @property
    def onnx(self) -> Choice | None:
        """The int8 ONNX model that the recipe asks for."""
        return next((each for each in self.recipe.exports if EXPORTERS[each.kind].source == "quantized"), None)

    @functools.cached_property
    def evaluation(self) -> Images | None:
        """The evaluation images; None where the recipe has no [evaluation]."""
        table = self.recipe.evaluation
        return self._library.images(table) if table else None

    @property
    def label_offset(self) -> int:
        """The number that is added to labels where the model has a background class 0."""
        return self.recipe.evaluation.label_offset if self.recipe.evaluation else 0

    @functools.cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in the order of the labels; none where the recipe names no images."""
        table = self.recipe.evaluation or self.recipe.calibration
        return self._library.class_names(table) if table else ()

    @property
    def interpreter(self) -> str:
        """Version of tflite-micro, which takes part where it is installed; else empty."""
        return optional_version("tflite-micro")

    @property
    def recipe_file(self) -> str:
        """Name of the recipe's file."""
        return self.recipe.path.name

    @property
    def recipe_text(self) -> str:
        """Text of the recipe's file."""
        return self.recipe.path.read_text(encoding="utf-8")


def paths_of(files: Files) -> tuple[Path, ...]:
    """Return the paths in a field of Inputs or Outputs."""
    if files is None:
        return ()
    return (files,) if isinstance(files, Path) else files


def stage_key(stage: Stage, inputs: Any, settings: Any, outputs: Any) -> str:
    """Return the SHA-256 of everything that decides a stage's result: same key, same result, in any folder.

    inputs count by name and content, outputs by name: names stand in what some stages write.
    """
    content = {
        "name": stage.name,
        "version": [__version__, stage.version],
        "inputs": {
            key: [[path.name, sha256_file(path)] for path in paths_of(files)] for key, files in vars(inputs).items()
        },
        "settings": settings,
        "outputs": {key: [path.name for path in paths_of(files)] for key, files in vars(outputs).items()},
        "tools": tool_versions(stage.tools),
    }
    return hashlib.sha256(json.dumps(content, sort_keys=True, default=_identity).encode()).hexdigest()


def _identity(value: Any) -> Any:
    """Return what stands for a value in a key: the fingerprint of outside data, the fields of a dataclass."""
    if hasattr(value, "fingerprint"):
        return value.fingerprint
    return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
