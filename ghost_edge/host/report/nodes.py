"""Numbers by layer as node data that Model Explorer lays over the graph of the quantized file."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ghost_edge.core.artifact import open_artifact
from ghost_edge.core.errors import ArtifactError, MissingPackageError
from ghost_edge.core.files import write_json
from ghost_edge.core.manifest import read_manifest
from ghost_edge.host.layout import LAYERS, NODES_LATENCY, NODES_SQNR, OPERATION_TIMES
from ghost_edge.host.tools import optional_version

_GRAPH = "main"  # what Model Explorer calls the one graph of a .tflite file
_WORSE = ("#ffffff", "#d62728")  # from the least to the most


def write_nodes(folder: Path) -> tuple[Path, Path]:
    """Write nodes_sqnr.json (dB) and nodes_latency.json (ms alone), keyed by the index of the operation."""
    layers, times = (json.loads((folder / name).read_text(encoding="utf-8")) for name in (LAYERS, OPERATION_TIMES))
    noise = {row["index"]: round(row["sqnr_db"], 2) for row in layers if row["sqnr_db"] is not None}
    noise.pop(None, None)  # the input is no operation
    paths = folder / NODES_SQNR, folder / NODES_LATENCY
    write_json(_node_data(noise, _WORSE[::-1]), paths[0])
    write_json(_node_data(dict(enumerate(times)), _WORSE), paths[1])
    return paths


def _node_data(values: dict[int, float], colours: tuple[str, ...]) -> dict[str, Any]:
    gradient = [{"stop": stop, "bgColor": colour} for stop, colour in enumerate(colours)]
    return {_GRAPH: {"results": {str(key): {"value": value} for key, value in values.items()}, "gradient": gradient}}


def view(folder: Path) -> None:
    """Open Model Explorer with the quantized file and both node files; returns when it is stopped.

    Raises ArtifactError where convert has not left them, MissingPackageError where Model Explorer is not installed.
    """
    manifest = read_manifest(folder)
    model = next(model for model in manifest.models if model.role == "quantized")
    files = [open_artifact(model.artifact, folder), folder / NODES_SQNR, folder / NODES_LATENCY]
    for file in files:
        if not file.is_file():
            raise ArtifactError(f"{file} is not there; ghost-edge convert of this version writes it")
    if not optional_version("ai-edge-model-explorer"):
        raise MissingPackageError('Model Explorer is not installed; python -m pip install "ghost-edge[view]"')
    import model_explorer

    config = model_explorer.config()
    config.add_model_from_path(str(files[0]))
    for file in files[1:]:
        config.add_node_data_from_path(str(file))
    model_explorer.visualize_from_config(config)
