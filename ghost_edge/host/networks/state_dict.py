"""Weights between checkpoints in the authors' PyTorch layout and Keras layers of the same names."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from ghost_edge.core.errors import ArtifactError, DeviceError
from ghost_edge.core.files import write_bytes
from ghost_edge.device.isolate import run_isolated
from ghost_edge.host.networks.torch_file import read_torch

State = Mapping[str, NDArray[Any]]
_TORCH_SUFFIXES = (".pth", ".pt", ".tar", ".bin", ".ckpt")
_TORCH_TIMEOUT_S = 60.0
_PREFIXES = re.compile(r"^(module\.|_orig_mod\.)+")  # of nn.DataParallel and of torch.compile
_COUNTERS = ("num_batches_tracked", "total_ops", "total_params")  # of batches and of a profiler, which are no weights


def read_checkpoint(path: Path) -> State:
    """Read names and arrays of a .safetensors file or a PyTorch checkpoint, without "module." prefixes and counters.

    Raises ArtifactError for a file that is damaged, of another kind, or that wants to run code.
    """
    if path.suffix == ".safetensors":
        try:
            state: State = load_file(path)
        except (SafetensorError, OSError, KeyError, TypeError) as error:
            raise ArtifactError(f"{path} is not a readable .safetensors file ({error})") from error
    elif path.suffix in _TORCH_SUFFIXES:
        try:  # in a child: a few hundred bytes of pickle can take years to hash
            state = run_isolated(read_torch, path, timeout_s=_TORCH_TIMEOUT_S).unwrap(str(path))
        except DeviceError as error:
            raise ArtifactError(f"{path} is not a readable PyTorch checkpoint: {error}") from error
    else:
        raise ArtifactError(f"{path} is no checkpoint; expected .safetensors or {', '.join(_TORCH_SUFFIXES)}")
    kept = [name for name in state if name.rsplit(".", 1)[-1] not in _COUNTERS]
    names = {_PREFIXES.sub("", name): name for name in kept}
    if len(names) < len(kept):
        raise ArtifactError(f"{path} holds some weights twice, with and without a prefix such as module.; keep one")
    return {name: state[original] for name, original in names.items()}


def load_weights(model: keras.Model, path: Path, *, without: str = "") -> None:
    """Fill a network from a checkpoint with the authors' keys; every key must find its weight.

    without: prefix of weights that may be missing and then stay as they are, such as "classifier.".
    Raises ArtifactError for a damaged file, and for keys that are missing, unknown or of another shape.
    """
    assign_state(model, read_checkpoint(path), source=str(path), without=without)


def save_weights(model: keras.Model, path: Path) -> None:
    """Write a network's weights as .safetensors in the authors' layout; the file is whole or absent."""
    write_bytes(save(network_state(model)), path)


def network_state(model: keras.Model) -> dict[str, NDArray[np.float32]]:
    """Return all weights by the authors' keys, in PyTorch's layout (convolutions OIHW)."""
    return {key: np.ascontiguousarray(_to_torch(axes, variable)) for key, axes, variable in _variables(model)}


def assign_state(model: keras.Model, state: State, *, source: str, without: str = "") -> None:
    """Assign every weight of the network from a state dict; ArtifactError lists the keys that do not match."""
    wanted = {key: (axes, variable) for key, axes, variable in _variables(model)}
    shapes = {key: list(_to_torch(*wanted[key]).shape) for key in wanted if key in state}
    given = {key: list(state[key].shape) for key in shapes}
    problems = {
        "lacks": [key for key in wanted if key not in state and not (without and key.startswith(without))],
        "has unknown": [key for key in state if key not in wanted],
        "has other shapes for": [
            f"{key} {given[key]}, not {shapes[key]}" for key in shapes if given[key] != shapes[key]
        ],
        "has NaN or infinity in": [key for key in shapes if not np.isfinite(state[key]).all()],
    }
    mismatches = "; ".join(f"{what} {len(keys)} weights ({_few(keys)})" for what, keys in problems.items() if keys)
    if mismatches:
        raise ArtifactError(
            f"{source} {mismatches}: it belongs to another network, or its training diverged; "
            "check [network] kind, width, stages and classes"
        )
    for key in shapes:
        axes, variable = wanted[key]
        variable.assign(_from_torch(axes, variable, np.asarray(state[key], np.float32)))


def _few(names: Sequence[str], limit: int = 4) -> str:
    return ", ".join(names[:limit]) + (f" and {len(names) - limit} more" if len(names) > limit else "")


_LEAVES = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
    "kernel": "weight",
    "bias": "bias",
}
# PyTorch's order of Keras' axes, by their number: OIHW of a convolution's HWIO, outputs first of a dense kernel
_AXES = {4: (3, 2, 0, 1), 2: (1, 0)}
_DEPTHWISE_AXES = (2, 3, 0, 1)  # [C, M, H, W] of [H, W, C, M]; both libraries order outputs channel by channel


def _variables(model: keras.Model) -> Iterator[tuple[str, tuple[int, ...], Any]]:
    """Yield (key, PyTorch's order of its axes, variable) for each weight."""
    for layer in model._flatten_layers(include_self=False):  # also those inside layers and models of a user's own
        for variable in layer._trainable_variables + layer._non_trainable_variables:
            depthwise = variable.name == "kernel" and isinstance(layer, keras.layers.DepthwiseConv2D)
            rank = len(variable.shape)
            axes = _DEPTHWISE_AXES if depthwise else _AXES.get(rank, tuple(range(rank)))
            owner = variable.path.rsplit("/", 1)[0].replace("/", ".")
            yield f"{owner}.{_LEAVES.get(variable.name, variable.name)}", axes, variable


def _to_torch(axes: tuple[int, ...], variable: Any) -> NDArray[np.float32]:
    values = np.asarray(variable, np.float32).transpose(axes)
    if variable.path.endswith("classifier/kernel"):  # a linear layer in checkpoints, a 1x1 convolution here
        return values.reshape(values.shape[:2])
    return values.reshape(-1, 1, *values.shape[2:]) if axes == _DEPTHWISE_AXES else values


def _from_torch(axes: tuple[int, ...], variable: Any, values: NDArray[np.float32]) -> NDArray[np.float32]:
    return values.reshape([variable.shape[axis] for axis in axes]).transpose(np.argsort(axes))
