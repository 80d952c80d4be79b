"""From each TFLite operation to the ONNX nodes that compute it."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ghost_edge.host.exporters.onnx_draft import Draft, refusal, reshaped, TO_NCHW, SHIFT
from ghost_edge.host.graph import Operation

Emit = Callable[[Draft, Operation, Any], None]


def emit(draft: Draft, op: Operation, options: Any) -> None:
    """Append the nodes of one operation; raises ConversionError where it has none."""
    if op.name not in OPS:
        raise refusal(draft, op, f"is none of the operations with a twin ({', '.join(sorted(OPS))})")
    OPS[op.name](draft, op, options)


def _convolution(draft: Draft, op: Operation, options: Any) -> None:
    source, paddings = draft.folded.get(op.inputs[0], (op.inputs[0], np.zeros((4, 2), int)))
    filters = draft.values(op, 1).transpose((3, 0, 1, 2) if op.name == "DEPTHWISE_CONV_2D" else (0, 3, 1, 2))
    pads = np.array(_pads(draft, op, filters.shape[2:])).reshape(2, 2) + paddings[1:3].T
    made = draft.node(
        "Conv",
        [draft.real(Operation("", (source,), ()), 0), *_weights(draft, op, filters)],
        f"{draft.names[op.outputs[0]]}:real_made",
        group=draft.shape(source)[3] // filters.shape[1],
        strides=op.stride,
        dilations=op.dilation,
        pads=pads.ravel().tolist(),
    )
    draft.finish(op, made, options)


def _fully_connected(draft: Draft, op: Operation, options: Any) -> None:
    weights = draft.values(op, 1)
    rows = math.prod(draft.shape(op.inputs[0])) // weights.shape[1]
    inputs = [draft.real(op, 0, (rows, weights.shape[1])), *_weights(draft, op, weights)]
    made = draft.node("Gemm", inputs, f"{draft.names[op.outputs[0]]}:real_made", transB=1)
    draft.finish(op, made, options, (rows, len(weights)))


def _weights(draft: Draft, op: Operation, arranged: NDArray[Any]) -> list[str]:
    """Weights with the output channel in front, and the bias, as TFLite takes it: in units of input times weight."""
    name = draft.names[op.inputs[1]] + ":arranged"
    scale, zero = draft.scale(op.inputs[1])
    if len(scale) == 1:
        scale, zero = scale[0], zero[0]
    else: zero=np.broadcast_to(zero, scale.shape)
    parameters = [draft.constant(f"{name}:scale", scale), draft.constant(f"{name}:zero", zero.astype(arranged.dtype))]
    inputs = [draft.node("DequantizeLinear", [draft.constant(name, arranged), *parameters], f"{name}:real", axis=0)]
    if len(op.inputs) > 2 and op.inputs[2] >= 0:
        bias, units = draft.names[op.inputs[2]], np.float32(draft.scale(draft.folded.get(op.inputs[0],(op.inputs[0],))[0])[0][0]) * scale
        stored = [draft.constant(bias, draft.values(op, 2)), draft.constant(f"{bias}:scale", units)]
        inputs.append(draft.node("DequantizeLinear", stored, f"{bias}:real", axis=0))
    return inputs


def _pads(draft: Draft, op: Operation, kernel: Sequence[int]) -> list[int]:
    """Rows and columns before, then after."""
    if op.padding == "valid":
        return [0, 0, 0, 0]
    sizes = zip(draft.shape(op.inputs[0])[1:3], draft.shape(op.outputs[0])[1:3], kernel, op.stride, op.dilation)
    total = [max((out - 1) * stride + (size - 1) * dilation + 1 - given, 0) for given, out, size, stride, dilation in sizes]
    return [each // 2 for each in total] + [each - each // 2 for each in total]


def _binary(kind: str) -> Emit:
    def emit(draft: Draft, op: Operation, options: Any) -> None:
        rank = len(draft.shape(op.outputs[0]))
        shapes = [(1,) * (rank - len(draft.shape(index))) + draft.shape(index) for index in op.inputs]
        inputs = [draft.real(op, place, shape) for place, shape in enumerate(shapes)]
        draft.finish(op, draft.node(kind, inputs, f"{draft.names[op.outputs[0]]}:real_made"), options)

    return emit


def _unary(kind: str, **attributes: Any) -> Emit:
    def emit(draft: Draft, op: Operation, options: Any) -> None:
        made = draft.node(kind, [draft.real(op, 0)], f"{draft.names[op.outputs[0]]}:real_made", **attributes)
        draft.finish(op, made, options)

    return emit


def _softmax(draft, op, options):
    made = draft.node("Softmax", [draft.real(op, 0)], f"{draft.names[op.outputs[0]]}:real_made", axis=draft.place(-1, len(draft.shape(op.outputs[0]))))
    draft.finish(op, made, options)


def _quantize(draft, op, options):
    if draft.graph.tensors[op.inputs[0]].dtype == "float32":
        draft.finish(op, draft.stored(op, 0), options)
    else:
        draft.finish(op, draft.real(op, 0), options)


def _dequantize(draft, op, options):
    draft.node("DequantizeLinear", [draft.stored(op, 0), *draft.parameters(op.inputs[0])], draft.names[op.outputs[0]])


def _concatenation(draft, op, options):
    inputs = [draft.real(op, place) for place in range(len(op.inputs))]
    axis = draft.place(options.axis, len(draft.shape(op.outputs[0])))
    draft.finish(op, draft.node("Concat", inputs, f"{draft.names[op.outputs[0]]}:real_made", axis=axis), options)


def _pad(draft, op, options):
    index, made = op.inputs[0], op.outputs[0]
    paddings = draft.values(op, 1).reshape(-1,2)
    readers = [each for each in draft.graph.operations if made in each.inputs]
    if len(paddings)==4 and not paddings[[0, 3]].any() and made not in draft.graph.outputs and all(r.name in ("CONV_2D", "DEPTHWISE_CONV_2D") for r in readers):
        draft.folded[made] = index, paddings
        return
    if len(paddings)==4: paddings = paddings[list(TO_NCHW)]
    name = draft.names[made]
    pads = draft.constant(f"{name}:pads", paddings.T.ravel().astype(np.int64))
    draft.node("Pad", [draft.stored(op, 0), pads, draft.parameters(index)[1]], name)


def _mean(draft, op, options):
    shape = draft.shape(op.inputs[0])
    axes = sorted(draft.place(int(a), len(shape)) for a in draft.values(op, 1).ravel())
    out=f"{draft.names[op.outputs[0]]}:real_made"
    if len(shape)==4 and axes == [2,3]:
        draft.finish(op, draft.node("GlobalAveragePool", [draft.real(op, 0)], out), options, (shape[0],1,1,shape[3]))
        return
    kept=[draft.place(int(a), len(shape)) for a in range(len(shape))]
    made=[1 if p in axes else s for s,p in zip(shape, kept)]
    draft.finish(op, draft.node("ReduceMean", [draft.real(op, 0)], out, axes=axes, keepdims=1), options, made)


def _pool(kind):
    def emit(draft, op, options):
        name=draft.names[op.outputs[0]]
        kernel = (options.filterHeight, options.filterWidth)
        att=dict(kernel_shape=kernel, strides=op.stride, pads=_pads(draft, op, kernel))
        if kind == "MaxPool":
            draft.chain(draft.stored(op,0), [(kind, (), att), *draft.clamp(op.outputs[0], options)], name)
        else:
            draft.finish(op, draft.node(kind, [draft.real(op, 0)], f"{name}:real_made", **att), options)
    return emit

def _reshape(draft, op, options):
    steps=reshaped(draft, draft.shape(op.inputs[0]), draft.shape(op.outputs[0]))
    draft.chain(draft.stored(op,0), steps, draft.names[op.outputs[0]])

def _transpose(draft, op, options):
    perm=draft.values(op,1).ravel(); r=len(perm)
    order = TO_NCHW if r==4 else range(r)
    draft.node("Transpose",[draft.stored(op,0)], draft.names[op.outputs[0]], perm=[draft.place(int(perm[a]), r) for a in order])

def _split(draft, op, options):
    place = 0 if op.name=="SPLIT_V" else 1
    axis = draft.place(int(draft.values(op, 2 if op.name=="SPLIT_V" else 0).ravel()[0]), len(draft.shape(op.inputs[place])))
    start=0
    for out in op.outputs:
        s=draft.shape(out); size=s[(TO_NCHW[axis] if len(s)==4 else axis)]
        c=[draft.constant(f"int64:{v}", np.array([v])) for v in (start,start+size,axis)]
        draft.node("Slice",[draft.stored(op,place),*c], draft.names[out]); start+=size

def _strided_slice(draft, op, options):
    shape=draft.shape(op.inputs[0]); r=len(shape)
    b,e,s=(draft.values(op,k).ravel() for k in (1,2,3))
    ranges=[]
    for a,n in enumerate(shape):
        st=None if options.beginMask>>a&1 else int(b[a]); en=None if options.endMask>>a&1 else int(e[a])
        if options.shrinkAxisMask>>a&1: st=int(b[a])%n; en=st+1
        ranges.append(range(n)[slice(st,en,int(s[a]))])
    arr=lambda v,n: draft.constant(f"{draft.names[op.outputs[0]]}:{n}", np.array(v,np.int64))
    order=TO_NCHW if r==4 else range(r)
    c=[arr([ranges[a].start for a in order],"b"),arr([ranges[a].stop if ranges[a].stop>=0 else -n-1 for a,n in [(a,shape[a]) for a in order]],"e"),arr(list(range(r)),"a"),arr([ranges[a].step for a in order],"s")]
    steps=[("Slice",tuple(c),{})]
    made=[len(x) for x in ranges]
    if tuple(made)!=draft.shape(op.outputs[0]): steps+=reshaped(draft, made, draft.shape(op.outputs[0]))
    draft.chain(draft.stored(op,0), steps, draft.names[op.outputs[0]])

OPS = {
 "CONV_2D": _convolution, "DEPTHWISE_CONV_2D": _convolution, "FULLY_CONNECTED": _fully_connected,
 "ADD": _binary("Add"), "SUB": _binary("Sub"), "MUL": _binary("Mul"),
 "CONCATENATION": _concatenation, "PAD": _pad, "MEAN": _mean, "AVERAGE_POOL_2D": _pool("AveragePool"), "MAX_POOL_2D": _pool("MaxPool"),
 "RESHAPE": _reshape, "SQUEEZE": _reshape, "SOFTMAX": _softmax, "LOGISTIC": _unary("Sigmoid"), "HARD_SWISH": _unary("HardSwish"), "TANH": _unary("Tanh"),
 "QUANTIZE": _quantize, "DEQUANTIZE": _dequantize, "TRANSPOSE": _transpose, "SPLIT": _split, "STRIDED_SLICE": _strided_slice,
}
