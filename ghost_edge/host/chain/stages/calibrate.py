"""Run the calibration images through the float model and keep the range of every activation."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from ghost_edge.core.dataset import Dataset, select
from ghost_edge.core.files import write_bytes
from ghost_edge.core.progress import part
from ghost_edge.host.calibration.observe import observe_images, save_observed
from ghost_edge.host.chain.work import Work
from ghost_edge.host.datasets import open_dataset
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.quantization.equalization import equalize_for
from ghost_edge.host.recipe.schema import Calibration, Recipe, require
from ghost_edge.host.tflite.graph import read_model


def run(work: Work) -> tuple[Path, ...]:
    """Write ranges.npz, and the equalized float file where the scheme asks for it."""
    images, preprocess = choose_images(work.recipe, work.places).images, work.recipe.preprocess
    tflite, source, ranges = (
        work.path(each) for each in (work.names.float_tflite, work.names.source, work.names.ranges)
    )
    is_equalized = source != tflite
    if is_equalized:
        write_bytes(equalize_for(read_model(tflite), images, preprocess, part(work.tell, 0.0, 0.3)), source)
    say = part(work.tell, 0.3, 0.7) if is_equalized else work.tell
    save_observed(observe_images(read_model(source), images, preprocess, say), ranges)
    return (source, ranges) if is_equalized else (ranges,)


def choose_images(recipe: Recipe, places: Places) -> Dataset:
    """`samples` images of the calibration set, spread by the recipe's seed."""
    options: Calibration = require(recipe.calibration, "calibration", "convert")
    dataset = open_dataset(options, places)
    chosen = np.random.default_rng(recipe.seed).permutation(len(dataset))[: options.samples]
    return select(dataset, np.sort(chosen))
