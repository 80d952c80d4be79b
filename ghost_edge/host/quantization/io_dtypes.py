"""Change the input and output of an int8 file to float32, or to uint8 with the normalisation inside."""

from __future__ import annotations

from typing import Any

import numpy as np
from ai_edge_litert import schema_py_generated as schema

from ghost_edge.core.preprocess import Preprocess
from ghost_edge.host.tflite.edit import add_tensor, make_operation, pack
from ghost_edge.host.tflite.graph import unpack

_PIXEL = 1 / 255  # the scale of an image's bytes; see TensorSpec.holds_bytes
_SIGN = 128  # uint8 with zero point z + 128 is int8 with z
_WEIGHT = 127


def float_ends(content: bytes, preprocess: Preprocess) -> bytes:
    """Return the int8 file with float32 input and output: QUANTIZE comes first, DEQUANTIZE last."""
    model = unpack(content)
    (image,), (answer,) = model.subgraphs[0].inputs, model.subgraphs[0].outputs
    first = make_operation(model, "QUANTIZE", [_outside(model, image, "float32")], image)
    last = make_operation(model, "DEQUANTIZE", [answer], _outside(model, answer, "float32"))
    return _with_ends(model, [first], last)


def byte_ends(content: bytes, preprocess: Preprocess) -> bytes:
    """Return the int8 file with uint8 input and output, and [preprocess] mean and std inside.

    A depthwise 1x1 convolution normalises the bytes of the image. Where the input's scale and zero point alone can do
    it, nothing is computed. Zeros that the network pads with stay its own.
    """
    model = unpack(content)
    (image,), (answer,) = model.subgraphs[0].inputs, model.subgraphs[0].outputs
    stored = model.subgraphs[0].tensors[answer].quantization
    scores = _outside(model, answer, "uint8", stored.scale, int(stored.zeroPoint[0]) + _SIGN)
    return _with_ends(model, _normalise(model, image, preprocess), make_operation(model, "QUANTIZE", [answer], scores))


def _normalise(model: Any, image: int, preprocess: Preprocess) -> list[Any]:
    """Return the operations from bytes to the network's own input, an int8 tensor."""
    shape = model.subgraphs[0].tensors[image].shape
    zero, step = (np.broadcast_to(each, shape[-1]) * preprocess.divide_by for each in (preprocess.mean, preprocess.std))
    if np.ptp(step) == np.ptp(zero) == zero[0] % 1 == 0 and 0 <= zero[0] <= 255:
        pixels = _outside(model, image, "uint8", [1 / step[0]], int(zero[0]))
        return [make_operation(model, "QUANTIZE", [pixels], image)]
    pixels, scale = _outside(model, image, "uint8", [_PIXEL]), 1 / (_WEIGHT * _PIXEL * step)
    signed = add_tensor(model, "pixels", shape, "int8", [_PIXEL], -_SIGN)
    weights, bias = np.full((1, 1, 1, shape[-1]), _WEIGHT), np.rint(-zero * _WEIGHT)
    inputs = [
        signed,
        add_tensor(model, "one_over_std", weights.shape, "int8", scale, values=weights),
        add_tensor(model, "mean_over_std", bias.shape, "int32", scale * _PIXEL, values=bias),
    ]
    options = schema.DepthwiseConv2DOptionsT(strideW=1, strideH=1, depthMultiplier=1)
    convolution = make_operation(model, "DEPTHWISE_CONV_2D", inputs, image, options)
    return [make_operation(model, "QUANTIZE", [pixels], signed), convolution]


def _outside(model: Any, index: int, dtype: str, scale: Any = (), zero_point: int = 0) -> int:
    """Add a tensor that takes over the name and the shape of this one, and return its index."""
    inner = model.subgraphs[0].tensors[index]
    name, inner.name = inner.name.decode(), inner.name + b"_int8"
    return add_tensor(model, name, inner.shape, dtype, scale, zero_point)


def _with_ends(model: Any, first: list[Any], last: Any) -> bytes:
    graph = model.subgraphs[0]
    graph.operators = [*first, *graph.operators, last]
    graph.inputs, graph.outputs = first[0].inputs, last.outputs
    return pack(model)
