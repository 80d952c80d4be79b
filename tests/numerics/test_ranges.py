"""Observed ranges are what the tensors really hold, whatever kernels run and in whatever order pictures come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.testing import assert_allclose, assert_array_equal

from ghost_edge.core.errors import ArtifactError, DataError
from ghost_edge.host.graph import Graph, Operation, Tensor, read_graph
from ghost_edge.host.ranges import ESTIMATORS, minmax
from ghost_edge.host.ranges.observer import Ranges, load_ranges, observe, save_ranges

pytestmark = pytest.mark.slow
INPUTS = list(np.random.default_rng(0).normal(size=(6, 1, 28, 28, 1)).astype(np.float32))


@pytest.fixture(scope="module")
def tflite(converted: Path) -> Path:
    return converted / "ghostnet_mnist_float.tflite"


@pytest.fixture(scope="module")
def graph(tflite: Path) -> Graph:
    return read_graph(tflite)


def seen(tflite: Path, graph: Graph, inputs: list[np.ndarray]) -> Ranges:
    return observe(tflite, graph, inputs, say=lambda done: None)


@pytest.fixture(scope="module")
def observed(tflite: Path, graph: Graph) -> Ranges:
    return seen(tflite, graph, INPUTS)


def test_ranges_are_those_of_an_independent_run_with_reference_kernels(
    tflite: Path, graph: Graph, observed: Ranges
) -> None:
    interpreter = Interpreter(
        str(tflite),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    index = {tensor.name: tensor.index for tensor in graph.tensors}
    values: dict[str, list[np.ndarray]] = {name: [] for name in observed.names}
    for picture in INPUTS:
        interpreter.set_tensor(graph.inputs[0], picture)
        interpreter.invoke()
        for name in observed.names:
            values[name].append(interpreter.get_tensor(index[name]))
    low = [min(array.min() for array in values[name]) for name in observed.names]
    high = [max(array.max() for array in values[name]) for name in observed.names]
    # float32 sums in another order, after some forty layers
    assert_allclose(observed.low, low, rtol=1e-4, atol=1e-4)
    assert_allclose(observed.high, high, rtol=1e-4, atol=1e-4)


def test_every_activation_is_observed_and_no_constant(graph: Graph, observed: Ranges) -> None:
    activations = {index for operation in graph.operations for index in operation.outputs} | set(graph.inputs)
    assert set(observed.names) == {graph.tensors[index].name for index in activations}


def test_the_order_of_the_pictures_does_not_matter(
    tflite: Path, graph: Graph, observed: Ranges, tmp_path: Path
) -> None:
    save_ranges(observed, tmp_path / "a.npz")
    save_ranges(seen(tflite, graph, INPUTS[::-1]), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_more_pictures_never_narrow_a_range(tflite: Path, graph: Graph, observed: Ranges) -> None:
    fewer = seen(tflite, graph, INPUTS[:2])
    assert (fewer.low >= observed.low).all()
    assert (fewer.high <= observed.high).all()


def test_other_pictures_give_other_ranges(tflite: Path, graph: Graph, observed: Ranges) -> None:
    halved = seen(tflite, graph, [picture / 2 for picture in INPUTS])
    assert (np.abs(halved.high - observed.high) > 1e-3).mean() > 0.5


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_picture_that_makes_the_model_answer_nan_is_numbered(tflite: Path, graph: Graph, value: float) -> None:
    with pytest.raises(DataError, match="calibration picture 1 makes the float model answer NaN or infinity"):
        seen(tflite, graph, [INPUTS[0], np.full_like(INPUTS[0], value)])


def test_ranges_survive_a_round_trip(observed: Ranges, tmp_path: Path) -> None:
    save_ranges(observed, tmp_path / "r.npz")
    loaded = load_ranges(tmp_path / "r.npz")
    assert loaded.names == observed.names
    assert_array_equal(loaded.low, observed.low)


def test_damaged_ranges_are_refused(observed: Ranges, tmp_path: Path) -> None:
    save_ranges(observed, tmp_path / "r.npz")
    (tmp_path / "r.npz").write_bytes((tmp_path / "r.npz").read_bytes()[:-200])
    with pytest.raises(ArtifactError, match=r"r\.npz is not a readable \.npz file"):
        load_ranges(tmp_path / "r.npz")


def concat(*operations: tuple[str, tuple[int, ...], tuple[int, ...]]) -> Graph:
    tensors = tuple(Tensor(index, name, (1,), "float32", constant=False) for index, name in enumerate("abcde"))
    return Graph(tensors, tuple(Operation(*operation) for operation in operations), (0,), (4,))


WIDE = Ranges(tuple("abcde"), np.array([-1, -2, -3, -4, -5], np.float32), np.array([5, 4, 3, 2, 1], np.float32))


def tied(graph: Graph) -> list[tuple[float, float]]:
    ranges = minmax.estimate(WIDE, graph)
    return list(zip(ranges.low.tolist(), ranges.high.tolist()))


def test_inputs_and_output_of_a_concatenation_share_their_union() -> None:
    assert tied(concat(("CONCATENATION", (0, 1), (2,)))) == [(-3, 5), (-3, 5), (-3, 5), (-4, 2), (-5, 1)]


def test_a_concatenation_that_feeds_another_shares_its_range() -> None:
    graph = concat(("CONCATENATION", (0, 1), (2,)), ("CONCATENATION", (2, 3), (4,)))
    assert tied(graph) == [(-5, 5)] * 5


def test_other_operations_share_nothing() -> None:
    assert tied(concat(("ADD", (0, 1), (2,)))) == list(zip(WIDE.low.tolist(), WIDE.high.tolist()))


@pytest.mark.parametrize("estimate", ESTIMATORS.values(), ids=ESTIMATORS.keys())
def test_no_estimator_writes_into_what_it_is_given(estimate: object) -> None:
    low = WIDE.low.copy()
    estimate(WIDE, concat(("CONCATENATION", (0, 1), (2,))))  # type: ignore[operator]
    assert_array_equal(WIDE.low, low)


def test_both_sides_of_a_ghost_module_have_one_range(tflite: Path, graph: Graph, observed: Ranges) -> None:
    ranges = minmax.estimate(observed, graph)
    row = {name: index for index, name in enumerate(ranges.names)}
    joined = [operation for operation in graph.operations if operation.name == "CONCATENATION"]
    assert len(joined) == 10  # two ghost modules in each of five bottlenecks
    for operation in joined:
        rows = [row[graph.tensors[index].name] for index in operation.inputs + operation.outputs]
        assert len({(ranges.low[index], ranges.high[index]) for index in rows}) == 1
