"""quantize() makes of any float .tflite what convert makes of it, without a recipe."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ghost_edge.core.errors import DataError, RecipeError
from ghost_edge.core.metadata import metadata_text, read_metadata
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.device.runtimes.open import open_model
from ghost_edge.host.chain.outside import choose_images
from ghost_edge.host.datasets.places import places_for
from ghost_edge.host.quantization import QUANTIZERS, quantize
from ghost_edge.host.quantization.schemes import Int8, Uint8Io
from ghost_edge.host.recipe.schema import load_recipe
from ghost_edge.host.tflite.edit import add_metadata

PREPROCESS = Preprocess(size=28, channels="GRAY")


@pytest.mark.slow
def test_it_gives_the_bytes_that_convert_gives_but_for_the_metadata(converted: Path, repository: Path) -> None:
    recipe = load_recipe(repository / "models" / "ghostnet_mnist.toml")
    images = list(choose_images(recipe, places_for(recipe.path.parent, None)).images)
    content = quantize(converted / "ghostnet_mnist_float.tflite", images, recipe.preprocess)
    metadata = read_metadata(converted / "ghostnet_mnist_int8.tflite")
    assert metadata is not None
    assert add_metadata(content, metadata_text(metadata)) == (converted / "ghostnet_mnist_int8.tflite").read_bytes()


@pytest.mark.slow
def test_the_class_of_the_options_says_which_scheme_is_meant(converted: Path, tmp_path: Path) -> None:
    images = list(np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1), np.uint8))
    tflite = converted / "ghostnet_mnist_float.tflite"
    for scheme, dtype in ((Int8(correct_bias=False), "int8"), (Uint8Io(correct_bias=False), "uint8")):
        (tmp_path / "made.tflite").write_bytes(quantize(tflite, images, PREPROCESS, scheme, ranges="minmax"))
        assert open_model(tmp_path / "made.tflite").inputs[0].dtype == dtype


def test_no_two_schemes_have_one_class_of_options() -> None:
    classes = [row.options for row in QUANTIZERS.values()]
    assert len({*classes}) == len(classes)
    assert all(dataclasses.is_dataclass(each) for each in classes)


def test_without_images_it_says_what_it_needs() -> None:
    with pytest.raises(DataError, match="there are no calibration images; give some hundred"):
        quantize(Path("float.tflite"), [], PREPROCESS)


def test_unknown_ranges_are_refused_by_name() -> None:
    with pytest.raises(RecipeError, match="ranges 'mes' is not known; did you mean 'mse'"):
        quantize(Path("float.tflite"), [], PREPROCESS, ranges="mes")
