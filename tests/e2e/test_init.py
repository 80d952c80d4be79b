"""Recipes that init makes, used: networks that build, trained models that are recognised, a model that converts."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tomllib
from golden_weights import rule
from pytorch_file import checkpoint

from ghost_edge.core.errors import DataError, RecipeError
from ghost_edge.core.files import save_npz
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.init.write import ghostnet, make_recipe
from ghost_edge.host.networks import NETWORKS
from ghost_edge.host.recipe.schema import load_recipe
from ghost_edge.host.training import network_table

pytestmark = pytest.mark.slow
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize("channels", ["RGB", "GRAY"])
@pytest.mark.parametrize("size", [28, 32, 48, 64, 96, 224])
def test_a_first_network_builds(tmp_path: Path, size: int, channels: str) -> None:
    recipe = tmp_path / "first.toml"
    recipe.write_text(f'{ghostnet(size, channels, 7, "w")}[preprocess]\nsize = {size}\nchannels = "{channels}"\n')
    network = network_table(str(recipe), ())
    model = NETWORKS["ghostnet"].build(network.options, Places(()))
    assert model.output_shape == (1, 7)


@pytest.mark.parametrize("size", [32, 64])
def test_a_first_network_is_that_of_the_recipe_that_is_shipped(repository: Path, size: int) -> None:
    shipped = {32: ("ghostnet_cifar10", 10), 64: ("ghostnet_tin40", 40)}
    name, classes = shipped[size]
    network = load_recipe(repository / "models" / f"{name}.toml").network
    assert network is not None
    made = tomllib.loads(ghostnet(size, "RGB", classes, "w"))["network"]
    options = {key: value for key, value in made.items() if key not in ("kind", "weights", "stages")}
    assert NETWORKS["ghostnet"].options(**options, stages=tuple(map(tuple, made["stages"]))) == network.options


@pytest.mark.parametrize(
    ("name", "kind", "width"),
    [("ghostnet_050", "ghostnet", 0.5), ("ghostnet_130", "ghostnet", 1.3), ("ghostnetv2_100", "ghostnet_v2", 1.0)],
)
def test_the_authors_checkpoints_are_recognised(
    golden_folder: Path, tmp_path: Path, name: str, kind: str, width: float
) -> None:
    shapes = json.loads((golden_folder / f"{name}.json").read_text())["state_dict"]
    kept = {key: shape for key, shape in dict(shapes).items() if not key.endswith("num_batches_tracked")}
    state = {key: np.ascontiguousarray(rule(key, shape)) for key, shape in kept.items()}
    (tmp_path / "published.pth").write_bytes(checkpoint(state))
    network = load_recipe(make_recipe(tmp_path / "published.pth", out=tmp_path / "a.toml").files[-1]).network
    assert network is not None
    assert (network.kind, network.options.width, network.options.classes) == (kind, width, 1000)


def test_another_checkpoint_names_the_command_that_imports_it(tmp_path: Path) -> None:
    (tmp_path / "other.pth").write_bytes(checkpoint({"conv1.weight": np.zeros((8, 3, 3, 3), np.float32)}))
    with pytest.raises(RecipeError, match=r"holds 1 tensors, first conv1\.weight, .* `ghost-edge weights import"):
        make_recipe(tmp_path / "other.pth", out=tmp_path / "a.toml")


def test_a_checkpoint_of_other_stages_names_the_command_that_imports_it(repository: Path, tmp_path: Path) -> None:
    weights = repository / "models" / "weights" / "ghostnet_mnist.safetensors"
    with pytest.raises(RecipeError, match="is no GhostNet of the paper's table; `ghost-edge weights import"):
        make_recipe(weights, out=tmp_path / "a.toml")


@pytest.fixture
def own(tmp_path: Path) -> Path:
    image = keras.Input((None, None, 1))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(image)
    logits = keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x))
    keras.Model(image, logits).save(tmp_path / "own.keras")
    images = np.random.default_rng(0).integers(0, 256, (400, 20, 20, 1), np.uint8)
    save_npz({"images": images, "labels": np.arange(400) % 4}, tmp_path / "images.npz")
    return tmp_path


def test_a_keras_file_and_images_become_a_recipe_that_converts(own: Path, ghost_edge: Command) -> None:
    images = ("--images", own / "images.npz")
    run = ghost_edge("init", own / "own.keras", *images, "--size", 16, "-o", own / "own.toml")
    assert run.returncode == 0, run.stderr
    run = ghost_edge("convert", own / "own.toml", "--out", own / "out")
    assert run.returncode in (0, 7), run.stderr  # an untrained model may fall at the gate
    assert (own / "out" / "own_int8.tflite").is_file()


def test_a_keras_file_that_takes_any_size_asks_for_one(own: Path) -> None:
    with pytest.raises(RecipeError, match=r"takes \(None, None, None, 1\); .*: try --size"):
        make_recipe(own / "own.keras", out=own / "own.toml")


def test_without_images_the_tables_stand_commented_out(own: Path) -> None:
    made = make_recipe(own / "own.keras", size=16, out=own / "own.toml")
    text = made.files[-1].read_text()
    (own / "with.toml").write_text(
        text.replace("\n# [", "\n[").replace("\n# kind", "\nkind").replace("\n# path", "\npath")
    )
    assert load_recipe(own / "own.toml").calibration is None
    assert load_recipe(own / "with.toml").calibration is not None


def test_images_of_more_classes_than_the_model_answers_are_refused(own: Path) -> None:
    save_npz(
        {"images": np.random.default_rng(0).integers(0, 256, (50, 20, 20, 1), np.uint8), "labels": np.arange(50) % 5},
        own / "p.npz",
    )
    with pytest.raises(DataError, match=r"has 5 classes, .* has 4; give images of the model"):
        make_recipe(own / "own.keras", size=16, images=own / "p.npz", out=own / "own.toml")
