"""Cost of a model file, or of a recipe's network: parameters, operations, bytes, memory."""

from __future__ import annotations

import collections
import dataclasses
import math
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from ghost_edge.core.errors import ArtifactError
from ghost_edge.core.files import sha256_file
from ghost_edge.core.progress import Progress, Reporter
from ghost_edge.core.tables import Column, as_text
from ghost_edge.device.isolate import run_isolated
from ghost_edge.device.runtimes.model import DelegateShare
from ghost_edge.device.runtimes.open import check_model_file, open_model
from ghost_edge.host.explore.ghost_modules import Ghost, find_ghosts
from ghost_edge.host.tflite.cost import Layer, activation_bytes, count_layers
from ghost_edge.host.tflite.graph import read_model

LAYERS = (
    Column("", "index"),
    Column("operation", "operation"),
    Column("output", "shape"),
    Column("dtype", "dtype"),
    Column("MACs", "macs", ",d"),
    Column("parameters", "parameters", ",d"),
    Column("weight bytes", "weight_bytes", ",d"),
    Column("output bytes", "output_bytes", ",d"),
)
GHOSTS = (
    Column("ghost", "operation"),
    Column("input", "input"),
    Column("n", "filters"),
    Column("k", "kernel"),
    Column("d", "cheap_kernel"),
    Column("s", "ratio"),
    Column("eq. 4, 5", "theory", ".2f"),
    Column("sc/(s+c-1)", "approximation", ".2f"),
    Column("MACs", "mac_ratio", ".2f"),
    Column("parameters", "parameter_ratio", ".2f"),
    Column("time", "time_ratio", ".2f"),
    Column("quartiles", "quartiles"),
)
_TOTALS = ("macs", "parameters", "weight_bytes", "output_bytes")


@dataclasses.dataclass(frozen=True)
class Inspection:
    """Cost of a .tflite file.

    trainable: parameters of the Keras network, float_bytes: size of the float .tflite; both only for a recipe.
    delegate: its share on this machine; None where the interpreter refuses the file, and refusal gives the reason.
    """

    file: str
    sha256: str
    size_bytes: int
    totals: dict[str, int]
    operations: dict[str, int]
    dtypes: dict[str, int]
    peak_activation_bytes: int
    layers: tuple[Layer, ...]
    ghosts: tuple[Ghost, ...]
    delegate: DelegateShare | None
    refusal: str
    trainable: int | None = None
    float_bytes: int | None = None

    def __str__(self) -> str:
        modules = f"plain convolution / ghost module:\n{as_text(_ghost_rows(self.ghosts), GHOSTS)}"
        total = {"index": "total", "operation": "", "shape": "", "dtype": "", **self.totals}
        layers = as_text([*map(dataclasses.asdict, self.layers), total], LAYERS)
        return "\n\n".join([layers, modules if self.ghosts else "ghost modules: none", "\n".join(_summary(self))])


def inspect(
    model: str | Path,
    *,
    data: str | Path | None = None,
    progress: Progress = Reporter(),  # noqa: B008  # it holds nothing
) -> Inspection:
    """Inspect a .tflite file, or a recipe's network, which is built and converted first.

    model: a .tflite or .toml file; data: a folder in which the recipe's paths are looked up too.
    Raises ArtifactError for a file that is missing, damaged or of another kind, and what the chain raises.
    """
    path = Path(model)
    if path.suffix == ".toml":
        return _inspect_recipe(path, Path(data) if data else None, progress)
    if path.suffix != ".tflite":
        found = "cannot be inspected" if path.exists() else "does not exist"
        raise ArtifactError(f"{path} {found}; give a .tflite file, or a recipe (.toml) to build")
    check_model_file(path)
    graph = read_model(path)
    layers = count_layers(graph)
    share = run_isolated(lambda: open_model(path).delegate, timeout_s=60.0)
    return Inspection(
        file=path.name,
        sha256=sha256_file(path),
        size_bytes=path.stat().st_size,
        totals={key: sum(getattr(layer, key) for layer in layers) for key in _TOTALS},
        operations=_count(layer.operation for layer in layers),
        dtypes=_count(tensor.dtype for tensor in graph.tensors),
        peak_activation_bytes=max(activation_bytes(graph), default=0),
        layers=layers,
        ghosts=find_ghosts(graph),
        delegate=share.value,
        refusal=share.failure.removeprefix(f"{path}: "),
    )


def _inspect_recipe(path: Path, data: Path | None, reporter: Progress) -> Inspection:
    # not at the top: a file is inspected without TensorFlow
    from ghost_edge.host.datasets.places import places_for
    from ghost_edge.host.explore.networks import convert_for_cost
    from ghost_edge.host.networks.user_model import load_keras
    from ghost_edge.host.recipe.output import layout
    from ghost_edge.host.recipe.schema import load_recipe

    recipe = load_recipe(path)
    with tempfile.TemporaryDirectory() as name:
        made = convert_for_cost(recipe, places_for(path.parent, data), Path(name), reporter)
        trainable = load_keras(Path(name) / layout(recipe).keras).trainable_weights
        return dataclasses.replace(
            inspect(made.int8_tflite),
            trainable=sum(math.prod(variable.shape) for variable in trainable),
            float_bytes=made.float_tflite.stat().st_size,
        )


def _summary(found: Inspection) -> list[str]:
    """Return the totals, each in a line."""
    share = found.delegate
    lines = [
        f"file: {found.file}, {found.size_bytes:,} bytes",
        f"parameters: {found.totals['parameters']:,} in the .tflite, where batch normalisation is folded into weights",
        f"multiply-accumulates: {found.totals['macs']:,}",
        f"operations: {_listed(found.operations)}",
        f"tensors: {_listed(found.dtypes)}",
        f"activations alive at once: {found.peak_activation_bytes:,} bytes at most, a lower bound of the arena",
        f"delegate: {share.delegated_ops} of {share.ops} operations; partitions: {share.partitions}"
        if share
        else f"delegate: share not known, {found.refusal}",
    ]
    if found.trainable is not None:
        lines[0] += f"; the float .tflite {found.float_bytes:,}"
        lines[1] += f"; {found.trainable:,} trainable in Keras, with batch normalisation's"
    return lines


def _ghost_rows(ghosts: Sequence[Ghost]) -> list[dict[str, Any]]:
    """Return a row of GHOSTS for each module: cost of the plain convolution over cost of the module."""
    return [
        {
            **dataclasses.asdict(ghost),
            **dataclasses.asdict(ghost.sizes),
            "time_ratio": ghost.time.ratio if ghost.time else None,
            "quartiles": f"{ghost.time.low:.2f} to {ghost.time.high:.2f}" if ghost.time else None,
        }
        for ghost in ghosts
    ]


def _count(names: Iterable[str]) -> dict[str, int]:
    return dict(sorted(collections.Counter(names).items()))


def _listed(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts.items())
