"""The int8 ONNX twin: the .tflite's own bytes and scales, each operation within one step of TFLite's, all fused."""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.typing import NDArray
from onnx import numpy_helper
from operations import AROUND, COMMON, SHAPE, convert, tensor

from ghost_edge.core.errors import ConversionError, RecipeError
from ghost_edge.host.onnx.builder import as_inner
from ghost_edge.host.onnx.compare import compare_ops, find_apart
from ghost_edge.host.onnx.int8 import OnnxInt8, write_qdq
from ghost_edge.host.onnx.operations import OPS
from ghost_edge.host.tflite.edit import add_tensor, make_operation, pack
from ghost_edge.host.tflite.graph import read_model, unpack

BAR = 0.99  # share of equal values


# by the operation that it is about; each takes TensorFlow and float32 [1, 9, 8, 4]
FUNCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    **COMMON,
    "CONV_2D dilated, RELU6": lambda tf, x: tf.nn.relu6(tf.nn.conv2d(x, tensor(3, 3, 4, 6), 1, "VALID", dilations=2)),
    "DEPTHWISE_CONV_2D": lambda tf, x: (
        tf.nn.depthwise_conv2d(x, tensor(3, 3, 4, 2), [1, 2, 2, 1], padding="SAME") + tensor(8)
    ),
    "CONV_2D behind PAD": lambda tf, x: tf.nn.conv2d(tf.pad(x, AROUND), tensor(3, 3, 4, 6), 2, "VALID"),
    "FULLY_CONNECTED of a 4-D tensor": lambda tf, x: tf.matmul(tf.reshape(x, [1, -1]), tensor(288, 7)) + tensor(7),
    "FULLY_CONNECTED, RELU": lambda tf, x: tf.nn.relu(tf.matmul(tf.reduce_mean(x, [1, 2]), tensor(4, 5)) + tensor(5)),
    "FULLY_CONNECTED that keeps dimensions": lambda tf, x: tf.tensordot(x, tensor(4, 5), 1),
    "CONCATENATION of rows": lambda tf, x: tf.concat([x, tf.nn.relu(x)], 1),
    "MEAN of both signs": lambda tf, x: tf.reduce_mean(x, [1, 2], keepdims=True),
    "AVERAGE_POOL_2D, odd": lambda tf, x: tf.nn.avg_pool2d(x, 3, 2, "SAME"),
    "AVERAGE_POOL_2D of positive": lambda tf, x: tf.nn.avg_pool2d(tf.nn.relu(x), (4, 2), (1, 2), "VALID"),
    "RESHAPE that mixes": lambda tf, x: tf.reshape(x, [1, 6, 6, 8]) * tensor(8),
    "RESHAPE to 3-D and back": lambda tf, x: tf.reshape(tf.nn.relu(tf.reshape(x, [1, 72, 4])), [1, 8, 9, 4]),
    "TRANSPOSE of 5 dimensions": lambda tf, x: tf.reshape(
        tf.transpose(tf.reshape(x, [1, 9, 8, 2, 2]), [0, 1, 2, 4, 3]), SHAPE
    ),
    "SOFTMAX by pixel": lambda tf, x: tf.nn.softmax(x * 4),
    "RELU_N1_TO_1": lambda tf, x: tf.clip_by_value(tf.transpose(x, [0, 2, 1, 3]), -1, 1),
    "RESHAPE that only drops a dimension": lambda tf, x: tf.reshape(x[:, :1], [1, 8, 4]),
    "RESHAPE that only adds a dimension": lambda tf, x: tf.nn.relu(x[:, 2])[:, None],
    "STRIDED_SLICE of one row": lambda tf, x: x[:, 2] + tensor(4),
    "RESIZE_NEAREST_NEIGHBOR, corners": lambda tf, x: tf.compat.v1.image.resize_nearest_neighbor(
        x, (13, 11), align_corners=True
    ),
    "RESIZE_NEAREST_NEIGHBOR, plain": lambda tf, x: tf.compat.v1.image.resize_nearest_neighbor(x, (13, 11)),
    "RESIZE_BILINEAR, odd": lambda tf, x: tf.image.resize(x, (25, 13)),
    "RESIZE_BILINEAR, corners": lambda tf, x: tf.compat.v1.image.resize_bilinear(x, (20, 11), align_corners=True),
    "MUL by a constant whose products are halves": lambda tf, x: tf.concat([x, 0.1 * x], 1),
    "MUL by a constant": lambda tf, x: x * 0.1,
    "LEAKY_RELU, steep": lambda tf, x: tf.nn.leaky_relu(x, 0.5),
    "RESIZE_BILINEAR, plain": lambda tf, x: tf.compat.v1.image.resize_bilinear(x, (18, 16)),
}


