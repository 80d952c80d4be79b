"""Whole networks, ours and others', operation by operation; and a twin that is broken on purpose is found out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import onnx
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper
from PIL import Image

from ghost_edge.core.errors import ArtifactError, DataError
from ghost_edge.core.preprocess import prepare
from ghost_edge.core.tensor import quantize
from ghost_edge.device.runtimes.open import open_model
from ghost_edge.host.chain.stage import Outside
from ghost_edge.host.datasets.places import places_for
from ghost_edge.host.onnx.compare import OpDistance, compare_ops, find_apart
from ghost_edge.host.onnx.int8 import write_qdq
from ghost_edge.host.recipe.schema import load_recipe
from ghost_edge.host.tflite.graph import Tensor, read_model

THIRD_PARTY = [
    "mlperf_tiny_ic_resnet8_cifar10_int8",
    "mlperf_tiny_vww96_int8",
    "mlperf_tiny_kws_dscnn_int8",
    "coral_mobilenet_v1_0.25_128_quant",
    "tfls_mobilenet_v1_0.25_224_quant",
]
BAR = 0.99  # share of equal values
CONVOLUTION = 8  # the operation that is broken


def photographs(folder: Path, model: Path, count: int) -> Iterator[NDArray[np.uint8]]:
    """Of the ImageNet sample, in the shape and dtype of a model that takes pixels or pixels - 128."""
    (spec,) = open_model(model, kernels="reference").inputs
    _, height, width, channels = spec.shape
    for path in sorted((folder / "imagenet_sample_1000" / "images").iterdir())[:count]:
        pixels = np.asarray(Image.open(path).convert("RGB").resize((width, height)))[None, ..., :channels]
        yield pixels if spec.dtype == "uint8" else (pixels ^ 128).view(np.int8)


@pytest.fixture(scope="module")
def images(repository: Path, converted: Path) -> list[NDArray[np.int8]]:
    """Inputs of the embedded model, int8 [1, 28, 28, 1]."""
    path = repository / "models" / "ghostnet_mnist.toml"
    recipe = load_recipe(path)
    (spec,) = open_model(converted / "ghostnet_mnist_int8.tflite").inputs
    images = Outside(recipe, places_for(path.parent, None)).calibration.dataset.images[:50]
    return [quantize(prepare(image, recipe.preprocess), spec) for image in images]


@pytest.fixture(scope="module")
def int8(converted: Path) -> Path:
    return converted / "ghostnet_mnist_int8.tflite"


@pytest.mark.slow
def test_the_embedded_model_is_equal_op_by_op(int8: Path, images: list[NDArray[np.int8]]) -> None:
    distances = compare_ops(read_model(int8), write_qdq(read_model(int8)), images)
    assert find_apart(distances, least_equal=BAR) is None
    assert [each.index for each in distances] == sorted(each.index for each in distances)


@pytest.mark.slow
@pytest.mark.data
def test_the_cifar10_model_is_equal_op_by_op(converted_cifar10: Path, repository: Path, data_folder: Path) -> None:
    path, model = repository / "models" / "ghostnet_cifar10.toml", converted_cifar10 / "ghostnet_cifar10_int8.tflite"
    recipe = load_recipe(path)
    (spec,) = open_model(model).inputs
    images = Outside(recipe, places_for(path.parent, data_folder)).calibration.dataset.images[:200]
    inputs = (quantize(prepare(image, recipe.preprocess), spec) for image in images)
    assert find_apart(compare_ops(read_model(model), write_qdq(read_model(model)), inputs), least_equal=BAR) is None


@pytest.mark.data
@pytest.mark.parametrize("name", THIRD_PARTY)
def test_a_file_that_others_made_is_equal_op_by_op(name: str, data_folder: Path) -> None:
    model = data_folder / "models" / f"{name}.tflite"
    distances = compare_ops(read_model(model), write_qdq(read_model(model)), photographs(data_folder, model, 30))
    assert find_apart(distances, least_equal=BAR) is None


def with_constant(content: bytes, name: str, change: Callable[[NDArray], NDArray]) -> bytes:
    """The same file with one constant changed."""
    model = onnx.load_from_string(content)
    (constant,) = (each for each in model.graph.initializer if each.name == name)
    constant.CopyFrom(numpy_helper.from_array(np.ascontiguousarray(change(numpy_helper.to_array(constant))), name))
    return model.SerializeToString()


def convolution(tflite: Path) -> tuple[Tensor, Tensor]:
    """The weights of the operation that is broken, and what it makes."""
    graph = read_model(tflite)
    op = graph.operations[CONVOLUTION]
    assert op.name == "CONV_2D"
    return graph.tensors[op.inputs[1]], graph.tensors[op.outputs[0]]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "change"),
    [
        (":scale", lambda scale: scale * np.float32(1.05)),
        ("", lambda weights: weights[:, ::-1]),
        ("", lambda weights: weights[::-1]),
        (":zero_point", lambda zero_point: zero_point + np.int8(3)),
    ],
    ids=["wrong scale", "swapped input channels", "swapped output channels", "shifted zero point"],
)
def test_broken_weights_are_named_at_their_layer(
    suffix: str, change: Callable[[NDArray], NDArray], int8: Path, images: list[NDArray[np.int8]]
) -> None:
    weights, made = convolution(int8)
    name = f"{weights.index}{suffix}" if suffix else weights.name
    broken = with_constant(write_qdq(read_model(int8)), name, change)
    distances = compare_ops(read_model(int8), broken, images[:10])
    apart = find_apart(distances)
    assert apart is not None
    assert (apart.index, apart.operation, apart.name) == (CONVOLUTION, "CONV_2D", made.name)
    assert sum(find_apart([each]) is not None for each in distances) == 1  # and no other


@pytest.mark.slow
@pytest.mark.parametrize(
    ("suffix", "change"),
    [(":scale", lambda scale: scale * np.float32(1.05)), (":zero_point", lambda zero_point: zero_point + np.uint8(1))],
    ids=["wrong scale", "shifted zero point"],
)
def test_a_broken_tensor_is_named_where_it_is_made(
    suffix: str, change: Callable[[NDArray], NDArray], int8: Path, images: list[NDArray[np.int8]]
) -> None:
    _, made = convolution(int8)
    broken = with_constant(write_qdq(read_model(int8)), f"{made.index}{suffix}", change)
    apart = find_apart(compare_ops(read_model(int8), broken, images[:10]))
    assert apart is not None
    assert (apart.index, apart.name) == (CONVOLUTION, made.name)


@pytest.mark.slow
def test_an_input_that_is_turned_wrong_is_named(int8: Path, images: list[NDArray[np.int8]]) -> None:
    model = onnx.load_from_string(write_qdq(read_model(int8)))
    (first,) = (node for node in model.graph.node if node.input[0] == model.graph.input[0].name)
    first.attribute[0].ints[:] = (0, 3, 2, 1)  # height and width swapped
    apart = find_apart(compare_ops(read_model(int8), model.SerializeToString(), images[:2]))
    assert apart is not None
    assert (apart.index, apart.operation) == (-1, "INPUT")


@pytest.mark.slow
def test_a_comparison_of_nothing_is_an_error(int8: Path) -> None:
    with pytest.raises(DataError, match="cannot be compared without inputs; give one array at least"):
        compare_ops(read_model(int8), write_qdq(read_model(int8)), [])


@pytest.mark.slow
def test_an_onnx_file_of_another_network_is_an_error(
    int8: Path, converted: Path, images: list[NDArray[np.int8]]
) -> None:
    model = onnx.load(converted / "ghostnet_mnist_float.onnx")
    model.graph.output[0].name = model.graph.node[-1].output[0] = "other"
    with pytest.raises(ArtifactError, match=r"the ONNX file has no \S+, which the .tflite has; export it from this"):
        compare_ops(read_model(int8), model.SerializeToString(), images)


@pytest.mark.data
def test_a_file_that_litert_refuses_is_an_error(data_folder: Path) -> None:
    model = data_folder / "models" / "tflm_person_detect_int8.tflite"
    with pytest.raises(
        ArtifactError, match=r"tflm_person_detect_int8.tflite is refused by LiteRT: quantized_dimension"
    ):
        compare_ops(read_model(model), write_qdq(read_model(model)), [])


def test_the_first_of_two_that_are_apart_is_named() -> None:
    distances = [
        OpDistance(number, "ADD", "", lsb, equal, 10**6)
        for number, lsb, equal in ((0, 1, 0.99), (1, 1, 0.98), (2, 2, 1.0))
    ]
    assert find_apart(distances, least_equal=BAR) == distances[1]
    assert find_apart(distances, least_equal=0.5) == distances[2]
    assert find_apart(distances, least_equal=0.5, limit_lsb=2) is None


def test_a_share_that_is_not_a_number_is_apart() -> None:
    assert find_apart([OpDistance(0, "ADD", "", 0, float("nan"), 10**6)]) is not None


def test_one_value_of_a_handful_is_chance_and_of_many_it_is_not() -> None:
    assert find_apart([OpDistance(0, "ADD", "", 1, 0.93, 30)]) is None
    assert find_apart([OpDistance(0, "ADD", "", 1, 0.93, 3000)]) is not None
