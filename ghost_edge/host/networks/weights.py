"""Weights between safetensors files in the authors' PyTorch layout and Keras layers of the same names."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ghost_edge.core.errors import ArtifactError
from ghost_edge.core.files import write_bytes

State = Mapping[str, NDArray[Any]]


def load_weights(model: keras.Model, path: Path) -> None:
    """Fill a network from a .safetensors file with the authors' keys; every key is accounted for.

    Raises ArtifactError for a damaged file, and for a key that is missing, unknown or of another shape.
    """
    try:
        state = load_file(path)
    except (SafetensorError, OSError) as error:
        raise ArtifactError(f"{path} is not a readable .safetensors file ({error})") from error
    assign_state(model, state, source=str(path))


def save_weights(model: keras.Model, path: Path) -> None:
    """Write a network's weights as .safetensors in the authors' layout; the file is whole or absent."""
    write_bytes(save(network_state(model)), path)


def network_state(model: keras.Model) -> dict[str, NDArray[np.float32]]:
    """All weights, by the authors' keys and in PyTorch's layout (convolutions OIHW)."""
    return {key: np.ascontiguousarray(_to_torch(leaf, variable)) for key, leaf, variable in _variables(model)}


def assign_state(model: keras.Model, state: State, *, source: str) -> None:
    """Assign every weight of the network from a state dict; raises ArtifactError where the two do not match."""
    state = {key: value for key, value in state.items() if not key.endswith("num_batches_tracked")}
    wanted = {key: (leaf, variable) for key, leaf, variable in _variables(model)}
    for title, keys in (("lacks", wanted.keys() - state.keys()), ("has unknown", state.keys() - wanted.keys())):
        if keys:
            raise ArtifactError(
                f"{source} {title} {len(keys)} weights, first {min(keys)!r}; "
                "it belongs to another network: check [network] width, stages and classes"
            )
    for key, (leaf, variable) in wanted.items():
        expected = _to_torch(leaf, variable).shape
        if state[key].shape != expected:
            raise ArtifactError(
                f"{source}: {key!r} has shape {list(state[key].shape)}, the network needs {list(expected)}; "
                "check [network] width, stages and classes"
            )
        if not np.isfinite(state[key]).all():
            raise ArtifactError(f"{source}: {key!r} holds NaN or infinity; the training diverged")
        variable.assign(_from_torch(leaf, variable, np.asarray(state[key], np.float32)))


_LEAVES = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "kernel": "weight",
    "bias": "bias",
}


def _variables(model: keras.Model) -> Iterator[tuple[str, str, Any]]:
    """(key, kind of leaf, variable) for each weight; the kind says how Keras and PyTorch order its axes."""
    for layer in model._flatten_layers(include_self=False):  # also those inside layers and models of a user's own
        for variable in layer._trainable_variables + layer._non_trainable_variables:
            depthwise = variable.name == "kernel" and isinstance(layer, keras.layers.DepthwiseConv2D)
            leaf = "depthwise" if depthwise else variable.name
            owner = variable.path.rsplit("/", 1)[0].replace("/", ".")
            yield f"{owner}.{_LEAVES.get(variable.name, variable.name)}", leaf, variable


def _to_torch(leaf: str, variable: Any) -> NDArray[np.float32]:
    values: NDArray[np.float32] = np.asarray(variable, np.float32)
    if leaf == "depthwise":  # [H, W, C, M] to [C * M, 1, H, W]: both order outputs channel by channel
        height, width, channels, multiplier = values.shape
        return values.transpose(2, 3, 0, 1).reshape(channels * multiplier, 1, height, width)
    if values.ndim == 4:
        return values.transpose(3, 2, 0, 1)
    return values.T if values.ndim == 2 else values


def _from_torch(leaf: str, variable: Any, values: NDArray[np.float32]) -> NDArray[np.float32]:
    if leaf == "depthwise":
        height, width, channels, multiplier = variable.shape
        return values.reshape(channels, multiplier, height, width).transpose(2, 3, 0, 1)
    if values.ndim == 4:
        return values.transpose(2, 3, 1, 0)
    return values.T if values.ndim == 2 else values
