"""Observed ranges are what the tensors really hold, whatever kernels run and in whatever order images come."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.testing import assert_allclose, assert_array_equal

from ghost_edge.core.errors import ArtifactError, DataError
from ghost_edge.host.calibration import ESTIMATORS, scale_groups
from ghost_edge.host.calibration.observe import (
    Observed,
    histogram,
    load_observed,
    observe,
    observe_channels,
    observe_halves,
    observe_means,
    save_observed,
)
from ghost_edge.host.tflite.graph import Model, Operation, Tensor, read_model

pytestmark = pytest.mark.slow
INPUTS = list(np.random.default_rng(0).normal(size=(6, 1, 28, 28, 1)).astype(np.float32))


@pytest.fixture(scope="module")
def tflite(converted: Path) -> Path:
    return converted / "ghostnet_mnist_float.tflite"


@pytest.fixture(scope="module")
def graph(tflite: Path) -> Model:
    return read_model(tflite)


def lows(observed: Observed) -> np.ndarray:
    return np.array([each.low for each in observed.histograms])


def highs(observed: Observed) -> np.ndarray:
    return np.array([each.high for each in observed.histograms])


@pytest.fixture(scope="module")
def observed(tflite: Path, graph: Model) -> Observed:
    return observe(graph, INPUTS)


def test_ranges_are_those_of_an_independent_run_with_reference_kernels(
    tflite: Path, graph: Model, observed: Observed
) -> None:
    interpreter = Interpreter(
        str(tflite),
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
    )
    interpreter.allocate_tensors()
    index = {tensor.name: tensor.index for tensor in graph.tensors}
    values: dict[str, list[np.ndarray]] = {name: [] for name in observed.names}
    for image in INPUTS:
        interpreter.set_tensor(graph.inputs[0], image)
        interpreter.invoke()
        for name in observed.names:
            values[name].append(interpreter.get_tensor(index[name]))
    low = [min(array.min() for array in values[name]) for name in observed.names]
    high = [max(array.max() for array in values[name]) for name in observed.names]
    # float32 sums in another order, after some forty layers
    assert_allclose(lows(observed), low, rtol=1e-4, atol=1e-4)
    assert_allclose(highs(observed), high, rtol=1e-4, atol=1e-4)


def test_every_activation_is_observed_and_no_constant(graph: Model, observed: Observed) -> None:
    activations = {index for operation in graph.operations for index in operation.outputs} | set(graph.inputs)
    assert set(observed.names) == {graph.tensors[index].name for index in activations}


def test_the_order_of_the_images_does_not_matter(
    tflite: Path, graph: Model, observed: Observed, tmp_path: Path
) -> None:
    save_observed(observed, tmp_path / "a.npz")
    save_observed(observe(graph, INPUTS[::-1]), tmp_path / "b.npz")
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_more_images_never_narrow_a_range(tflite: Path, graph: Model, observed: Observed) -> None:
    fewer = observe(graph, INPUTS[:2])
    assert (lows(fewer) >= lows(observed)).all()
    assert (highs(fewer) <= highs(observed)).all()


def test_as_many_values_are_counted_as_the_tensors_hold(graph: Model, observed: Observed) -> None:
    sizes = {tensor.name: int(np.prod(tensor.shape)) for tensor in graph.tensors}
    for name, each in zip(observed.names, observed.histograms):
        assert int(each.counts.sum()) == len(INPUTS) * sizes[name]


def test_channels_and_means_are_those_of_the_same_values(tflite: Path, graph: Model, observed: Observed) -> None:
    channels = observe_channels(graph, INPUTS)
    means = observe_means(graph, INPUTS)
    assert_array_equal([channels[name][0].min() for name in observed.names], lows(observed))
    assert_array_equal([channels[name][1].max() for name in observed.names], highs(observed))
    assert_allclose(means[graph.tensors[graph.inputs[0]].name], np.mean(INPUTS, axis=0), atol=1e-6)  # float32 inputs
    assert all((channels[name][0] - 1e-6 <= means[name]).all() for name in observed.names)


def test_other_images_give_other_ranges(tflite: Path, graph: Model, observed: Observed) -> None:
    halved = observe(graph, [image / 2 for image in INPUTS])
    assert (np.abs(highs(halved) - highs(observed)) > 1e-3).mean() > 0.5


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_an_image_that_makes_the_model_answer_nan_is_numbered(tflite: Path, graph: Model, value: float) -> None:
    with pytest.raises(DataError, match="calibration image 1 makes the float model answer NaN or infinity"):
        observe(graph, [INPUTS[0], np.full_like(INPUTS[0], value)])


def test_ranges_survive_a_round_trip(observed: Observed, tmp_path: Path) -> None:
    save_observed(observed, tmp_path / "r.npz")
    loaded = load_observed(tmp_path / "r.npz")
    assert loaded.names == observed.names
    assert_array_equal(lows(loaded), lows(observed))
    assert_array_equal(loaded.histograms[3].counts, observed.histograms[3].counts)


def test_damaged_ranges_are_refused(observed: Observed, tmp_path: Path) -> None:
    save_observed(observed, tmp_path / "r.npz")
    (tmp_path / "r.npz").write_bytes((tmp_path / "r.npz").read_bytes()[:-200])
    with pytest.raises(ArtifactError, match=r"r\.npz is not a readable \.npz file"):
        load_observed(tmp_path / "r.npz")


def concat(*operations: tuple[str, tuple[int, ...], tuple[int, ...]]) -> Model:
    tensors = tuple(Tensor(index, name, (1,), "float32", constant=False) for index, name in enumerate("abcde"))
    return Model(tensors, tuple(Operation(*operation) for operation in operations), (0,), (4,))


def values(low: float, high: float) -> np.ndarray:
    return np.array([[low, high]], np.float32)


WIDE = Observed(tuple("abcde"), tuple(histogram(values(-1.0 - number, 5.0 - number)) for number in range(5)))


def tied(graph: Model) -> list[tuple[float, float]]:
    ranges = ESTIMATORS["minmax"](WIDE, graph)
    return list(zip(ranges.low.tolist(), ranges.high.tolist()))


def test_inputs_and_output_of_a_concatenation_share_their_union() -> None:
    assert tied(concat(("CONCATENATION", (0, 1), (2,)))) == [(-3, 5), (-3, 5), (-3, 5), (-4, 2), (-5, 1)]


def test_a_concatenation_that_feeds_another_shares_its_range() -> None:
    graph = concat(("CONCATENATION", (0, 1), (2,)), ("CONCATENATION", (2, 3), (4,)))
    assert tied(graph) == [(-5, 5)] * 5


@pytest.mark.parametrize("name", ["RESHAPE", "PAD", "MAX_POOL_2D", "AVERAGE_POOL_2D", "STRIDED_SLICE", "TRANSPOSE"])
def test_what_moves_values_keeps_their_range(name: str) -> None:
    assert tied(concat((name, (0, 2), (1,))))[:2] == [(-3, 5)] * 2


def test_other_operations_share_nothing() -> None:
    assert scale_groups(concat(("ADD", (0, 1), (2,)))) == (("a",), ("b",), ("c",), ("d",), ("e",))


@pytest.mark.parametrize("estimate", ESTIMATORS.values(), ids=ESTIMATORS.keys())
def test_no_estimator_writes_into_what_it_is_given(estimate: object) -> None:
    before = [each.counts.copy() for each in WIDE.histograms]
    estimate(WIDE, concat(("CONCATENATION", (0, 1), (2,))))  # type: ignore[operator]
    for each, counts in zip(WIDE.histograms, before):
        assert_array_equal(each.counts, counts)


@pytest.mark.parametrize("estimate", ESTIMATORS.values(), ids=ESTIMATORS.keys())
def test_both_sides_of_a_ghost_module_have_one_range(graph: Model, observed: Observed, estimate: object) -> None:
    ranges = estimate(observed, graph)  # type: ignore[operator]
    row = {name: index for index, name in enumerate(ranges.names)}
    joined = [operation for operation in graph.operations if operation.name == "CONCATENATION"]
    assert len(joined) == 10  # two ghost modules in each of five bottlenecks
    for operation in joined:
        rows = [row[graph.tensors[index].name] for index in operation.inputs + operation.outputs]
        assert len({(ranges.low[index], ranges.high[index]) for index in rows}) == 1


def test_two_processes_see_what_one_sees(tflite: Path, graph: Model) -> None:
    rng = np.random.default_rng(0)
    inputs = [rng.normal(0, wide, (1, 28, 28, 1)).astype(np.float32) for wide in np.linspace(0.1, 9, 41)]
    one, two = observe(graph, inputs), observe_halves(graph, inputs)
    assert one.names == two.names
    for first, second in zip(one.histograms, two.histograms):
        assert (first.exponent, first.low, first.high) == (second.exponent, second.low, second.high)
        np.testing.assert_array_equal(first.counts, second.counts)


def test_an_image_of_the_other_process_is_named_by_its_own_number(tflite: Path, graph: Model) -> None:
    inputs = [np.zeros((1, 28, 28, 1), np.float32) for _ in range(40)]
    inputs[37][0, 3, 3] = np.inf
    with pytest.raises(DataError, match=r"^calibration image 37 makes the float model answer NaN or infinity"):
        observe_halves(graph, inputs)
