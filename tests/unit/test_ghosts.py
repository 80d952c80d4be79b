"""What is a ghost module and what is not, and what the paper says of it."""

from __future__ import annotations

import dataclasses

import pytest

from ghost_edge.host.explore.ghost_modules import GhostSizes, approximation, find_ghosts, theory
from ghost_edge.host.tflite.graph import Model, Operation, Tensor

SIZES = GhostSizes(
    input=(14, 14, 480), filters=112, intrinsic=56, ratio=2, kernel=(1, 1), cheap_kernel=(3, 3), stride=(1, 1),
    padding="same",
)  # fmt: skip


class Builder:
    """A graph, one operation after the other; a tensor is called by its index."""

    def __init__(self, *shape: int) -> None:
        self.tensors: list[Tensor] = []
        self.operations: list[Operation] = []
        self.tensor(*shape)

    def tensor(self, *shape: int, constant: bool = False) -> int:
        self.tensors.append(Tensor(len(self.tensors), f"t{len(self.tensors)}", shape, "int8", constant))
        return len(self.tensors) - 1

    def operation(self, name: str, inputs: tuple[int, ...], *shape: int, stride: int = 1, dilation: int = 1) -> int:
        output = self.tensor(*shape)
        self.operations.append(Operation(name, inputs, (output,), (stride, stride), (dilation, dilation)))
        return output

    def conv(
        self, x: int, filters: int, kernel: int = 1, *, groups: int = 1, stride: int = 1, dilation: int = 1
    ) -> int:
        _, height, width, channels = self.tensors[x].shape
        weights = self.tensor(filters, kernel, kernel, channels // groups, constant=True)
        inputs = (x, weights, self.tensor(filters, constant=True))
        shape = (1, height // stride, width // stride, filters)
        return self.operation("CONV_2D", inputs, *shape, stride=stride, dilation=dilation)

    def depthwise(self, x: int, kernel: int = 3, multiplier: int = 1) -> int:
        *size, channels = self.tensors[x].shape
        filters = channels * multiplier
        inputs = (x, self.tensor(1, kernel, kernel, filters, constant=True), self.tensor(filters, constant=True))
        return self.operation("DEPTHWISE_CONV_2D", inputs, *size, filters)

    def through(self, name: str, x: int) -> int:
        return self.operation(name, (x, self.tensor(4, constant=True)), *self.tensors[x].shape)

    def first(self, x: int, channels: int) -> int:
        return self.operation("STRIDED_SLICE", (x, self.tensor(4, constant=True)), *self.tensors[x].shape[:3], channels)

    def concat(self, *inputs: int) -> int:
        channels = sum(self.tensors[index].shape[3] for index in inputs)
        return self.operation("CONCATENATION", inputs, *self.tensors[inputs[0]].shape[:3], channels)

    def graph(self) -> Model:
        return Model(tuple(self.tensors), tuple(self.operations), (0,), (len(self.tensors) - 1,))


def test_the_module_of_the_paper_is_found_with_its_sizes() -> None:
    net = Builder(1, 14, 14, 480)
    primary = net.conv(0, 56)
    net.concat(primary, net.depthwise(primary))
    (ghost,) = find_ghosts(net.graph())
    assert (ghost.operation, ghost.sizes) == (2, SIZES)


def test_the_order_in_which_the_halves_are_joined_does_not_matter() -> None:
    net = Builder(1, 14, 14, 480)
    primary = net.conv(0, 56)
    net.concat(net.depthwise(primary), primary)
    assert [ghost.sizes for ghost in find_ghosts(net.graph())] == [SIZES]


@pytest.mark.parametrize("name", ["RELU", "RELU6", "QUANTIZE", "PAD", "MUL", "ADD"])
def test_what_was_not_fused_is_looked_through(name: str) -> None:
    net = Builder(1, 14, 14, 480)
    primary = net.through(name, net.conv(0, 56))
    net.concat(primary, net.through(name, net.depthwise(net.through(name, primary))))
    assert [ghost.sizes for ghost in find_ghosts(net.graph())] == [SIZES]


def test_a_ratio_of_four_is_three_ghosts_a_map() -> None:
    net = Builder(1, 8, 8, 16)
    primary = net.conv(0, 5, 3, stride=2)
    net.concat(primary, net.depthwise(primary, kernel=5, multiplier=3))
    (ghost,) = find_ghosts(net.graph())
    assert (ghost.sizes.ratio, ghost.sizes.filters, ghost.sizes.intrinsic) == (4, 20, 5)
    assert (ghost.sizes.kernel, ghost.sizes.cheap_kernel, ghost.sizes.stride) == ((3, 3), (5, 5), (2, 2))


def test_several_depthwise_convolutions_of_one_convolution_are_one_module() -> None:
    net = Builder(1, 8, 8, 16)
    primary = net.conv(0, 5)
    net.concat(primary, net.depthwise(primary), net.depthwise(primary))
    assert [ghost.sizes.ratio for ghost in find_ghosts(net.graph())] == [3]


def test_channels_that_are_cut_off_do_not_count() -> None:
    net = Builder(1, 8, 8, 16)
    primary = net.conv(0, 4)
    net.first(net.concat(primary, net.depthwise(primary, multiplier=2)), 10)  # 10 filters, ratio 3
    (ghost,) = find_ghosts(net.graph())
    assert (ghost.sizes.filters, ghost.sizes.ratio) == (10, 3)
    assert ghost.mac_ratio == 10 * 16 / (4 * 16 + 8 * 9)


def test_ghosts_may_be_cut_before_they_are_joined() -> None:
    net = Builder(1, 8, 8, 16)
    primary = net.conv(0, 4)
    net.concat(primary, net.first(net.depthwise(primary, multiplier=2), 6))
    (ghost,) = find_ghosts(net.graph())
    assert (ghost.sizes.filters, ghost.sizes.ratio) == (10, 3)


def test_a_concatenation_that_others_read_too_is_whole() -> None:
    net = Builder(1, 8, 8, 16)
    primary = net.conv(0, 4)
    both = net.concat(primary, net.depthwise(primary, multiplier=2))
    net.first(both, 10)
    net.conv(both, 3)
    assert [ghost.sizes.filters for ghost in find_ghosts(net.graph())] == [12]


def not_ghosts() -> dict[str, Builder]:
    names = ("of two inputs", "two convolutions", "with the input", "grouped", "dilated", "along another axis", "sum")
    nets = {name: Builder(1, 8, 8, 16) for name in (*names, "alone")}
    first = {name: net.conv(0, 8, groups=2 if name == "grouped" else 1, dilation=2 if name == "dilated" else 1)
             for name, net in nets.items()}  # fmt: skip
    for name in ("grouped", "dilated"):
        nets[name].concat(first[name], nets[name].depthwise(first[name]))
    net = nets["of two inputs"]
    net.concat(first["of two inputs"], net.depthwise(net.conv(0, 8)))
    net = nets["two convolutions"]
    net.concat(first["two convolutions"], net.conv(first["two convolutions"], 8, 3))
    net = nets["with the input"]
    net.concat(0, first["with the input"], net.depthwise(first["with the input"]))
    net = nets["along another axis"]
    x = first["along another axis"]
    net.operation("CONCATENATION", (x, net.depthwise(x)), 1, 16, 8, 8)
    net = nets["sum"]
    net.operation("ADD", (first["sum"], net.depthwise(first["sum"])), 1, 8, 8, 8)
    return nets


@pytest.mark.parametrize("name", list(not_ghosts()))
def test_something_else_is_no_ghost_module(name: str) -> None:
    assert find_ghosts(not_ghosts()[name].graph()) == ()


def test_theory_is_that_of_equation_4_worked_out_by_hand() -> None:
    # n h' w' c k k / (n/s h' w' c k k + (s-1) n/s h' w' d d) with n 112, h' w' 196, c 480, k 1, d 3, s 2
    assert theory(SIZES) == pytest.approx(10_536_960 / (5_268_480 + 98_784))


def test_the_approximation_is_the_fraction_where_d_is_k() -> None:
    same = dataclasses.replace(SIZES, cheap_kernel=(1, 1))
    assert approximation(SIZES) == theory(same) == pytest.approx(2 * 480 / 481)


@pytest.mark.parametrize("ratio", [2, 4])
def test_counted_and_theory_are_equal_where_the_ratio_divides_the_filters(ratio: int) -> None:
    net = Builder(1, 14, 14, 480)
    primary = net.conv(0, 56)
    net.concat(primary, net.depthwise(primary, multiplier=ratio - 1))
    (ghost,) = find_ghosts(net.graph())
    assert ghost.mac_ratio == pytest.approx(ghost.theory, rel=1e-12)  # one division or four


def test_the_ratio_of_parameters_counts_biases() -> None:
    net = Builder(1, 14, 14, 480)
    primary = net.conv(0, 56)
    net.concat(primary, net.depthwise(primary))
    (ghost,) = find_ghosts(net.graph())
    assert ghost.parameter_ratio == (480 * 112 + 112) / (480 * 56 + 56 + 9 * 56 + 56)
