"""Round each weight up or down so that the errors of a layer's weights cancel on what the layer really sees."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.host.quantization.bias_correction import taps
from ghost_edge.host.tflite.activations import Inputs, Say, activations
from ghost_edge.host.tflite.edit import WEIGHTED, Flat, Op
from ghost_edge.host.tflite.graph import read_model

Floats = NDArray[np.float64]
_POSITIONS = 64  # of one layer's output in one image
_DAMPING = 0.01  # of the mean variance, added to that of each input
_LIMIT = 127
_DEPTHWISE = "DEPTHWISE_CONV_2D"


def observe_covariances(tflite: Path, inputs: Inputs, say: Say) -> dict[str, Floats]:
    """Covariance of what each layer multiplies its weights by, float64 [groups, n, n] by the name of its output.

    A depthwise layer has a group for each channel, n being its taps; any other layer has one. Raises as observe().
    """
    flat = Flat(tflite.read_bytes())
    readers: dict[str, list[Op]] = {}
    for op in flat.ops:
        if op.name in WEIGHTED and _is_plain(flat, op):
            readers.setdefault(flat.name(op.inputs[0]), []).append(op)
    sums: dict[str, tuple[int, Floats, Floats]] = {}
    for name, values in activations(tflite, read_model(tflite), inputs, say):
        for op in readers.get(name, ()):
            rows, output = _rows(flat, op, values), flat.name(op.output)
            count, first, second = sums.get(output, (0, np.zeros(1), np.zeros(1)))
            sums[output] = count + rows.shape[1], first + rows.sum(1), second + np.swapaxes(rows, 1, 2) @ rows
    means = {name: first / count for name, (count, first, _) in sums.items()}
    return {
        name: second / count - means[name][:, :, None] * means[name][:, None, :]
        for name, (count, _, second) in sums.items()
    }


def adapt_rounding(float_tflite: bytes, quantized: bytes, covariances: Mapping[str, Floats]) -> bytes:
    """The quantized file with int8 weights rounded with regard to each other; scales stay.

    The problem is AdaRound's (Nagel et al., ICML 2020, equation 9): least squared error of a layer's output. It is
    solved in closed form (Frantar et al., GPTQ, ICLR 2023) instead of by gradients. What the error is in the mean is
    left to the correction of biases.
    """
    before, after = Flat(float_tflite), Flat(quantized)
    twins = {after.name(op.output): op for op in after.ops}
    for op in before.ops:
        name = before.name(op.output)
        if name not in covariances or after.values(twins[name].inputs[1]).dtype != np.int8:
            continue  # left in float
        codes, scale = after.values(twins[name].inputs[1]), after.scale(twins[name].inputs[1])
        weights = before.values(op.inputs[1]).astype(np.float64)
        if op.name == _DEPTHWISE:
            rows = weights.reshape(-1, 1, weights.shape[-1]).T
            rounded = round_weights(rows, scale.reshape(-1, 1), covariances[name])[:, 0].T
        else:
            rows = weights.reshape(1, len(weights), -1)
            rounded = round_weights(rows, np.resize(scale, rows.shape[:2]), covariances[name])
        codes[:] = rounded.reshape(codes.shape)
    return bytes(after.content)


def round_weights(weights: Floats, scale: Floats, covariance: Floats) -> NDArray[np.int8]:
    """Codes of weights [groups, outputs, n] at scale [groups, outputs], for inputs of covariance [groups, n, n].

    One input after the other, the loudest first: what rounding its weights loses is taken up by those that follow.
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


def _is_plain(flat: Flat, op: Op) -> bool:
    """No groups, and one output a channel where it is depthwise."""
    enters = flat.shape(op.inputs[0])[-1]
    return (
        op.name == "FULLY_CONNECTED" or enters == flat.shape(op.output if op.name == _DEPTHWISE else op.inputs[1])[-1]
    )


def _rows(flat: Flat, op: Op, values: NDArray[Any]) -> Floats:
    """What the weights are multiplied by at some positions of the output: [groups, positions, n]."""
    if op.name == "FULLY_CONNECTED":
        return values.reshape(1, -1, flat.shape(op.inputs[1])[-1]).astype(np.float64)
    seen = [tap.reshape(-1, tap.shape[-1]) for tap in taps(flat, op, values[0])]
    every = -(-len(seen[0]) // _POSITIONS)
    rows = np.stack([tap[::every] for tap in seen], axis=1).astype(np.float64)  # [positions, taps, C]
    return np.moveaxis(rows, 2, 0) if op.name == _DEPTHWISE else rows.reshape(1, len(rows), -1)
