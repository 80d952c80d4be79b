"""Operations that TFLite Micro runs, and the rules of its kernels."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path

import numpy as np

from ghost_edge.core.errors import ConversionError
from ghost_edge.host.tflite.graph import Model, Operation

REVISION = "90b983c2 (2026-08-20)"  # of TFLite Micro, whose table and struct sizes these are
# MicroMutableOpResolver has a method for each; CUSTOM operations are the user's
_KNOWN = frozenset(
    """ABS ADD ADD_N ARG_MAX ARG_MIN ASSIGN_VARIABLE AVERAGE_POOL_2D BATCH_MATMUL BATCH_TO_SPACE_ND BROADCAST_ARGS
    BROADCAST_TO CALL_ONCE CAST CEIL CONCATENATION CONV_2D COS CUMSUM DEPTH_TO_SPACE DEPTHWISE_CONV_2D DEQUANTIZE DIV
    DYNAMIC_UPDATE_SLICE EMBEDDING_LOOKUP ELU EQUAL EXP EXPAND_DIMS FILL FLOOR FLOOR_DIV FLOOR_MOD FULLY_CONNECTED
    GATHER GATHER_ND GREATER GREATER_EQUAL HARD_SWISH IF L2_NORMALIZATION L2_POOL_2D LEAKY_RELU LESS LESS_EQUAL LOG
    LOGICAL_AND LOGICAL_NOT LOGICAL_OR LOGISTIC LOG_SOFTMAX MAXIMUM MAX_POOL_2D MIRROR_PAD MEAN MINIMUM MUL NEG
    NOT_EQUAL PACK PAD PADV2 PRELU QUANTIZE READ_VARIABLE REDUCE_ALL REDUCE_MAX REDUCE_MIN RELU RELU6 RESHAPE
    RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR REVERSE_V2 ROUND RSQRT SELECT_V2 SHAPE SIN SLICE SOFTMAX
    SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQUEEZE SQRT SQUARE SQUARED_DIFFERENCE STRIDED_SLICE SUB SUM SVDF
    TANH TRANSPOSE_CONV TRANSPOSE UNPACK UNIDIRECTIONAL_SEQUENCE_LSTM VAR_HANDLE WHILE ZEROS_LIKE""".split()  # noqa: SIM905
)
_SPELT = {
    "BATCH_MATMUL": "BatchMatMul",
    "CUMSUM": "CumSum",
    "PADV2": "PadV2",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "UnidirectionalSequenceLSTM",
}
_MOST_JOINED = 10  # inputs of a CONCATENATION
_WEIGHTED = ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV")


def add_method(operation: str) -> str:
    """Return the method of MicroMutableOpResolver that registers a builtin: AddConv2D for CONV_2D."""
    words = (word if word[0].isdigit() else word.capitalize() for word in operation.split("_"))
    return f"Add{_SPELT.get(operation) or ''.join(words)}"


def check_deployable(graph: Model) -> None:
    """Raise ConversionError where TFLite Micro does not run a model.

    The message names the first such operation, its outputs, the reason and what to change.
    """
    name = Path(graph.name).name
    if graph.subgraphs != 1 or len(graph.inputs) != 1:
        raise ConversionError(
            f"{name} has {len(graph.inputs)} inputs in {graph.subgraphs} subgraphs; a kit is for one input "
            "and no branches: split the network"
        )
    for number, op in enumerate(graph.operations):
        reason = _reason(graph, op)
        if reason:
            made = ", ".join(graph.tensors[index].name for index in op.outputs)
            raise ConversionError(f"{name}: TFLite Micro does not run operation {number}, {op.name} {made}: {reason}")


def _reason(graph: Model, op: Operation) -> str:
    """Return why TFLite Micro does not run an operation, and what to do; empty: it does."""
    if op.name not in _KNOWN:
        return "it has no such operation; replace it in the network"
    if op.name in _WEIGHTED:
        given, weights = (graph.tensors[index].dtype for index in op.inputs[:2])
        if given == "float32" and weights != "float32":
            return 'it has no kernels for int8 weights with float activations; quantize with kind = "int8"'
        if given == "uint8":
            return "it has no kernels for uint8 activations and weights; quantize to int8, or convert the network again"
    computing = op.name not in ("QUANTIZE", "DEQUANTIZE")
    if computing and any(graph.tensors[index].dtype.startswith("float") for index in op.outputs):
        return 'it computes in float, and the kit is for integers; quantize with kind = "int8"'
    rule = _RULES.get(op.name)
    return rule(graph, op) if rule else ""


def _scale(graph: Model, index: int) -> tuple[float, int] | None:
    tensor = graph.tensors[index]
    return (float(tensor.scale[0]), int(tensor.zero_point[0])) if len(tensor.scale) else None


def _concatenation(graph: Model, op: Operation) -> str:
    made = _scale(graph, op.output)
    if len(op.inputs) > _MOST_JOINED:
        return f"it joins {len(op.inputs)} tensors, at most {_MOST_JOINED} can be; join in two steps"
    if op.activation != "NONE":
        return "an activation is fused into it; put the activation before the concatenation"
    other = next((index for index in op.inputs if _scale(graph, index) != made), None)
    if other is None:
        return ""
    return (
        f"{graph.tensors[other].name} has another scale or zero point than the output; quantize with ghost-edge, "
        "which gives them one"
    )


def _constant(what: str, *places: int) -> Callable[[Model, Operation], str]:
    def rule(graph: Model, op: Operation) -> str:
        is_constant = all(graph.tensors[op.inputs[place]].constant for place in places)
        return "" if is_constant else f"its {what} must be constant; compute them when the network is built"

    return rule


def _hard_swish(graph: Model, op: Operation) -> str:
    given, made = (_scale(graph, index) for index in (op.inputs[0], op.output))
    if given is None or made is None:
        return 'its input or output has no scale; quantize with kind = "int8"'
    # as its Prepare() computes it: in float32, and the exponent of m * 2**e with m in [0.5, 1)
    ratio = np.float32(given[0]) / np.float32(128) / np.float32(made[0])
    if math.frexp(float(ratio))[1] <= 0:
        return ""
    return "its output scale is under 1/128 of its input scale; calibrate again, with real images"


_RULES: dict[str, Callable[[Model, Operation], str]] = {
    "CONCATENATION": _concatenation,
    "STRIDED_SLICE": _constant("begin, end and strides", 1, 2, 3),
    "SLICE": _constant("begin and size", 1, 2),
    "PAD": _constant("paddings", 1),
    "PADV2": _constant("paddings", 1),
    "HARD_SWISH": _hard_swish,
}
