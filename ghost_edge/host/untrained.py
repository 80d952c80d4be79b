"""A network converted for its size and speed alone: random weights, ranges from noise."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ghost_edge.host.chain import STAGES
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.layout import layout
from ghost_edge.host.pipeline import Silent, run_chain
from ghost_edge.host.recipe import parse_recipe

_CONVERT = tuple(stage for stage in STAGES if stage.name in ("build", "float", "calibrate", "quantize"))


class Untrained(NamedTuple):
    """Two files of the same network."""

    float_tflite: Path
    int8_tflite: Path


def convert_untrained(network: Mapping[str, Any], folder: Path, *, name: str = "untrained") -> Untrained:
    """Convert a [network] table, with input_size and (default 3) input_channels, into the folder by the usual chain.

    Raises what the chain raises, RecipeError for a wrong table among it.
    """
    size, channels = network["input_size"], network.get("input_channels", 3)
    pixels = {"size": size, "channels": "GRAY" if channels == 1 else "RGB"}
    noise = {"kind": "synthetic", "size": size, "count": 8, "channels": channels}
    weights = {} if network["kind"] == "keras" else {"weights": "random"}
    table = {
        "name": name,
        "network": {**weights, **network},
        "preprocess": {**pixels, "mean": [0.5], "std": [0.25]},
        "calibration": {**noise, "samples": 8},
    }
    recipe = parse_recipe(table, folder / f"{name}.toml")
    run_chain(recipe, Places((folder,)), folder, Silent(), stages=_CONVERT)
    names = layout(recipe)
    return Untrained(folder / names.float_tflite, folder / names.quantized)
