"""Time ghost modules against the plain convolutions that they replace."""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from ghost_edge.core.files import write_bytes
from ghost_edge.device.alternate import TimeRatio, alternate, time_ratio
from ghost_edge.host.ghosts import Ghost, GhostSizes
from ghost_edge.host.graph import read_graph
from ghost_edge.host.pipeline import Reporter
from ghost_edge.host.quantizers import QUANTIZERS
from ghost_edge.host.ranges import ESTIMATORS
from ghost_edge.host.ranges.observer import observe


def measure_ghosts(ghosts: Sequence[Ghost], *, rounds: int, reporter: Reporter) -> tuple[Ghost, ...]:
    """The same modules with `time`: the plain convolution's over the module's, both int8 on one thread.

    Modules of equal sizes are measured once. Raises what alternate() raises.
    """
    reporter.started("measure")
    started = time.perf_counter()
    measured: dict[GhostSizes, TimeRatio] = {}
    distinct = list(dict.fromkeys(ghost.sizes for ghost in ghosts))
    with tempfile.TemporaryDirectory() as folder:
        files = (Path(folder) / "plain.tflite", Path(folder) / "ghost.tflite")
        for number, sizes in enumerate(distinct, start=1):
            for file, build in zip(files, (plain_convolution, ghost_module), strict=True):
                convert_int8(build(sizes), file)
            measured[sizes] = time_ratio(*alternate(files, rounds=rounds), rounds=rounds)
            keras.backend.clear_session()
            reporter.progress("measure", number / len(distinct), f"{number} of {len(distinct)} kinds of module")
    reporter.finished("measure", time.perf_counter() - started)
    return tuple(dataclasses.replace(ghost, time=measured[ghost.sizes]) for ghost in ghosts)


def plain_convolution(sizes: GhostSizes) -> keras.Model:
    """One convolution from the module's input to all its filters."""
    image = keras.Input(sizes.input, batch_size=1, name="image")
    layer = keras.layers.Conv2D(sizes.filters, sizes.kernel, sizes.stride, padding=sizes.padding)
    return keras.Model(image, layer(image))


def ghost_module(sizes: GhostSizes) -> keras.Model:
    """The module: a convolution to the intrinsic maps, a depthwise one for the ghosts, both joined (equation 3)."""
    image = keras.Input(sizes.input, batch_size=1, name="image")
    layer = keras.layers.Conv2D(sizes.intrinsic, sizes.kernel, sizes.stride, padding=sizes.padding)
    cheap = keras.layers.DepthwiseConv2D(sizes.cheap_kernel, padding="same", depth_multiplier=sizes.ratio - 1)
    intrinsic = layer(image)
    both = keras.layers.Concatenate()([intrinsic, cheap(intrinsic)])
    return keras.Model(image, both if both.shape[-1] == sizes.filters else both[..., : sizes.filters])


def convert_int8(model: keras.Model, path: Path) -> None:
    """Convert one input and one output as the chain does, with ranges from noise: for speed, never for accuracy."""
    write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert(), path)
    noise = np.random.default_rng(0).normal(size=(4, *model.input_shape)).astype(np.float32)
    graph = read_graph(path)
    ranges = ESTIMATORS["minmax"](observe(path, graph, noise, say=lambda done: None), graph)
    int8 = QUANTIZERS["int8"]
    write_bytes(int8.quantize(int8.options(), path, ranges), path)
