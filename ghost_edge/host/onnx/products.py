"""Write the TFLite operations that sum products as ONNX nodes that round as they do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.host.onnx.builder import TO_NCHW, Draft
from ghost_edge.host.tflite.graph import Operation

_COARSE = 2.0**-8  # of a multiplier: above, the second rounding moves more than 0.1 % of the values
_APART = 0.01  # share of an operation's values that may differ by 1 LSB


def convolution(draft: Draft, op: Operation) -> None:
    """Write CONV_2D or DEPTHWISE_CONV_2D, together with a PAD in front that no other operation reads."""
    source, paddings = draft.padded.get(op.inputs[0], (op.inputs[0], np.zeros((4, 2), np.int64)))
    depthwise = op.name == "DEPTHWISE_CONV_2D"
    filters = draft.values(op, 1).transpose((3, 0, 1, 2) if depthwise else TO_NCHW)
    around = np.reshape(pads(draft, op, filters.shape[2:]), (2, 2)) + paddings[1:3].T
    draft.finish(
        op,
        "Conv",
        [draft.real(source), *_weights(draft, op, source, filters)],
        early=_sum_distance(draft, op, source),
        group=draft.shape(source)[3] // filters.shape[1],
        strides=op.stride,
        dilations=op.dilation,
        pads=around.ravel().tolist(),
    )


def fully_connected(draft: Draft, op: Operation) -> None:
    """Write FULLY_CONNECTED for an input of any rank."""
    weights, source = draft.values(op, 1), op.inputs[0]
    rows = math.prod(draft.shape(source)) // weights.shape[1]
    inputs = [draft.real(source, (rows, weights.shape[1])), *_weights(draft, op, source, weights)]
    draft.finish(op, "Gemm", inputs, (rows, len(weights)), transB=1)


def _weights(draft: Draft, op: Operation, source: int, arranged: NDArray[Any]) -> list[str]:
    """Return weights, output channels first, and the bias in TFLite's units: input scale times weight scale."""
    name, parts = draft.names[op.inputs[1]], draft.scales(op.inputs[1])
    scale, zero_point = (each if len(each) > 1 else each[0] for each in parts)
    parameters = [
        draft.constant(f"{name}:scale", scale),
        draft.constant(f"{name}:zero_point", np.broadcast_to(zero_point, scale.shape).astype(arranged.dtype)),
    ]
    stored = draft.constant(name, arranged)
    inputs = [draft.node("DequantizeLinear", [stored, *parameters], f"{name}:real", axis=0)]
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        bias, made = draft.names[op.inputs[2]], draft.names[op.outputs[0]]
        units = draft.scale(source)[0] * scale
        stored = draft.constant(bias, draft.values(op, 2))
        if op.name != "FULLY_CONNECTED" and (steps := _steps_early(draft, op, source)).any():
            stored = draft.node("Add", [stored, draft.constant(f"{made}:steps", steps)], f"{made}:bias_early")
        parameters = [stored, draft.constant(f"{made}:bias_scale", units)]
        inputs.append(draft.node("DequantizeLinear", parameters, f"{made}:bias", axis=0))
    return inputs


def _multiplier(draft: Draft, op: Operation, source: int) -> NDArray[np.float32]:
    """Return the factor from a sum of products to LSB of the output: one, or one a channel."""
    made: NDArray[np.float32] = draft.scale(source)[0] * draft.scales(op.inputs[1])[0] / draft.scale(op.outputs[0])[0]
    return made


def _steps_early(draft: Draft, op: Operation, source: int) -> NDArray[np.int32]:
    """Return what to add to the sum so that halves are rounded where TFLite rounds them, int32 as _multiplier().

    TFLite rounds the product with the multiplier, m * 2**-n with m in [0.5, 1), to 2**-n and then to a whole number
    (gemmlowp): all from 0.5 - 2**-n / 2 on goes up, 0.5 / m units of the sum early. In outputs that are never negative
    one unit is closer to that than none. Its FULLY_CONNECTED rounds once, which is what was measured.
    """
    multiplier = _multiplier(draft, op, source)
    if not _is_never_negative(draft, op) or _sum_distance(draft, op, source):
        return np.zeros(len(multiplier), np.int32)
    return ((multiplier >= _COARSE) & (multiplier < 0.5)).astype(np.int32)


def _is_never_negative(draft: Draft, op: Operation) -> bool:
    return draft.limits(op)[0] >= int(draft.scale(op.outputs[0])[1])


def _sum_distance(draft: Draft, op: Operation, source: int) -> float:
    """Return how early halves go up, in units of the output, where a whole unit of the sum is too coarse; else 0.

    The products are then summed as floats, which takes longer, and else in integers. Such layers occur in files with
    per-tensor weight scales, which nobody makes any more.
    """
    multiplier = _multiplier(draft, op, source)
    if len(multiplier) > 1:
        return 0.0
    missed = math.frexp(multiplier[0])[0] - 0.5 if _is_never_negative(draft, op) else 0.5
    return rounding_distance(draft, op, multiplier[0], missed)


def rounding_distance(draft: Draft, op: Operation, multiplier: np.float32, missed: float = 0.5) -> float:
    """Return how early rounding away from zero begins, in units of the output; 0 where that hardly shows.

    missed: share of the values that would differ by 1 LSB, in parts of the multiplier's power of two.
    """
    exponent = math.frexp(multiplier)[1]
    if exponent >= 0 or missed * 2.0**exponent <= _APART:
        return 0.0
    return float(draft.scale(op.outputs[0])[0]) * 2.0 ** (exponent - 1)


def pads(draft: Draft, op: Operation, kernel: Sequence[int]) -> list[int]:
    """Return the padding of a window: rows and columns before, then after."""
    if op.padding == "valid":
        return [0, 0, 0, 0]
    sizes = zip(draft.shape(op.inputs[0])[1:3], draft.shape(op.outputs[0])[1:3], kernel, op.stride, op.dilation)
    total = [max((made - 1) * step + (size - 1) * dilation + 1 - had, 0) for had, made, size, step, dilation in sizes]
    return [each // 2 for each in total] + [each - each // 2 for each in total]
