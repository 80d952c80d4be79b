"""Equalization evens out channels and changes no answer, whatever operations the network has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from keras import layers
from numpy.testing import assert_array_equal

from ghost_edge.core.errors import ConversionError
from ghost_edge.device.runtimes.open import open_model
from ghost_edge.host.calibration import scale_groups
from ghost_edge.host.calibration.observe import observe_channels
from ghost_edge.host.quantization.equalization import check_equalized, equalize
from ghost_edge.host.tflite.edit import replace_values
from ghost_edge.host.tflite.graph import WEIGHTED, Model, parse_model, read_model

pytestmark = pytest.mark.slow
RNG = np.random.default_rng(0)
WIDE = np.geomspace(0.02, 2, 8)  # how different the channels are


def convolution(filters: int = 8, **options: object) -> layers.Layer:
    """A convolution whose channels have very different ranges."""
    layer = layers.Conv2D(filters, 3, padding="same", bias_initializer="random_normal", **options)

    def apply(values: object) -> object:
        made = layer(values)
        kernel, bias = layer.get_weights()
        spread = np.resize(WIDE, filters)
        layer.set_weights([kernel * spread, bias * spread])
        return made

    return apply


def shared_twice(values: object) -> object:
    layer = layers.Conv2D(8, 1, bias_initializer="random_normal")
    return layers.ReLU()(layer(layers.ReLU()(layer(values))))


BLOCKS: dict[str, Callable[[object], object]] = {
    "depthwise": lambda x: layers.DepthwiseConv2D(3, bias_initializer="random_normal")(x),
    "depthwise of two": lambda x: layers.DepthwiseConv2D(3, depth_multiplier=2)(x),
    "ghost": lambda x: layers.Concatenate()([x, layers.DepthwiseConv2D(3, padding="same")(x)]),
    "residual": lambda x: layers.Add()([x, convolution()(x)]),
    "broadcast sum": lambda x: layers.Add()([x, layers.GlobalAveragePooling2D(keepdims=True)(x)]),
    "gate": lambda x: (
        x * layers.Activation("sigmoid")(layers.Conv2D(8, 1)(layers.GlobalAveragePooling2D(keepdims=1)(x)))
    ),
    "square": lambda x: x * x,
    "constant factor": lambda x: x * 0.5,
    "constant summand": lambda x: layers.ReLU()(x + 0.5),
    "relu6": lambda x: layers.ReLU(6.0)(convolution()(x)),
    "hard swish": lambda x: layers.Activation("hard_swish")(x),
    "prelu": lambda x: layers.PReLU(shared_axes=[1, 2], alpha_initializer="random_normal")(x),
    "grouped": lambda x: layers.Conv2D(8, 3, groups=2)(x),
    "transposed": lambda x: layers.Conv2DTranspose(8, 3)(x),
    "padded": lambda x: layers.MaxPooling2D(2)(layers.ZeroPadding2D(1)(x)),
    "pooled": lambda x: layers.AveragePooling2D(2)(x),
    "shuffled": lambda x: layers.Concatenate()([x[..., 4:], x[..., :4]]),
    "split": lambda x: layers.Concatenate()(keras.ops.split(x, 2, axis=-1)[::-1]),
    "flattened": lambda x: layers.Reshape((8, 8, 8))(layers.Dense(512)(layers.Flatten()(x))),
    "over channels": lambda x: layers.Reshape((8, 8, 1))(keras.ops.mean(x, axis=-1)),
    "shared weights": shared_twice,
}


def network(path: Path, block: Callable[[object], object]) -> Path:
    keras.utils.set_random_seed(0)
    image = keras.Input((8, 8, 8), batch_size=1)
    inside = block(layers.ReLU()(convolution()(image)))
    features = layers.GlobalAveragePooling2D()(layers.ReLU()(convolution(16)(inside)))
    model = keras.Model(image, layers.Dense(4, bias_initializer="random_normal")(features))
    path.write_bytes(tf.lite.TFLiteConverter.from_keras_model(model).convert())
    return path


def equalized(path: Path, inputs: list[np.ndarray]) -> bytes:
    model = read_model(path)
    return equalize(model, observe_channels(model, inputs), scale_groups(model))


def answers(path: Path, inputs: list[np.ndarray]) -> np.ndarray:
    model = open_model(path)
    made = []
    for values in inputs:
        model.set_inputs([values])
        model.invoke()
        made.append(model.outputs_now()[0][0].copy())
    return np.stack(made)


def moved(before: bytes, after: bytes) -> list[str]:
    """Names of the weighted operations whose weights are others."""
    one, other = parse_model(before), parse_model(after)
    weighted = [op for op in one.operations if op.name in WEIGHTED]
    return [op.name for op in weighted if (one.values(op.inputs[1]) != other.values(op.inputs[1])).any()]


INPUTS = list(RNG.normal(size=(8, 1, 8, 8, 8)).astype(np.float32))


@pytest.mark.parametrize("block", BLOCKS.values(), ids=BLOCKS.keys())
def test_the_answers_stay_and_weights_do_not(tmp_path: Path, block: Callable[[object], object]) -> None:
    path = network(tmp_path / "float.tflite", block)
    content = equalized(path, INPUTS)
    assert moved(path.read_bytes(), content)  # the head at least
    (tmp_path / "equalized.tflite").write_bytes(content)
    check_equalized(answers(tmp_path / "equalized.tflite", INPUTS), answers(path, INPUTS))


def unevenness(path: Path, inputs: list[np.ndarray]) -> float:
    """Median over all channels of the tensor's widest range over the channel's, dead ones aside."""
    seen = observe_channels(read_model(path), inputs)
    widths = [high - low for low, high in seen.values()]
    return float(np.median(np.concatenate([width.max() / width[width > 0] for width in widths if width.max() > 0])))


def test_channels_of_the_shipped_network_are_evener_after_it(converted: Path, tmp_path: Path) -> None:
    inputs = list(RNG.normal(size=(8, 1, 28, 28, 1)).astype(np.float32))
    path = converted / "ghostnet_mnist_float.tflite"
    (tmp_path / "equalized.tflite").write_bytes(equalized(path, inputs))
    assert unevenness(tmp_path / "equalized.tflite", inputs) < 0.8 * unevenness(path, inputs)


def test_the_shipped_float_file_is_not_the_equalized_one(converted: Path) -> None:
    files = [converted / name for name in ("ghostnet_mnist_float.tflite", ".equalized.tflite")]
    assert moved(*(file.read_bytes() for file in files))
    inputs = list(RNG.normal(size=(8, 1, 28, 28, 1)).astype(np.float32))
    check_equalized(answers(files[1], inputs), answers(files[0], inputs))


def test_a_dead_channel_is_left_alone(tmp_path: Path) -> None:
    path = network(tmp_path / "float.tflite", lambda x: layers.ReLU()(x))
    before = read_model(path)
    channels = observe_channels(before, INPUTS)
    dead = {
        name: values * [[0, 1, 1, 1, 1, 1, 1, 1]] if values.shape[1] == 8 else values
        for name, values in channels.items()
    }
    after = parse_model(equalize(before, dead, scale_groups(before)))
    first = next(op for op in before.operations if op.name == "CONV_2D")
    assert_array_equal(before.values(first.inputs[1])[0], after.values(first.inputs[1])[0])


def test_no_operation_and_no_byte_outside_the_constants_changes(tmp_path: Path) -> None:
    path = network(tmp_path / "float.tflite", BLOCKS["ghost"])
    before, after = read_model(path), parse_model(equalized(path, INPUTS))
    assert before.content != after.content
    assert without_floats(before) == without_floats(after)


def without_floats(model: Model) -> bytes:
    """The file with zeros in place of all float constants."""
    floats = [each for each in model.tensors if each.constant and each.dtype == "float32"]
    return replace_values(model, {each.index: np.zeros(each.shape) for each in floats})


@pytest.mark.parametrize("change", [lambda x: x * 1.001, lambda x: x[:, ::-1], lambda x: x * np.nan])
def test_changed_answers_are_refused(change: Callable[[np.ndarray], np.ndarray]) -> None:
    logits = RNG.normal(size=(5, 10)).astype(np.float32)
    check_equalized(logits, logits)
    with pytest.raises(ConversionError, match="equalization changed the float model's answers"):
        check_equalized(change(logits), logits)
