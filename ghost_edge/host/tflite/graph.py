"""What is inside a .tflite file: tensors and operations."""

from __future__ import annotations

import dataclasses
import struct
from collections.abc import Iterable
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema

from ghost_edge.core.errors import ArtifactError

_PADDINGS = {schema.Padding.SAME: "same", schema.Padding.VALID: "valid"}
_DTYPES = {value: name.lower() for name, value in vars(schema.TensorType).items() if not name.startswith("_")}
_OPS = {value: name for name, value in vars(schema.BuiltinOperator).items() if not name.startswith("_")}


@dataclasses.dataclass(frozen=True)
class Tensor:
    """A tensor of the main graph; constant: its values lie in the file."""

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    constant: bool


@dataclasses.dataclass(frozen=True)
class Operation:
    """An operation by its builtin name; inputs and outputs are tensor indices (-1: not given).

    stride, dilation: of height and width, (1, 1) where the operation has none. version: of its form.
    """

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    stride: tuple[int, int] = (1, 1)
    dilation: tuple[int, int] = (1, 1)
    padding: str = "same"
    version: int = 1


@dataclasses.dataclass(frozen=True)
class Graph:
    """The main graph of a .tflite file, operations in the order in which they run."""

    tensors: tuple[Tensor, ...]
    operations: tuple[Operation, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]

    @property
    def has_float_kernels(self) -> bool:
        """Whether an operation computes in float; QUANTIZE and DEQUANTIZE, the ends of an int8 file, do not."""
        computing = [each for each in self.operations if each.name not in ("QUANTIZE", "DEQUANTIZE")]
        used = {index for each in computing for index in each.inputs + each.outputs if index >= 0}
        return any(self.tensors[index].dtype.startswith("float") for index in used)


def read_graph(path: Path) -> Graph:
    """Read a .tflite file; raises ArtifactError where it is not one."""
    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise ArtifactError(f"{path} is not a .tflite file (no TFL3 mark); it is empty or damaged")
    try:
        return _graph(schema.ModelT.InitFromPackedBuf(content))
    except (struct.error, ValueError, TypeError, LookupError) as error:  # what reading cut or changed files raised
        reason = " ".join(str(error).split())
        raise ArtifactError(f"{path} is damaged ({reason}); copy or convert it again") from error


def _graph(model: schema.ModelT) -> Graph:
    main = model.subgraphs[0]
    tensors = tuple(
        Tensor(
            index=index,
            name=(tensor.name or b"").decode(),
            shape=_numbers(tensor.shape),
            dtype=_DTYPES[tensor.type],
            constant=_has_values(model.buffers[tensor.buffer]),
        )
        for index, tensor in enumerate(main.tensors)
    )
    operations = tuple(_operation(model.operatorCodes[op.opcodeIndex], op) for op in main.operators)
    graph = Graph(tensors, operations, inputs=_numbers(main.inputs), outputs=_numbers(main.outputs))
    used = [graph.inputs, graph.outputs, *(op.inputs + op.outputs for op in operations)]
    if max(max(indices, default=-1) for indices in used) >= len(tensors):
        raise ValueError("an operation names a tensor that is not there")
    return graph


def _operation(code: schema.OperatorCodeT, operator: schema.OperatorT) -> Operation:
    options = operator.builtinOptions
    return Operation(
        name=_OPS[max(code.builtinCode, code.deprecatedBuiltinCode)],
        inputs=_numbers(operator.inputs),
        outputs=_numbers(operator.outputs),
        stride=(getattr(options, "strideH", 1), getattr(options, "strideW", 1)),
        dilation=(getattr(options, "dilationHFactor", 1), getattr(options, "dilationWFactor", 1)),
        padding=_PADDINGS[getattr(options, "padding", schema.Padding.SAME)],
        version=int(code.version),
    )


def _numbers(values: Iterable[int] | None) -> tuple[int, ...]:
    return () if values is None else tuple(map(int, values))


def _has_values(buffer: schema.BufferT) -> bool:
    return (buffer.data is not None and len(buffer.data) > 0) or buffer.offset > 1
