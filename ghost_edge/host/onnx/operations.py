"""Write each TFLite operation as the ONNX nodes that compute the same integers; one row an operation in OPS."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.host.onnx.builder import TO_NCHW, TO_NHWC, Draft, Step, away_from_zero
from ghost_edge.host.onnx.products import convolution, fully_connected, pads, rounding_distance
from ghost_edge.host.tflite.graph import Operation

Writer = Callable[[Draft, Operation], None]
_FLOAT = 1  # onnx.TensorProto.FLOAT


def _pad(draft: Draft, op: Operation) -> None:
    source, made = op.inputs[0], op.outputs[0]
    paddings = draft.values(op, 1).astype(np.int64)
    readers = [each.name for each in draft.graph.operations if made in each.inputs]
    is_inner = made not in draft.graph.outputs and {*readers} <= {"CONV_2D", "DEPTHWISE_CONV_2D"}
    if op.name == "PAD" and is_inner and len(paddings) == 4 and not paddings[[0, 3]].any():
        draft.padded[made] = source, paddings
        return
    name = draft.names[made]
    pads = paddings[list(TO_NCHW)] if len(paddings) == 4 else paddings
    value = draft.scale(source)[1]
    if op.name == "PADV2":
        value += draft.values(op, 2).ravel()[0] - draft.scales(source)[1][0]
    filling = draft.constant(f"uint8:{value}", np.uint8(value))
    draft.node("Pad", [draft.stored(source), draft.constant(f"{name}:pads", pads.T.ravel()), filling], name)


def _elementwise(kind: str) -> Writer:
    def write(draft: Draft, op: Operation) -> None:
        draft.finish(op, kind, _aligned(draft, op))

    return write


def _aligned(draft: Draft, op: Operation) -> list[str]:
    """Return the inputs in the rank of the output: ONNX aligns shapes at their ends, where NCHW has other axes."""
    rank = len(draft.shape(op.outputs[0]))
    shapes = [(1,) * (rank - len(draft.shape(index))) + draft.shape(index) for index in op.inputs]
    return list(map(draft.real, op.inputs, shapes))


def _mul(draft: Draft, op: Operation) -> None:
    (first, second), step = (draft.scale(index)[0] for index in op.inputs), draft.scale(op.outputs[0])[0]
    # products with a constant lie so far apart that many are halves; those go away from zero, however near that is
    has_constant = any(draft.graph.tensors[index].constant for index in op.inputs)
    distance = rounding_distance(draft, op, first * second / step, missed=np.inf if has_constant else 0.5)
    draft.finish(op, "Mul", _aligned(draft, op), early=distance)


def _leaky_relu(draft: Draft, op: Operation) -> None:
    """Write LEAKY_RELU, whose halves have a multiplier each; that of the negative half is small."""
    source, made, alpha = op.inputs[0], op.outputs[0], np.float32(op.options.alpha)
    distance = rounding_distance(draft, op, alpha * draft.scale(source)[0] / draft.scale(made)[0])
    real, name = draft.real(source), draft.names[made]
    if not distance:
        draft.finish(op, "LeakyRelu", [real], alpha=float(alpha))
        return
    zero = draft.constant("float:0", np.float32(0))
    positive, negative = (draft.node(kind, [real, zero], f"{name}:{kind}") for kind in ("Max", "Min"))
    down: list[Step] = [("Mul", (draft.constant(f"{name}:alpha", alpha),), {}), away_from_zero(distance)]
    draft.finish(op, "Add", [positive, draft.chain(negative, down, f"{name}:shrunk")])


def _softmax(draft: Draft, op: Operation) -> None:
    if op.options.beta != 1:
        raise draft.refusal(op, f"has beta {op.options.beta}, expected 1")
    draft.finish(op, "Softmax", [draft.real(op.inputs[0])], axis=draft.axis(-1, len(draft.shape(op.outputs[0]))))


def _requantize(draft: Draft, op: Operation) -> None:
    """Write QUANTIZE, DEQUANTIZE, or an activation that is an operation of its own."""
    places = {"DequantizeLinear": op.inputs[0], "QuantizeLinear": op.outputs[0]}
    stored = {kind: index for kind, index in places.items() if draft.graph.tensors[index].dtype != "float32"}
    steps: list[Step] = [(kind, draft.parameters(index), {}) for kind, index in stored.items()]
    if len(stored) == 2 and draft.scale(op.inputs[0]) == draft.scale(op.outputs[0]):
        steps = []
    steps += draft.clamp(op, op.name) if op.name.startswith("RELU") else []
    draft.chain(draft.names[op.inputs[0]], steps, draft.names[op.outputs[0]])


def _concatenation(draft: Draft, op: Operation) -> None:
    made = op.outputs[0]
    axis = draft.axis(op.options.axis, len(draft.shape(made)))
    if all(draft.scale(index) == draft.scale(made) for index in op.inputs):
        inputs = [draft.stored(index) for index in op.inputs]
        joined = draft.node("Concat", inputs, f"{draft.names[made]}:joined", axis=axis)
        draft.chain(joined, draft.clamp(op), draft.names[made])
    else:
        draft.finish(op, "Concat", [draft.real(index) for index in op.inputs], axis=axis)


def _mean(draft: Draft, op: Operation) -> None:
    """Write MEAN as TFLite computes it: an integer sum, whose product with the multiplier is rounded twice."""
    source, made = op.inputs[0], op.outputs[0]
    shape, axes = draft.shape(source), sorted(int(axis) for axis in draft.values(op, 1).ravel())
    if len(shape) != 4 or shape[0] != 1 or [axis % 4 for axis in axes] != [1, 2]:
        raise draft.refusal(op, f"is over axes {axes} of {list(shape)}, expected height and width of one image")
    name, count, channels = draft.names[made], shape[1] * shape[2], shape[3]
    scale, step = (draft.scale(index)[0] for index in (source, made))
    bits = math.floor(math.log2(count)) - math.frexp(scale / step)[1]  # that the product is shifted to the right
    early = float(step) * 2.0 ** -(bits + 1) if bits > 0 else 0.0
    # NHWC: there ONNX Runtime's own transposes around its convolutions cancel those around this
    rows = draft.constant(f"shape:1x1x{count}x{channels}", np.array((1, 1, count, channels)))
    to_rows: list[Step] = [("Transpose", (), {"perm": TO_NHWC}), ("Reshape", (rows,), {})]
    pixels = draft.chain(draft.stored(source), to_rows, f"{name}:pixels")
    ones = draft.constant(f"ones:{count}", np.ones((1, 1, 1, count), np.uint8))
    inputs = [ones, pixels, draft.constant("uint8:0", np.uint8(0)), draft.parameters(source)[1]]
    steps: list[Step] = [
        ("Cast", (), {"to": _FLOAT}),
        ("Mul", (draft.constant(f"{name}:share", scale / np.float32(count)),), {}),
        away_from_zero(early),
        ("QuantizeLinear", draft.parameters(made), {}),
    ]
    to_nchw: Step = ("Transpose", (), {"perm": TO_NCHW})
    steps += [to_nchw] if len(draft.shape(made)) == 4 else draft.reshape((1, channels), draft.shape(made))
    draft.chain(draft.node("MatMulInteger", inputs, f"{name}:sum"), steps, name)


def _average_pool(draft: Draft, op: Operation) -> None:
    window = _window(draft, op)
    parts = math.prod(window["kernel_shape"])
    if parts % 2 and not any(window["pads"]):  # no halves
        draft.finish(op, "AveragePool", [draft.real(op.inputs[0])], **window)
        return
    # TFLite rounds halves away from zero, of stored values: so both ends count from the stored zero, and the input is
    # wider by less than a part, and more than float32 loses; it takes equal scales alone here
    source, made, name = op.inputs[0], op.outputs[0], draft.names[op.outputs[0]]
    wider = draft.constant(f"{name}:wider", draft.scale(source)[0] * np.float32(1 + 1 / (512 * parts)))
    real = draft.node("DequantizeLinear", [draft.stored(source), wider, _zero(draft, source)], f"{name}:real_taken")
    mean = draft.node("AveragePool", [real], f"{name}:real_made", **window)
    last: Step = ("QuantizeLinear", [draft.parameters(made)[0], _zero(draft, source)], {})
    draft.chain(mean, [last, *draft.clamp(op)], name)


def _zero(draft: Draft, source: int) -> str:
    """Return the constant that a stored 0 is inside the ONNX graph."""
    value = 128 if draft.graph.tensors[source].dtype == "int8" else 0
    return draft.constant(f"uint8:{value}", np.uint8(value))


def _max_pool(draft: Draft, op: Operation) -> None:
    steps: list[Step] = [("MaxPool", (), _window(draft, op)), *draft.clamp(op)]
    draft.chain(draft.stored(op.inputs[0]), steps, draft.names[op.outputs[0]])


def _window(draft: Draft, op: Operation) -> dict[str, Any]:
    kernel = op.options.filterHeight, op.options.filterWidth
    return {"kernel_shape": kernel, "strides": op.stride, "pads": pads(draft, op, kernel)}


def _reshape(draft: Draft, op: Operation) -> None:
    steps = draft.reshape(draft.shape(op.inputs[0]), draft.shape(op.outputs[0]))
    draft.chain(draft.stored(op.inputs[0]), steps, draft.names[op.outputs[0]])


def _transpose(draft: Draft, op: Operation) -> None:
    perm = draft.values(op, 1).ravel()
    rank = len(perm)
    moved = [draft.axis(int(perm[axis]), rank) for axis in (TO_NCHW if rank == 4 else range(rank))]
    draft.node("Transpose", [draft.stored(op.inputs[0])], draft.names[op.outputs[0]], perm=moved)


def _split(draft: Draft, op: Operation) -> None:
    axis = int(draft.values(op, 0).ravel()[0]) % len(draft.shape(op.inputs[1]))
    size = draft.shape(op.outputs[0])[axis]
    for number, made in enumerate(op.outputs):
        _slice(draft, op.inputs[1], made, {axis: (number * size, (number + 1) * size, 1)})


def _strided_slice(draft: Draft, op: Operation) -> None:
    source, options = op.inputs[0], op.options
    begin, end, step = (draft.values(op, place).ravel().tolist() for place in (1, 2, 3))
    if options.ellipsisMask or options.newAxisMask or min(step) < 0:
        raise draft.refusal(op, "has an ellipsis, a new axis or a negative step, expected begin, end and step")
    ranges = {}
    for axis, size in enumerate(draft.shape(source)):
        one = options.shrinkAxisMask >> axis & 1
        start = None if options.beginMask >> axis & 1 and not one else begin[axis]
        stop = None if options.endMask >> axis & 1 else end[axis]
        ranges[axis] = slice(start, begin[axis] + 1 or None if one else stop, step[axis]).indices(size)
    _slice(draft, source, op.outputs[0], ranges)


def _slice(draft: Draft, source: int, made: int, ranges: dict[int, tuple[int, int, int]]) -> None:
    """Write a part of a tensor; ranges: start, stop and step by axis."""
    shape, name = draft.shape(source), draft.names[made]
    rows = [(start, stop, draft.axis(axis, len(shape)), step) for axis, (start, stop, step) in ranges.items()]
    arguments = [draft.constant(f"{name}:slice_{place}", np.array(row)) for place, row in enumerate(zip(*rows))]
    part = tuple(len(range(*ranges.get(axis, (size,)))) for axis, size in enumerate(shape))
    steps: list[Step] = [("Slice", arguments, {})]
    steps += draft.reshape(part, draft.shape(made)) if part != draft.shape(made) else []
    draft.chain(draft.stored(source), steps, name)


# by align_corners and half_pixel_centers: where a pixel comes from, and which one is nearest
_PLACES = {
    (False, False): ("asymmetric", "floor"),
    (True, False): ("align_corners", "round_prefer_ceil"),
    (False, True): ("half_pixel", "round_prefer_ceil"),
}


def _resize(draft: Draft, op: Operation) -> None:
    options, made = op.options, op.outputs[0]
    place, nearest = _PLACES[bool(options.alignCorners), bool(options.halfPixelCenters)]
    name, shape = draft.names[made], draft.shape(made)
    sizes = ["", "", draft.constant(f"{name}:sizes", np.array([shape[axis] for axis in TO_NCHW]))]
    modes = {"mode": "nearest", "nearest_mode": nearest, "coordinate_transformation_mode": place}
    draft.node("Resize", [draft.stored(op.inputs[0]), *sizes], name, **modes)


def _resize_bilinear(draft: Draft, op: Operation) -> None:
    """Write two products with constant matrices: TFLite counts in 1/1024 of a pixel, which ONNX's Resize cannot."""
    options, (source, made) = op.options, (op.inputs[0], op.outputs[0])
    rows, columns = (
        _interpolation(
            draft.shape(source)[axis], draft.shape(made)[axis], options.alignCorners, options.halfPixelCenters
        )
        for axis in (1, 2)
    )
    name, stored = draft.names[made], [draft.constant("float:1", np.float32(1)), _zero(draft, source)]
    taken = draft.node("DequantizeLinear", [draft.stored(source), *stored], f"{name}:taken")
    wide = draft.node("MatMul", [draft.constant(f"{name}:rows", rows), taken], f"{name}:wide")
    steps: list[Step] = [
        ("MatMul", (draft.constant(f"{name}:columns", columns.T),), {}),
        away_from_zero(2.0**-12),  # halves alone
        ("QuantizeLinear", stored, {}),
    ]
    draft.chain(wide, steps, name)


