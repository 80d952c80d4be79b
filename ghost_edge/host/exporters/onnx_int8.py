"""The int8 .tflite as QDQ ONNX with its own scales, in the form that ONNX Runtime fuses."""

from __future__ import annotations

import dataclasses
from pathlib import Path

from ghost_edge.core.errors import ConversionError

OPSET, IR_VERSION = 17, 8


@dataclasses.dataclass(frozen=True)
class OnnxInt8:
    """[[export]] with kind = "onnx_int8"."""


def export(options: OnnxInt8, int8_tflite: Path) -> bytes:
    import onnx
    from onnx import helper
    from ghost_edge.host.exporters import onnx_ops
    from ghost_edge.host.exporters.onnx_draft import Draft, TO_NCHW, TO_NHWC, SHIFT, tensor_names  # noqa

    draft = Draft(int8_tflite)
    g = draft.graph
    names = tensor_names(g)
    import numpy as np
    def bridge(index):
        name, dtype = names[index], g.tensors[index].dtype
        if dtype != "int8": return []
        (scale,), (zero,) = draft.scale(index)
        return [draft.constant(f"{draft.names[index]}:scale", scale), draft.constant(f"{name}:zero_int8", np.int8(zero)), draft.parameters(index)[1]]
    def info(index):
        t=g.tensors[index]
        return helper.make_tensor_value_info(names[index], helper.np_dtype_to_tensor_dtype(np.dtype(t.dtype)), t.shape)
    for index in g.inputs:
        steps=[("Transpose",(),{"perm":TO_NCHW})] if len(draft.shape(index))==4 else []
        b=bridge(index)
        if b: steps += [("DequantizeLinear",(b[0],b[1]),{}),("QuantizeLinear",(b[0],b[2]),{})]
        draft.chain(names[index], steps, draft.names[index])
    for op,o in zip(g.operations, draft.options): onnx_ops.emit(draft, op, o)
    for index in g.outputs:
        b=bridge(index)
        steps=[("DequantizeLinear",(b[0],b[2]),{}),("QuantizeLinear",(b[0],b[1]),{})] if b else []
        steps+=[("Transpose",(),{"perm":TO_NHWC})] if len(draft.shape(index))==4 else []
        draft.chain(draft.names[index], steps, names[index])
    graph=helper.make_graph(list(draft.nodes.values()), int8_tflite.stem, [info(i) for i in g.inputs],[info(i) for i in g.outputs], list(draft.constants.values()))
    model=helper.make_model(graph, opset_imports=[helper.make_opsetid("",OPSET)], ir_version=IR_VERSION, producer_name="ghost-edge")
    onnx.checker.check_model(model, full_check=True)
    return model.SerializeToString(deterministic=True)
