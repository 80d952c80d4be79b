"""Weights of a network: train.py makes them; here are checkpoints from elsewhere, to our weights file and back."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tomllib

from ghost_edge.core.errors import ArtifactError, RecipeError
from ghost_edge.core.files import write_bytes
from ghost_edge.core.options import from_table, pick
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.networks import NETWORKS
from ghost_edge.host.recipe.schema import NetworkTable, load_recipe, require

CLASSIFIER = "classifier."


def network_table(network: str, settings: tuple[str, ...]) -> NetworkTable:
    """Return the [network] of a recipe file, or of a kind with KEY=VALUE settings; raises RecipeError."""
    if network.endswith(".toml"):
        if settings:
            raise RecipeError(f"--set changes a kind; {network} is a recipe: change its [network] instead")
        table: NetworkTable = require(load_recipe(Path(network)).network, "network", "weights")
        return table
    row = pick(NETWORKS, network, kind="network")
    try:
        values = tomllib.loads("\n".join(settings))
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"--set {' '.join(settings)!r} is not KEY=VALUE as in a recipe, such as ratio=2") from error
    return NetworkTable(network, from_table(row.options, values, "--set"))


def import_weights(
    checkpoint: Path, network: NetworkTable, out: Path, *, drop_classifier: bool = False
) -> dict[str, Any]:
    """Write the checkpoint as .safetensors, float32, with the authors' keys, and return the network's options.

    The checkpoint's number of classes replaces the kind's default one. drop_classifier: leave the classifier out, for
    `train` to make a new one. Raises ArtifactError that lists keys that are missing, unknown or of another shape.
    """
    from safetensors.numpy import save

    from ghost_edge.host.networks.state_dict import assign_state, network_state, read_checkpoint

    if out.suffix != ".safetensors":
        raise RecipeError(f"-o {out}: name a file that ends in .safetensors")
    state = read_checkpoint(checkpoint)
    options = network.options
    if drop_classifier or getattr(options, "classes", None) == getattr(type(options), "classes", None):
        options = _with_classes(options, state)
    model = NETWORKS[network.kind].build(options, Places(()))
    try:
        assign_state(model, state, source=str(checkpoint), without=CLASSIFIER if drop_classifier else "")
    except ArtifactError as error:
        raise ArtifactError(f"{error}{_width_hint(options, state)}") from error
    state = network_state(model)
    kept = {key: state[key] for key in state if not (drop_classifier and key.startswith(CLASSIFIER))}
    write_bytes(save(kept), out)
    return {"kind": network.kind, **dataclasses.asdict(options)}


def export_weights(source: Path, out: Path, places: Places) -> int:
    """Write the weights of a recipe or .keras file as .safetensors with the authors' keys; return their number."""
    from ghost_edge.host.networks.state_dict import load_weights, network_state, save_weights
    from ghost_edge.host.networks.user_model import load_keras
    from ghost_edge.host.recipe.network import find_weights

    if out.suffix != ".safetensors":
        raise RecipeError(f"-o {out}: name a file that ends in .safetensors")
    if source.suffix == ".keras":
        model = load_keras(source)
    else:
        recipe = load_recipe(source)
        network: NetworkTable = require(recipe.network, "network", "weights export")
        weights = find_weights(recipe, places)
        model = NETWORKS[network.kind].build(network.options, places)
        if weights is None:
            raise RecipeError(f"{source}: [network] has no weights file to export; export its .keras file instead")
        load_weights(model, weights)
    save_weights(model, out)
    return len(network_state(model))


def _with_classes(options: Any, state: Mapping[str, Any]) -> Any:
    head = state.get(f"{CLASSIFIER}weight")
    if head is None or head.ndim != 2 or not hasattr(options, "classes"):
        return options
    return dataclasses.replace(options, classes=len(head))


def _width_hint(options: Any, state: Mapping[str, Any]) -> str:
    """Return the width by the checkpoint's last convolution, as a hint, where it is not the width asked for."""
    head = state.get("conv_head.weight")
    if head is None or head.ndim != 4 or not hasattr(options, "stages"):
        return ""
    width = head.shape[1] / max(options.stages[-1][1], 1)
    return "" if width == options.width else f" (its conv_head looks like width {width:g}, asked for {options.width:g})"
