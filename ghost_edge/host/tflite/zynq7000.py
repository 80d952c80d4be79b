"""Check a .tflite for operations that tflite-runtime 2.14, the only interpreter for a Zynq-7000, does not run."""

from __future__ import annotations

from ghost_edge.core.errors import ConversionError
from ghost_edge.core.targets import TARGETS
from ghost_edge.host.tflite.graph import Model, Operation

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
