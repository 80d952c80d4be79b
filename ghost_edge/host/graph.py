"""What is inside a .tflite file: tensors and operations."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ai_edge_litert import schema_py_generated as schema

from ghost_edge.core.errors import ArtifactError

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
    """An operation by its builtin name; inputs and outputs are tensor indices (-1: not given)."""

    name: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class Graph:
    """The main graph of a .tflite file, operations in the order in which they run."""

    tensors: tuple[Tensor, ...]
    operations: tuple[Operation, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def read_graph(path: Path) -> Graph:
    """Read a .tflite file; raises ArtifactError where it is not one."""
    content = path.read_bytes()
    if content[4:8] != b"TFL3":
        raise ArtifactError(f"{path} is not a .tflite file (no TFL3 mark); it is empty or damaged")
    model = schema.ModelT.InitFromPackedBuf(content)
    main = model.subgraphs[0]
    codes = [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]
    return Graph(
        tensors=tuple(
            Tensor(
                index=index,
                name=tensor.name.decode(),
                shape=tuple(int(size) for size in tensor.shape) if tensor.shape is not None else (),
                dtype=_DTYPES[tensor.type],
                constant=_has_values(model.buffers[tensor.buffer]),
            )
            for index, tensor in enumerate(main.tensors)
        ),
        operations=tuple(
            Operation(_OPS[codes[op.opcodeIndex]], tuple(map(int, op.inputs)), tuple(map(int, op.outputs)))
            for op in main.operators
        ),
        inputs=tuple(map(int, main.inputs)),
        outputs=tuple(map(int, main.outputs)),
    )


def _has_values(buffer: schema.BufferT) -> bool:
    return (buffer.data is not None and len(buffer.data) > 0) or buffer.offset > 1
