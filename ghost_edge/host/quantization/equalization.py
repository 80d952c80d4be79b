"""Cross-layer equalization: move scale between neighbouring weights, the float answers unchanged."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.dataset import spread
from ghost_edge.core.errors import ConversionError
from ghost_edge.core.progress import Say, count
from ghost_edge.host.calibration import UnionFind, scale_groups
from ghost_edge.host.calibration.observe import enough, observe_channels
from ghost_edge.host.tflite.activations import Input, predict_content
from ghost_edge.host.tflite.edit import replace_values
from ghost_edge.host.tflite.graph import WEIGHTED, Model, Operation, by_row

Classes = Mapping[int, NDArray[np.int64]]
_FIXED = 0  # the class whose factor is 1
_ONE = (-1, 0)  # the member of that class that is no channel
_LIMIT = 256.0  # of a channel's room before the root: that of a nearly dead one has no end
_SAME_CHANNELS = ("RELU", "PAD", "MEAN", "AVERAGE_POOL_2D", "MAX_POOL_2D", "RESHAPE")
_EQUALIZED = 64  # images that say how wide channels are: a factor need not be exact, a range must
_PROOF = 16  # images on which the equalized model must answer as before
_TOLERANCE = 1e-4  # float32 sums of other magnitudes: 2e-6 for the shipped models


def equalize_for(model: Model, inputs: Sequence[Input], say: Say) -> bytes:
    """Return a float .tflite equalized for the channel ranges that calibration inputs, float32 [1, ...], show.

    Raises ConversionError where the answers change, DataError when an activation is NaN or infinite.
    """
    few, proof = enough(inputs, _EQUALIZED, model.input_pixels), spread(inputs, _PROOF)
    content = equalize(model, observe_channels(model, few, count(say, len(few))), scale_groups(model))
    check_equalized(*(predict_content(each, proof) for each in (content, model.content)))
    return content


def check_equalized(logits: NDArray[np.float32], reference: NDArray[np.float32]) -> None:
    """Raise ConversionError where equalization changed the answers, float32 [N, classes], of the float model."""
    difference = float(np.abs(logits - reference).max() / (reference.std() or 1.0))
    if not difference <= _TOLERANCE:  # also when it is NaN
        raise ConversionError(
            f"equalization changed the float model's answers by {difference:.2g} of the logits' spread; the limit is "
            f"{_TOLERANCE:.0e}: set equalize = false in [quantization], and report the network"
        )


def equalize(model: Model, channels: Mapping[str, NDArray[np.float32]], groups: Sequence[Sequence[str]]) -> bytes:
    """Return a float .tflite that computes the same, with channels of small range raised towards the widest.

    channels: lowest and highest value of each channel, float32 [2, C] by tensor name; groups: names that share a scale.
    After Nagel et al. (ICCV 2019, section 4.1, arXiv 1906.04721), but over the whole graph: through concatenations,
    residual sums and gates, and by the room that the tensor's scale leaves instead of pairs of layers; an unknown
    operation fixes its channels. The square root halves, in bits, what is moved: the next layer's weights pay for it.
    """
    classes = _classes(model)
    room = np.full(1 + max((int(each.max()) for each in classes.values()), default=0), np.inf)
    number = {model.tensors[index].name: index for index in classes}
    for group in groups:
        lowest, highest = min(channels[name][0].min() for name in group), max(channels[name][1].max() for name in group)
        for name in group:
            low, high = channels[name].astype(np.float64)
            up = np.divide(highest, high, out=np.full_like(high, np.inf), where=high > 0)
            down = np.divide(lowest, low, out=np.full_like(low, np.inf), where=low < 0)
            np.minimum.at(room, classes[number[name]], np.minimum(up, down))
    room[_FIXED] = 1
    return _scaled(model, classes, np.sqrt(np.where(np.isfinite(room), np.clip(room, 1, _LIMIT), 1)))


def _classes(model: Model) -> Classes:
    """Return the class of every channel of every float activation, int64 [C] by tensor index, ascending.

    Channels are in one class where an operation hands them on unchanged; weights separate classes.
    """
    sets = UnionFind()
    for index in {*model.inputs, *model.outputs}:
        _fix(sets, model, index)
    for op in model.operations:
        pairs = _pairs(model, op)
        if op.activation not in ("NONE", "RELU"):
            _fix(sets, model, op.output)
        for index in op.given + op.outputs if pairs is None else ():
            _fix(sets, model, index)
        for index, first in pairs or ():
            for channel in range(_channels(model, index)):
                sets.join((index, channel), (op.output, first + channel))
        if op.name == "MUL" and len(_moving(model, op)) == 2:
            _fix(sets, model, _gate(model, op))
    numbers = {sets.root(_ONE): _FIXED}
    return {
        each.index: np.array(
            [
                numbers.setdefault(sets.root((each.index, channel)), len(numbers))
                for channel in range(_channels(model, each.index))
            ]
        )
        for each in model.tensors
        if each.is_float_activation
    }


def _fix(sets: UnionFind, model: Model, index: int) -> None:
    if model.tensors[index].is_float_activation:
        for channel in range(_channels(model, index)):
            sets.join((index, channel), _ONE)


def _shape(model: Model, index: int) -> tuple[int, ...]:
    """Return a tensor's shape; a scalar counts as one channel."""
    return model.tensors[index].shape or (1,)


