"""A network for a camera that is not square, from the recipe to the C feed and the bundle, without any data."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomllib

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.manifest import read_metadata
from ghost_edge.core.preprocess import fit_image
from ghost_edge.device.evaluate import RunOptions, evaluate_set, load_evaluation_set, save_evaluation_set, stored_input
from ghost_edge.device.runtimes.open import open_model
from ghost_edge.host.board.bundle import sample_images
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.networks import NETWORKS
from ghost_edge.host.recipe.schema import load_recipe, parse_recipe
from ghost_edge.host.training.train import Batches

HEIGHT, WIDTH = 48, 64
RECIPE = f"""
[network]
kind = "ghostnet"
input_size = [{HEIGHT}, {WIDTH}]
classes = 4
width = 0.3
weights = "random"
stages = [[3, 16, 16, 0, 1], [3, 48, 24, 0.25, 2]]
head_channels = 64

[preprocess]
size = [{HEIGHT}, {WIDTH}]
resize = [54, 72]
mean = [0.485, 0.456, 0.406]
std = [0.229, 0.224, 0.225]

[calibration]
kind = "synthetic"
size = [90, 120]
samples = 8
count = 8
seed = 1

[evaluation]
kind = "synthetic"
size = [120, 90]
count = 12
classes = 4
seed = 2

[[export]]
kind = "onnx_int8"

[[export]]
kind = "micro"

[gate]
max_drop = 1.0
min_agreement = 0.0
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, ghost_edge: Callable[..., Any]) -> Path:
    place = tmp_path_factory.mktemp("camera")
    (place / "camera.toml").write_text(RECIPE)
    run = ghost_edge("convert", place / "camera.toml", "--out", place / "out")
    assert run.returncode == 0, run.stderr
    return place / "out"


def test_every_model_takes_height_before_width(folder: Path) -> None:
    models = [path for path in folder.glob("camera*.*") if path.suffix in (".tflite", ".onnx")]
    assert [open_model(path).inputs[0].shape for path in models] == [(1, HEIGHT, WIDTH, 3)] * 3


def test_what_is_read_of_the_file_is_what_the_recipe_says(folder: Path) -> None:
    metadata = read_metadata(folder / "camera_int8.tflite")
    assert metadata is not None
    assert (metadata.preprocess.size, metadata.preprocess.resize) == ((HEIGHT, WIDTH), (54, 72))


def test_the_folder_can_be_benched_and_evaluated(folder: Path, ghost_edge: Callable[..., Any]) -> None:
    run = ghost_edge("bench", folder / "camera_int8.tflite", "--runs", 3, "--seconds", 0)
    assert run.returncode == 0, run.stderr
    assert f"RGB {HEIGHT} x {WIDTH}" in run.stdout
    recipe = load_recipe(folder.parent / "camera.toml")
    images = sample_images(recipe, Places((folder.parent,)), 6, [folder / "camera_int8.tflite"])
    save_evaluation_set(images, folder.parent / "images.npz")
    (row,), _ = evaluate_set(
        [folder / "camera_int8.tflite"],
        load_evaluation_set(folder.parent / "images.npz"),
        {folder / "camera_int8.tflite": recipe.preprocess},
        RunOptions(kernels="reference"),
    )
    assert images.images.shape == (6, 54, 72, 3)
    assert row["equal_outputs"] == 1.0


@pytest.mark.skipif(shutil.which("g++") is None, reason="needs g++")
def test_c_feeds_the_pixels_that_python_feeds(folder: Path, tmp_path: Path) -> None:
    tflite, kit = folder / "camera_int8.tflite", folder / "camera_micro"
    (config,) = kit.rglob("*_config.h")
    (runner,) = kit.rglob("*_runner.cc")
    text = config.read_text()
    assert f"INPUT_HEIGHT {HEIGHT}u" in text
    assert f"INPUT_WIDTH {WIDTH}u" in text
    preprocess, spec = load_recipe(folder.parent / "camera.toml").preprocess, open_model(tflite).inputs[0]
    image = np.random.default_rng(0).integers(0, 256, (90, 120, 3), np.uint8)
    pixels = fit_image(image, preprocess)
    assert pixels.shape == (HEIGHT, WIDTH, 3)
    (tmp_path / "pixels").write_bytes(pixels.tobytes())
    fed = run_feed(config, runner, tmp_path, spec.dtype)
    assert np.array_equal(fed.reshape(spec.shape), stored_input(image, preprocess, spec, tflite))


