"""Change a .tflite file: its constants in place, or its tensors and operations as objects of the schema."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray

from ghost_edge.core.manifest import METADATA_NAME
from ghost_edge.host.tflite.graph import Model, unpack

_ALIGNED = 16  # force_align of Buffer.data in schema.fbs, which the Python made of it does not heed


class _Builder(flatbuffers.Builder):
    def CreateNumpyVector(self, x: NDArray[Any]) -> Any:  # noqa: N802
        if x.dtype == np.uint8:
            self.Prep(_ALIGNED, x.size)
        return super().CreateNumpyVector(x)


def pack(model: Any) -> bytes:
    """Return the bytes of a schema.ModelT; same model, same bytes."""
    builder = _Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def set_constant(model: Any, index: int, values: NDArray[Any], scale: NDArray[Any]) -> None:
    """Give a constant of the main graph other values, of its dtype, and scales; a buffer that others share stays."""
    tensor = model.subgraphs[0].tensors[index]
    dtype = {schema.TensorType.INT8: np.int8, schema.TensorType.INT32: np.int32}[tensor.type]
    tensor.quantization.scale, tensor.buffer = scale.astype(np.float32).tolist(), len(model.buffers)
    model.buffers.append(schema.BufferT(data=np.frombuffer(values.astype(dtype).tobytes(), np.uint8)))


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
    """Return a schema.OperatorT of version 1, as litert-quantizer writes them.

    options: the operation's own table, such as Conv2DOptionsT.
    """
    code = getattr(schema.BuiltinOperator, name)  # under 127, so both fields hold it
    model.operatorCodes.append(schema.OperatorCodeT(builtinCode=code, deprecatedBuiltinCode=code))
    kind = getattr(schema.BuiltinOptions, type(options).__name__.removesuffix("T")) if options else 0
    numbers = {"opcodeIndex": len(model.operatorCodes) - 1, "inputs": list(inputs), "outputs": [output]}
    return schema.OperatorT(**numbers, builtinOptionsType=kind, builtinOptions=options)


def add_metadata(content: bytes, text: str) -> bytes:
    """Return the file with the text as an entry in its metadata, where no interpreter looks."""
    model = unpack(content)
    entry = schema.MetadataT()
    entry.name, entry.buffer = METADATA_NAME, len(model.buffers)
    model.buffers.append(schema.BufferT(data=np.frombuffer(text.encode(), np.uint8)))
    model.metadata = [*(model.metadata or ()), entry]
    return pack(model)


def replace_values(model: Model, values: Mapping[int, NDArray[Any]]) -> bytes:
    """Return the file with other values in some constants; no other byte changes, and nothing moves.

    values: by tensor index, in the tensor's shape; they are cast to its dtype. Constants that share bytes in the file
    change together.
    """
    content = bytearray(model.content)
    for index, made in values.items():
        held, start = model.values(index), model.tensors[index].offset
        content[start : start + held.nbytes] = np.asarray(made).astype(held.dtype).reshape(held.shape).tobytes()
    return bytes(content)
