"""Write a float .tflite as ONNX, by tf2onnx."""

from __future__ import annotations

import dataclasses
import re
import tempfile
import warnings
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ghost_edge.core.errors import ConversionError, RecipeError
from ghost_edge.host.tflite.graph import Model

if TYPE_CHECKING:
    import onnx

# of tf2onnx's passes, those that apply to a convolutional network; a pass that fails raises instead of being dropped
_PASSES = (
    "optimize_transpose",
    "fold_constants",
    "merge_duplication",
    "global_pool_optimizer",
    "remove_identity",
    "remove_back_to_back",
)


@dataclasses.dataclass(frozen=True)
class OnnxFloat:
    """[[export]] with kind = "onnx_float"; the input stays NHWC like the .tflite's."""

    opset: int = 17

    def __post_init__(self) -> None:
        if not 13 <= self.opset <= 18:
            raise RecipeError(f"[[export]] opset is {self.opset}; tf2onnx writes 13 to 18")


def export(source: Model, options: OnnxFloat = OnnxFloat()) -> bytes:
    """Convert a float .tflite to ONNX; the bytes depend on it and its name alone.

    Raises ConversionError where tf2onnx refuses.
    """
    import onnx  # here, because they import TensorFlow
    from tf2onnx import optimizer

    _mend_tf2onnx()
    passes = {name: optimizer._get_optimizers()[name] for name in _PASSES}
    try:
        with warnings.catch_warnings(action="ignore"):  # tf2onnx uses TensorFlow's deprecated interpreter
            graph = _read(source, options.opset)
        graph = optimizer.optimize_graph(graph, catch_errors=False, optimizers=passes)
        model = rename(graph.make_model(Path(source.name).stem))
        onnx.checker.check_model(model, full_check=True)
    except (ValueError, KeyError, RuntimeError, onnx.checker.ValidationError) as error:
        raise ConversionError(f"{Path(source.name).name} could not be written as ONNX: {error}") from error
    content: bytes = model.SerializeToString(deterministic=True)
    return content


def _read(source: Model, opset: int) -> Any:
    from tf2onnx import tfonnx

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "float.tflite"
        path.write_bytes(source.content)
        return tfonnx.process_tf_graph(None, tflite_path=str(path), opset=opset)


def _mend_tf2onnx() -> None:
    """Mend what makes tf2onnx 1.17 lose a bias, or make another graph of the same file now and then.

    Its passes walk over sets of nodes, in the order of their addresses: let nodes hash by name. They walk over sets of
    names, in an order that changes with PYTHONHASHSEED: let them be sorted. And they sort by made-up names, whose
    numbers go on counting from one conversion to the next: start anew.
    """
    from tf2onnx import graph, handler, tfonnx, utils
    from tf2onnx.optimizer import back_to_back_optimizer

    assert tfonnx  # imported before the next line: its import makes up a name too
    utils.INTERNAL_NAME = 2
    handler.tf_op.register_handler(_keep_bias, 0, ["TFL_FULLY_CONNECTED"], "com.google.tensorflow", {})
    graph.Node.__hash__ = lambda node: zlib.crc32(node.name.encode())
    for module in (graph, back_to_back_optimizer):
        module.set = _SortedSet


class _SortedSet(set):  # type: ignore[type-arg]  # of names or nodes
    """A set that is walked over in the order of its members' names."""

    def __iter__(self) -> Iterator[Any]:
        return iter(sorted(super().__iter__(), key=lambda each: each if isinstance(each, str) else each.name))

    def __sub__(self, other: Any) -> _SortedSet:
        return _SortedSet(super().__sub__(other))


def _keep_bias(context: Any, node: Any, **options: Any) -> None:
    """Flatten the input of a FULLY_CONNECTED that is not a matrix: tf2onnx 1.17 loses the bias there."""
    from tf2onnx.tflite_handlers.tfl_math import TflFullyConnectedOp

    if context.get_rank(node.input[0]) != 2 and not node.get_attr_value("keep_num_dims"):
        columns = context.get_shape(node.input[1])[1]
        shape = context.make_const(f"{node.name}_rows", np.array([-1, columns], np.int64))
        flat = context.make_node("Reshape", [node.input[0], shape.output[0]])
        flat.skip_conversion = True
        context.replace_inputs(node, [flat.output[0], *node.input[1:]])
    TflFullyConnectedOp.to_tf(context, node, **options)


def rename(model: onnx.ModelProto) -> onnx.ModelProto:
    """Order nodes and initializers by the graph alone and number tf2onnx's made-up names anew; returns a new model.

    tf2onnx walks over sets, so its order and its counters change from process to process.
    """
    import onnx

    makers = {output: node for node in model.graph.node for output in node.output}
    nodes: list[onnx.NodeProto] = []
    names: dict[str, str] = {}
    for output in model.graph.output:
        _visit(output.name, makers, nodes, names)
    renamed = onnx.ModelProto()
    renamed.CopyFrom(model)
    graph = renamed.graph
    values = {initializer.name: initializer for initializer in model.graph.initializer}
    del graph.node[:], graph.initializer[:], graph.value_info[:]
    for number, node in enumerate(nodes):
        copy = graph.node.add()
        copy.CopyFrom(node)
        copy.name = f"{node.op_type}_{number}"
        copy.input[:] = [names.get(name, name) for name in node.input]
        copy.output[:] = [names[name] for name in node.output]
    for old, new in names.items():
        if old in values:
            initializer = graph.initializer.add()
            initializer.CopyFrom(values[old])
            initializer.name = new
    return renamed


def _visit(value: str, makers: dict[str, onnx.NodeProto], nodes: list[onnx.NodeProto], names: dict[str, str]) -> None:
    """Append the nodes that `value` needs, each after its own inputs, and name every value on the way."""
    stack = [(value, False)]
    while stack:
        value, ready = stack.pop()
        if value in names or not value:
            continue
        node = makers.get(value)
        if node is not None and not ready:
            stack.append((value, True))
            stack.extend((name, False) for name in reversed(node.input))
            continue
        if node is not None:
            nodes.append(node)
        for name in node.output if node is not None else (value,):
            made_up = re.sub(r"__\d+", "", name)
            names[name] = name if made_up == name else f"{made_up}_{len(names)}"
