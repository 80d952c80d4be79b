"""Conversion of a network for its size and speed alone: random weights, ranges from noise."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ghost_edge.core.progress import Progress, Reporter
from ghost_edge.host.chain.run import run_chain
from ghost_edge.host.chain.stages import STAGES
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.datasets.synthetic import Synthetic
from ghost_edge.host.networks import NETWORKS
from ghost_edge.host.recipe.network import RANDOM
from ghost_edge.host.recipe.output import layout
from ghost_edge.host.recipe.schema import Calibration, NetworkTable, Recipe, parse_recipe, require

_CONVERT = tuple(stage for stage in STAGES if stage.name in ("build", "float", "calibrate", "quantize"))


class Untrained(NamedTuple):
    """Float and int8 files of one network."""

    float_tflite: Path
    int8_tflite: Path


def convert_untrained(network: Mapping[str, Any], folder: Path, *, name: str = "untrained") -> Untrained:
    """Convert a [network] table, with input_size and (default 3) input_channels, into the folder by run_chain().

    Raises what the chain raises, RecipeError for a wrong table among it.
    """
    channels = "GRAY" if network.get("input_channels", 3) == 1 else "RGB"
    table = {
        "name": name,
        "network": network,
        "preprocess": {"size": network["input_size"], "channels": channels, "mean": [0.5], "std": [0.25]},
    }
    return convert_for_cost(parse_recipe(table, folder / f"{name}.toml"), Places((folder,)), folder, Reporter())


def convert_for_cost(recipe: Recipe, places: Places, folder: Path, reporter: Progress) -> Untrained:
    """Convert a recipe's network without its weights and images: they change no cost, and may still be missing."""
    network: NetworkTable = require(recipe.network, "network", "inspect")
    weights = "" if NETWORKS[network.kind].source else RANDOM
    noise = Synthetic(count=8, size=network.options.input_size, channels=network.options.input_channels)
    recipe = dataclasses.replace(
        recipe,
        network=dataclasses.replace(network, weights=weights, weights_sha256=""),
        calibration=Calibration(kind="synthetic", source=noise, samples=8),
        evaluation=None,
    )
    run_chain(recipe, places, folder, reporter, stages=_CONVERT)
    names = layout(recipe)
    return Untrained(folder / names.float_tflite, folder / names.quantized)