def noise(tflite: Path, count: int = 30) -> Iterator[NDArray[Any]]:
    """Inputs of a file's shape and dtype that use a good part of its range."""
    end = read_model(tflite).tensors[read_model(tflite).inputs[0]]
    for seed in range(count):
        values = np.random.default_rng(seed).normal(size=end.shape)
        if end.dtype == "float32":
            yield values.astype(np.float32)
        else:
            limits = np.iinfo(end.dtype)
            yield np.clip(32 * values + (limits.max + limits.min + 1) / 2, limits.min, limits.max).astype(end.dtype)


def optimized(content: bytes, folder: Path) -> list[Any]:
    """Nodes of what ONNX Runtime makes of it."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath, options.log_severity_level = str(folder / "optimized.onnx"), 3
    onnxruntime.InferenceSession(content, options)
    return list(onnx.load(folder / "optimized.onnx").graph.node)


@pytest.fixture(scope="module")
def int8(converted: Path) -> Path:
    return converted / "ghostnet_mnist_int8.tflite"


@pytest.fixture(scope="module")
def model(int8: Path) -> onnx.ModelProto:
    return onnx.load_from_string(write_qdq(read_model(int8)))


@pytest.mark.slow
@pytest.mark.parametrize("name", FUNCTIONS)
def test_an_operation_gives_what_tflite_gives(name: str, tmp_path: Path) -> None:
    path = convert(FUNCTIONS[name], tmp_path / "op.tflite")
    assert name.split(",")[0].split()[0] in {op.name for op in read_model(path).operations}
    distances = compare_ops(read_model(path), write_qdq(read_model(path)), noise(path))
    assert find_apart(distances, least_equal=BAR) is None


def replaced(path: Path, old: str, new: str, options: Any, more: Sequence[int] = ()) -> Path:
    """The same file with another operation of the same effect, which TensorFlow's converter does not write."""
    model = unpack(path.read_bytes())
    number = next(number for number, op in enumerate(read_model(path).operations) if op.name == old)
    operator = model.subgraphs[0].operators[number]
    inputs = [operator.inputs[0]]
    if more:
        inputs.append(add_tensor(model, "more", (len(more),), "int32", values=np.array(more)))
    model.subgraphs[0].operators[number] = make_operation(model, new, inputs, operator.outputs[0], options)
    path.write_bytes(pack(model))
    return path


@pytest.mark.slow
@pytest.mark.parametrize(
    ("function", "old", "new", "options", "more"),
    [
        ("RELU", "RELU", "RELU6", None, ()),
        ("RESHAPE that only drops a dimension", "RESHAPE", "SQUEEZE", schema.SqueezeOptionsT(squeezeDims=[1]), ()),
        ("RESHAPE that only adds a dimension", "RESHAPE", "EXPAND_DIMS", schema.ExpandDimsOptionsT(), (1,)),
    ],
    ids=["RELU6", "SQUEEZE", "EXPAND_DIMS"],
)
def test_an_operation_that_others_write_gives_what_tflite_gives(
    function: str, old: str, new: str, options: Any, more: Sequence[int], tmp_path: Path
) -> None:
    path = replaced(convert(FUNCTIONS[function], tmp_path / "op.tflite"), old, new, options, more)
    assert new in {op.name for op in read_model(path).operations}
    assert find_apart(compare_ops(read_model(path), write_qdq(read_model(path)), noise(path)), least_equal=BAR) is None


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["RELU", "RELU6", "RELU_N1_TO_1"])
def test_an_activation_that_the_range_does_not_hold_is_a_limit_behind_the_integers(
    activation: str, tmp_path: Path
) -> None:
    path = convert(FUNCTIONS["CONV_2D"], tmp_path / "op.tflite")
    model = unpack(path.read_bytes())
    options = model.subgraphs[0].operators[0].builtinOptions
    options.fusedActivationFunction = getattr(schema.ActivationFunctionType, activation)
    path.write_bytes(pack(model))
    content = write_qdq(read_model(path))
    kinds = {node.op_type for node in optimized(content, tmp_path)}
    assert {"QLinearConv", "Clip"} <= kinds
    assert find_apart(compare_ops(read_model(path), content, noise(path)), least_equal=BAR) is None


def test_every_operation_of_the_table_is_listed_in_the_docs(repository: Path) -> None:
    text = (repository / "docs" / "how-to" / "onnx.md").read_text()
    listed = re.search(r"Which operations can be exported\s+([A-Z0-9_,\s]+)\.", text)
    assert listed is not None
    assert listed[1].replace("\n", " ").split(", ") == list(OPS)


