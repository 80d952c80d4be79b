"""An ONNX graph under construction: the .tflite's tensors by their own names, int8 as uint8, NHWC as NCHW."""

from __future__ import annotations

import collections
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from onnx import helper, numpy_helper

from ghost_edge.core.errors import ConversionError
from ghost_edge.host.graph import Graph, Operation, read_graph
from ghost_edge.host.quantizers.rebuild import unpack

TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)
SHIFT = {"int8": 128, "uint8": 0}  # from a stored value to the twin's; the keys are the dtypes that it has
_ACTIVATIONS = {value: name for name, value in vars(schema.ActivationFunctionType).items() if not name.startswith("_")}
_LIMITS = {"NONE": (-np.inf, np.inf), "RELU": (0, np.inf), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)}
Shape = Sequence[int]
Step = tuple[str, tuple[str, ...], dict[str, Any]]  # a node by its kind, its inputs after the first, its attributes


def tensor_names(graph: Graph) -> tuple[str, ...]:
    """The .tflite's names, with its index behind one that is empty or that two tensors have."""
    count = collections.Counter(tensor.name for tensor in graph.tensors)
    return tuple(t.name if t.name and count[t.name] == 1 else f"{t.name}#{t.index}" for t in graph.tensors)


def twin_names(graph: Graph) -> tuple[str, ...]:
    """The same as the twin computes them: an input or output by its plain name is as the .tflite has it."""
    ends = {*graph.inputs, *graph.outputs}
    return tuple(f"{name}:twin" if index in ends else name for index, name in enumerate(tensor_names(graph)))


def in_twin(values: NDArray[Any]) -> NDArray[Any]:
    """Values of a .tflite's tensor as the twin holds them."""
    values = values.view(np.uint8) ^ np.uint8(128) if values.dtype == np.int8 else values
    return np.ascontiguousarray(values.transpose(TO_NCHW) if values.ndim == 4 else values)


