"""Networks of one operation, made by TensorFlow's converter."""

from __future__ import annotations

import functools
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

Function = Callable[[Any, Any], Any]
SHAPE = (1, 9, 8, 4)
AROUND = [[0, 0], [1, 2], [2, 1], [0, 0]]


def tensor(*shape: int) -> NDArray[np.float32]:
    """Constants of a shape, the same ones each time."""
    return np.random.default_rng(sum(shape)).normal(0, 0.3, shape).astype(np.float32)


# by the operation that it is about; each takes TensorFlow and float32 [1, 9, 8, 4]
COMMON: dict[str, Function] = {
    "CONV_2D": lambda tf, x: tf.nn.conv2d(x, tensor(3, 3, 4, 6), 2, "SAME") + tensor(6),
    "CONV_2D grouped": lambda tf, x: tf.nn.conv2d(x, tensor(3, 3, 2, 6), 1, "SAME") + tensor(6),
    "PAD": lambda tf, x: tf.nn.max_pool2d(tf.pad(x, AROUND), 2, 2, "VALID"),
    "PADV2": lambda tf, x: tf.pad(x, AROUND, constant_values=1.0),
    "ADD": lambda tf, x: x + tf.nn.relu(x),
    "ADD of a constant": lambda tf, x: x + tensor(4),
    "SUB": lambda tf, x: tf.nn.relu(x) - tensor(4),
    "MUL": lambda tf, x: x * tf.nn.relu6(x * 3.0),
    "MUL by channel": lambda tf, x: x * tf.sigmoid(tf.reduce_mean(x, [1, 2], keepdims=True)),
    "MAXIMUM": lambda tf, x: tf.maximum(x, x * tensor(4)),
    "MINIMUM": lambda tf, x: tf.minimum(x, tensor(4)),
    "CONCATENATION": lambda tf, x: tf.concat([x, tf.nn.relu(x)], -1),
    "MEAN": lambda tf, x: tf.reduce_mean(tf.nn.relu(x), [1, 2]),
    "AVERAGE_POOL_2D": lambda tf, x: tf.nn.avg_pool2d(x, 2, 2, "SAME"),
    "MAX_POOL_2D": lambda tf, x: tf.nn.max_pool2d(x, 3, 2, "SAME"),
    "TRANSPOSE": lambda tf, x: tf.transpose(x, [0, 3, 1, 2]) + tensor(8),
    "SOFTMAX": lambda tf, x: tf.nn.softmax(tf.reshape(x, [1, -1])),
    "LOGISTIC": lambda tf, x: tf.sigmoid(x * 3),
    "TANH": lambda tf, x: tf.tanh(x * 2),
    "HARD_SWISH": lambda tf, x: x * tf.nn.relu6(x + 3) * (1 / 6),
    "RELU": lambda tf, x: tf.nn.relu(tf.transpose(x, [0, 2, 1, 3])),
    "SPLIT": lambda tf, x: tf.add(*tf.split(x, 2, -1)),
    "STRIDED_SLICE": lambda tf, x: x[:, 1:8:2, ::3, 1:] + tensor(3),
    "RESIZE_NEAREST_NEIGHBOR": lambda tf, x: tf.image.resize(x, (18, 16), "nearest"),
    "RESIZE_BILINEAR": lambda tf, x: tf.image.resize(x, (18, 16)),
    "LEAKY_RELU": lambda tf, x: tf.nn.leaky_relu(x, 0.1),
}


@functools.cache
def prelu() -> Any:
    """The layer that the converter knows as PRELU; its variable has to outlive the function that uses it."""
    import keras

    layer = keras.layers.PReLU(shared_axes=[1, 2], alpha_initializer=keras.initializers.Constant(0.2))
    layer.build(SHAPE)
    return layer


def convert(function: Callable[[Any, Any], Any], path: Path, dtype: Any = None) -> Path:
    """The int8 file that TensorFlow's converter makes of a function."""
    import tensorflow as tf

    prelu()  # no variable may be made while a function is traced
    concrete = tf.function(lambda x: function(tf, x)).get_concrete_function(tf.TensorSpec(SHAPE))
    converter = tf.lite.TFLiteConverter.from_concrete_functions([concrete])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = lambda: (
        [np.random.default_rng(seed).normal(size=SHAPE).astype(np.float32)] for seed in range(20)
    )
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = converter.inference_output_type = dtype or tf.int8
    with warnings.catch_warnings(action="ignore"):  # it warns of what it does itself
        path.write_bytes(converter.convert())
    return path
