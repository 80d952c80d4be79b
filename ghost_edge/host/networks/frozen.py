"""The frozen graph of a network: traced with a fixed batch, variables made constants, hard sigmoids folded.

The constant factor of a hard sigmoid goes into the convolution behind the product that it gates.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.files import write_bytes

_LINEAR = ("Conv2D", "DepthwiseConv2dNative")


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


def fold_gates(graph: Any) -> int:
    """Change a frozen tf.GraphDef in place and return how many factors were folded.

    conv(x * (relu6(g) / 6)) = (conv / 6)(x * relu6(g)): one MUL a squeeze-and-excite block in the .tflite instead of
    two. A hard swish is left alone: the converter makes one HARD_SWISH of it.
    """
    nodes = {node.name: node for node in graph.node}
    readers: dict[str, list[Any]] = {name: [] for name in nodes}
    for node in graph.node:
        for name in _inputs(node):
            readers[name].append(node)
    folded = 0
    for node in graph.node:
        factor = _factor(node, nodes)
        kernels = _kernels(node, nodes, readers) if factor is not None else []
        if not kernels:
            continue
        for product in readers[node.name]:
            product.input[list(product.input).index(node.name)] = node.input[0]
        for kernel in kernels:
            _write(kernel, _read(kernel) * np.float32(factor))
        folded += 1
    return folded


def _inputs(node: Any) -> list[str]:
    return [name.split(":")[0] for name in node.input if not name.startswith("^")]


def _factor(node: Any, nodes: dict[str, Any]) -> float | None:
    """Return 1/6 where the node is relu6(...) / 6 or relu6(...) * (1/6), None for any other node."""
    if node.op not in ("RealDiv", "Mul"):
        return None
    gate, value = (nodes[name] for name in _inputs(node))
    if gate.op != "Relu6" or value.op != "Const" or _read(value).size != 1:
        return None
    number = float(_read(value).item())
    return 1 / number if node.op == "RealDiv" else number


def _kernels(node: Any, nodes: dict[str, Any], readers: dict[str, list[Any]]) -> list[Any]:
    """Return the kernels to scale, of every convolution that reads a product with node; empty if one cannot be."""
    shifted = nodes[_inputs(nodes[node.input[0]])[0]]
    kernels = []
    for product in readers[node.name]:
        if product.op != "Mul" or set(_inputs(product)) & set(_inputs(shifted)):  # x * relu6(x + 3) / 6: hard swish
            return []
        for reader in readers[product.name]:
            path = [nodes[_inputs(reader)[1]]] if reader.op in _LINEAR else []
            if path and path[0].op == "Identity":  # of a frozen variable
                path.append(nodes[_inputs(path[0])[0]])
            if not path or path[-1].op != "Const" or any(len(readers[each.name]) > 1 for each in path):
                return []  # no convolution, or another operation reads its kernel too
            kernels.append(path[-1])
    return kernels


def _read(node: Any) -> NDArray[np.float32]:
    import tensorflow as tf

    values: NDArray[np.float32] = tf.make_ndarray(node.attr["value"].tensor)
    return values


def _write(node: Any, values: NDArray[np.float32]) -> None:
    import tensorflow as tf

    node.attr["value"].tensor.CopyFrom(tf.make_tensor_proto(values))
