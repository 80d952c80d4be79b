"""A .tflite file opened for editing: its constants can be changed in place, nothing moves."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

_OPS = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
_ACTIVATIONS = {value: name for name, value in vars(schema.ActivationFunctionType).items() if not name.startswith("_")}
_DTYPES = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT32: np.int32, schema.TensorType.INT8: np.int8}
_DTYPES[schema.TensorType.INT64] = np.int64
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")


@dataclasses.dataclass(frozen=True)
class Op:
    """An operation of the main graph: builtin name, tensor indices, fused activation, the flatbuffer's own options."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    activation: str
    options: Any

    @property
    def output(self) -> int:
        """The first, which is the only one but for a SPLIT and its like."""
        return self.outputs[0]


class Flat:
    """values() is a view of a constant: what is written into it is in the content, as long and as aligned as before."""

    def __init__(self, content: bytes) -> None:
        self.content = bytearray(content)
        self._packed = schema.Model.GetRootAs(self.content, 0)
        model = schema.ModelT.InitFromPackedBuf(self.content)
        self.graph = model.subgraphs[0]
        self.activations = {
            i for i, t in enumerate(self.graph.tensors) if t.type == schema.TensorType.FLOAT32 and not self._raw(i).size
        }
        codes = [_OPS[max(code.builtinCode, code.deprecatedBuiltinCode)] for code in model.operatorCodes]
        self.ops = [
            Op(
                codes[op.opcodeIndex],
                tuple(int(index) for index in op.inputs if index >= 0),
                tuple(map(int, op.outputs)),
                _ACTIVATIONS[getattr(op.builtinOptions, "fusedActivationFunction", 0)],
                op.builtinOptions,
            )
            for op in self.graph.operators
        ]

    def name(self, index: int) -> str:
        """Of a tensor."""
        return str(self.graph.tensors[index].name.decode())

    def shape(self, index: int) -> tuple[int, ...]:
        """Of a tensor; a scalar counts as one channel."""
        return tuple(map(int, self.graph.tensors[index].shape)) or (1,)

    def values(self, index: int) -> NDArray[Any]:
        """A constant in its dtype and shape, to be read or written into."""
        return self._raw(index).view(_DTYPES[self.graph.tensors[index].type]).reshape(self.shape(index))

    def scale(self, index: int) -> NDArray[np.float64]:
        """Of an int8 tensor: one for all, or one a channel."""
        return np.asarray(self.graph.tensors[index].quantization.scale, np.float64)

    def _raw(self, index: int) -> NDArray[np.uint8]:
        buffer = self._packed.Buffers(self.graph.tensors[index].buffer)
        if buffer.Offset() > 1:  # litert-quantizer keeps constants behind the flatbuffer
            return np.frombuffer(self.content, np.uint8, buffer.Size(), buffer.Offset())
        return buffer.DataAsNumpy() if buffer.DataLength() else np.zeros(0, np.uint8)
