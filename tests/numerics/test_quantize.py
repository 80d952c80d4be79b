"""quantize() makes of any float .tflite what convert makes of it, without a recipe."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import PIL.Image
import pytest

from ghost_edge.core.errors import ArtifactError, DataError, RecipeError
from ghost_edge.core.manifest import read_metadata
from ghost_edge.core.preprocess import Preprocess, prepare
from ghost_edge.host.chain.stage import Outside
from ghost_edge.host.datasets.folder import load_images
from ghost_edge.host.datasets.places import places_for
from ghost_edge.host.quantization import QUANTIZERS, quantize
from ghost_edge.host.quantization.schemes import Int8, Uint8Io
from ghost_edge.host.recipe.schema import load_recipe
from ghost_edge.host.tflite.edit import pack
from ghost_edge.host.tflite.graph import Model, read_model, unpack

PREPROCESS = Preprocess(size=28, channels="GRAY")


def without_metadata(content: bytes) -> bytes:
    model = unpack(content)
    model.metadata, model.buffers = None, model.buffers[:-1]
    return pack(model)


@pytest.mark.slow
def test_it_gives_the_bytes_that_convert_gives_but_for_the_metadata(converted: Path, repository: Path) -> None:
    recipe = load_recipe(repository / "models" / "ghostnet_mnist.toml")
    images = list(Outside(recipe, places_for(recipe.path.parent, None)).calibration.dataset.images)
    made = quantize(converted / "ghostnet_mnist_float.tflite", images, recipe.preprocess)
    file = converted / "ghostnet_mnist_int8.tflite"
    assert without_metadata(made.content) == without_metadata(file.read_bytes())
    assert made.name == file.name


@pytest.mark.slow
def test_the_preprocessing_travels_in_the_file(converted: Path, tmp_path: Path) -> None:
    images = list(np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1), np.uint8))
    made = quantize(converted / "ghostnet_mnist_float.tflite", images, PREPROCESS, Int8(correct_bias=False))
    metadata = read_metadata(made.save(tmp_path / "m.tflite"))
    assert metadata is not None
    assert metadata.preprocess == PREPROCESS


def numbers(model: Model) -> list[tuple[bytes, ...]]:
    """Return scales, zero points and constants of every tensor."""
    values = (b"" if each.values is None else each.values.tobytes() for each in model.tensors)
    return [(each.scale.tobytes(), each.zero_point.tobytes(), kept) for each, kept in zip(model.tensors, values)]


@pytest.mark.slow
def test_inputs_of_the_model_give_what_the_images_behind_them_give(converted: Path) -> None:
    images = list(np.random.default_rng(0).integers(0, 256, (40, 28, 28, 1), np.uint8))
    tflite = str(converted / "ghostnet_mnist_float.tflite")
    inputs = (prepare(image, PREPROCESS) for image in images)  # an iterator that can be read once
    of_images = quantize(tflite, iter(images), PREPROCESS)
    assert numbers(quantize(tflite, inputs)) == numbers(of_images)


@pytest.mark.slow
def test_image_files_are_decoded(converted: Path, tmp_path: Path) -> None:
    images = list(np.random.default_rng(0).integers(0, 256, (4, 28, 28), np.uint8))
    for number, image in enumerate(images):
        PIL.Image.fromarray(image).save(tmp_path / f"{number}.png")
    tflite = read_model(converted / "ghostnet_mnist_float.tflite")
    of_files = quantize(tflite, load_images(tmp_path), PREPROCESS, Int8(correct_bias=False))
    assert of_files.content == quantize(tflite, images, PREPROCESS, Int8(correct_bias=False)).content


@pytest.mark.slow
@pytest.mark.parametrize(
    ("images", "error", "message"),
    [
        ([], DataError, "there are no calibration images; give some hundred"),
        ([np.zeros((28, 28, 1), np.uint8)], DataError, r"an array is uint8 \[28, 28, 1\]; without a Preprocess"),
        ([np.zeros((14, 28, 1), np.float32)], DataError, r"float32 \[14, 28, 1\].*float32 \[1, 28, 28, 1\]"),
    ],
)
def test_arrays_that_are_no_inputs_are_refused(
    converted: Path, images: list[np.ndarray], error: type[Exception], message: str
) -> None:
    with pytest.raises(error, match=message):
        quantize(converted / "ghostnet_mnist_float.tflite", images)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("images", "message"),
    [
        (
            Path("photos"),
            r"PosixPath\('photos'\) is no list of images; give arrays or files, or",
        ),
        ("photos", r"'photos' is no list of images"),
        (None, r"None is no list of images"),
        (np.zeros((28, 28, 3), np.uint8), r"the images are one array uint8 \[28, 28, 3\]; expected a list"),
    ],
)
@pytest.mark.parametrize("preprocess", [PREPROCESS, None])
def test_what_is_no_list_of_images_is_refused(
    converted: Path, images: object, message: str, preprocess: Preprocess | None
) -> None:
    with pytest.raises(DataError, match=message):
        quantize(converted / "ghostnet_mnist_float.tflite", images, preprocess)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_preprocess_that_is_none_is_refused(converted: Path) -> None:
    with pytest.raises(RecipeError, match="preprocess must be a table, not 28"):
        quantize(converted / "ghostnet_mnist_float.tflite", [], 28)  # type: ignore[arg-type]


@pytest.mark.parametrize("count", [0, -1, 2.5, "5"])
def test_a_count_of_images_that_is_none_is_refused(count: object, tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="it must be a whole number, 1 or more"):
        load_images(tmp_path, count)  # type: ignore[arg-type]


@pytest.mark.slow
def test_large_images_do_not_stop_the_calibration_in_two_processes(converted: Path) -> None:
    # a fork beside a thread that multiplies matrices waited for ever: numpy's products of such a size use threads
    images = list(np.random.default_rng(0).integers(0, 256, (40, 640, 480, 1), np.uint8))
    made = quantize(converted / "ghostnet_mnist_float.tflite", images, PREPROCESS, Int8(correct_bias=False))
    assert made.tensors[made.inputs[0]].dtype == "int8"


def test_what_is_no_scheme_is_answered_with_the_schemes() -> None:
    with pytest.raises(RecipeError, match=r"'int8' is no scheme; give Int8\(\), Int8FloatIo\(\)"):
        quantize(Path("float.tflite"), [], PREPROCESS, "int8")


@pytest.mark.slow
def test_the_class_of_the_options_says_which_scheme_is_meant(converted: Path) -> None:
    images = list(np.random.default_rng(0).integers(0, 256, (8, 28, 28, 1), np.uint8))
    tflite = converted / "ghostnet_mnist_float.tflite"
    for scheme, dtype in ((Int8(correct_bias=False), "int8"), (Uint8Io(correct_bias=False), "uint8")):
        made = quantize(tflite, images, PREPROCESS, scheme, ranges="minmax")
        assert made.tensors[made.inputs[0]].dtype == dtype


def test_no_two_schemes_have_one_class_of_options() -> None:
    classes = [row.options for row in QUANTIZERS.values()]
    assert len({*classes}) == len(classes)
    assert all(dataclasses.is_dataclass(each) for each in classes)


@pytest.mark.slow
def test_black_images_are_refused(converted: Path) -> None:
    with pytest.raises(DataError, match="the 8 calibration images hold one value, 0; give images like those in use"):
        quantize(converted / "ghostnet_mnist_float.tflite", [np.zeros((28, 28, 1), np.uint8)] * 8, PREPROCESS)


def test_what_is_no_file_is_refused() -> None:
    with pytest.raises(ArtifactError, match=r"None is no file; give the path of a \.tflite"):
        quantize(None, [], PREPROCESS)  # type: ignore[arg-type]


@pytest.mark.slow
def test_a_model_prints_on_one_line(converted: Path) -> None:
    text = repr(read_model(converted / "ghostnet_mnist_float.tflite"))
    assert len(text) < 200
    assert "ghostnet_mnist_float.tflite" in text


def test_unknown_ranges_are_refused_by_name() -> None:
    with pytest.raises(RecipeError, match="ranges 'mes' is not known; did you mean 'mse'"):
        quantize(Path("float.tflite"), [], PREPROCESS, ranges="mes")
