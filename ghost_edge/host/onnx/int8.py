"""Write an integer .tflite as QDQ ONNX with the same scales, in the form that ONNX Runtime computes in integers."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np

from ghost_edge.core.errors import ConversionError, RecipeError
from ghost_edge.device.runtimes.model import one_line
from ghost_edge.device.runtimes.onnx import SCALES
from ghost_edge.host.onnx.builder import Draft
from ghost_edge.host.onnx.operations import OPS
from ghost_edge.host.tflite.graph import Model, Operation


@dataclasses.dataclass(frozen=True)
class OnnxInt8:
    """[[export]] with kind = "onnx_int8"; input and output have the shape and dtype of the .tflite's."""

    opset: int = 17

    def __post_init__(self) -> None:
        if not 17 <= self.opset <= 21:
            raise RecipeError(f"[[export]] opset is {self.opset}; an int8 ONNX model is written in 17 to 21")


def write_qdq(model: Model, options: OnnxInt8 = OnnxInt8()) -> bytes:
    """Write an int8 or uint8 .tflite as ONNX with the same scales; same file, same bytes.

    Activations are uint8 (an int8 one with its zero point + 128), weights and biases the .tflite's bytes, all scales
    its own. A 4-D tensor is NCHW but at the ends of the graph. Raises ArtifactError where the file is damaged,
    ConversionError where an operation or a dtype cannot be written.
    """
    draft = Draft(model)
    for index in draft.graph.inputs:
        draft.bridge(index, inward=True)
    for op in draft.graph.operations:
        if not draft.is_shape_arithmetic(op):
            _check(draft, op)
            OPS[op.name](draft, op)
    for index in draft.graph.outputs:
        draft.bridge(index, inward=False)
    return _write(draft, options.opset)


def _check(draft: Draft, op: Operation) -> None:
    """Raise ConversionError unless the operation is known and its activations are quantized."""
    if op.name not in OPS:
        raise draft.refusal(
            op, f"is none of the {len(OPS)} operations that an int8 ONNX model can hold; docs/how-to/onnx.md lists them"
        )
    may_be_float = {*draft.graph.inputs, *draft.graph.outputs} if op.name in ("QUANTIZE", "DEQUANTIZE") else set()
    for index in (*op.inputs, *op.outputs):
        tensor = draft.graph.tensors[index]
        if index >= 0 and tensor.dtype != "int32" and not (index in may_be_float and tensor.dtype == "float32"):
            draft.scales(index)


def _write(draft: Draft, opset: int) -> bytes:
    import onnx  # here, because a recipe that asks for none should not wait for it
    from onnx import helper, numpy_helper

    def end(index: int) -> onnx.ValueInfoProto:
        dtype = helper.np_dtype_to_tensor_dtype(np.dtype(draft.graph.tensors[index].dtype))
        return helper.make_tensor_value_info(draft.ends[index], dtype, draft.shape(index))

    brief = draft.brief
    nodes = [
        helper.make_node(kind, list(map(brief, inputs)), [brief(output)], name=f"{kind}_{number}", **attributes)
        for number, (output, (kind, inputs, attributes)) in enumerate(draft.nodes.items())
    ]
    inputs, outputs = (list(map(end, indices)) for indices in (draft.graph.inputs, draft.graph.outputs))
    constants = [numpy_helper.from_array(values, brief(name)) for name, values in draft.constants.items()]
    graph = helper.make_graph(nodes, Path(draft.file).stem, inputs, outputs, constants)
    imports = [helper.make_opsetid("", opset)]
    version = helper.find_min_ir_version_for(imports)
    model = helper.make_model(graph, opset_imports=imports, ir_version=version, producer_name="ghost-edge")
    ends = (*draft.graph.inputs, *draft.graph.outputs)
    specs = {draft.ends[index]: draft.graph.tensors[index].spec for index in ends}
    scales = {name: (spec.scale, spec.zero_point) for name, spec in specs.items()}
    helper.set_model_props(model, {SCALES: json.dumps(scales)})
    try:
        onnx.checker.check_model(model, full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        raise ConversionError(
            f"{draft.file} could not be written as ONNX ({one_line(error)}); report it with the file"
        ) from error
    content: bytes = model.SerializeToString(deterministic=True)
    return content
