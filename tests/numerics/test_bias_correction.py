"""Corrected biases take back the shift of rounded weights, and are kept only where they help."""

from __future__ import annotations

import dataclasses
import shutil
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from numpy.testing import assert_allclose
from one_stage import run_stage

from ghost_edge.core.manifest import read_metadata
from ghost_edge.core.progress import Say, silent
from ghost_edge.device.evaluate import RunOptions, predict_inputs
from ghost_edge.host.calibration.observe import observe_means
from ghost_edge.host.datasets.places import places_for
from ghost_edge.host.quantization import quantize as quantize_any
from ghost_edge.host.quantization import refine
from ghost_edge.host.quantization.bias_correction import correct_biases, mean_output
from ghost_edge.host.quantization.schemes import Int8
from ghost_edge.host.recipe.schema import Recipe, load_recipe
from ghost_edge.host.tflite.edit import replace_values
from ghost_edge.host.tflite.graph import WEIGHTED, Model, read_model

pytestmark = pytest.mark.slow
INT8 = "ghostnet_mnist_int8.tflite"
LAYERS: dict[str, Callable[[], layers.Layer]] = {
    "same": lambda: layers.Conv2D(6, 3, padding="same"),
    "valid": lambda: layers.Conv2D(6, 3),
    "stride 2": lambda: layers.Conv2D(6, 3, strides=2, padding="same"),
    "even kernel": lambda: layers.Conv2D(6, (2, 5), strides=2, padding="same"),
    "dilated": lambda: layers.Conv2D(6, 3, dilation_rate=2, padding="same"),
    "grouped": lambda: layers.Conv2D(6, 3, groups=2),
    "pointwise": lambda: layers.Conv2D(6, 1),
    "depthwise": lambda: layers.DepthwiseConv2D(5, strides=2, padding="same"),
    "depthwise of two": lambda: layers.DepthwiseConv2D(3, depth_multiplier=2),
}


@pytest.mark.parametrize("make", LAYERS.values(), ids=LAYERS.keys())
def test_the_mean_output_of_a_layer_is_that_of_the_interpreter(
    tmp_path: Path, make: Callable[[], layers.Layer]
) -> None:
    image = keras.Input((9, 8, 4), batch_size=1)
    path = tmp_path / "layer.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(keras.Model(image, make()(image))).convert())
    inputs = list(np.random.default_rng(0).normal(2, 1, size=(3, 1, 9, 8, 4)).astype(np.float32))
    model = read_model(path)
    means = observe_means(model, inputs)
    op = next(op for op in model.operations if op.name in WEIGHTED)
    given, output = (means[model.tensors[index].name] for index in (op.inputs[0], op.output))
    made = mean_output(model, op, model.values(op.inputs[1]).astype(np.float64), given)
    # float32 sums in the interpreter; Keras' bias is 0
    assert_allclose(made, output.reshape(-1, len(made)).mean(0), atol=1e-4)


@pytest.mark.parametrize("depthwise", [False, True], ids=["plain", "depthwise"])
def test_a_channel_of_dead_weights_answers_its_bias(tmp_path: Path, depthwise: bool) -> None:
    # 0.5 over a scale of 4e-14 / 127 is beyond INT32: the quantizer's cast made the lowest integer of it, and ReLU 0
    image = keras.Input((8, 8, 4), batch_size=1)
    layer = (layers.DepthwiseConv2D if depthwise else lambda *a, **k: layers.Conv2D(4, *a, **k))(3, activation="relu")
    network = keras.Model(image, layer(image))
    kernel, bias = layer.get_weights()
    kernel[:, :, 1 if depthwise else slice(None), slice(None) if depthwise else 1] = 4e-14
    bias[1] = 0.5
    layer.set_weights([kernel, bias])
    path = tmp_path / "dead_float.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())
    inputs = list(np.random.default_rng(0).normal(size=(8, 1, 8, 8, 4)).astype(np.float32))
    made = quantize_any(path, inputs, None, Int8(equalize=False, correct_bias=False))
    output = made.tensors[made.outputs[0]].spec
    answers = predict_inputs(made.save(tmp_path / "dead.tflite"), inputs[:1], RunOptions(kernels="reference"))
    assert_allclose(answers.reshape(-1, 4)[:, 1], 0.5, atol=output.scale / 2)  # one rounding step


