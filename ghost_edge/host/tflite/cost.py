"""Count the cost of a model: multiply-accumulates, parameters, bytes, and memory for its activations."""

from __future__ import annotations

import dataclasses
import math
import re

from ghost_edge.host.tflite.graph import Model, Operation, Tensor

_WEIGHTS = {"CONV_2D": (1, 2), "DEPTHWISE_CONV_2D": (1, 2), "FULLY_CONNECTED": (1, 2), "TRANSPOSE_CONV": (1, 3)}
_INDICES = ("int32", "int64", "bool")  # outside _WEIGHTS these are shapes, axes and masks


@dataclasses.dataclass(frozen=True)
class Layer:
    """Cost of one operation; a constant that two operations share counts for the first."""

    index: int
    operation: str
    name: str
    shape: tuple[int, ...]
    dtype: str
    macs: int
    parameters: int
    weight_bytes: int
    output_bytes: int


def count_layers(graph: Model) -> tuple[Layer, ...]:
    """Return a row for each operation, in the order in which they run.

    Name, shape and dtype are those of the operation's first output.
    """
    layers, seen = [], set[int]()
    for index, operation in enumerate(graph.operations):
        outputs = [graph.tensors[tensor] for tensor in operation.outputs]
        own = [tensor for tensor in weights(graph, operation) if tensor.index not in seen]
        seen.update(tensor.index for tensor in own)
        layers.append(
            Layer(
                index=index,
                operation=operation.name,
                name=outputs[0].name if outputs else "",
                shape=outputs[0].shape if outputs else (),
                dtype=outputs[0].dtype if outputs else "",
                macs=count_macs(graph, operation),
                parameters=sum(math.prod(tensor.shape) for tensor in own),
                weight_bytes=sum(map(size_bytes, own)),
                output_bytes=sum(map(size_bytes, outputs)),
            )
        )
    return tuple(layers)


def count_macs(graph: Model, operation: Operation) -> int:
    """Count the multiply-accumulates of a convolution or fully connected layer, without bias; 0 for others."""
    if operation.name not in _WEIGHTS:
        return 0
    filters = graph.tensors[operation.inputs[1]].shape
    outputs = math.prod(graph.tensors[operation.outputs[0]].shape)
    if operation.name == "DEPTHWISE_CONV_2D":  # [1, height, width, channels]
        return outputs * math.prod(filters[1:3])
    if operation.name == "TRANSPOSE_CONV":  # [outputs, height, width, inputs], each input times its filter
        return math.prod(graph.tensors[operation.inputs[2]].shape) * math.prod(filters[:3])
    return outputs * math.prod(filters[1:])  # [outputs, height, width, inputs] and [outputs, inputs]


def weights(graph: Model, operation: Operation) -> list[Tensor]:
    """Return the parameters among an operation's constants: filter and bias; no shape, axis or single number."""
    places = _WEIGHTS.get(operation.name, range(len(operation.inputs)))
    wanted = [index for at, index in enumerate(operation.inputs) if at in places and index >= 0]
    constants = [graph.tensors[index] for index in wanted if graph.tensors[index].constant]
    if operation.name in _WEIGHTS:
        return constants
    return [tensor for tensor in constants if tensor.dtype not in _INDICES and math.prod(tensor.shape) > 1]


def activation_bytes(graph: Model) -> list[int]:
    """Return the bytes of the activations that are alive while each operation runs, in execution order.

    An activation lives from the operation that makes it (an input: from the start) to the last that reads it (an
    output: to the end). An arena in which no operation writes over its own input is at least as large as the largest.
    """
    last_use = {tensor: index for index, op in enumerate(graph.operations) for tensor in op.inputs}
    last_use.update(dict.fromkeys(graph.outputs, len(graph.operations)))
    alive, sums = set(graph.inputs), list[int]()
    for index, operation in enumerate(graph.operations):
        alive.update(operation.outputs)
        sums.append(sum(size_bytes(graph.tensors[tensor]) for tensor in alive))
        alive = {tensor for tensor in alive if last_use.get(tensor, index) > index}
    return sums


def size_bytes(tensor: Tensor) -> int:
    """Return the bytes of a tensor's values; 0 for text and handles, whose size the file does not hold."""
    number = re.search(r"\d+", tensor.dtype)  # of bits, as in int4 and float8_e5m2
    bits = int(number[0]) if number else 8 * (tensor.dtype == "bool")
    return -(-math.prod(tensor.shape) * bits // 8)
