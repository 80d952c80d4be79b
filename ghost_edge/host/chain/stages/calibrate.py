"""Run the calibration images through the float model and keep the range of every activation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.dataset import Dataset, Image, Lazy, select
from ghost_edge.core.errors import ConversionError
from ghost_edge.core.files import write_bytes
from ghost_edge.core.preprocess import prepare
from ghost_edge.device.evaluate import predict
from ghost_edge.host.calibration.observe import observe_channels, observe_halves, save_observed
from ghost_edge.host.calibration.shared_scales import one_scale
from ghost_edge.host.chain.work import Work
from ghost_edge.host.datasets import open_dataset
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.quantization.equalization import equalize
from ghost_edge.host.recipe.schema import Calibration, Recipe, require
from ghost_edge.host.tflite.graph import read_model

Item = TypeVar("Item")
_EQUALIZED = 64  # images that say how wide channels are: a factor need not be exact, a range must
_LEAST, _PIXELS = 16, 800_000  # images, and pixels of them all, that are enough for a mean or a factor
_PROOF = 16  # images on which the equalized model must answer as before
_TOLERANCE = 1e-4  # float32 sums of other magnitudes: 2e-6 for the shipped models


def run(work: Work) -> tuple[Path, ...]:
    """Write ranges.npz, and the equalized float file where the scheme asks for it."""
    dataset, tflite = choose_images(work.recipe, work.places), work.path(work.names.float_tflite)
    graph, source, ranges = read_model(tflite), work.path(work.names.source), work.path(work.names.ranges)
    if source != tflite:
        few, prove = enough(dataset.images, _EQUALIZED, work.recipe.preprocess.size), spread(dataset.images, _PROOF)
        channels = observe_channels(tflite, graph, _inputs(work, few), say=_say(work, len(few), 0.0, 0.3))
        write_bytes(equalize(tflite.read_bytes(), channels, one_scale(graph)), source)
        check_equalized(*(predict(path, prove, work.recipe.preprocess) for path in (source, tflite)))
    start = 0.0 if source == tflite else 0.3
    inputs = Lazy(lambda index: prepare(dataset.images[index], work.recipe.preprocess), range(len(dataset)))
    save_observed(observe_halves(source, graph, inputs, say=_say(work, len(dataset), start, 1 - start)), ranges)
    return (ranges,) if source == tflite else (source, ranges)


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """At most so many of them, evenly spread: images of a folder come class after class."""
    return [items[index] for index in range(0, len(items), max(1, -(-len(items) // count)))]


def enough(items: Sequence[Item], most: int, size: int) -> list[Item]:
    """So many images for a statistic over all positions; fewer of a large input size: each has more positions."""
    return spread(items, max(_LEAST, min(most, _PIXELS // size**2)))


def _inputs(work: Work, images: Iterable[Image]) -> Iterator[NDArray[np.float32]]:
    return (prepare(image, work.recipe.preprocess) for image in images)


def _say(work: Work, count: int, start: float, share: float) -> Callable[[int], None]:
    return lambda done: work.tell(start + share * done / count, f"{done} of {count} images")


def check_equalized(logits: NDArray[np.float32], reference: NDArray[np.float32]) -> None:
    """Raise ConversionError where equalization changed the answers, float32 [N, classes], of the float model."""
    difference = float(np.abs(logits - reference).max() / (reference.std() or 1.0))
    if not difference <= _TOLERANCE:  # also when it is NaN
        raise ConversionError(
            f"equalization changed the float model's answers by {difference:.2g} of the logits' spread; the limit is "
            f"{_TOLERANCE:.0e}: set equalize = false in [quantization], and report the network"
        )


def choose_images(recipe: Recipe, places: Places) -> Dataset:
    """`samples` images of the calibration set, spread by the recipe's seed."""
    options: Calibration = require(recipe.calibration, "calibration", "convert")
    dataset = open_dataset(options, places)
    chosen = np.random.default_rng(recipe.seed).permutation(len(dataset))[: options.samples]
    return select(dataset, np.sort(chosen))
