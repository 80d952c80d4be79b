"""Look into the quantized file: which layer lost what, and why."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ghost_edge.core.dataset import spread
from ghost_edge.core.files import write_json
from ghost_edge.core.preprocess import prepare
from ghost_edge.host.accuracy.layers import examine, measure
from ghost_edge.host.calibration.observe import load_observed, observe_channels
from ghost_edge.host.chain.stages.calibrate import choose_images
from ghost_edge.host.chain.work import Work
from ghost_edge.host.tflite.graph import read_model

_LEAST, _MOST, _PIXELS = 6, 16, 200_000  # images, and pixels of them all: reference kernels are slow


def run(work: Work) -> tuple[Path, ...]:
    """Write layers.json, in the order of the operations."""
    names = work.names
    plain, source, quantized = (work.path(name) for name in (names.float_tflite, names.source, names.quantized))
    preprocess, graph = work.recipe.preprocess, read_model(source)  # and of plain: equalization changes values alone
    count = max(_LEAST, min(_MOST, _PIXELS // preprocess.size**2))
    few = spread(choose_images(work.recipe, work.places).images, count)
    before = {}
    if source != plain:
        inputs = (prepare(image, preprocess) for image in few)
        before = observe_channels(plain, graph, inputs, say=lambda done: None)
    work.tell(0.2, "channels of the float file")
    seen = measure(source, graph, quantized, few, preprocess)
    rows = examine(graph, read_model(quantized), seen, load_observed(work.path(names.ranges)), before)
    write_json([dataclasses.asdict(row) for row in rows], work.path(names.layers))
    return (work.path(names.layers),)
