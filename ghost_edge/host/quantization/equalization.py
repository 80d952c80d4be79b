"""Even out the ranges of the channels by moving scale between neighbouring weights, the float answers unchanged."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.dataset import Image, spread
from ghost_edge.core.errors import ConversionError
from ghost_edge.core.preprocess import Preprocess, prepare
from ghost_edge.core.progress import Say, count
from ghost_edge.device.evaluate import predict
from ghost_edge.host.calibration.observe import enough, observe_channels
from ghost_edge.host.calibration.shared_scales import Ties, one_scale
from ghost_edge.host.tflite.edit import WEIGHTED, Flat, Op
from ghost_edge.host.tflite.graph import read_model

Classes = Mapping[int, NDArray[np.int64]]
_FIXED = 0  # the class whose factor is 1
_ONE = (-1, 0)  # the member of it that is no channel
_LIMIT = 256.0  # of what a channel could be raised by, before the root: nearly dead ones have no end
_SAME_CHANNELS = ("RELU", "PAD", "MEAN", "AVERAGE_POOL_2D", "MAX_POOL_2D", "RESHAPE")
_EQUALIZED = 64  # images that say how wide channels are: a factor need not be exact, a range must
_PROOF = 16  # images on which the equalized model must answer as before
_TOLERANCE = 1e-4  # float32 sums of other magnitudes: 2e-6 for the shipped models


def equalize_for(tflite: Path, images: Sequence[Image], preprocess: Preprocess, say: Say) -> bytes:
    """Return a float .tflite equalized for the channel ranges that calibration images, uint8 [H, W, C], show.

    Raises ConversionError where the answers change, DataError when an activation is NaN or infinite.
    """
    graph, few, proof = read_model(tflite), enough(images, _EQUALIZED, preprocess.size), spread(images, _PROOF)
    inputs = (prepare(image, preprocess) for image in few)
    channels = observe_channels(tflite, graph, inputs, say=count(say, len(few)))
    content = equalize(tflite.read_bytes(), channels, one_scale(graph))
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "equalized.tflite"
        made.write_bytes(content)
        check_equalized(*(predict(path, proof, preprocess) for path in (made, tflite)))
    return content


def check_equalized(logits: NDArray[np.float32], reference: NDArray[np.float32]) -> None:
    """Raise ConversionError where equalization changed the answers, float32 [N, classes], of the float model."""
    difference = float(np.abs(logits - reference).max() / (reference.std() or 1.0))
    if not difference <= _TOLERANCE:  # also when it is NaN
        raise ConversionError(
            f"equalization changed the float model's answers by {difference:.2g} of the logits' spread; the limit is "
            f"{_TOLERANCE:.0e}: set equalize = false in [quantization], and report the network"
        )


def equalize(content: bytes, channels: Mapping[str, NDArray[np.float32]], groups: Sequence[Sequence[str]]) -> bytes:
    """A float .tflite that computes the same, with channels of small range raised towards the widest.

    channels: lowest and highest value of each channel, float32 [2, C] by tensor name; groups: names that share a scale.
    After Nagel et al., ICCV 2019, section 4.1, but over the whole graph: through concatenations, residual sums and
    gates, and by the room that the tensor's scale leaves instead of pairs of layers; an unknown operation fixes its
    channels. The square root halves, in bits, what is moved: the next layer's weights pay for all of it.
    """
    flat = Flat(content)
    classes = _classes(flat)
    room = np.full(1 + max((int(each.max()) for each in classes.values()), default=0), np.inf)
    number = {flat.name(index): index for index in flat.activations}
    for group in groups:
        lowest, highest = min(channels[name][0].min() for name in group), max(channels[name][1].max() for name in group)
        for name in group:
            low, high = channels[name].astype(np.float64)
            up = np.divide(highest, high, out=np.full_like(high, np.inf), where=high > 0)
            down = np.divide(lowest, low, out=np.full_like(low, np.inf), where=low < 0)
            np.minimum.at(room, classes[number[name]], np.minimum(up, down))
    room[_FIXED] = 1
    return _scaled(flat, classes, np.sqrt(np.where(np.isfinite(room), np.clip(room, 1, _LIMIT), 1)))


def _classes(flat: Flat) -> Classes:
    """Class of every channel of every activation, int64 [C] by tensor.

    Channels are in one class where an operation hands them on unchanged; weights break the tie.
    """
    ties = Ties()
    for index in {*map(int, flat.graph.inputs), *map(int, flat.graph.outputs)}:
        _fix(ties, flat, index)
    for op in flat.ops:
        pairs = _pairs(flat, op)
        if op.activation not in ("NONE", "RELU"):
            _fix(ties, flat, op.output)
        for index in op.inputs + op.outputs if pairs is None else ():
            _fix(ties, flat, index)
        for index, first in pairs or ():
            for channel in range(_channels(flat, index)):
                ties.tie((index, channel), (op.output, first + channel))
        if op.name == "MUL" and len(_moving(flat, op)) == 2:
            _fix(ties, flat, _gate(flat, op))
    numbers = {ties.root(_ONE): _FIXED}
    return {
        index: np.array(
            [numbers.setdefault(ties.root((index, c)), len(numbers)) for c in range(_channels(flat, index))]
        )
        for index in sorted(flat.activations)
    }


def _fix(ties: Ties, flat: Flat, index: int) -> None:
    if index in flat.activations:
        for channel in range(_channels(flat, index)):
            ties.tie((index, channel), _ONE)


def _channels(flat: Flat, index: int) -> int:
    return flat.shape(index)[-1]


def _moving(flat: Flat, op: Op) -> list[int]:
    return [index for index in op.inputs if index in flat.activations]


def _gate(flat: Flat, op: Op) -> int:
    """The smaller factor of a product: the weights before the other one can take a scale, a sigmoid cannot."""
    return min(_moving(flat, op), key=lambda index: int(np.prod(flat.shape(index))))


def _pairs(flat: Flat, op: Op) -> list[tuple[int, int]] | None:
    """(input, its first channel in the output) for each input tied to the output; None: nothing is known, fix all."""
    moving, wide, rank = _moving(flat, op), _channels(flat, op.output), len(flat.shape(op.output))
    same = [index for index in moving if _channels(flat, index) == wide]
    if op.name in WEIGHTED:
        return [] if _may_change(flat, op) else None
    if op.name == "CONCATENATION" and op.options.axis in (-1, rank - 1) and len(moving) == len(op.inputs):
        starts = np.cumsum([0, *(_channels(flat, index) for index in op.inputs)])
        return list(zip(op.inputs, map(int, starts)))
    if op.name == "MEAN" and (flat.values(op.inputs[1]) % (last := len(flat.shape(op.inputs[0]))) == last - 1).any():
        return None  # over the channels themselves
    if op.name in _SAME_CHANNELS and len(same) == 1:
        return [(same[0], 0)]
    if op.name == "ADD" and len(same) == 2 and flat.shape(same[0]) == flat.shape(same[1]):
        return [(index, 0) for index in same]
    if op.name == "MUL" and len(moving) == len(same) and len(set(moving)) == len(moving):
        return [(index, 0) for index in same if len(moving) == 1 or index != _gate(flat, op)]
    return None


def _may_change(flat: Flat, op: Op) -> bool:
    """Whether weights and bias belong to this operation alone, with a column for each input channel."""
    enters, leaves = _channels(flat, op.inputs[0]), _channels(flat, op.output)
    readers = [flat.graph.tensors[index].buffer for other in flat.ops for index in other.inputs]
    own = all(
        index not in flat.activations
        and (readers.count(flat.graph.tensors[index].buffer) == 1 or not flat.values(index).any())
        for index in op.inputs[1:]
    )
    return own and _channels(flat, op.inputs[1]) == enters and (op.name != "DEPTHWISE_CONV_2D" or enters == leaves)


def _scaled(flat: Flat, classes: Classes, factors: NDArray[np.float64]) -> bytes:
    """The file with each channel multiplied by the factor of its class, and weights and biases to match."""
    for op in flat.ops:
        if op.name in WEIGHTED and _may_change(flat, op):
            enters, leaves = factors[classes[op.inputs[0]]], factors[classes[op.output]]
            weights = flat.values(op.inputs[1])
            row = leaves if op.name == "DEPTHWISE_CONV_2D" else leaves.reshape(-1, *[1] * (weights.ndim - 1))
            weights[:] = weights * row / enters
            for index in op.inputs[2:]:
                flat.values(index)[:] = flat.values(index) * leaves
    return bytes(flat.content)
