"""The sixth of a hard sigmoid, folded into the next convolution."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest
import tensorflow as tf

from ghost_edge.device.runtimes.open import open_model
from ghost_edge.host.explore.networks import convert_untrained
from ghost_edge.host.networks import ghostnet
from ghost_edge.host.networks.frozen import fold_gates
from ghost_edge.host.tflite.graph import read_model

pytestmark = pytest.mark.slow
STAGES = ((3, 16, 16, 0, 1), (5, 72, 40, 0.25, 2), (5, 120, 40, 0.25, 1))
OPTIONS = {"input_size": 32, "classes": 10, "width": 0.5, "head_channels": 32, "stages": STAGES}
NETWORKS = {
    "ghostnet": lambda: ghostnet.build(ghostnet.GhostNet(**OPTIONS)),
    "ghostnet_tf2": lambda: ghostnet.build_tf2(ghostnet.GhostNetTF2(**OPTIONS)),
    "keras2": lambda: ghostnet.build_tf2(ghostnet.GhostNetTF2(**OPTIONS, hard_sigmoid="keras2")),
}


def freeze(model: keras.Model) -> Any:
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = [tf.TensorSpec(model.input_shape, tf.float32, name="image")]
    traced = tf.function(lambda image: model(image, training=False), input_signature=signature).get_concrete_function()
    return convert_variables_to_constants_v2(traced).graph.as_graph_def()


def answer(graph: Any, image: np.ndarray) -> np.ndarray:
    function = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    return np.asarray(function.prune("image:0", "Identity:0")(tf.constant(image)))


@pytest.mark.parametrize("name", NETWORKS)
def test_folding_changes_no_answer(name: str) -> None:
    keras.utils.set_random_seed(0)
    graph = freeze(NETWORKS[name]())
    image = np.random.default_rng(0).normal(size=(1, 32, 32, 3)).astype(np.float32)
    before = answer(graph, image)
    assert fold_gates(graph) == 2
    # the issue's bound, in units of the logits' spread; float32 rounds at 6e-8 of each value
    np.testing.assert_allclose(answer(graph, image), before, rtol=0, atol=1e-5 * before.std())


def convert(kind: str, folder: Path) -> Path:
    return convert_untrained({"kind": kind, **OPTIONS, "stages": [list(row) for row in STAGES]}, folder).int8_tflite


def test_a_squeeze_and_excite_block_has_one_multiplication(tmp_path: Path) -> None:
    operations = [operation.name for operation in read_model(convert("ghostnet", tmp_path)).operations]
    assert operations.count("MUL") == 2  # two blocks
    assert not {"HARD_SWISH", "DIV", "DEQUANTIZE", "MINIMUM", "MAXIMUM"} & set(operations)


@pytest.mark.parametrize("kind", ["ghostnet", "ghostnet_v2", "ghostnet_tf2"])
def test_the_int8_file_is_one_delegate_partition(kind: str, tmp_path: Path) -> None:
    delegate = open_model(convert(kind, tmp_path)).delegate
    assert delegate is not None
    assert delegate.partitions == 1


def build(make: Any) -> Any:
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 4), batch_size=1, name="image")
    return freeze(keras.Model(image, make(image)))


def gate(x: Any) -> Any:
    return keras.ops.relu6(keras.layers.Conv2D(4, 1)(x) + 3.0) / 6.0


def test_a_hard_swish_is_left_alone() -> None:
    assert fold_gates(build(lambda x: keras.layers.Conv2D(4, 1)(x * (keras.ops.relu6(x + 3.0) / 6.0)))) == 0


def test_a_product_that_is_read_by_more_than_a_convolution_is_left_alone() -> None:
    def make(x: Any) -> Any:
        product = x * gate(x)
        return keras.layers.Conv2D(4, 1)(product) + product

    assert fold_gates(build(make)) == 0


def test_a_gate_that_is_read_by_more_than_a_product_is_left_alone() -> None:
    def make(x: Any) -> Any:
        both = gate(x)
        return keras.layers.Conv2D(4, 1)(x * both) + both

    assert fold_gates(build(make)) == 0


def test_a_kernel_that_two_convolutions_share_is_left_alone() -> None:
    def make(x: Any) -> Any:
        shared = keras.layers.Conv2D(4, 1)
        return shared(x * gate(x)) + shared(x)

    assert fold_gates(build(make)) == 0


def test_a_product_behind_a_gate_is_folded_into_each_convolution_that_reads_it() -> None:
    def make(x: Any) -> Any:
        product = x * gate(x)
        return keras.layers.Conv2D(4, 1)(product) + keras.layers.DepthwiseConv2D(3, padding="same")(product)

    graph = build(make)
    image = np.random.default_rng(0).normal(size=(1, 8, 8, 4)).astype(np.float32)
    before = answer(graph, image)
    assert fold_gates(graph) == 1
    np.testing.assert_allclose(answer(graph, image), before, rtol=0, atol=1e-5 * before.std())
