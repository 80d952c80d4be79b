"""Node data for Model Explorer: numbers by operation, shown on the graph of the quantized model."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from ghost_edge.core.errors import ArtifactError, MissingPackageError
from ghost_edge.core.files import open_artifact, write_json
from ghost_edge.core.manifest import read_manifest
from ghost_edge.device.environment import optional_version
from ghost_edge.host.recipe.output import Layout

_GRAPH = "main"  # what Model Explorer calls the one graph of a .tflite file
_BEST, _WORST = "#ffffff", "#d62728"


def write_nodes(values: Mapping[int, float], path: Path, *, more_is_worse: bool = False) -> None:
    """Write a number for each operation, by its index, with the worst in red."""
    colours = (_BEST, _WORST) if more_is_worse else (_WORST, _BEST)
    gradient = [{"stop": stop, "bgColor": colour} for stop, colour in enumerate(colours)]
    results = {str(index): {"value": round(value, 4)} for index, value in values.items()}
    write_json({_GRAPH: {"results": results, "gradient": gradient}}, path)


def view(folder: Path) -> None:
    """Open Model Explorer with the quantized model and both node files; return when it is stopped.

    Raises ArtifactError where a file is missing, MissingPackageError where Model Explorer is not installed.
    """
    manifest = read_manifest(folder)
    model = next(model for model in manifest.models if model.role == "quantized")
    files = [open_artifact(model.artifact, folder), folder / Layout.nodes_sqnr, folder / Layout.nodes_latency]
    for file in files:
        if not file.is_file():
            raise ArtifactError(f"{file} does not exist; run ghost-edge convert again, which writes it")
    if not optional_version("ai-edge-model-explorer"):
        raise MissingPackageError('Model Explorer is not installed; python -m pip install "ghost-edge[view]"')
    import model_explorer

    config = model_explorer.config()
    config.add_model_from_path(str(files[0]))
    for file in files[1:]:
        config.add_node_data_from_path(str(file))
    model_explorer.visualize_from_config(config)
