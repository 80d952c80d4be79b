"""Sizes of the C++ structs that TFLite Micro 90b983c2 (2026-08-20, reference kernels) keeps in its arena."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from types import MappingProxyType

Layout = tuple[int, int]  # size and alignment, in bytes


@dataclasses.dataclass(frozen=True)
class Bookkeeping:
    """What an operation keeps in the arena: names in STRUCTS, "" where it keeps none.

    params: its options; op_data: what its kernel precomputes. twice: inputs that its kernel fetches twice while it
    prepares, its output too then; TFLite Micro holds all that a kernel fetches until it has prepared.
    """

    params: str = ""
    op_data: str = ""
    twice: tuple[int, ...] = ()


# 32-bit as arm-none-eabi builds it: an enum takes one byte there and four on 64-bit
STRUCTS: Mapping[str, tuple[Layout, Layout]] = MappingProxyType(
    {
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
        # derived from their fields, the 64-bit size found again in what the package `tflite-micro` records
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
)

_REDUCE = Bookkeeping("TfLiteReducerParams", "OpDataReduce", twice=(0, 1))
_POOL = Bookkeeping("TfLitePoolParams", "OpDataPooling")
_RESIZE = Bookkeeping("TfLiteResizeParams")
_BLOCKS = Bookkeeping("TfLiteSpaceToDepthParams")
_LOGISTIC = Bookkeeping(op_data="OpDataLogistic")
_PAD = Bookkeeping(op_data="PadParams")

OPS: Mapping[str, Bookkeeping] = MappingProxyType(
    {
        "CONV_2D": Bookkeeping("TfLiteConvParams", "OpDataConv", twice=(0, 1)),
        "DEPTHWISE_CONV_2D": Bookkeeping("TfLiteDepthwiseConvParams", "OpDataConv", twice=(0, 1)),
        "TRANSPOSE_CONV": Bookkeeping("TfLiteTransposeConvParams", "TransposeConvOpData", twice=(1, 2)),
        "FULLY_CONNECTED": Bookkeeping("TfLiteFullyConnectedParams", "OpDataFullyConnected"),
        "ADD": Bookkeeping("TfLiteAddParams", "OpDataAdd"),
        "SUB": Bookkeeping("TfLiteSubParams", "OpDataSub"),
        "MUL": Bookkeeping("TfLiteMulParams", "OpDataMul"),
        "MAXIMUM": Bookkeeping(),
        "MINIMUM": Bookkeeping(),
        "CONCATENATION": Bookkeeping("TfLiteConcatenationParams", "CatOpData"),
        "MEAN": _REDUCE,
        "SUM": _REDUCE,
        "REDUCE_MAX": _REDUCE,
        "AVERAGE_POOL_2D": _POOL,
        "MAX_POOL_2D": _POOL,
        "SOFTMAX": Bookkeeping("TfLiteSoftmaxParams", "SoftmaxParams"),
        "LOGISTIC": _LOGISTIC,
        "TANH": _LOGISTIC,
        "HARD_SWISH": Bookkeeping(op_data="HardSwishParams"),
        "RELU": Bookkeeping(op_data="ReluOpData"),
        "RELU6": Bookkeeping(op_data="Relu6OpData"),
        "LEAKY_RELU": Bookkeeping("TfLiteLeakyReluParams", "LeakyReluOpData"),
        "PRELU": Bookkeeping(op_data="PreluParams"),
        "ABS": Bookkeeping(op_data="OpDataAbsRsqrt"),
        "NEG": Bookkeeping(),
        "RESHAPE": Bookkeeping("TfLiteReshapeParams"),
        "SQUEEZE": Bookkeeping("TfLiteReshapeParams"),
        "EXPAND_DIMS": Bookkeeping(),
        "TRANSPOSE": Bookkeeping(),
        "PAD": _PAD,
        "PADV2": _PAD,
        "SLICE": Bookkeeping(),
        "STRIDED_SLICE": Bookkeeping("TfLiteStridedSliceParams", "StridedSliceParams"),
        "SPLIT": Bookkeeping("TfLiteSplitParams"),
        "SPLIT_V": Bookkeeping("TfLiteSplitParams"),
        "PACK": Bookkeeping("TfLitePackParams"),
        "UNPACK": Bookkeeping("TfLiteUnpackParams"),
        "GATHER": Bookkeeping("TfLiteGatherParams"),
        "DEPTH_TO_SPACE": _BLOCKS,
        "SPACE_TO_DEPTH": _BLOCKS,
        "ARG_MAX": Bookkeeping("TfLiteArgMaxParams"),
        "RESIZE_NEAREST_NEIGHBOR": _RESIZE,
        "RESIZE_BILINEAR": _RESIZE,
        "QUANTIZE": Bookkeeping(op_data="OpDataQuantizeReference"),
        "DEQUANTIZE": Bookkeeping(op_data="DequantizeOpData"),
    }
)
