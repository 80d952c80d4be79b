"""Costs of small graphs, counted by hand."""

from __future__ import annotations

import pytest

from ghost_edge.host.tflite.cost import activation_bytes, count_layers, count_macs, size_bytes
from ghost_edge.host.tflite.graph import Model, Operation, Tensor


def tensor(index: int, shape: tuple[int, ...], dtype: str = "int8", *, constant: bool = False) -> Tensor:
    return Tensor(index, f"t{index}", shape, dtype, constant)


def one_operation(name: str, *shapes: tuple[int, ...], constants: tuple[int, ...] = (1, 2)) -> Model:
    """A graph of one operation; the last shape is that of its output."""
    tensors = tuple(tensor(index, shape, constant=index in constants) for index, shape in enumerate(shapes))
    last = len(shapes) - 1
    return Model(tensors, (Operation(name, tuple(range(last)), (last,)),), (0,), (last,))


def macs(graph: Model) -> int:
    return count_macs(graph, graph.operations[0])


def test_a_convolution_multiplies_its_filter_at_every_output() -> None:
    graph = one_operation("CONV_2D", (1, 8, 8, 3), (16, 5, 3, 3), (16,), (1, 4, 4, 16))
    assert macs(graph) == 4 * 4 * 16 * (5 * 3 * 3)


def test_a_grouped_convolution_sees_only_its_group() -> None:
    graph = one_operation("CONV_2D", (1, 8, 8, 6), (16, 3, 3, 3), (16,), (1, 8, 8, 16))
    assert macs(graph) == 8 * 8 * 16 * (3 * 3 * 3)


def test_a_depthwise_convolution_sees_one_channel() -> None:
    graph = one_operation("DEPTHWISE_CONV_2D", (1, 8, 8, 6), (1, 3, 3, 12), (12,), (1, 8, 8, 12))
    assert macs(graph) == 8 * 8 * 12 * (3 * 3)


def test_a_fully_connected_layer_is_a_product_of_matrices() -> None:
    graph = one_operation("FULLY_CONNECTED", (2, 96), (10, 96), (10,), (2, 10))
    assert macs(graph) == 2 * 10 * 96


def test_a_transposed_convolution_multiplies_its_filter_at_every_input() -> None:
    graph = one_operation("TRANSPOSE_CONV", (4,), (8, 2, 3, 5), (1, 4, 4, 5), (1, 8, 8, 8), constants=(0, 1))
    assert macs(graph) == (4 * 4 * 5) * (8 * 2 * 3)


def test_a_shape_of_a_transposed_convolution_is_no_parameter() -> None:
    graph = one_operation("TRANSPOSE_CONV", (4,), (8, 2, 3, 5), (1, 4, 4, 5), (1, 8, 8, 8), constants=(0, 1))
    assert count_layers(graph)[0].parameters == 8 * 2 * 3 * 5


@pytest.mark.parametrize("name", ["ADD", "MUL", "CONCATENATION", "AVERAGE_POOL_2D"])
def test_other_operations_have_none(name: str) -> None:
    assert macs(one_operation(name, (1, 8, 8, 3), (1, 8, 8, 3), (1, 8, 8, 3), constants=())) == 0


def test_parameters_are_filter_and_bias_in_their_own_bytes() -> None:
    tensors = (
        tensor(0, (1, 8, 8, 3)),
        tensor(1, (16, 3, 3, 3), constant=True),
        tensor(2, (16,), "int32", constant=True),
        tensor(3, (1, 8, 8, 16)),
    )
    layer = count_layers(Model(tensors, (Operation("CONV_2D", (0, 1, 2), (3,)),), (0,), (3,)))[0]
    assert (layer.parameters, layer.weight_bytes) == (16 * 27 + 16, 16 * 27 + 4 * 16)
    assert (layer.shape, layer.dtype, layer.output_bytes) == ((1, 8, 8, 16), "int8", 1024)


