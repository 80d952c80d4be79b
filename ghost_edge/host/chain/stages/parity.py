"""Let every runtime answer the same images, and stop where a difference is more than rounding."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.dataset import Image, spread
from ghost_edge.core.files import write_json
from ghost_edge.core.preprocess import prepare
from ghost_edge.host.accuracy.parity import check_parity, measure_parity, save_images
from ghost_edge.host.board.evaluation_set import store_image
from ghost_edge.host.chain.stages.build import make_network
from ghost_edge.host.chain.stages.calibrate import choose_images
from ghost_edge.host.chain.work import Work

_LEAST, _MOST, _PIXELS = 4, 50, 400_000  # images, and pixels of them all: reference kernels are slow


def run(work: Work) -> tuple[Path, ...]:
    """Write parity.npz (the images and Keras' answers) and parity.json; raises as check_parity()."""
    names, preprocess = work.names, work.recipe.preprocess
    count = max(_LEAST, min(_MOST, _PIXELS // (preprocess.height * preprocess.width)))
    images = [store_image(each, preprocess) for each in spread(choose_images(work.recipe, work.places).images, count)]
    keras = _keras_logits(work, images)
    work.tell(0.3, "answers of Keras")
    save_images(images, keras, work.models["float"], work.path(names.parity_images))
    parity = measure_parity(work.models, images, preprocess, keras)
    write_json(dataclasses.asdict(parity), work.path(names.parity))
    check_parity(parity, work.models)
    return work.path(names.parity_images), work.path(names.parity)


def _keras_logits(work: Work, images: list[Image]) -> NDArray[np.float32]:
    model = make_network(work)
    answers = [np.asarray(model(prepare(image, work.recipe.preprocess), training=False)) for image in images]
    return np.concatenate(answers).reshape(len(images), -1)
