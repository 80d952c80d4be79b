"""How long each operation of a .tflite file takes, alone in a file of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from ghost_edge.core.files import write_bytes
from ghost_edge.device.alternate import alternate
from ghost_edge.host.quantizers.rebuild import pack, unpack

_ROUNDS, _RUNS = 9, 5  # of each operation, all in turn


def time_operations(tflite: Path) -> list[float]:
    """Median ms of each operation, in order: one thread, default kernels; with what any invoke() costs, 1 to 5 us.

    Their sum is not the whole file's time: an operation alone starts with cold caches. Raises what alternate() raises.
    """
    model = unpack(tflite.read_bytes())
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.tflite" for number in range(len(model.subgraphs[0].operators))]
        for number, file in enumerate(files):
            write_bytes(pack(cut_out(model, number)), file)
        return [stats.median_ms for stats in alternate(files, rounds=_ROUNDS, runs=_RUNS, warmup=2)]


def cut_out(model: Any, number: int) -> Any:
    """A schema.ModelT with one operation of another's main graph: what it reads goes in, what it makes comes out."""
    main, made = model.subgraphs[0], schema.ModelT()
    operator = main.operators[number]
    used = list(dict.fromkeys(index for index in (*operator.inputs, *operator.outputs) if index >= 0))
    places = {index: place for place, index in enumerate(used)}
    held = [model.buffers[main.tensors[index].buffer] for index in used]
    given = [index for index, buffer in zip(used, held) if buffer.data is None or not len(buffer.data)]
    part, alone = schema.SubGraphT(), schema.OperatorT()
    for key, value in vars(operator).items():
        setattr(alone, key, value)
    alone.opcodeIndex = 0
    alone.inputs = [places.get(index, -1) for index in operator.inputs]
    alone.outputs = [places[index] for index in operator.outputs]
    part.tensors = [_at(main.tensors[index], place + 1) for place, index in enumerate(used)]
    part.operators = [alone]
    part.inputs = [places[index] for index in given if index not in set(operator.outputs)]
    part.outputs = list(alone.outputs)
    made.version, made.operatorCodes = model.version, [model.operatorCodes[operator.opcodeIndex]]
    made.subgraphs, made.buffers = [part], [schema.BufferT(), *held]
    return made


def _at(tensor: Any, buffer: int) -> Any:
    moved = schema.TensorT()
    for key, value in vars(tensor).items():
        setattr(moved, key, value)
    moved.buffer = buffer
    return moved
