"""A stage of the chain: a function of what it declares, and the key that is made of exactly that."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from ghost_edge import __version__
from ghost_edge.core.files import sha256_file
from ghost_edge.core.progress import Say
from ghost_edge.device.environment import tool_versions
from ghost_edge.host.chain.outside import Outside
from ghost_edge.host.recipe.output import Layout, by_role
from ghost_edge.host.recipe.schema import Recipe

# A field of Inputs or Outputs: a file; files; None where the recipe does not ask for it.
Files = Path | tuple[Path, ...] | None


@dataclasses.dataclass(frozen=True)
class Nothing:
    """Inputs of a stage that reads no file of an earlier one, or settings of one that needs none."""


def no_settings(recipe: Recipe, outside: Outside) -> Nothing:
    """Return no settings."""
    return Nothing()


@dataclasses.dataclass(frozen=True)
class Stage:
    """A step of the chain.

    run: from Inputs, Settings, the Outputs to write and a Say to the Outputs that it wrote, three frozen dataclasses.
    A field of Inputs has the name of the field of an earlier stage's Outputs; a field of Outputs that of the Layout.
    settings: its part of the recipe, with outside data that has a fingerprint; run reads nothing else.
    tools: packages whose version changes the result. version: raised when the code of the stage changes its output.
    """

    name: str
    run: Callable[[Any, Any, Any, Say], Any]
    settings: Callable[[Recipe, Outside], Any] = no_settings
    tools: tuple[str, ...] = ()
    version: int = 1

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

    def take(self, made: Mapping[str, Files]) -> Any:
        """Return its Inputs, from the files of earlier stages by field name."""
        return self.inputs_class(**{field.name: made[field.name] for field in dataclasses.fields(self.inputs_class)})

    def place(self, names: Layout, folder: Path) -> Any:
        """Return its Outputs as a recipe names them, in a folder."""
        named = {field.name: getattr(names, field.name) for field in dataclasses.fields(self.outputs_class)}
        return self.outputs_class(**{key: _inside(folder, value) for key, value in named.items()})


def _inside(folder: Path, names: str | tuple[str, ...] | None) -> Files:
    if names is None:
        return None
    return folder / names if isinstance(names, str) else tuple(folder / name for name in names)


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


@dataclasses.dataclass(frozen=True)
class Models:
    """Inputs of a stage that runs the artifacts; exports: without those that were left out."""

    float_tflite: Path
    quantized: Path
    exports: tuple[Path, ...]

    @property
    def by_role(self) -> dict[str, Path]:
        """The artifacts by role: the reference first, then what is deployed."""
        return by_role(self.float_tflite, self.quantized, self.exports)
