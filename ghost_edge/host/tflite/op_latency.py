"""Measure the latency of each operation of a .tflite file, alone in a file of its own."""

from __future__ import annotations

import copy
import tempfile
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from ghost_edge.core.files import write_bytes
from ghost_edge.device.bench import alternate
from ghost_edge.host.tflite.edit import pack
from ghost_edge.host.tflite.graph import Model, Operation, read_model, unpack

_ROUNDS, _RUNS = 9, 5  # of each operation, all in turn


def time_operations(tflite: Path) -> list[float]:
    """Return the median latency of each operation, in ms: one thread, default kernels, 1 to 5 us of it for invoke().

    Their sum is not the latency of the file: an operation alone starts with cold caches. 0 for an operation that makes
    a constant, such as the DEQUANTIZE of float16 weights: it runs once. Raises what alternate() raises.
    """
    model = read_model(tflite)
    stored = unpack(model.content)
    timed = [number for number, operation in enumerate(model.operations) if not _is_constant(model, operation)]
    times = [0.0] * len(model.operations)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.tflite" for number in timed]
        for number, file in zip(timed, files):
            write_bytes(pack(cut_out(model, stored, number)), file)
        for number, stats in zip(timed, alternate(files, rounds=_ROUNDS, runs=_RUNS, warmup=2)):
            times[number] = stats.median_ms
    return times


def cut_out(model: Model, stored: Any, number: int) -> Any:
    """Return a schema.ModelT with one operation of a model: what it reads goes in, what it makes comes out.

    stored: unpack() of the model. The operations that make its constants come with it.
    """
    main, made, part = stored.subgraphs[0], schema.ModelT(), schema.SubGraphT()
    read = {*model.operations[number].inputs}
    before = [at for at, each in enumerate(model.operations) if _is_constant(model, each) and {*each.outputs} & read]
    chosen = [*before, number]
    operations = [model.operations[at] for at in chosen]
    used = list(dict.fromkeys(index for each in operations for index in (*each.inputs, *each.outputs) if index >= 0))
    places = {index: place for place, index in enumerate(used)}
    inner = {index for each in operations for index in each.outputs}
    part.tensors = [_copy(main.tensors[index], buffer=place + 1) for index, place in places.items()]
    part.operators = [
        _copy(
            main.operators[at],
            inputs=[places.get(index, -1) for index in each.inputs],
            outputs=[places[index] for index in each.outputs],
        )
        for at, each in zip(chosen, operations)
    ]
    part.inputs = [places[index] for index in used if index not in inner and not model.tensors[index].constant]
    part.outputs = list(part.operators[-1].outputs)
    made.version, made.operatorCodes, made.subgraphs = stored.version, stored.operatorCodes, [part]
    made.buffers = [schema.BufferT(), *(stored.buffers[main.tensors[index].buffer] for index in used)]
    return made


def _is_constant(model: Model, operation: Operation) -> bool:
    return all(index < 0 or model.tensors[index].constant for index in operation.inputs)


def _copy(table: Any, **changes: Any) -> Any:
    copied = copy.copy(table)
    vars(copied).update(changes)
    return copied
