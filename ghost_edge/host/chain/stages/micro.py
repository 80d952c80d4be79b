"""The kit for TFLite Micro that the recipe asks for, and the proof that it is one."""

from __future__ import annotations

from pathlib import Path

from ghost_edge.core.dataset import spread
from ghost_edge.host.chain.stages.calibrate import choose_images
from ghost_edge.host.chain.work import Work
from ghost_edge.host.tflite_micro import golden
from ghost_edge.host.tflite_micro.kit import make_kit, write_kit
from ghost_edge.host.tflite_micro.options import default_prefix
from ghost_edge.host.tflite_micro.verify import prove_kit


def run(work: Work) -> tuple[Path, ...]:
    """Write the folder of the kit; nothing where no [[export]] has kind "micro". Raises as make_kit(), prove_kit()."""
    recipe, tflite = work.recipe, work.path(work.names.quantized)
    if recipe.micro is None:
        return ()
    if recipe.evaluation is not None:
        vectors = golden.images(tflite, recipe, work.places, recipe.micro.images)
    else:
        images = spread(choose_images(recipe, work.places).images, recipe.micro.images)
        vectors = golden.feed(tflite, images, recipe.preprocess, "images of [calibration]")
    files = make_kit(tflite, recipe.micro.prefix or default_prefix(recipe.name), vectors)
    work.tell(0.5, "golden vectors")
    prove_kit(files)
    return tuple(write_kit(files, work.path(work.names.micro)))
