"""Check a .tflite against its recipe: dtypes, shapes, answers, delegate partitions, and its target.

The only interpreter for a Zynq-7000 is tflite-runtime 2.14, which does not run every operation.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple, Optional

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import ConversionError
from ghost_edge.core.files import read_document
from ghost_edge.core.progress import Say
from ghost_edge.device.board import TARGETS
from ghost_edge.device.runtimes.open import open_model
from ghost_edge.host.tflite.graph import Model, Operation, read_model

# float32 sums in another order: 2e-6 of the logits' spread for the shipped models, 4e-6 for GhostNet 1.0x with the
# golden weights or untrained.
_FLOAT_TOLERANCE = 1e-4
_OPEN_BATCH_OPS = ("SHAPE", "PACK")  # what an open batch leaves behind; they cut the delegate's partition in two
# Highest version that both its default and its reference kernels know: each version of each operation was tried with
# the wheels for x86_64 and (on an emulated Cortex-A9) armv7l. Operations that no vision model needs are left out.
_VERSIONS = """
1 ADD_N DEPTH_TO_SPACE DYNAMIC_UPDATE_SLICE EXPAND_DIMS FLOOR HARD_SWISH LOG NEG POW PRELU RELU_0_TO_1 RELU_N1_TO_1
1 RESHAPE SCATTER_ND SELECT_V2 SHAPE SQRT SQUARE SQUEEZE
2 ARG_MAX ARG_MIN DIV EXP GELU GREATER L2_NORMALIZATION LEAKY_RELU LESS_EQUAL LOG_SOFTMAX QUANTIZE REVERSE_V2 RSQRT
2 SELECT SPACE_TO_DEPTH SPLIT_V SQUARED_DIFFERENCE SUM TILE WHERE
3 ABS AVERAGE_POOL_2D BATCH_MATMUL BROADCAST_TO CONCATENATION FILL FLOOR_DIV GREATER_EQUAL LESS LOGISTIC MAX_POOL_2D
3 MEAN MIRROR_PAD NOT_EQUAL PACK REDUCE_MAX REDUCE_MIN RELU RELU6 SOFTMAX TANH TRANSPOSE_CONV
4 BATCH_TO_SPACE_ND CAST DEQUANTIZE EQUAL GATHER_ND MAXIMUM MINIMUM PAD PADV2 RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR
4 SPACE_TO_BATCH_ND SPLIT STRIDED_SLICE UNPACK
5 ADD SLICE SUB TRANSPOSE
6 CONV_2D DEPTHWISE_CONV_2D GATHER
7 MUL
9 FULLY_CONNECTED
"""
HIGHEST_VERSION = {name: int(line[0]) for line in _VERSIONS.strip().splitlines() for name in line[2:].split()}
# the quantizer writes version 1 throughout, so these were found by running each of its int8 operations
_INT8_FAILS = {
    "SUM": "kills a Cortex-A9 (SIGILL) in int8: take a mean",
    "DIV": "tflite-runtime 2.14 cannot do in int8: multiply",
    "SQRT": "tflite-runtime 2.14 cannot do in int8: take rsqrt",
}
_BROADCAST_DIMENSIONS = {"MUL": 4, "SUB": 5, "MAXIMUM": 5, "MINIMUM": 5}  # over more it aborts


def check_dtypes(graph: Model, dtypes: Dtypes, name: str) -> None:
    """Raise ConversionError naming the first tensors whose dtype the scheme does not allow, such as silent floats."""
    ends = {*graph.inputs, *graph.outputs}
    wrong = [
        f"{tensor.name} ({tensor.dtype})"
        for tensor in graph.tensors
        if tensor.dtype not in (dtypes.ends if tensor.index in ends else dtypes.inside)
    ]
    inside, outside = (" or ".join(sorted(known)) for known in (dtypes.inside, dtypes.ends))
    if wrong:
        known = inside if dtypes.ends <= dtypes.inside else f"{inside} ({outside} as input or output)"
        raise ConversionError(
            f"{name} holds {len(wrong)} tensors that are not {known}: {', '.join(wrong[:3])}; "
            "an operation there has no quantized form"
        )
    if dtypes.needed not in {tensor.dtype for tensor in graph.tensors}:
        raise ConversionError(f"{name} holds no {dtypes.needed} tensor: nothing in it could be quantized")


def check_static(graph: Model, name: str) -> None:
    """Raise ConversionError where the batch is not 1, or where an operation exists only because the batch is open."""
    for index in graph.inputs + graph.outputs:
        tensor = graph.tensors[index]
        if tensor.shape[:1] != (1,) or min(tensor.shape) < 1:
            raise ConversionError(f"{name}: {tensor.name} has shape {list(tensor.shape)}; the batch must be fixed to 1")
    stray = [operation.name for operation in graph.operations if operation.name in _OPEN_BATCH_OPS]
    if stray:
        raise ConversionError(f"{name} holds {', '.join(stray)}; build the network with batch_size=1")


def check_close(logits: NDArray[np.float32], reference: NDArray[np.float32], name: str) -> float:
    """Return the largest difference in units of the reference's standard deviation; ConversionError over the limit.

    logits, reference: float32 [N, classes].
    """
    if logits.shape != reference.shape:
        raise ConversionError(f"{name} answers {list(logits.shape[1:])}, expected {list(reference.shape[1:])}")
    difference = float(np.abs(logits - reference).max() / (reference.std() or 1.0))
    if not difference <= _FLOAT_TOLERANCE:  # also when it is NaN
        raise ConversionError(
            f"{name} differs from what it was made of by {difference:.2g} of the logits' spread; "
            f"the limit is {_FLOAT_TOLERANCE:.0e}: the conversion changed the network"
        )
    return difference


class Dtypes(NamedTuple):
    """Dtypes that a scheme allows at input and output (ends) and in all tensors (inside).

    needed: a dtype that every file of the scheme holds.
    """

    ends: frozenset[str]
    inside: frozenset[str]
    needed: str


def verify_models(
    models: Mapping[str, Path],
    dtypes: Dtypes,
    inputs: NDArray[np.float32],
    logits: NDArray[np.float32],
    *,
    target: Optional[str],
    say: Say,
) -> Verified:
    """Read models back, by role, and compare what the float ones compute with what Keras computed.

    inputs, float32 [N, 1, H, W, C], and Keras' logits, float32 [N, 1, classes]. target: a board in TARGETS, or None.
    Raises ConversionError naming the tensor, operation or file that is not as it should be.
    """
    graphs = {role: read_model(models[role]) for role in ("float", "quantized")}
    check_dtypes(graphs["quantized"], dtypes, models["quantized"].name)
    for role, graph in graphs.items():
        check_static(graph, models[role].name)
        if target == "zynq7000":
            check_old_interpreter(graph, models[role].name)
    if target == "zynq7000":
        check_integer(graphs["quantized"], models["quantized"].name)
    say(0.2, "dtypes and shapes")
    differences, reference = {}, logits
    for role in (role for role in models if role not in ("quantized", "int8_onnx")):  # rounding is no mistake
        answers = _run(models[role], inputs)
        differences[f"{'keras' if role == 'float' else 'float'} to {role}"] = check_close(
            answers, reference, models[role].name
        )
        reference = answers if role == "float" else reference
        say(0.6, models[role].name)
    delegate = open_model(models["quantized"]).delegate
    return Verified(
        largest_difference=differences,
        operations=dict(sorted(Counter(operation.name for operation in graphs["quantized"].operations).items())),
        delegate_partitions=delegate.partitions if delegate else None,
        delegated_operations=delegate.delegated_ops if delegate else None,
    )


def _run(path: Path, inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    model = open_model(path)
    answers = []
    for values in inputs:
        model.set_inputs([values])
        model.invoke()
        answers.append(model.outputs_now()[0])
    return np.stack(answers)


@dataclasses.dataclass(frozen=True)
class Verified:
    """Contents of verify.json.

    largest_difference: by pair of models, in units of the logits' standard deviation. operations: how many of each
    kind the quantized file holds. delegate_partitions, delegated_operations: of XNNPACK here; None without it.
    """

    largest_difference: dict[str, float]
    operations: dict[str, int]
    delegate_partitions: Optional[int]
    delegated_operations: Optional[int]


def read_verified(path: Path) -> Verified:
    """Read verify.json; raises ArtifactError where it is missing, damaged, or of another version."""
    return read_document(path, Verified)


def delegate_doubts(found: Verified) -> list[str]:
    """Return a warning where the delegate did not take the whole quantized file as one partition."""
    parts, taken, total = found.delegate_partitions, found.delegated_operations, sum(found.operations.values())
    # XNNPACK takes no QUANTIZE between int8 and uint8
    if parts is None or taken is None or (parts == 1 and taken >= total - found.operations.get("QUANTIZE", 0)):
        return []
    return [
        f"doubt: the delegate took {taken} of {total} operations here, in {parts} partitions; the rest runs on "
        "plain kernels, which can be slower than float: ghost-edge inspect lists the operations"
    ]


def check_old_interpreter(graph: Model, name: str) -> None:
    """Raise ConversionError naming the first operation that tflite-runtime 2.14 does not run, and why."""
    for operation in graph.operations:
        if reason := _find_fault(graph, operation):
            raise ConversionError(
                f"{name} holds {operation.name} version {operation.version}, which {reason}; "
                'change the network, or take target = "zynq7000" out of the recipe'
            )


def check_integer(graph: Model, name: str) -> None:
    """Raise ConversionError where anything is to be computed in float, which kills a Cortex-A9 (SIGILL)."""
    if graph.has_float_kernels:
        why = f"{TARGETS['zynq7000'].float_dies}; quantize to int8 or int16x8, or take target out of the recipe"
        raise ConversionError(f"{name} computes in float: {why}")


def _find_fault(graph: Model, operation: Operation) -> str:
    highest = HIGHEST_VERSION.get(operation.name, 0)
    if operation.version > highest:
        return f"tflite-runtime 2.14 {f'knows up to version {highest}' if highest else 'is not known to run'}"
    made = graph.tensors[operation.outputs[0]]
    if made.dtype != "int8":
        return ""
    limit = _BROADCAST_DIMENSIONS.get(operation.name, len(made.shape))
    if len(made.shape) > limit and len({graph.tensors[index].shape for index in operation.inputs}) > 1:
        return f"stops tflite-runtime 2.14 ({made.name}: it broadcasts over more than {limit} dimensions)"
    return _INT8_FAILS.get(operation.name, "")