def test_a_bias_that_is_not_given_costs_nothing() -> None:
    tensors = (tensor(0, (1, 4)), tensor(1, (2, 4), constant=True), tensor(2, (1, 2)))
    graph = Model(tensors, (Operation("FULLY_CONNECTED", (0, 1, -1), (2,)),), (0,), (2,))
    assert count_layers(graph)[0].parameters == 8


@pytest.mark.parametrize(
    ("shape", "dtype", "parameters"), [((1, 1, 8), "float32", 8), ((), "float32", 0), ((2,), "int32", 0)]
)
def test_a_vector_is_a_parameter_and_a_number_or_a_shape_is_not(
    shape: tuple[int, ...], dtype: str, parameters: int
) -> None:
    tensors = (tensor(0, (1, 4, 8), "float32"), tensor(1, shape, dtype, constant=True), tensor(2, (1, 4, 8), "float32"))
    assert count_layers(Model(tensors, (Operation("PRELU", (0, 1), (2,)),), (0,), (2,)))[0].parameters == parameters


def test_a_filter_that_two_operations_share_is_counted_once() -> None:
    tensors = (
        *(tensor(0, (1, 4)), tensor(1, (4, 4), constant=True)),
        *(tensor(2, (1, 4)), tensor(3, (1, 4))),
    )
    operations = (Operation("FULLY_CONNECTED", (0, 1), (2,)), Operation("FULLY_CONNECTED", (2, 1), (3,)))
    layers = count_layers(Model(tensors, operations, (0,), (3,)))
    assert [layer.parameters for layer in layers] == [16, 0]
    assert [layer.macs for layer in layers] == [16, 16]


def test_weights_that_are_stored_in_half_are_counted_where_they_are_read() -> None:
    tensors = (
        *(tensor(0, (1, 4), "float32"), tensor(1, (4, 4), "float16", constant=True)),
        *(tensor(2, (4, 4), "float32"), tensor(3, (1, 4), "float32")),
    )
    operations = (Operation("DEQUANTIZE", (1,), (2,)), Operation("FULLY_CONNECTED", (0, 2), (3,)))
    layers = count_layers(Model(tensors, operations, (0,), (3,)))
    assert [(layer.parameters, layer.weight_bytes, layer.macs) for layer in layers] == [(16, 32, 0), (0, 0, 16)]


@pytest.mark.parametrize(
    ("dtype", "expected"),
    [("int4", 8), ("int8", 15), ("bool", 15), ("float16", 30), ("bfloat16", 30), ("float8_e5m2", 15), ("string", 0)],
)
def test_bytes_of_fifteen_values(dtype: str, expected: int) -> None:
    assert size_bytes(tensor(0, (3, 5), dtype)) == expected


def residual(*, inputs_of_last: tuple[int, ...]) -> Model:
    """100 bytes in, then 400, 200 and 100; the last operation adds what it is told to."""
    sizes = (100, 400, 200, 100)
    operations = (Operation("RELU", (0,), (1,)), Operation("RELU", (1,), (2,)), Operation("ADD", inputs_of_last, (3,)))
    return Model(tuple(tensor(index, (size,)) for index, size in enumerate(sizes)), operations, (0,), (3,))


def test_what_is_alive_at_once_is_summed() -> None:
    assert activation_bytes(residual(inputs_of_last=(2, 2))) == [100 + 400, 400 + 200, 200 + 100]


def test_a_shortcut_keeps_its_tensor_alive() -> None:
    assert max(activation_bytes(residual(inputs_of_last=(2, 0)))) == 400 + 200 + 100


def test_constants_are_no_activations() -> None:
    graph = one_operation("CONV_2D", (1, 8, 8, 3), (16, 3, 3, 3), (16,), (1, 8, 8, 16))
    assert max(activation_bytes(graph)) == 8 * 8 * 3 + 8 * 8 * 16


def test_an_output_lives_to_the_end() -> None:
    tensors = tuple(tensor(index, (size,)) for index, size in enumerate((10, 500, 20, 30)))
    operations = (Operation("RELU", (0,), (1,)), Operation("RELU", (0,), (2,)), Operation("RELU", (2,), (3,)))
    assert max(activation_bytes(Model(tensors, operations, (0,), (1, 3)))) == 500 + 20 + 30
