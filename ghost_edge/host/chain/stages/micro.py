"""Write the kit for TFLite Micro that the recipe asks for."""

from __future__ import annotations

from pathlib import Path

from ghost_edge.core.dataset import spread
from ghost_edge.host.board.evaluation_set import sample_images
from ghost_edge.host.chain.stages.calibrate import choose_images
from ghost_edge.host.chain.work import Work
from ghost_edge.host.tflite_micro.golden import from_images
from ghost_edge.host.tflite_micro.kit import to_tflite_micro
from ghost_edge.host.tflite_micro.options import default_prefix


def run(work: Work) -> tuple[Path, ...]:
    """Write the folder of the kit, or nothing without an [[export]] of kind "micro"; raises as to_tflite_micro()."""
    recipe, tflite = work.recipe, work.path(work.names.quantized)
    if recipe.micro is None:
        return ()
    count = recipe.micro.images
    if recipe.evaluation is not None:
        images, source = list(sample_images(recipe, work.places, count, []).images), "images of [evaluation]"
    else:
        images, source = spread(choose_images(recipe, work.places).images, count), "images of [calibration]"
    vectors = from_images(tflite, images, recipe.preprocess, source)
    prefix = recipe.micro.prefix or default_prefix(recipe.name)
    return to_tflite_micro(tflite, work.path(work.names.micro), vectors=vectors, prefix=prefix).files