def run_feed(config: Path, runner: Path, scratch: Path, dtype: str) -> np.ndarray:
    """Compile the kit's own feed function alone, and run it on the file `pixels`."""
    source = runner.read_text()
    start = source.index("void camera_feed(")
    feed = source[start : source.index("\n}\n", start) + 3]
    (scratch / "main.cc").write_text(
        f'''#include <cstdint>
#include <cstdio>
#include "{config.name}"
static std::int8_t stored[CAMERA_PIXELS];
static void* camera_input() {{ return stored; }}
{feed}
int main() {{
  static std::uint8_t pixels[CAMERA_INPUT_HEIGHT * CAMERA_INPUT_WIDTH * CAMERA_CHANNELS];
  if (std::fread(pixels, 1, sizeof pixels, stdin) != sizeof pixels) return 1;
  camera_feed(pixels);
  return std::fwrite(stored, 1, sizeof stored, stdout) == sizeof stored ? 0 : 1;
}}
'''
    )
    command = ["g++", "-std=c++17", "-Wall", "-Werror", "-I", str(config.parent), "main.cc", "-o", "feed"]
    subprocess.run(command, cwd=scratch, check=True)
    with (scratch / "pixels").open("rb") as pixels:
        done = subprocess.run([str(scratch / "feed")], stdin=pixels, capture_output=True, check=True)
    return np.frombuffer(done.stdout, dtype)


def test_training_batches_have_the_height_and_width_of_the_input() -> None:
    table = {**tomllib.loads(RECIPE), "training": {"kind": "synthetic", "batch_size": 5}}
    batches = Batches(
        np.zeros((10, HEIGHT, WIDTH, 3), np.uint8), np.zeros(10, int), parse_recipe(table, Path("m.toml")), classes=4
    )
    assert batches[0][0].shape == (5, HEIGHT, WIDTH, 3)


@pytest.mark.parametrize("kind", ["ghostnet_v2", "mobilenet_v2", "efficientnet_b0", "shufflenet_v2"])
def test_other_networks_take_height_before_width_too(kind: str) -> None:
    row = NETWORKS[kind]
    model = row.build(row.options(input_size=(64, 96), classes=4), Places(()))
    assert (model.input_shape, model.output_shape) == ((1, 64, 96, 3), (1, 4))


@pytest.mark.parametrize(
    ("key", "size", "said"),
    [
        ("size", "0", "size is 0; it must be a whole number or [height, width], each 1 or more"),
        ("size", "[48, -64]", "size is [48, -64]; it must be a whole number or [height, width], each 1 or more"),
        ("size", "[48, 64, 3]", "size must be a list of 2, not [48, 64, 3]"),
        ("size", "true", "size must be a whole number, not True"),
        ("size", '"48x64"', "size must be a whole number, not '48x64'"),
        ("input_size", "[64, 48]", "makes size [48, 64], 3 channels, NHWC; [network] takes input_size [64, 48]"),
        ("input_size", "[64, 0]", "input_size is [64, 0]; it must be a whole number or [height, width], each 1 or"),
    ],
)
def test_a_wrong_size_is_one_line(tmp_path: Path, key: str, size: str, said: str) -> None:
    (tmp_path / "camera.toml").write_text(RECIPE.replace(f"\n{key} = [48, 64]", f"\n{key} = {size}"))
    with pytest.raises(RecipeError, match=re.escape(said)) as caught:
        load_recipe(tmp_path / "camera.toml")
    assert len(str(caught.value).splitlines()) == 1
