"""A user's own Keras model goes through the same chain."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from ghost_edge.core.errors import ArtifactError, ConversionError, GhostEdgeError, RecipeError
from ghost_edge.device.runtimes.open import open_model
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.explore.networks import convert_untrained
from ghost_edge.host.networks.blocks import GBNeck, GhostModule
from ghost_edge.host.networks.state_dict import assign_state, network_state
from ghost_edge.host.networks.user_model import OwnModel, build, find_source
from ghost_edge.host.recipe.network import find_network
from ghost_edge.host.recipe.schema import parse_recipe
from ghost_edge.host.tflite.graph import read_model

pytestmark = pytest.mark.slow
CODE = """
import keras

def make():
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(8, 3, strides=2, activation="relu")(image)
    return keras.Model(image, keras.layers.Dense(4)(keras.layers.GlobalAveragePooling2D()(x)))

def number():
    return 3
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "mynet.py").write_text(CODE)
    image = keras.Input((None, None, 3))
    x = GBNeck(3, 2, 12, 8, 2, True, name="neck")(GhostModule(8, 2, 3, 3, name="ghost")(image))
    logits = keras.layers.Dense(4, name="head")(keras.layers.GlobalAveragePooling2D()(x))
    keras.Model(image, logits).save(tmp_path / "mynet.keras")
    return tmp_path


@pytest.mark.parametrize("path", ["mynet.keras", "mynet:make"])
def test_an_own_model_becomes_int8_in_one_partition(folder: Path, path: str) -> None:
    files = convert_untrained({"kind": "keras", "path": path, "input_size": 16}, folder)
    assert {tensor.dtype for tensor in read_model(files.int8_tflite).tensors} <= {"int8", "int32"}
    delegate = open_model(files.int8_tflite).delegate
    assert delegate is not None
    assert delegate.partitions == 1


def test_a_keras_file_brings_its_weights(folder: Path) -> None:
    image = np.random.default_rng(0).normal(size=(1, 16, 16, 3)).astype(np.float32)
    model = build(OwnModel("mynet.keras", 16), Places((folder,)))
    assert model.input_shape == (1, 16, 16, 3)
    expected = keras.models.load_model(folder / "mynet.keras")(image)
    np.testing.assert_allclose(np.asarray(model(image)), np.asarray(expected), rtol=0, atol=1e-6)


def test_every_weight_of_nested_layers_has_a_name_of_its_own(folder: Path) -> None:
    model = build(OwnModel("mynet.keras", 16), Places((folder,)))
    state = network_state(model)
    assert len(state) == len(model.weights)
    assert {"ghost.conv.weight", "neck.ghost1.conv.weight", "neck.se.conv1.weight", "head.bias"} <= state.keys()
    assign_state(model, state, source="w")


def test_another_file_is_another_key(folder: Path) -> None:
    table = {"kind": "keras", "path": "mynet:make", "input_size": 16}
    recipe = parse_recipe({"name": "m", "preprocess": {"size": 16}, "network": table}, folder / "m.toml")
    before = find_network(recipe, Places((folder,))).fingerprint
    (folder / "mynet.py").write_text(CODE + "\n")
    assert find_network(recipe, Places((folder,))).fingerprint != before


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (OwnModel("gone.keras", 16), ArtifactError, "gone.keras was not found in"),
        (OwnModel("damaged.keras", 16), ArtifactError, "damaged.keras cannot be loaded by Keras"),
        (OwnModel("gone:make", 16), RecipeError, "there is no gone.py beside the recipe and no module 'gone'"),
        (OwnModel("mynet:gone", 16), RecipeError, "has no function 'gone'"),
        (OwnModel("mynet:number", 16), RecipeError, "mynet:number gives a int, expected a keras.Model"),
        (OwnModel("mynet:make", 32), RecipeError, "the chain needs one input [batch, 32, 32, 3] and one output"),
        (OwnModel("mynet.keras", 16, input_channels=1), RecipeError, "needs one input [batch, 16, 16, 1]"),
        (OwnModel("lambda.keras", 16), ArtifactError, "lambda.keras cannot be loaded by Keras"),
    ],
)
def test_a_model_that_does_not_fit_is_refused(
    folder: Path, options: OwnModel, error: type[GhostEdgeError], message: str
) -> None:
    (folder / "damaged.keras").write_bytes((folder / "mynet.keras").read_bytes()[:1000])
    image = keras.Input((16, 16, 3))
    keras.Model(image, keras.layers.Lambda(lambda x: x + 1)(image)).save(folder / "lambda.keras")
    with pytest.raises(error, match=re.escape(message)):
        build(options, Places((folder,)))


@pytest.mark.parametrize("path", ["mynet.h5", "a:b:c", "mynet"])
def test_a_path_that_is_neither_file_nor_function_is_refused(path: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(f"path '{path}' is neither")):
        OwnModel(path, 16)


def test_an_installed_module_is_found() -> None:
    source: Any = find_source(OwnModel("keras.src.applications.mobilenet:MobileNet", 224), Places(()))
    assert source.name == "mobilenet.py"


def test_what_the_converter_refuses_is_one_line(tmp_path: Path) -> None:
    image = keras.Input((16, 16, 3))
    x = keras.layers.Conv2D(4, 3, dtype="mixed_float16")(image)
    keras.Model(image, x).save(tmp_path / "half.keras")
    with pytest.raises(ConversionError, match=r"TensorFlow could not make untrained_float\.tflite: ") as refused:
        convert_untrained({"kind": "keras", "path": "half.keras", "input_size": 16}, tmp_path)
    assert "\n" not in str(refused.value)