def _channels(model: Model, index: int) -> int:
    return _shape(model, index)[-1]


def _moving(model: Model, op: Operation) -> list[int]:
    return [index for index in op.given if model.tensors[index].is_float_activation]


def _gate(model: Model, op: Operation) -> int:
    """Return the smaller factor of a product: the weights before the other one can take a scale, a sigmoid cannot."""
    return min(_moving(model, op), key=lambda index: int(np.prod(_shape(model, index))))


def _pairs(model: Model, op: Operation) -> list[tuple[int, int]] | None:
    """Return (input, its first channel in the output) for each input tied to the output; None: unknown, fix all."""
    moving, wide, rank = _moving(model, op), _channels(model, op.output), len(_shape(model, op.output))
    same = [index for index in moving if _channels(model, index) == wide]
    if op.name in WEIGHTED:
        return [] if _may_change(model, op) else None
    if op.name == "CONCATENATION" and op.options.axis in (-1, rank - 1) and len(moving) == len(op.inputs):
        starts = np.cumsum([0, *(_channels(model, index) for index in op.inputs)])
        return list(zip(op.inputs, map(int, starts)))
    if op.name == "MEAN":
        axes, rank = model.values(op.inputs[1]), len(_shape(model, op.inputs[0]))
        if (axes % rank == rank - 1).any():
            return None  # over the channels themselves
    if op.name in _SAME_CHANNELS and len(same) == 1:
        return [(same[0], 0)]
    if op.name == "ADD" and len(same) == 2 and _shape(model, same[0]) == _shape(model, same[1]):
        return [(index, 0) for index in same]
    if op.name == "MUL" and len(moving) == len(same) and len(set(moving)) == len(moving):
        return [(index, 0) for index in same if len(moving) == 1 or index != _gate(model, op)]
    return None


def _may_change(model: Model, op: Operation) -> bool:
    """Return True where weights and bias belong to this operation alone, with a column for each input channel."""
    enters, leaves = _channels(model, op.inputs[0]), _channels(model, op.output)
    readers = [model.tensors[index].buffer for other in model.operations for index in other.given]
    own = all(
        not model.tensors[index].is_float_activation
        and (readers.count(model.tensors[index].buffer) == 1 or not model.values(index).any())
        for index in op.given[1:]
    )
    return own and _channels(model, op.inputs[1]) == enters and (op.name != "DEPTHWISE_CONV_2D" or enters == leaves)


def _scaled(model: Model, classes: Classes, factors: NDArray[np.float64]) -> bytes:
    """Return the file with each channel multiplied by the factor of its class, and weights and biases to match."""
    made: dict[int, NDArray[np.float64]] = {}
    for op in model.operations:
        if op.name in WEIGHTED and _may_change(model, op):
            enters, leaves = factors[classes[op.inputs[0]]], factors[classes[op.output]]
            weights = model.values(op.inputs[1])
            made[op.inputs[1]] = weights * by_row(op, leaves) / enters
            made.update({index: model.values(index) * leaves for index in op.given[2:]})
    return replace_values(model, made)