class Draft:
    """Nodes and constants; a tensor is "stored" (uint8) or, behind a DequantizeLinear, "real"."""

    def __init__(self, tflite: Path) -> None:
        self.file, self.graph = tflite.name, read_graph(tflite)
        self._model = unpack(tflite.read_bytes())
        self.options = [each.builtinOptions for each in self._model.subgraphs[0].operators]
        self.names = twin_names(self.graph)
        self.folded: dict[int, tuple[int, NDArray[Any]]] = {}  # output of a PAD to its input and paddings
        self.nodes: dict[str, onnx.NodeProto] = {}  # by their output
        self.constants: dict[str, onnx.TensorProto] = {}

    def shape(self, index: int) -> tuple[int, ...]:
        """Of a tensor in the .tflite's order."""
        return self.graph.tensors[index].shape

    def values(self, op: Operation, place: int) -> NDArray[Any]:
        """An input that must be a constant, in the .tflite's order."""
        tensor = self.graph.tensors[op.inputs[place]]
        if not tensor.constant:
            raise refusal(self, op, f"has no constant as input {place}, but {tensor.name}")
        data = self._model.buffers[self._model.subgraphs[0].tensors[tensor.index].buffer].data
        return np.asarray(data, np.uint8).view(tensor.dtype).reshape(tensor.shape)

    def scale(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Scales and zero points of a tensor as the .tflite has them: one, or one a channel."""
        tensor, stored = self.graph.tensors[index], self._model.subgraphs[0].tensors[index].quantization
        if tensor.dtype not in SHIFT or stored is None or stored.scale is None or len(stored.scale) == 0:
            raise ConversionError(
                f"{self.file}: {tensor.name} is {tensor.dtype}, expected int8 or uint8 with a scale; "
                'only a file that is int8 throughout has an ONNX twin: quantize with kind = "int8"'
            )
        return np.array(stored.scale, np.float32), np.array(stored.zeroPoint, np.int64)

    def place(self, axis: int, rank: int) -> int:
        """Where an axis of the .tflite, from the end if negative, is in the twin."""
        return TO_NHWC[axis % 4] if rank == 4 else axis % rank

    def constant(self, name: str, values: Any) -> str:
        """Put a constant into the file once and return its name."""
        if name not in self.constants:
            self.constants[name] = numpy_helper.from_array(np.ascontiguousarray(values), name)
        return name

    def node(self, kind: str, inputs: Iterable[str], output: str, **attributes: Any) -> str:
        """Append a node that is not there yet and return the name of its output."""
        if output not in self.nodes:
            self.nodes[output] = helper.make_node(kind, list(inputs), [output], name=output, **attributes)
        return output

    def chain(self, value: str, steps: Sequence[Step], output: str) -> str:
        """Nodes one after the other; the last one makes the output."""
        for number, (kind, inputs, attributes) in enumerate(steps or [("Identity", (), {})], start=1):
            made = output if number >= len(steps) else f"{output}:{number}"
            value = self.node(kind, [value, *inputs], made, **attributes)
        return value

    def stored(self, op: Operation, place: int, shape: Shape = ()) -> str:
        """An input, in another shape if one is given (in the .tflite's order)."""
        index = op.inputs[place]
        own, name = self.shape(index), self.names[index]
        shape = tuple(shape) or own
        if self.graph.tensors[index].constant:
            return self.constant(f"{name}:{len(shape)}", in_twin(self.values(op, place).reshape(shape)))
        return name if shape == own else self.chain(name, reshaped(self, own, shape), f"{name}:{list(shape)}")

    def real(self, op: Operation, place: int, shape: Shape = ()) -> str:
        """The same behind a DequantizeLinear."""
        stored = self.stored(op, place, shape)
        return self.node("DequantizeLinear", [stored, *self.parameters(op.inputs[place])], f"{stored}:real")

    def parameters(self, index: int) -> tuple[str, str]:
        """Scale and zero point of an activation, as the twin has them."""
        (scale,), (zero,) = self.scale(index)
        zero += SHIFT[self.graph.tensors[index].dtype]
        name = self.names[index]
        return self.constant(f"{name}:scale", scale), self.constant(f"{name}:zero", np.uint8(zero))

    def finish(self, op: Operation, real: str, options: Any = None, made: Shape = ()) -> None:
        """Quantize real values to the op's output; made: their shape where it is another, in the .tflite's order."""
        index = op.outputs[0]
        steps: list[Step] = [("QuantizeLinear", self.parameters(index), {})]
        if made and tuple(made) != self.shape(index):
            steps += reshaped(self, made, self.shape(index))
        self.chain(real, steps + self.clamp(index, options), self.names[index])

    def clamp(self, index: int, options: Any) -> list[Step]:
        """The fused activation as limits of the stored values; nothing where their dtype has the same."""
        activation = _ACTIVATIONS[getattr(options, "fusedActivationFunction", 0)]
        if activation not in _LIMITS:
            raise ConversionError(f"{self.file}: {self.names[index]} is made with {activation}, expected {', '.join(_LIMITS)}")
        (scale,), (zero,) = self.scale(index)
        zero += SHIFT[self.graph.tensors[index].dtype]
        low, high = (int(np.clip(np.rint(limit / scale) + zero, 0, 255)) for limit in _LIMITS[activation])
        if (low, high) == (0, 255):
            return []
        limits = tuple(self.constant(f"uint8:{value}", np.uint8(value)) for value in (low, high))
        return [("Clip", limits, {})]


def refusal(draft: Draft, op: Operation, found: str) -> ConversionError:
    """What to raise for an operation that has no twin."""
    made = draft.names[op.outputs[0]] if op.outputs else "nothing"
    return ConversionError(
        f"{draft.file}: {op.name}, which makes {made}, {found}; change the network, or leave out the ONNX twin"
    )


def reshaped(draft: Draft, shape: Shape, target: Shape) -> list[Step]:
    """Steps between two shapes, both in the .tflite's order, in which the values follow each other."""

    def to(sizes: Shape) -> Step:
        text = "x".join(map(str, sizes))
        return "Reshape", (draft.constant(f"shape:{text}", np.array(sizes, np.int64)),), {}

    steps: list[Step] = [] if _one_order(shape) else [("Transpose", (), {"perm": TO_NHWC})]
    if _one_order(target):
        return [*steps, to([target[axis] for axis in TO_NCHW] if len(target) == 4 else target)]
    return [*steps, to(target), ("Transpose", (), {"perm": TO_NCHW})]


def _one_order(shape: Shape) -> bool:
    """Whether NHWC and NCHW have the values in the same order."""
    return len(shape) != 4 or shape[3] == 1 or shape[1] * shape[2] == 1
