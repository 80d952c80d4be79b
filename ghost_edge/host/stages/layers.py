"""Look into the quantized file: which layer lost what, and why."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any, Optional

from ghost_edge.core.errors import ArtifactError, RecipeError
from ghost_edge.core.files import write_bytes, write_json
from ghost_edge.core.options import from_table
from ghost_edge.core.preprocess import prepare
from ghost_edge.core.report import Column
from ghost_edge.host.causes import label
from ghost_edge.host.graph import read_graph
from ghost_edge.host.layer_chart import draw_layers
from ghost_edge.host.layers import LayerLoss, depthwise_weights, examine, measure
from ghost_edge.host.ranges.observer import load_observed, observe_channels
from ghost_edge.host.stages import Work
from ghost_edge.host.stages.calibrate import choose_pictures, spread

COLUMNS = (
    Column("op", "index"),
    Column("operation", "operation"),
    Column("layer", "layer"),
    Column("noise", "noise", ".2%"),
    Column("SQNR dB", "sqnr_db", ".1f"),
    Column("own dB", "own_db", ".1f"),
    Column("bits", "bits", ".1f"),
    Column("why", "why"),
)
_LEAST, _MOST, _PIXELS = 6, 16, 200_000  # pictures, and pixels of them all: reference kernels are slow


def run(work: Work) -> tuple[Path, ...]:
    """Write layers.json, in the order of the operations, and layers.svg."""
    names = work.names
    plain, source, quantized = (work.path(name) for name in (names.float_tflite, names.source, names.quantized))
    preprocess, graph = work.recipe.preprocess, read_graph(source)  # and of plain: equalization changes values alone
    count = max(_LEAST, min(_MOST, _PIXELS // preprocess.size**2))
    few = spread(choose_pictures(work.recipe, work.places).images, count)
    before = {}
    if source != plain:
        inputs = (prepare(image, preprocess) for image in few)
        before = observe_channels(plain, graph, inputs, say=lambda done: None)
    work.tell(0.2, "channels of the float file")
    seen = measure(source, graph, quantized, few, preprocess)
    rows = examine(graph, read_graph(quantized), seen, load_observed(work.path(names.ranges)), before)
    write_json([dataclasses.asdict(row) for row in rows], work.path(names.layers))
    weights = [depthwise_weights(path, graph) for path in dict.fromkeys((plain, source))]
    chart = draw_layers(rows, {name: [each[name] for each in weights] for name in weights[0]})
    write_bytes(chart.encode(), work.path(names.layers_chart))
    return work.path(names.layers), work.path(names.layers_chart)


def read_layers(path: Path) -> list[LayerLoss]:
    """What run() wrote; ArtifactError where it is missing, damaged, or of another version."""
    try:
        rows = json.loads(path.read_text(encoding="utf-8"))
        return [from_table(LayerLoss, row, "a layer") for row in rows]
    except (OSError, ValueError, TypeError, RecipeError) as error:
        raise ArtifactError(f"{path} is not what convert of this version writes ({error}); convert again") from error


def layer_table(path: Path, count: Optional[int] = None) -> list[dict[str, Any]]:
    """Rows of COLUMNS from layers.json, those first in which most noise enters; at most `count`."""
    rows = sorted(read_layers(path), key=lambda row: -row.noise)[:count]
    return [{**vars(row), "layer": label(row.name), "why": "; ".join(row.causes + row.healed)} for row in rows]