def test_every_operation_of_the_table_is_tested() -> None:
    named = {name.split(",")[0].split()[0] for name in FUNCTIONS}
    assert set(OPS) - named == {"RELU6", "SQUEEZE", "EXPAND_DIMS", "QUANTIZE", "DEQUANTIZE"}  # by others


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "int8", "uint8"])
def test_the_ends_have_the_dtype_and_shape_of_the_tflites(dtype: str, tmp_path: Path) -> None:
    import tensorflow as tf

    path = convert(FUNCTIONS["CONV_2D"], tmp_path / "op.tflite", dtype=tf.as_dtype(dtype))
    content = write_qdq(read_model(path))
    graph, source = onnx.load_from_string(content).graph, read_model(path)
    for end, index in zip((*graph.input, *graph.output), (*source.inputs, *source.outputs), strict=True):
        assert end.name == source.tensors[index].name
        assert tuple(each.dim_value for each in end.type.tensor_type.shape.dim) == source.tensors[index].shape
        assert end.type.tensor_type.elem_type == onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    assert find_apart(compare_ops(read_model(path), content, noise(path)), least_equal=BAR) is None


@pytest.mark.slow
def test_an_operation_without_a_twin_is_named_with_its_output(tmp_path: Path) -> None:
    path = convert(lambda tf, x: tf.nn.depth_to_space(x, 2), tmp_path / "op.tflite")
    with pytest.raises(
        ConversionError, match=r"op\.tflite: DEPTH_TO_SPACE, which makes \S+, is none of the 32 operations"
    ):
        write_qdq(read_model(path))


@pytest.mark.slow
def test_a_float_file_is_refused(converted: Path) -> None:
    with pytest.raises(ConversionError, match=r"is float32, expected int8 or uint8 with a scale"):
        write_qdq(read_model(converted / "ghostnet_mnist_float.tflite"))


@pytest.mark.parametrize("opset", [16, 22])
def test_an_opset_that_is_not_written_is_refused(opset: int) -> None:
    with pytest.raises(RecipeError, match=rf"opset is {opset}; an int8 ONNX model is written in 17 to 21"):
        OnnxInt8(opset=opset)


@pytest.mark.slow
@pytest.mark.parametrize("opset", [17, 18, 19, 20, 21])
def test_every_opset_is_the_same_network(opset: int, int8: Path) -> None:
    content = write_qdq(read_model(int8), OnnxInt8(opset=opset))
    assert onnx.load_from_string(content).opset_import[0].version == opset
    assert find_apart(compare_ops(read_model(int8), content, noise(int8, 3)), least_equal=BAR) is None


@pytest.mark.slow
def test_the_same_file_gives_the_same_bytes(int8: Path) -> None:
    assert write_qdq(read_model(int8)) == write_qdq(read_model(int8))


@pytest.mark.slow
def test_weights_and_biases_are_the_tflites_bytes(int8: Path, model: onnx.ModelProto) -> None:
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    tflite = read_model(int8)
    weighted = [op for op in tflite.operations if op.name in ("CONV_2D", "DEPTHWISE_CONV_2D")]
    assert len(weighted) == 34
    for op in weighted:
        weights, bias = (tflite.tensors[index] for index in op.inputs[1:])
        order = (3, 0, 1, 2) if op.name == "DEPTHWISE_CONV_2D" else (0, 3, 1, 2)
        np.testing.assert_array_equal(constants[weights.name], weights.values.transpose(order))
        np.testing.assert_array_equal(constants[bias.name], bias.values)


@pytest.mark.slow
def test_the_scale_and_zero_point_of_every_tensor_are_the_tflites(int8: Path, model: onnx.ModelProto) -> None:
    constants = {each.name: numpy_helper.to_array(each) for each in model.graph.initializer}
    tflite, seen = read_model(int8), 0
    for index in {index for op in tflite.operations for index in op.outputs} - {*tflite.outputs}:
        stored = tflite.tensors[index]
        if f"{index}:scale" in constants:  # all but what a RESHAPE makes
            seen += 1
            assert constants[f"{index}:scale"] == stored.scale[0]
            assert constants[f"{index}:zero_point"] == stored.zero_point[0] + 128
    assert seen > 40


@pytest.mark.slow
def test_onnx_runtime_computes_it_in_integers(model: onnx.ModelProto, tmp_path: Path) -> None:
    nodes = optimized(model.SerializeToString(), tmp_path)
    kinds = collections.Counter(node.op_type for node in nodes)
    assert (kinds["QLinearConv"], kinds["Conv"], kinds["Transpose"]) == (34, 0, 1)  # 34: test_weights_and_biases
    assert kinds["DequantizeLinear"] == 2  # from and to the signed values at the ends


def test_a_signed_value_is_the_unsigned_one_128_further() -> None:
    stored = np.arange(-128, 128).astype(np.int8)
    np.testing.assert_array_equal(as_inner(stored), np.arange(256).astype(np.uint8))


@pytest.mark.slow
def test_names_of_nodes_are_their_kind_and_number(model: onnx.ModelProto) -> None:
    assert [node.name for node in model.graph.node] == [f"{n.op_type}_{i}" for i, n in enumerate(model.graph.node)]
