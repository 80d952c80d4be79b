"""One stage of the chain, on files that lie in a folder."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

from ghost_edge.core.progress import Say, silent
from ghost_edge.host.chain.stage import Outside, Stage
from ghost_edge.host.chain.stages import STAGES
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.recipe.output import layout
from ghost_edge.host.recipe.schema import Recipe

BY_NAME = {stage.name: stage for stage in STAGES}


def find_inputs(stage: Stage, recipe: Recipe, folder: Path) -> Any:
    """Return the Inputs of a stage, from the files that are there under the recipe's names."""
    names, found = layout(recipe), {}
    for field in dataclasses.fields(stage.inputs_class):
        name = getattr(names, field.name)
        if isinstance(name, tuple):
            found[field.name] = tuple(folder / each for each in name if (folder / each).is_file())
        else:
            found[field.name] = folder / name if (folder / name).is_file() else None
    return stage.inputs_class(**found)


def run_stage(name: str, recipe: Recipe, places: Places, folder: Path, say: Say = silent) -> Any:
    """Run a stage on the files of the folder and return its Outputs."""
    stage = BY_NAME[name]
    settings = stage.settings(Outside(recipe, places))
    return stage.run(find_inputs(stage, recipe, folder), settings, stage.place(layout(recipe), folder), say)
