"""A .tflite file with one operation, written by hand: any version, any shapes."""

from __future__ import annotations

from collections.abc import Sequence

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema

Shape = Sequence[int]
OPTIONS = {
    "SUM": "ReducerOptions",
    "MEAN": "ReducerOptions",
    "MUL": "MulOptions",
    "SUB": "SubOptions",
    "MAXIMUM": "MaximumMinimumOptions",
}


def one_op(
    name: str,
    inputs: Sequence[Shape],
    output: Shape,
    *,
    version: int = 1,
    axes: Sequence[int] = (),
    dtype: str = "int8",
) -> bytes:
    """An operation, whether it can run or not; axes are its last, constant input."""
    model, graph, code, operator = schema.ModelT(), schema.SubGraphT(), schema.OperatorCodeT(), schema.OperatorT()
    code.builtinCode = getattr(schema.BuiltinOperator, name)
    code.deprecatedBuiltinCode, code.version = min(code.builtinCode, 127), version
    kind = OPTIONS.get(name)
    if kind:
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        operator.builtinOptions = getattr(schema, f"{kind}T")()
    constant = schema.BufferT()
    constant.data = np.frombuffer(np.array(axes, np.int32).tobytes(), np.uint8)
    model.version, model.operatorCodes, model.subgraphs = 3, [code], [graph]
    model.buffers = [schema.BufferT(), constant]
    graph.tensors = [_tensor(shape, dtype) for shape in (*inputs, output)]
    graph.inputs, graph.outputs = list(range(len(inputs))), [len(inputs)]
    operator.inputs, operator.outputs = list(graph.inputs), list(graph.outputs)
    if axes:
        operator.inputs.append(len(graph.tensors))
        graph.tensors.append(_tensor((len(axes),), dtype))
        graph.tensors[-1].type, graph.tensors[-1].buffer, graph.tensors[-1].quantization = (
            schema.TensorType.INT32,
            1,
            None,
        )
    graph.operators = [operator]
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _tensor(shape: Shape, dtype: str) -> schema.TensorT:
    tensor, quantization = schema.TensorT(), schema.QuantizationParametersT()
    quantization.scale, quantization.zeroPoint = [0.5], [0]
    tensor.name, tensor.shape, tensor.buffer = "values", list(shape), 0
    tensor.type, tensor.quantization = getattr(schema.TensorType, dtype.upper()), quantization
    return tensor
