"""INT32 biases of the quantized file: all in range, and with the mean error that rounded weights make added."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.host.tflite.edit import pack, replace_values, set_constant
from ghost_edge.host.tflite.graph import WEIGHTED, Model, Operation, Tensor, by_row, unpack

Floats = NDArray[np.float64]
_LARGEST = 2.0**30  # of a bias: as much again is left for sums and for the correction


def correct_biases(source: Model, quantized: Model, means: Mapping[str, Floats]) -> bytes:
    """Return the quantized file with biases such that rounded weights shift no channel's mean, given float inputs.

    source: the float model; means: the mean of each activation over images, float64 [1, ...] by name. The method is
    that of Nagel et al. (ICCV 2019, section 4.2, arXiv 1906.04721), each layer with float inputs. With the inputs that
    the int8 file computes, all layers corrected at once diverge, because each repairs the same shift again; corrected
    one after the other they take twenty times as long and reach 28.4 dB, not 29.1, on ghostnet_cifar10.
    """
    biases: dict[int, NDArray[Any]] = {}  # by place in the file: layers may share one
    for op, given, weights, bias in _with_bias(source, quantized):
        enters = source.tensors[op.inputs[0]].name
        if enters not in means or weights.dtype != "int8":
            continue
        scale = weights.scale.astype(np.float64)
        lost = source.values(op.inputs[1]) - quantized.values(weights.index) * by_row(op, scale)
        shift = mean_output(source, op, lost, means[enters])
        unit = given.scale.astype(np.float64) * scale
        before = biases.get(bias.offset, quantized.values(bias.index))
        biases[bias.offset] = before + np.rint(shift / unit).astype(np.int64)
    changed = {each.index: biases[each.offset] for each in quantized.tensors if each.constant and each.offset in biases}
    return replace_values(quantized, changed)


def fit_biases(source: Model, quantized: Model) -> bytes:
    """Return the quantized file with a larger weight scale in channels whose bias is beyond INT32.

    Weights that training drove to zero get a scale so small that their bias overflows, and changes its sign: 2e-13 in
    the MLPerf Tiny person detector. Such a channel answers its bias; its weights round to zero.
    source: the float model.
    """
    pairs = _with_bias(source, quantized)
    layers = [each for each in pairs if each[3].dtype == "int32" and len(each[0].given) > 2]
    scales: dict[int, Floats] = {}  # by tensor of weights: layers may share one, and then its scale
    for op, given, weights, _ in layers:
        least = np.abs(source.values(op.inputs[2])) / (given.scale.astype(np.float64) * _LARGEST)
        scales[weights.index] = np.maximum(scales.get(weights.index, weights.scale), least.astype(np.float32))
    small = {each.index for _, _, each, _ in layers if (scales[each.index] > each.scale).any()}
    if not small:
        return quantized.content
    model = unpack(quantized.content)
    for op, given, weights, bias in layers:
        if weights.index in small:
            scale = scales[weights.index].astype(np.float64)
            unit = given.scale.astype(np.float64) * scale
            rounded = np.rint(source.values(op.inputs[1]) / by_row(op, scale)).clip(-127, 127)
            set_constant(model, weights.index, rounded, scale)
            set_constant(model, bias.index, np.rint(source.values(op.inputs[2]) / unit), unit)
    return pack(model)


def _with_bias(source: Model, quantized: Model) -> Iterator[tuple[Operation, Tensor, Tensor, Tensor]]:
    """Yield each weighted layer of the float model with input, weights and bias of the quantized one's, if constant."""
    stored = {quantized.tensors[op.output].name: op for op in quantized.operations}
    for op in source.operations:
        made = stored.get(source.tensors[op.output].name)
        if op.name in WEIGHTED and made is not None and len(made.given) > 2:
            given, weights, bias = (quantized.tensors[index] for index in made.inputs[:3])
            if weights.constant and bias.constant:
                yield op, given, weights, bias


def mean_output(model: Model, op: Operation, weights: Floats, values: Floats) -> Floats:
    """Return the mean over all positions of what these weights make of values: float64 [outputs]."""
    if op.name == "FULLY_CONNECTED":
        return np.asarray(values.reshape(-1, weights.shape[1]).mean(0) @ weights.T)
    # what each tap of the kernel sees on the mean over the output's positions, [height, width, C]
    seen = [tap.mean((0, 1)) for tap in taps(model, op, values[0])]
    patch = np.stack(seen).reshape(*model.tensors[op.inputs[1]].shape[1:3], -1)
    if op.name == "DEPTHWISE_CONV_2D":
        return np.asarray((np.repeat(patch, weights.shape[-1] // patch.shape[-1], axis=-1) * weights[0]).sum((0, 1)))
    groups = np.split(patch, patch.shape[-1] // weights.shape[-1], axis=-1)
    rows = np.split(weights, len(groups))
    return np.concatenate([np.einsum("hwc,ohwc->o", part, row) for part, row in zip(groups, rows)])


def taps(model: Model, op: Operation, values: NDArray[Any]) -> Iterator[NDArray[Any]]:
    """Yield the input that each tap of a convolution's kernel sees, row by row: [output height, output width, C].

    values: the whole input, [height, width, C]; padding counts as 0.
    """
    kernel, outputs = model.tensors[op.inputs[1]].shape[1:3], model.tensors[op.output].shape[1:3]
    steps, apart = op.stride, op.dilation
    reach = [(size - 1) * step + (tap - 1) * by + 1 for size, step, tap, by in zip(outputs, steps, kernel, apart)]
    missing = [max(need - size, 0) for need, size in zip(reach, values.shape)]
    padded = np.pad(values, [(gap // 2 if op.padding == "same" else 0, gap) for gap in missing] + [(0, 0)])
    ends = [(size - 1) * step + 1 for size, step in zip(outputs, steps)]
    for down in range(0, kernel[0] * apart[0], apart[0]):
        for right in range(0, kernel[1] * apart[1], apart[1]):
            yield padded[down : down + ends[0] : steps[0], right : right + ends[1] : steps[1]]