def _interpolation(size: int, made: int, align_corners: bool, half_pixel_centers: bool) -> NDArray[np.float32]:
    """Return the shares of the inputs in each output, float32 [made, size] (resize_bilinear.h, in integers)."""
    steps, length = (size - 1, made - 1) if align_corners and made > 1 else (size, made)
    scale = ((steps << 10) + length // 2) // length
    matrix = np.zeros((made, size), np.float32)
    for number in range(made):
        place = number * scale + ((scale // 2 - 512) if half_pixel_centers else 0)
        low = min(max(place >> 10, 0), size - 1)
        high = min(max((place + 1023) >> 10, 0), size - 1)
        matrix[number, low] += 1 - (place - (low << 10)) / 1024
        matrix[number, high] += (place - (low << 10)) / 1024
    return matrix


OPS: dict[str, Writer] = {
    "CONV_2D": convolution,
    "DEPTHWISE_CONV_2D": convolution,
    "FULLY_CONNECTED": fully_connected,
    "ADD": _elementwise("Add"),
    "SUB": _elementwise("Sub"),
    "MUL": _mul,
    "MAXIMUM": _elementwise("Max"),
    "MINIMUM": _elementwise("Min"),
    "CONCATENATION": _concatenation,
    "MEAN": _mean,
    "AVERAGE_POOL_2D": _average_pool,
    "MAX_POOL_2D": _max_pool,
    "SOFTMAX": _softmax,
    "LOGISTIC": _elementwise("Sigmoid"),
    "TANH": _elementwise("Tanh"),
    "HARD_SWISH": _elementwise("HardSwish"),
    "RELU": _requantize,
    "RELU6": _requantize,
    "RELU_N1_TO_1": _requantize,
    "LEAKY_RELU": _leaky_relu,
    "RESHAPE": _reshape,
    "SQUEEZE": _reshape,
    "EXPAND_DIMS": _reshape,
    "TRANSPOSE": _transpose,
    "PAD": _pad,
    "PADV2": _pad,
    "SPLIT": _split,
    "STRIDED_SLICE": _strided_slice,
    "RESIZE_NEAREST_NEIGHBOR": _resize,
    "RESIZE_BILINEAR": _resize_bilinear,
    "QUANTIZE": _requantize,
    "DEQUANTIZE": _requantize,
}
