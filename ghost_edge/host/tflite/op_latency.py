"""How long each operation of a .tflite file takes, alone in a file of its own."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any

from ai_edge_litert import schema_py_generated as schema

from ghost_edge.core.files import write_bytes
from ghost_edge.device.interleaved import alternate
from ghost_edge.host.tflite.edit import pack, unpack

_ROUNDS, _RUNS = 9, 5  # of each operation, all in turn


def time_operations(tflite: Path) -> list[float]:
    """Median ms of each operation, in order: one thread, default kernels; with what any invoke() costs, 1 to 5 us.

    Their sum is not the whole file's time: an operation alone starts with cold caches. 0 for one that makes a constant,
    such as the DEQUANTIZE of float16 weights: it runs once. Raises what alternate() raises.
    """
    model = unpack(tflite.read_bytes())
    operators = model.subgraphs[0].operators
    timed = [number for number, operator in enumerate(operators) if not _is_constant(model, operator)]
    times = [0.0] * len(operators)
    with tempfile.TemporaryDirectory() as folder:
        files = [Path(folder) / f"{number}.tflite" for number in timed]
        for number, file in zip(timed, files):
            write_bytes(pack(cut_out(model, number)), file)
        for number, stats in zip(timed, alternate(files, rounds=_ROUNDS, runs=_RUNS, warmup=2)):
            times[number] = stats.median_ms
    return times


def cut_out(model: Any, number: int) -> Any:
    """A schema.ModelT with one operation of another's main graph: what it reads goes in, what it makes comes out.

    What makes its constants comes with it.
    """
    main, made, part = model.subgraphs[0], schema.ModelT(), schema.SubGraphT()
    operator = main.operators[number]
    before = [each for each in main.operators if _is_constant(model, each) and {*each.outputs} & {*operator.inputs}]
    chosen = [*before, operator]
    used = list(dict.fromkeys(index for each in chosen for index in (*each.inputs, *each.outputs) if index >= 0))
    places = {index: place for place, index in enumerate(used)}
    inner = {index for each in chosen for index in each.outputs}
    part.tensors = [_copy(main.tensors[index], buffer=place + 1) for index, place in places.items()]
    part.operators = [
        _copy(
            each, inputs=[places.get(index, -1) for index in each.inputs], outputs=[places[at] for at in each.outputs]
        )
        for each in chosen
    ]
    part.inputs = [places[index] for index in used if index not in inner and not _has_values(model, index)]
    part.outputs = list(part.operators[-1].outputs)
    made.version, made.operatorCodes, made.subgraphs = model.version, model.operatorCodes, [part]
    made.buffers = [schema.BufferT(), *(model.buffers[main.tensors[index].buffer] for index in used)]
    return made


def _is_constant(model: Any, operator: Any) -> bool:
    return all(index < 0 or _has_values(model, index) for index in operator.inputs)


def _has_values(model: Any, index: int) -> bool:
    values = model.buffers[model.subgraphs[0].tensors[index].buffer].data
    return values is not None and len(values) > 0


def _copy(table: Any, **changes: Any) -> Any:
    copied = type(table)()
    for key, value in {**vars(table), **changes}.items():
        setattr(copied, key, value)
    return copied
