"""Sizes of the C++ structs that TFLite Micro 90b983c2 (2026-08-20, reference kernels) keeps in its arena."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

Layout = tuple[int, int]  # size and alignment, in bytes


@dataclasses.dataclass(frozen=True)
class Persistent:
    """Structs that an operation keeps in the arena's tail: names in STRUCTS, "" for none.

    params: its options; op_data: values that its kernel computes ahead. twice: inputs that the kernel fetches twice
    while it prepares, then its output too; TFLite Micro holds all that a kernel fetches until it has prepared.
    """

    params: str = ""
    op_data: str = ""
    twice: tuple[int, ...] = ()


# 32-bit as arm-none-eabi builds it: an enum takes one byte there and four on 64-bit
STRUCTS: Mapping[str, tuple[Layout, Layout]] = {
    "SingleArenaBufferAllocator": ((36, 4), (72, 8)),
    "GreedyMemoryPlanner": ((44, 4), (72, 8)),
    "MicroAllocator": ((36, 4), (72, 8)),
    "SubgraphAllocations": ((8, 4), (16, 8)),
    "ScratchBufferHandle": ((4, 4), (8, 8)),
    "NodeAndRegistration": ((32, 4), (64, 8)),
    "AllocationInfo": ((24, 4), (32, 8)),
    "TfLiteTensor": ((32, 4), (64, 8)),
    "TfLiteEvalTensor": ((12, 4), (24, 8)),
    "TfLiteAffineQuantization": ((12, 4), (24, 8)),
    "ScratchBufferRequest": ((12, 4), (16, 8)),
    "TfLiteConvParams": ((28, 4), (28, 4)),
    "TfLiteDepthwiseConvParams": ((28, 4), (28, 4)),
    "TfLiteAddParams": ((2, 1), (8, 4)),
    "TfLiteMulParams": ((1, 1), (4, 4)),
    "TfLiteSubParams": ((2, 1), (8, 4)),
    "TfLiteReducerParams": ((1, 1), (1, 1)),
    "TfLiteConcatenationParams": ((8, 4), (8, 4)),
    "TfLiteFullyConnectedParams": ((5, 1), (16, 4)),
    "TfLiteSoftmaxParams": ((4, 4), (4, 4)),
    "TfLiteStridedSliceParams": ((24, 4), (24, 4)),
    "TfLitePoolParams": ((40, 4), (40, 4)),
    "TfLiteReshapeParams": ((36, 4), (36, 4)),
    "TfLitePackParams": ((8, 4), (8, 4)),
    "TfLiteSplitParams": ((4, 4), (4, 4)),
    "OpDataConv": ((56, 4), (72, 8)),
    "OpDataAdd": ((60, 4), (60, 4)),
    "OpDataMul": ((36, 4), (36, 4)),
    "OpDataReduce": ((44, 4), (44, 4)),
    "OpDataFullyConnected": ((48, 4), (64, 8)),
    "SoftmaxParams": ((56, 8), (80, 8)),
    "CatOpData": ((24, 4), (40, 8)),
    "StridedSliceParams": ((84, 4), (84, 4)),
    "ReluOpData": ((28, 4), (28, 4)),
    "Relu6OpData": ((8, 4), (8, 4)),
    "OpDataPooling": ((32, 4), (32, 4)),
    "HardSwishParams": ((20, 4), (20, 4)),
    "OpDataLogistic": ((16, 4), (16, 4)),
    "OpDataSub": ((52, 4), (52, 4)),
    "OpDataQuantizeReference": ((32, 8), (32, 8)),
    "DequantizeOpData": ((32, 8), (32, 8)),
    "PadParams": ((52, 4), (52, 4)),
    "LeakyReluOpData": ((24, 4), (24, 4)),
    # derived from their fields; the 64-bit sizes agree with the records of the package `tflite-micro`
    "MicroBuiltinDataAllocator": ((8, 4), (16, 8)),  # virtual table, allocator
    "PreluParams": ((28, 4), (28, 4)),  # 7 numbers
    "OpDataAbsRsqrt": ((20, 4), (28, 4)),  # 4 numbers, a flag, 2 enums
    "TransposeConvOpData": ((72, 4), (80, 8)),  # 56 of ConvParams, 2 numbers, 2 pointers
    "TfLiteLeakyReluParams": ((4, 4), (4, 4)),
    "TfLiteResizeParams": ((2, 1), (2, 1)),  # 2 flags, of either kind
    "TfLiteGatherParams": ((8, 4), (8, 4)),
    "TfLiteUnpackParams": ((8, 4), (8, 4)),
    "TfLiteSpaceToDepthParams": ((4, 4), (4, 4)),
    "TfLiteArgMaxParams": ((1, 1), (4, 4)),  # an enum
    "TfLiteTransposeConvParams": ((16, 4), (20, 4)),  # 3 enums, 2 numbers
}

# operations in one row have one kernel, or one kind of it
_ROWS: Mapping[tuple[str, ...], Persistent] = {
    ("CONV_2D",): Persistent("TfLiteConvParams", "OpDataConv", twice=(0, 1)),
    ("DEPTHWISE_CONV_2D",): Persistent("TfLiteDepthwiseConvParams", "OpDataConv", twice=(0, 1)),
    ("TRANSPOSE_CONV",): Persistent("TfLiteTransposeConvParams", "TransposeConvOpData", twice=(1, 2)),
    ("FULLY_CONNECTED",): Persistent("TfLiteFullyConnectedParams", "OpDataFullyConnected"),
    ("ADD",): Persistent("TfLiteAddParams", "OpDataAdd"),
    ("SUB",): Persistent("TfLiteSubParams", "OpDataSub"),
    ("MUL",): Persistent("TfLiteMulParams", "OpDataMul"),
    ("MAXIMUM", "MINIMUM", "NEG", "EXPAND_DIMS", "TRANSPOSE", "SLICE"): Persistent(),
    ("CONCATENATION",): Persistent("TfLiteConcatenationParams", "CatOpData"),
    ("MEAN", "SUM", "REDUCE_MAX"): Persistent("TfLiteReducerParams", "OpDataReduce", twice=(0, 1)),
    ("AVERAGE_POOL_2D", "MAX_POOL_2D"): Persistent("TfLitePoolParams", "OpDataPooling"),
    ("SOFTMAX",): Persistent("TfLiteSoftmaxParams", "SoftmaxParams"),
    ("LOGISTIC", "TANH"): Persistent(op_data="OpDataLogistic"),
    ("HARD_SWISH",): Persistent(op_data="HardSwishParams"),
    ("RELU",): Persistent(op_data="ReluOpData"),
    ("RELU6",): Persistent(op_data="Relu6OpData"),
    ("LEAKY_RELU",): Persistent("TfLiteLeakyReluParams", "LeakyReluOpData"),
    ("PRELU",): Persistent(op_data="PreluParams"),
    ("ABS",): Persistent(op_data="OpDataAbsRsqrt"),
    ("RESHAPE", "SQUEEZE"): Persistent("TfLiteReshapeParams"),
    ("PAD", "PADV2"): Persistent(op_data="PadParams"),
    ("STRIDED_SLICE",): Persistent("TfLiteStridedSliceParams", "StridedSliceParams"),
    ("SPLIT", "SPLIT_V"): Persistent("TfLiteSplitParams"),
    ("PACK",): Persistent("TfLitePackParams"),
    ("UNPACK",): Persistent("TfLiteUnpackParams"),
    ("GATHER",): Persistent("TfLiteGatherParams"),
    ("DEPTH_TO_SPACE", "SPACE_TO_DEPTH"): Persistent("TfLiteSpaceToDepthParams"),
    ("ARG_MAX",): Persistent("TfLiteArgMaxParams"),
    ("RESIZE_NEAREST_NEIGHBOR", "RESIZE_BILINEAR"): Persistent("TfLiteResizeParams"),
    ("QUANTIZE",): Persistent(op_data="OpDataQuantizeReference"),
    ("DEQUANTIZE",): Persistent(op_data="DequantizeOpData"),
}
OPS = {name: kept for names, kept in _ROWS.items() for name in names}
