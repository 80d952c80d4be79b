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
    source, quantized = (read_model(work.path(name)) for name in (names.source, names.quantized))
    preprocess = work.recipe.preprocess
    count = max(_LEAST, min(_MOST, _PIXELS // (preprocess.height * preprocess.width)))
    few = spread(choose_images(work.recipe, work.places).images, count)
    before = {}
    if names.source != names.float_tflite:
        plain = read_model(work.path(names.float_tflite))
        before = observe_channels(plain, (prepare(image, preprocess) for image in few))
    work.tell(0.2, "channels of the float file")
    seen = measure(source, quantized, few, preprocess)
    rows = examine(source, quantized, seen, load_observed(work.path(names.ranges)), before)
    write_json([dataclasses.asdict(row) for row in rows], work.path(names.layers))
    return (work.path(names.layers),)
