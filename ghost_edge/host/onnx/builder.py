"""Build an ONNX graph tensor by tensor from a .tflite, with its names, scales and constants."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import ConversionError
from ghost_edge.host.tflite.graph import Model, Operation

_LIMITS = {"NONE": (-np.inf, np.inf), "RELU": (0, np.inf), "RELU6": (0, 6), "RELU_N1_TO_1": (-1, 1)}
_SHIFTS = {"int8": 128, "uint8": 0}  # from a stored value to uint8, the only dtype that ONNX Runtime is fast with
Shape = Sequence[int]
Step = tuple[str, Sequence[str], dict[str, Any]]  # a node by kind, inputs after the first, attributes
TO_NCHW, TO_NHWC = (0, 3, 1, 2), (0, 2, 3, 1)


def away_from_zero(distance: float) -> Step:
    """Return a node that moves values away from zero by a distance, in units of the tensor."""
    return "Shrink", (), {"bias": -distance, "lambd": 0.0}


def tensor_names(graph: Model) -> tuple[str, ...]:
    """Return the name of each tensor; an empty name, or one that two tensors have, is followed by the index."""
    count = collections.Counter(tensor.name for tensor in graph.tensors)
    return tuple(t.name if t.name and count[t.name] == 1 else f"{t.name}#{t.index}" for t in graph.tensors)


def inner_names(graph: Model) -> tuple[str, ...]:
    """Return the name of each tensor inside the ONNX graph: an input's or output's plain name is that of its end."""
    ends = {*graph.inputs, *graph.outputs}
    return tuple(f"{name}:twin" if index in ends else name for index, name in enumerate(tensor_names(graph)))


def as_inner(values: NDArray[Any]) -> NDArray[Any]:
    """Convert an activation's values to the form inside the ONNX graph: int8 to uint8, NHWC to NCHW."""
    values = values.view(np.uint8) ^ np.uint8(128) if values.dtype == np.int8 else values
    return values.transpose(TO_NCHW) if values.ndim == 4 else values


