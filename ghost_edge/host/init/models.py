"""The [network] table of a trained model, read from its own file."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ghost_edge.core.errors import ArtifactError, RecipeError
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.networks import NETWORKS, user_model
from ghost_edge.host.networks.options import TABLE_7

KERAS = ".keras"
CHECKPOINTS = (".pth", ".pt", ".tar", ".safetensors")


@dataclasses.dataclass(frozen=True)
class Model:
    """A trained model: the kind and keys of [network] without those that name files, and the number of its classes."""

    kind: str
    keys: Mapping[str, Any]
    classes: int


def read_model(path: Path, size: int | None) -> Model:
    """Recognise a .keras file or a checkpoint, and build its network to prove that convert can.

    size: of the input in pixels, for a network that takes any. Raises ArtifactError for a damaged file, RecipeError
    for a network that the chain does not support.
    """
    return _keras(path, size) if path.suffix == KERAS else _checkpoint(path, size or 224)


def _keras(path: Path, size: int | None) -> Model:
    shape = getattr(user_model.load_keras(path), "input_shape", None)
    given = shape[1:4] if isinstance(shape, tuple) and len(shape) == 4 else (None, None, None)
    pixels = size or given[0] or given[1]
    if not pixels:
        raise RecipeError(f"{path} takes {shape}; the chain needs one input [batch, size, size, channels]: try --size")
    options = user_model.OwnModel(str(path), pixels, given[2] or 3)
    classes = int(user_model.build(options, Places((Path(),))).output_shape[-1])
    return Model("keras", {"input_size": pixels, "input_channels": options.input_channels}, classes)


def _checkpoint(path: Path, size: int) -> Model:
    from ghost_edge.host.networks.state_dict import assign_state, read_checkpoint

    state = read_checkpoint(path)
    try:
        kind, keys = recognise({name: values.shape for name, values in state.items()})
        options = NETWORKS[kind].options(input_size=size, **keys)
        assign_state(NETWORKS[kind].build(options, Places((Path(),))), state, source=str(path))
    except (ArtifactError, ValueError) as error:
        raise RecipeError(
            f"{path} holds {len(state)} tensors, first {', '.join(list(state)[:3])}, and is no GhostNet of the paper's "
            f"table; `ghost-edge weights import {path} --network RECIPE.toml` takes other stages and names"
        ) from error
    return Model(kind, {"input_size": size, **keys}, keys["classes"])


def recognise(shapes: Mapping[str, tuple[int, ...]]) -> tuple[str, dict[str, Any]]:
    """Return kind and keys of [network] by the shapes of a state dict with the authors' or timm's names.

    The width is that of the last convolution's input, 960 channels in the paper (arXiv 1911.11907, table 1). Raises
    ValueError where the tensors are not those of a GhostNet.
    """
    wanted = {"conv_stem.weight": 4, "conv_head.weight": 4, "classifier.weight": 2}
    stem, head, classifier = (shapes.get(name, ()) for name in wanted)
    if [len(stem), len(head), len(classifier)] != list(wanted.values()):
        raise ValueError(f"no {', '.join(wanted)}")
    kind = "ghostnet_v2" if any(".short_conv." in name for name in shapes) else "ghostnet"
    width = round(head[1] / TABLE_7[-1][1], 3)
    return kind, {"input_channels": stem[1], "classes": classifier[0], "width": width}
