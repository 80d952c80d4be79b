"""A user's own Keras model: a .keras file, or a function that returns one."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ghost_edge.core.errors import ArtifactError, DataError, RecipeError
from ghost_edge.core.preprocess import Size, check_size, height_and_width
from ghost_edge.host.datasets.places import Places

if TYPE_CHECKING:
    import keras


@dataclasses.dataclass(frozen=True)
class OwnModel:
    """[network] with kind = "keras".

    path: "model.keras", or "module:function" for module.py beside the recipe (or an installed module) whose
        function() returns a keras.Model. Its code runs here: use only files that you trust.
    """

    path: str
    input_size: Size
    input_channels: int = 3

    def __post_init__(self) -> None:
        if not self.path.endswith(".keras") and self.path.count(":") != 1:
            raise RecipeError(f'[network] path {self.path!r} is neither "model.keras" nor "module:function"')
        object.__setattr__(self, "input_size", check_size(self.input_size, "[network] input_size"))


def find_source(options: OwnModel, places: Places) -> Path:
    """Return the .keras file, or the file of the module; ArtifactError or RecipeError where there is none."""
    if options.path.endswith(".keras"):
        try:
            return places.find(options.path)
        except DataError as error:
            raise ArtifactError(f"[network] path: {error}") from error
    module = options.path.split(":")[0]
    for folder in places.folders:
        if (folder / f"{module}.py").is_file():
            return folder / f"{module}.py"
    try:
        found = importlib.util.find_spec(module)
    except (ImportError, ValueError) as error:
        raise RecipeError(f"[network] path: module {module!r} cannot be imported ({error})") from error
    if found is None or not found.origin:
        raise RecipeError(f"[network] path: there is no {module}.py beside the recipe and no module {module!r}")
    return Path(found.origin)


def build(options: OwnModel, places: Places) -> keras.Model:
    """Return the model with its batch fixed to 1: float32 [1, size, size, channels] to one output.

    Raises ArtifactError for a file that Keras refuses, RecipeError where the model takes other images.
    """
    import keras

    source = find_source(options, places)
    model = load_keras(source) if options.path.endswith(".keras") else _call(source, *options.path.split(":"))
    if not isinstance(model, keras.Model):
        raise RecipeError(f"[network] {options.path} gives a {type(model).__name__}, expected a keras.Model")
    wanted = (*height_and_width(options.input_size), options.input_channels)
    shape = getattr(model, "input_shape", None)
    fits = isinstance(shape, tuple) and len(shape) == 4 and all(a in (None, b) for a, b in zip(shape[1:], wanted))
    if not fits or not isinstance(model.output_shape, tuple):
        raise RecipeError(
            f"[network] {options.path} takes {shape} and gives {getattr(model, 'output_shape', None)}; the chain needs "
            f"one input [batch, {wanted[0]}, {wanted[1]}, {wanted[2]}] and one output: set input_size, input_channels"
        )
    image = keras.Input(wanted, batch_size=1, name="image")
    return keras.Model(image, model(image), name="own")


def load_keras(path: Path) -> keras.Model:
    """Load a .keras file without running code in it (Lambda); ArtifactError where Keras refuses it."""
    import keras

    importlib.import_module("ghost_edge.host.networks.blocks")  # registers its layers
    try:
        return keras.models.load_model(path, compile=False)
    except (OSError, ValueError, TypeError, KeyError) as error:
        reason = str(error).strip().splitlines()[0]
        raise ArtifactError(
            f"{path} cannot be loaded by Keras ({reason}); save it with model.save(), and layers of your own with "
            '@keras.saving.register_keras_serializable(), or write path = "module:function"'
        ) from error


def _call(source: Path, name: str, function: str) -> keras.Model:
    sys.path.insert(0, str(source.parent))  # the module may import files beside it
    importlib.invalidate_caches()
    try:
        loaded = sys.modules.get(name)
        if loaded is not None and loaded.__file__ != str(source):  # a namesake from another folder
            del sys.modules[name]
        module = importlib.import_module(name)
    except (ImportError, SyntaxError) as error:
        raise RecipeError(f"[network] {source} cannot be imported: {error}") from error
    finally:
        sys.path.remove(str(source.parent))
    make = getattr(module, function, None)
    if not callable(make):
        raise RecipeError(f"[network] {source} has no function {function!r}")
    return make()
