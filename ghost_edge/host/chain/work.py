"""One file a stage of the chain."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path

from ghost_edge.host.datasets.places import Places
from ghost_edge.host.recipe.output import Layout, layout
from ghost_edge.host.recipe.schema import Recipe


@dataclasses.dataclass(frozen=True)
class Work:
    """What a stage is given: the recipe, where its data lies, the output folder, and a way to say how far it is.

    tell: called with the share that is done (0..1) and a few words.
    """

    recipe: Recipe
    places: Places
    folder: Path
    tell: Callable[[float, str], None]

    @property
    def names(self) -> Layout:
        """File names of this recipe."""
        return layout(self.recipe)

    @property
    def models(self) -> dict[str, Path]:
        """The artifacts that run, by role; without a twin that could not be made."""
        paths = {role: self.path(name) for role, name in self.names.models.items()}
        return {role: path for role, path in paths.items() if path.is_file()}

    def path(self, name: str) -> Path:
        """A file in the output folder."""
        return self.folder / name
