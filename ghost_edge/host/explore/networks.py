"""Light networks without training: conversion of one for its cost, comparison of many on this machine."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ghost_edge.core.errors import ConversionError, DataError, DeviceError, RecipeError
from ghost_edge.core.latency import doubts
from ghost_edge.core.options import pick
from ghost_edge.core.progress import Progress, Reporter, timed
from ghost_edge.core.tables import Column
from ghost_edge.device.bench import alternate
from ghost_edge.device.isolate import run_isolated
from ghost_edge.device.runtimes.model import DelegateShare
from ghost_edge.device.runtimes.open import open_model
from ghost_edge.host.chain.stages import STAGES, run_chain
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.datasets.synthetic import Synthetic
from ghost_edge.host.networks import NETWORKS
from ghost_edge.host.quantization import QUANTIZERS
from ghost_edge.host.recipe.network import RANDOM
from ghost_edge.host.recipe.output import layout
from ghost_edge.host.recipe.schema import Calibration, NetworkTable, Recipe, parse_recipe, require
from ghost_edge.host.tflite.cost import count_layers
from ghost_edge.host.tflite.graph import read_model
from ghost_edge.host.tflite.verify import check_dtypes

_CONVERT = tuple(stage for stage in STAGES if stage.name in ("build", "float", "calibrate", "quantize"))
PUBLISHED_SIZE = 224  # pixels; every top-1 below was published for it


class Rival(NamedTuple):
    """A [network] table and its published top-1 on ImageNet (fraction)."""

    network: Mapping[str, Any]
    top1: float
    source: str


_KERAS = "keras.io/api/applications, table of available models"
_V3 = "keras.io/api/applications/mobilenet, table of MobileNetV3 checkpoints"
_GHOST = "Han et al., GhostNet, CVPR 2020, arXiv 1911.11907, as listed by paperswithcode.com"
_GHOST_V2 = "Tang et al., GhostNetV2, NeurIPS 2022, arXiv 2211.12905, abstract"
_SHUFFLE = "github.com/megvii-model/ShuffleNet-Series, ShuffleNetV2/README.md (1 - top-1 error)"
RIVALS: dict[str, Rival] = {
    "mobilenet_v1": Rival({"kind": "mobilenet_v1"}, 0.704, _KERAS),
    "mobilenet_v2": Rival({"kind": "mobilenet_v2"}, 0.713, _KERAS),
    "mobilenet_v3_small": Rival({"kind": "mobilenet_v3_small"}, 0.681, _V3),
    "mobilenet_v3_large": Rival({"kind": "mobilenet_v3_large"}, 0.756, _V3),
    "efficientnet_b0": Rival({"kind": "efficientnet_b0"}, 0.771, _KERAS),
    "shufflenet_v2_100": Rival({"kind": "shufflenet_v2"}, 0.694, _SHUFFLE),
    "ghostnet_050": Rival({"kind": "ghostnet", "width": 0.5}, 0.662, _GHOST),
    "ghostnet_100": Rival({"kind": "ghostnet"}, 0.739, _GHOST),
    "ghostnet_130": Rival({"kind": "ghostnet", "width": 1.3}, 0.757, _GHOST),
    "ghostnet_v2_100": Rival({"kind": "ghostnet_v2"}, 0.753, _GHOST_V2),
}

COLUMNS = (
    Column("network", "name"),
    Column("M MACs", "macs_millions", ".1f"),
    Column("M parameters", "parameters_millions", ".2f"),
    Column("int8 bytes", "int8_bytes", ","),
    Column("float ms", "float_ms", ".3f"),
    Column("int8 ms", "int8_ms", ".3f"),
    Column("published top-1", "top1", ".1%"),
    Column("source", "footnote"),
    Column("result", "result"),
)


class Untrained(NamedTuple):
    """Float and int8 files of one network."""

    float_tflite: Path
    int8_tflite: Path


def convert_untrained(network: Mapping[str, Any], folder: Path, *, name: str = "untrained") -> Untrained:
    """Convert a [network] table, with input_size and (default 3) input_channels, into the folder by run_chain().

    Raises what the chain raises, RecipeError for a wrong table among it.
    """
    recipe = parse_recipe(recipe_tables(name, network), folder / f"{name}.toml")
    return convert_for_cost(recipe, Places((folder,)), folder, Reporter())


def recipe_tables(name: str, network: Mapping[str, Any]) -> dict[str, Any]:
    """Return a recipe of a [network] table and a [preprocess] table for its inputs."""
    channels = "GRAY" if network.get("input_channels", 3) == 1 else "RGB"
    preprocess = {"size": network["input_size"], "channels": channels, "mean": [0.5], "std": [0.25]}
    return {"name": name, "network": network, "preprocess": preprocess}


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


def compare_networks(
    names: Sequence[str], folder: Path, *, size: int, rounds: int, threads: int, reporter: Progress
) -> list[dict[str, Any]]:
    """Convert the named RIVALS for images of `size` pixels into the folder, then time all their files in turn.

    Returns a row of COLUMNS for each, with the source, and samples and doubts by "float" and "int8". A missing figure
    is None, and result gives the reason. Raises RecipeError for an unknown name, ConversionError where no network was
    converted.
    """
    rivals = {name: pick(RIVALS, name, kind="network") for name in names}
    sources = list(dict.fromkeys(rival.source for rival in rivals.values()))
    rows, files = [], list[Path]()
    for name, rival in rivals.items():
        row: dict[str, Any] = {**dict.fromkeys(column.key for column in COLUMNS), "name": name, "samples_ns": {}}
        if size == PUBLISHED_SIZE:
            row.update(top1=rival.top1, source=rival.source, footnote=f"[{sources.index(rival.source) + 1}]")
        with timed(reporter, name):
            try:
                made = convert_untrained({**rival.network, "input_size": size}, folder / f"{name}_{size}", name=name)
                row.update(read_costs(made))
                files += made
            except (ConversionError, DataError, DeviceError, RecipeError) as error:  # say so and go on
                row["result"] = f"failed: {error}"
        rows.append(row)
    if not files:
        raise ConversionError(f"no network was converted; the first, {rows[0]['name']}, {rows[0]['result']}")
    timeout_s = 300 + 2.0 * rounds * len(files)  # only against a hang: a turn is a few runs of milliseconds
    with timed(reporter, "timing"):
        stats = iter(alternate(files, rounds=rounds, threads=threads, timeout_s=timeout_s))
    for row in rows:
        for kind in ("float", "int8") if row["int8_bytes"] is not None else ():
            found = next(stats)
            row[f"{kind}_ms"], row["samples_ns"][kind] = found.median_ms, found.samples_ns
            row.setdefault("doubts", {})[kind] = doubts(found)
    return rows


def read_costs(made: Untrained) -> dict[str, Any]:
    """Return every figure but the latency; parameters are those of the float .tflite, batch normalisation folded.

    Raises ConversionError where the int8 file is not int8 throughout, DeviceError where the interpreter refuses one.
    """
    check_dtypes(read_model(made.int8_tflite), QUANTIZERS["int8"].dtypes, made.int8_tflite.name)
    layers = count_layers(read_model(made.float_tflite))
    # in a child process: XNNPACK was seen to abort on a file that it could not prepare
    opened = run_isolated(lambda: [open_model(file).delegate for file in made], timeout_s=60.0)
    share: DelegateShare | None = opened.unwrap(made.int8_tflite.name)[1]
    result = "ok"
    if share is not None and (share.partitions, share.delegated_ops) != (1, share.ops):
        result = f"int8: {share.delegated_ops} of {share.ops} ops delegated, {share.partitions} partitions"
    return {
        "macs_millions": sum(layer.macs for layer in layers) / 1e6,
        "parameters_millions": sum(layer.parameters for layer in layers) / 1e6,
        "int8_bytes": made.int8_tflite.stat().st_size,
        "result": result,
    }


def footnotes(rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each source, or the reason for none; then each doubt about the timings, with its files."""
    lines = list(dict.fromkeys(f"{row['footnote']} {row['source']}" for row in rows if row["footnote"]))
    if not lines:
        lines = [f"top-1 is left out: it was published for {PUBLISHED_SIZE} x {PUBLISHED_SIZE} pixels"]
    about: dict[str, list[str]] = {}
    timed = [row for row in rows if row["samples_ns"]]
    for row in timed:
        for kind, sentences in row["doubts"].items():
            for sentence in sentences:
                about.setdefault(sentence.split(":")[0], []).append(f"{row['name']} {kind}")
    for doubt, files in about.items():
        subject = "all files" if len(files) == 2 * len(timed) else ", ".join(files)
        lines.append(f"doubt: {doubt}: {subject}; stop other work and run again")
    return lines
