"""Adaptive rounding: round each weight up or down so that errors cancel on the inputs that the layer really gets."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.host.quantization.bias_correction import taps
from ghost_edge.host.tflite.activations import Count, Inputs, activations, ignore
from ghost_edge.host.tflite.edit import replace_values
from ghost_edge.host.tflite.graph import WEIGHTED, Model, Operation

Floats = NDArray[np.float64]
_POSITIONS = 64  # of one layer's output in one image
_DAMPING = 0.01  # of the mean variance, added to that of each input
_LIMIT = 127
_DEPTHWISE = "DEPTHWISE_CONV_2D"


def observe_covariances(model: Model, inputs: Inputs, say: Count = ignore) -> dict[str, Floats]:
    """Return the covariance of each layer's inputs, float64 [groups, n, n] by the name of the layer's output.

    A depthwise layer has a group for each channel, n being its taps; any other layer has one. Raises as observe().
    """
    readers: dict[str, list[Operation]] = {}
    for op in model.operations:
        if op.name in WEIGHTED and _is_plain(model, op):
            readers.setdefault(model.tensors[op.inputs[0]].name, []).append(op)
    sums: dict[str, tuple[int, Floats, Floats]] = {}
    for name, values in activations(model, inputs, say):
        for op in readers.get(name, ()):
            rows, output = _rows(model, op, values), model.tensors[op.output].name
            count, first, second = sums.get(output, (0, np.zeros(1), np.zeros(1)))
            sums[output] = count + rows.shape[1], first + rows.sum(1), second + np.swapaxes(rows, 1, 2) @ rows
    means = {name: first / count for name, (count, first, _) in sums.items()}
    return {
        name: second / count - means[name][:, :, None] * means[name][:, None, :]
        for name, (count, _, second) in sums.items()
    }


def adapt_rounding(source: Model, quantized: Model, covariances: Mapping[str, Floats]) -> bytes:
    """Return the quantized file with int8 weights rounded with regard to each other; scales stay.

    The problem is AdaRound's (Nagel et al., ICML 2020, equation 9, arXiv 2004.10568): least squared error of a layer's
    output. It is solved in closed form (Frantar et al., GPTQ, ICLR 2023, arXiv 2210.17323) instead of by gradients. The
    mean of the error is left to bias correction.
    """
    stored = {quantized.tensors[op.output].name: op for op in quantized.operations}
    made: dict[int, NDArray[np.int8]] = {}
    for op in source.operations:
        name = source.tensors[op.output].name
        if name not in covariances:
            continue
        codes = quantized.tensors[stored[name].inputs[1]]
        if codes.values is None or codes.values.dtype != np.int8:
            continue  # left in float
        scale, weights = codes.scale.astype(np.float64), source.values(op.inputs[1]).astype(np.float64)
        if op.name == _DEPTHWISE:
            rows = weights.reshape(-1, 1, weights.shape[-1]).T
            rounded = round_weights(rows, scale.reshape(-1, 1), covariances[name])[:, 0].T
        else:
            rows = weights.reshape(1, len(weights), -1)
            rounded = round_weights(rows, np.resize(scale, rows.shape[:2]), covariances[name])
        made[codes.index] = rounded.reshape(codes.shape)
    return replace_values(quantized, made)


def round_weights(weights: Floats, scale: Floats, covariance: Floats) -> NDArray[np.int8]:
    """Return int8 codes of weights [groups, outputs, n] at scale [groups, outputs]; covariance: [groups, n, n].

    The inputs follow each other by variance, largest first: later weights make up for the error of earlier ones.
    """
    count = weights.shape[2]
    order = np.argsort(-np.diagonal(covariance, axis1=1, axis2=2), axis=1)
    rest = np.take_along_axis(weights, order[:, None], axis=2)
    variance = np.trace(covariance, axis1=1, axis2=2)[:, None, None] / count
    damped = covariance + (_DAMPING * variance + 1e-12) * np.eye(count)
    sorted_ = np.take_along_axis(np.take_along_axis(damped, order[:, :, None], axis=1), order[:, None], axis=2)
    spread = np.swapaxes(np.linalg.cholesky(np.linalg.inv(sorted_)), 1, 2)
    codes = np.zeros_like(rest)
    for column in range(count):
        codes[..., column] = np.clip(np.rint(rest[..., column] / scale), -_LIMIT, _LIMIT)
        lost = (rest[..., column] - codes[..., column] * scale) / spread[:, column, column, None]
        rest[..., column + 1 :] -= lost[..., None] * spread[:, None, column, column + 1 :]
    return np.take_along_axis(codes, np.argsort(order, axis=1)[:, None], axis=2).astype(np.int8)


def _is_plain(model: Model, op: Operation) -> bool:
    """Return True for a layer without groups that, if depthwise, has one output a channel."""
    enters = model.tensors[op.inputs[0]].shape[-1]
    leaves = model.tensors[op.output if op.name == _DEPTHWISE else op.inputs[1]].shape[-1]
    return op.name == "FULLY_CONNECTED" or enters == leaves


def _rows(model: Model, op: Operation, values: NDArray[Any]) -> Floats:
    """Return the inputs of the weights at some positions of the output: float64 [groups, positions, n]."""
    if op.name == "FULLY_CONNECTED":
        return values.reshape(1, -1, model.tensors[op.inputs[1]].shape[-1]).astype(np.float64)
    seen = [tap.reshape(-1, tap.shape[-1]) for tap in taps(model, op, values[0])]
    every = -(-len(seen[0]) // _POSITIONS)
    rows = np.stack([tap[::every] for tap in seen], axis=1).astype(np.float64)  # [positions, taps, C]
    return np.moveaxis(rows, 2, 0) if op.name == _DEPTHWISE else rows.reshape(1, len(rows), -1)