def test_layers_that_share_dead_weights_keep_their_biases(tmp_path: Path) -> None:
    # one scale for both, raised as far as the larger bias needs: each bias in the unit of its own input
    image = keras.Input((8, 8, 4), batch_size=1)
    shared = layers.Conv2D(4, 3, padding="same", activation="relu")
    network = keras.Model(image, shared(shared(image)))
    kernel, bias = shared.get_weights()
    kernel[..., 1] = 4e-14
    bias[1] = 0.5
    shared.set_weights([kernel, bias])
    path = tmp_path / "shared_float.tflite"
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(network).convert())
    inputs = list(np.random.default_rng(0).normal(size=(8, 1, 8, 8, 4)).astype(np.float32))
    made = quantize_any(path, inputs, None, Int8(equalize=False, correct_bias=False))
    output = made.tensors[made.outputs[0]].spec
    answers = predict_inputs(made.save(tmp_path / "shared.tflite"), inputs[:1], RunOptions(kernels="reference"))
    assert_allclose(answers.reshape(-1, 4)[:, 1], 0.5, atol=output.scale / 2)  # one rounding step


def quantize(folder: Path, recipe: Recipe, say: Say = silent, **options: bool) -> None:
    scheme = dataclasses.replace(recipe.quantization, options=Int8(**options))
    recipe = dataclasses.replace(recipe, quantization=scheme)
    run_stage("quantize", recipe, places_for(recipe.path.parent), folder, say)


@pytest.fixture
def recipe(repository: Path) -> Recipe:
    return load_recipe(repository / "models" / "ghostnet_mnist.toml")


@pytest.fixture
def folder(converted: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(converted, tmp_path / "copy"))


def test_only_biases_are_changed(converted: Path, folder: Path, recipe: Recipe) -> None:
    quantize(folder, recipe, correct_bias=False)
    before, after = read_model(folder / INT8), read_model(converted / INT8)
    assert before.content != after.content
    biases = [op.inputs[2] for op in before.operations if op.name in WEIGHTED]
    corrected = replace_values(before, {index: after.values(index) for index in biases})
    # and the twin that the metadata names, which has the same biases
    twins = [read_metadata(each / INT8) for each in (folder, converted)]
    assert all(twins)
    digests = [metadata.twin_sha256.encode() for metadata in twins if metadata]
    assert digests[0] != digests[1]
    assert corrected.replace(*digests) == after.content


def test_a_correction_that_does_not_help_is_not_kept(
    folder: Path, recipe: Recipe, monkeypatch: pytest.MonkeyPatch
) -> None:
    quantize(folder, recipe, correct_bias=False)
    plain = (folder / INT8).read_bytes()

    def twice_wrong(source: Model, quantized: Model, means: dict[str, np.ndarray]) -> bytes:
        return correct_biases(source, quantized, {name: -4 * values for name, values in means.items()})

    monkeypatch.setattr(refine, "correct_biases", twice_wrong)
    quantize(folder, recipe)
    assert (folder / INT8).read_bytes() == plain


def test_a_correction_that_helps_is_kept_and_told(folder: Path, recipe: Recipe) -> None:
    told: list[str] = []
    quantize(folder, recipe, lambda share, text: told.append(text))
    before_db, after_db = (float(word) for word in told[-1].replace(" dB", "").split()[2:5:2])
    assert after_db > before_db + 1  # 2 dB when it was written
    assert "on 50 images held back" in told[-1]


def test_the_operations_are_those_of_the_float_file(converted: Path) -> None:
    names = [
        [operation.name for operation in read_model(converted / name).operations]
        for name in (INT8, "ghostnet_mnist_float.tflite")
    ]
    assert names[0] == names[1]