class Draft:
    """An ONNX graph under construction: nodes by their output, constants by their name.

    A tensor of the .tflite is "stored" (uint8) by its own name and, behind a DequantizeLinear, "real". Shapes and axes
    in arguments are the .tflite's.
    """

    def __init__(self, model: Model) -> None:
        self.file, self.graph = Path(model.name).name, model
        self.ends, self.names = tensor_names(self.graph), inner_names(self.graph)
        self._numbers = {name: index for index, name in enumerate(self.names)}
        self.padded: dict[int, tuple[int, NDArray[Any]]] = {}  # output of a PAD that convolutions do: source, paddings
        self.nodes: dict[str, tuple[str, list[str], dict[str, Any]]] = {}
        self.constants: dict[str, NDArray[Any]] = {}

    def brief(self, name: str) -> str:
        """Return a tensor's own name as it is, and of a derived one, "tensor:scale", the tensor's index and the rest.

        With the names that TensorFlow gives, most of the file would be names.
        """
        base, rest = name, ""
        while base not in self._numbers and ":" in base:
            base, _, last = base.rpartition(":")
            rest = f":{last}{rest}"
        return f"{self._numbers[base]}{rest}" if rest and base in self._numbers else name

    def shape(self, index: int) -> tuple[int, ...]:
        """Return the .tflite's shape of a tensor."""
        return self.graph.tensors[index].shape

    def axis(self, axis: int, rank: int) -> int:
        """Return the place of an axis, from the end if negative, inside the ONNX graph."""
        return TO_NHWC[axis % 4] if rank == 4 else axis % rank

    def values(self, op: Operation, place: int) -> NDArray[Any]:
        """Return an input that must be a constant, dtype [shape]."""
        tensor = self.graph.tensors[op.inputs[place]]
        if tensor.values is None:
            raise self.refusal(op, f"takes {tensor.name}, which is computed, where ONNX needs a constant")
        return tensor.values

    def scales(self, index: int) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Return scales and zero points of a tensor as the .tflite has them: per-tensor or per-channel."""
        tensor = self.graph.tensors[index]
        if tensor.dtype not in _SHIFTS or len(tensor.scale) == 0:
            raise ConversionError(f"{self.file}: {tensor.name} is {tensor.dtype}, expected int8 or uint8 with a scale")
        return tensor.scale, tensor.zero_point

    def scale(self, index: int) -> tuple[np.float32, np.uint8]:
        """Return scale and zero point of an activation inside the ONNX graph, which is uint8."""
        (scale,), (zero_point,) = self.scales(index)
        return scale, np.uint8(zero_point + _SHIFTS[self.graph.tensors[index].dtype])

    def refusal(self, op: Operation, found: str) -> ConversionError:
        """Return the error for an operation that cannot be written; found: the rest of its sentence."""
        made = ", ".join(self.ends[index] for index in op.outputs)
        return ConversionError(f"{self.file}: {op.name}, which makes {made}, {found}")

    def is_shape_arithmetic(self, op: Operation) -> bool:
        """Return True for an operation that computes a shape, which the file holds as well."""
        dtypes = {self.graph.tensors[index].dtype for index in op.outputs}
        return dtypes == {"int32"} and not {*op.outputs} & {*self.graph.outputs}

    def constant(self, name: str, values: Any) -> str:
        """Put a constant into the graph, once, and return its name."""
        self.constants.setdefault(name, np.array(values, order="C"))
        return name

    def node(self, kind: str, inputs: Iterable[str], output: str, **attributes: Any) -> str:
        """Append a node, unless it is there, and return the name of its output."""
        self.nodes.setdefault(output, (kind, list(inputs), attributes))
        return output

    def chain(self, value: str, steps: Sequence[Step], output: str) -> str:
        """Append nodes one after the other, the last of which makes the output; return the output's name."""
        steps = steps or [("Identity", (), {})]
        for left, (kind, inputs, attributes) in zip(range(len(steps))[::-1], steps, strict=True):
            value = self.node(kind, [value, *inputs], f"{output}:{left}" if left else output, **attributes)
        return value

    def bridge(self, index: int, *, inward: bool) -> None:
        """Append the nodes between an input or output of the graph and its tensor inside."""
        ends = self.ends[index], self.names[index]
        steps: list[Step] = []
        if len(self.shape(index)) == 4:
            steps = [("Transpose", (), {"perm": TO_NCHW if inward else TO_NHWC})]
        if self.graph.tensors[index].dtype == "int8":  # exact: both have one scale
            inner, (_, (zero_point,)) = self.parameters(index), self.scales(index)
            outer = [inner[0], self.constant(f"{ends[0]}:zero_point", np.int8(zero_point))]
            before, after = (outer, inner) if inward else (inner, outer)
            steps += [("DequantizeLinear", before, {}), ("QuantizeLinear", after, {})]
        self.chain(ends[not inward], steps, ends[inward])

    def parameters(self, index: int) -> list[str]:
        """Return the names of an activation's scale and zero point inside the ONNX graph."""
        name, (scale, zero_point) = self.names[index], self.scale(index)
        return [self.constant(f"{name}:scale", scale), self.constant(f"{name}:zero_point", zero_point)]

    def stored(self, index: int, shape: Shape = ()) -> str:
        """Return the name of a tensor inside the ONNX graph, reshaped if a shape is given."""
        own, name = self.shape(index), self.names[index]
        target = tuple(shape) or own
        if self.graph.tensors[index].constant:
            values = self.graph.values(index).reshape(target)
            return self.constant(f"{name}:{len(target)}d", as_inner(values))
        return name if target == own else self.chain(name, self.reshape(own, target), f"{name}:{list(target)}")

    def real(self, index: int, shape: Shape = ()) -> str:
        """Return the name of a tensor's real values: stored() behind a DequantizeLinear."""
        stored = self.stored(index, shape)
        return self.node("DequantizeLinear", [stored, *self.parameters(index)], f"{stored}:real")

    def finish(
        self, op: Operation, kind: str, inputs: Iterable[str], shape: Shape = (), early: float = 0.0, **attributes: Any
    ) -> None:
        """Append a node on real values and quantize its output to the operation's.

        shape: of the node's output, if it is another. early: how far below a half the rounding away from zero begins.
        """
        index = op.outputs[0]
        made = self.node(kind, inputs, f"{self.names[index]}:real_made", **attributes)
        steps: list[Step] = [away_from_zero(early)] if early else []
        steps += [("QuantizeLinear", self.parameters(index), {})]
        if shape and tuple(shape) != self.shape(index):
            steps += self.reshape(shape, self.shape(index))
        self.chain(made, steps + self.clamp(op), self.names[index])

    def limits(self, op: Operation, activation: str = "") -> tuple[int, int]:
        """Return the lowest and highest stored value that the fused or the given activation leaves."""
        activation = activation or op.activation
        if activation not in _LIMITS:
            raise self.refusal(op, f"has {activation} behind it, expected {', '.join(_LIMITS)}")
        scale, zero_point = self.scale(op.outputs[0])
        low, high = (int(np.clip(np.rint(x / scale) + zero_point, 0, 255)) for x in _LIMITS[activation])
        return low, high

    def clamp(self, op: Operation, activation: str = "") -> list[Step]:
        """Return limits() as a step; no step where they leave nothing out."""
        limits = self.limits(op, activation)
        if limits == (0, 255):
            return []
        return [("Clip", [self.constant(f"uint8:{limit}", np.uint8(limit)) for limit in limits], {})]

    def reshape(self, shape: Shape, target: Shape) -> list[Step]:
        """Return steps from one shape to another, in which the values follow each other as in the .tflite."""
        steps: list[Step] = [] if _one_order(shape) else [("Transpose", (), {"perm": TO_NHWC})]
        final = [target[axis] for axis in TO_NCHW] if len(target) == 4 else target
        made = final if _one_order(target) else target
        name = self.constant(f"shape:{'x'.join(map(str, made))}", np.array(made, np.int64))
        steps += [("Reshape", (name,), {})]
        return steps if made is final else [*steps, ("Transpose", (), {"perm": TO_NCHW})]


def _one_order(shape: Shape) -> bool:
    """Return True where NHWC and NCHW have the values in one order."""
    return len(shape) != 4 or shape[3] == 1 or shape[1] * shape[2] == 1
