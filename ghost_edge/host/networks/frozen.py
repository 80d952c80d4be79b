"""The frozen graph of a network: traced once with a fixed batch, variables turned into constants."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.files import write_bytes
from ghost_edge.host.networks.fold_hard_sigmoid import fold_gates


def freeze(model: Any, path: Path) -> Any:
    """Write the frozen graph of a keras.Model, float32 [1, H, W, C] to logits, and return the traced function."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    signature = [tf.TensorSpec(model.input_shape, tf.float32, name="image")]
    traced = tf.function(lambda image: model(image, training=False), input_signature=signature).get_concrete_function()
    graph = convert_variables_to_constants_v2(traced).graph.as_graph_def()
    fold_gates(graph)
    write_bytes(graph.SerializeToString(deterministic=True), path)
    return traced


def import_frozen(path: Path) -> Any:
    """Read what freeze() wrote as a function from an image to logits."""
    import tensorflow as tf

    graph = tf.compat.v1.GraphDef()
    graph.ParseFromString(path.read_bytes())
    imported = tf.compat.v1.wrap_function(lambda: tf.graph_util.import_graph_def(graph, name=""), [])
    return imported.prune("image:0", "Identity:0")


def answer(function: Any, inputs: Iterable[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Return the logits, float32 [N, 1, classes], of a traced or imported function for inputs, float32 [1, H, W, C]."""
    import tensorflow as tf

    return np.stack([function(tf.constant(values)).numpy() for values in inputs])
