"""A .tflite file as objects, and back: for changes of its tensors and operations, not of their values alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from ghost_edge.core.metadata import NAME

_OPS = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}
_ACTIVATIONS = {value: name for name, value in vars(schema.ActivationFunctionType).items() if not name.startswith("_")}
_DTYPES = {schema.TensorType.FLOAT32: np.float32, schema.TensorType.INT32: np.int32, schema.TensorType.INT8: np.int8}
_DTYPES[schema.TensorType.INT64] = np.int64
WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED")

_ALIGNED = 16  # force_align of Buffer.data in schema.fbs, which the Python made of it does not heed


class _Builder(flatbuffers.Builder):
    def CreateNumpyVector(self, x: NDArray[Any]) -> Any:  # noqa: N802
        if x.dtype == np.uint8:
            self.Prep(_ALIGNED, x.size)
        return super().CreateNumpyVector(x)


def unpack(content: bytes) -> Any:
    """The file as a schema.ModelT that holds all constants, also those that litert-quantizer puts behind it."""
    model = schema.ModelT.InitFromPackedBuf(content)
    for buffer in model.buffers:
        if buffer.offset > 1:
            buffer.data = np.frombuffer(content, np.uint8, buffer.size, buffer.offset)
            buffer.offset = buffer.size = 0
    return model


def pack(model: Any) -> bytes:
    """The file of a schema.ModelT; same model, same bytes."""
    builder = _Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def add_tensor(
    model: Any, name: str, shape: Sequence[int], dtype: str, scale: Any = (), zero_point: int = 0, values: Any = None
) -> int:
    """Append a tensor to the main graph and return its index; scale: none, one, or one for each channel (the last)."""
    tensor, stored, tensors = schema.TensorT(), schema.QuantizationParametersT(), model.subgraphs[0].tensors
    tensor.name, tensor.shape, tensor.hasRank = name, list(shape), True
    tensor.type, tensor.quantization = getattr(schema.TensorType, dtype.upper()), stored
    stored.scale, stored.zeroPoint = list(scale), [zero_point] * len(scale)
    stored.quantizedDimension = len(shape) - 1 if len(scale) > 1 else 0
    if values is not None:
        tensor.buffer = len(model.buffers)
        model.buffers.append(schema.BufferT(data=np.frombuffer(values.astype(dtype).tobytes(), np.uint8)))
    tensors.append(tensor)
    return len(tensors) - 1


def make_operation(model: Any, name: str, inputs: Sequence[int], output: int, options: Any = None) -> Any:
    """A schema.OperatorT of version 1, as litert-quantizer writes them; options: its table, such as Conv2DOptionsT."""
    code = getattr(schema.BuiltinOperator, name)  # under 127, so both fields hold it
    model.operatorCodes.append(schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=code))
    kind = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T")) if options else 0
    numbers = {"opcodeIndex": len(model.operatorCodes) - 1, "inputs": list(inputs), "outputs": [output]}
    return schema.OperatorT(**numbers, builtinOptionsType=kind, builtinOptions=options)


def add_card(content: bytes, text: str) -> bytes:
    """The file with an entry in its metadata, where no interpreter looks."""
    model = unpack(content)
    entry = schema.MetadataT()
    entry.name, entry.buffer = NAME, len(model.buffers)
    model.buffers.append(schema.BufferT(data=np.frombuffer(text.encode(), np.uint8)))
    model.metadata = [*(model.metadata or ()), entry]
    return pack(model)


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
