"""Other ends of an int8 file: the same network in between, and bytes enter it as the normalised image does."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType
from numpy.testing import assert_array_equal

from ghost_edge.core.preprocess import Preprocess, prepare
from ghost_edge.core.tensor import TensorSpec, quantize
from ghost_edge.device.evaluate import RunOptions, raw_outputs
from ghost_edge.host.quantization.io_dtypes import byte_ends, float_ends
from ghost_edge.host.tflite.edit import add_tensor, make_operation, pack
from ghost_edge.host.tflite.graph import read_model, unpack

REFERENCE = RunOptions(kernels="reference")
IMAGENET = Preprocess(size=16, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))
RANGES = {  # of the network's input, as calibration would find it
    "imagenet": (IMAGENET, -2.2, 2.7),
    "one mean for all": (Preprocess(size=16, mean=(0.5,), std=(0.5,)), -1, 1),
    "bytes": (Preprocess(size=16, mean=(127.5,), std=(64.0,), divide_by=1.0), -1.83, 1.91),
    "clipped": (IMAGENET, -1.07, 1.51),
    "one scale": (Preprocess(size=16, mean=(0.2,), std=(0.25,)), -0.8, 3.2),
    "nothing to do": (Preprocess(size=16), 0, 1),
}
ONE_SCALE = ("one scale", "nothing to do")  # an affine input says it all
CASES = pytest.mark.parametrize("case", RANGES)


def network(low: float, high: float) -> bytes:
    """A 3x3 convolution of 16 x 16 pixels with SAME padding, int8 in and out, on an input of this range."""
    model, graph, rng = schema.ModelT(), schema.SubGraphT(), np.random.default_rng(0)
    model.version, model.buffers, model.subgraphs, model.operatorCodes = 3, [schema.BufferT()], [graph], []
    graph.tensors, scale = [], (high - low) / 255
    zero_point = round(-128 - low / scale)
    image = add_tensor(model, "image", (1, 16, 16, 3), "int8", scale=[scale], zero_point=zero_point)
    weights = rng.integers(-127, 128, (4, 3, 3, 3))
    kernel = add_tensor(model, "kernel", weights.shape, "int8", scale=[0.01], values=weights)
    bias = add_tensor(model, "bias", (4,), "int32", scale=[0.01 * scale], values=rng.integers(-999, 999, 4))
    answer = add_tensor(model, "answer", (1, 16, 16, 4), "int8", scale=[0.2], zero_point=-9)
    options = schema.Conv2DOptionsT(strideW=1, strideH=1)
    convolution = make_operation(model, "CONV_2D", [image, kernel, bias], answer, options)
    graph.operators, graph.inputs, graph.outputs = [convolution], [image], [answer]
    return pack(model)


def run(content: bytes, values: np.ndarray) -> dict[str, np.ndarray]:
    """Every tensor by its name, under reference kernels."""
    interpreter = Interpreter(
        model_content=content,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
        experimental_preserve_all_tensors=True,
    )
    interpreter.allocate_tensors()
    interpreter.set_tensor(interpreter.get_input_details()[0]["index"], values)
    interpreter.invoke()
    return {each["name"]: interpreter.get_tensor(each["index"]) for each in interpreter.get_tensor_details()}


def spec_of(content: bytes) -> TensorSpec:
    detail = Interpreter(model_content=content).get_input_details()[0]
    scale, zero_point = detail["quantization"]
    return TensorSpec("image", tuple(detail["shape"]), np.dtype(detail["dtype"]).name, float(scale), int(zero_point))


def every_byte() -> np.ndarray:
    """An image, uint8 [16, 16, 3], that holds each byte once in each channel."""
    rng = np.random.default_rng(1)
    return np.stack([rng.permutation(256).astype(np.uint8).reshape(16, 16) for _ in range(3)], axis=-1)


def entered(case: str, given: Preprocess | None = None) -> tuple[np.ndarray, np.ndarray]:
    """The network's own input behind byte_ends(), int8, and what the image is in its steps, before any rounding."""
    preprocess, low, high = RANGES[case]
    content = network(low, high)
    inside = run(byte_ends(content, given or preprocess), every_byte()[np.newaxis])["image_int8"]
    spec = spec_of(content)
    return inside, np.clip(prepare(every_byte(), preprocess) / spec.scale + spec.zero_point, -128, 127)


@CASES
def test_every_byte_enters_the_network_as_the_nearest_integer(case: str) -> None:
    inside, exact = entered(case)
    # half a step, and a little: the bias is in steps of 1 / 127 of a byte, and the kernel rounds to 1 / 64 first
    assert np.abs(inside - exact).max() <= 0.5 + 1 / 64


# where mean and std are 0.5, every byte lies between two integers, and rint() takes the even of these
@pytest.mark.parametrize("case", [case for case in RANGES if case != "one mean for all"])
def test_bytes_enter_the_network_as_the_normalised_image_does(case: str) -> None:
    inside, exact = entered(case)
    assert (inside == np.rint(exact)).mean() >= 0.98  # up to 3 of the 256 bytes lie within 1 / 64 of a middle


def test_another_mean_is_seen() -> None:
    inside, exact = entered("imagenet", Preprocess(size=16, mean=IMAGENET.mean[::-1], std=IMAGENET.std))
    assert np.abs(inside - exact).max() > 5
    assert (inside == np.rint(exact)).mean() < 0.5


@CASES
def test_the_network_in_between_is_the_same_to_the_border(case: str) -> None:
    preprocess, low, high = RANGES[case]
    content = network(low, high)
    seen = run(byte_ends(content, preprocess), every_byte()[np.newaxis])
    expected = run(content, seen["image_int8"])["answer"]
    assert_array_equal(seen["answer_int8"], expected)
    assert_array_equal(seen["answer"].astype(int), expected.astype(int) + 128)


def test_float_ends_are_the_normalised_image_and_real_numbers() -> None:
    content = network(-2.2, 2.7)
    image = prepare(every_byte(), IMAGENET)
    expected = run(content, quantize(image, spec_of(content)))["answer"]
    seen = run(float_ends(content, IMAGENET), image)
    assert_array_equal(seen["answer_int8"], expected)
    assert_array_equal(seen["answer"], (expected.astype(np.float32) + 9) * np.float32(0.2))


@CASES
def test_evaluation_feeds_each_kind_of_end_as_it_wants(tmp_path: Path, case: str) -> None:
    preprocess, low, high = RANGES[case]
    content = network(low, high)
    answers = {}
    for name, made in (("int8", content), *((f.__name__, f(content, preprocess)) for f in (float_ends, byte_ends))):
        (tmp_path / f"{name}.tflite").write_bytes(made)
        (answers[name], *_), _ = raw_outputs(tmp_path / f"{name}.tflite", [every_byte()], preprocess, REFERENCE)
    fed = run(byte_ends(content, preprocess), every_byte()[np.newaxis])["answer"]
    assert_array_equal(answers["byte_ends"].ravel(), fed.ravel())
    if case != "one mean for all":  # QUANTIZE takes the middle between two integers away from zero, rint() to the even
        assert_array_equal(answers["float_ends"], (answers["int8"].astype(np.float32) + 9) * np.float32(0.2))


@CASES
def test_the_normalisation_costs_an_operation_only_where_one_scale_cannot_say_it(tmp_path: Path, case: str) -> None:
    preprocess, low, high = RANGES[case]
    (tmp_path / "m.tflite").write_bytes(byte_ends(network(low, high), preprocess))
    graph = read_model(tmp_path / "m.tflite")
    convolution = [] if case in ONE_SCALE else ["DEPTHWISE_CONV_2D"]
    assert [each.name for each in graph.operations] == ["QUANTIZE", *convolution, "CONV_2D", "QUANTIZE"]
    ends = [graph.tensors[index] for index in graph.inputs + graph.outputs]
    assert [(tensor.name, tensor.dtype) for tensor in ends] == [("image", "uint8"), ("answer", "uint8")]


@pytest.mark.parametrize("ends", [float_ends, byte_ends])
def test_the_same_file_gives_the_same_bytes(ends) -> None:
    content = network(-2.2, 2.7)
    assert ends(content, IMAGENET) == ends(content, IMAGENET)


def test_constants_lie_at_multiples_of_16_bytes() -> None:
    content = byte_ends(network(-2.2, 2.7), IMAGENET)
    packed = schema.Model.GetRootAs(content, 0)
    places = [
        buffer.DataAsNumpy().ctypes.data - np.frombuffer(content, np.uint8).ctypes.data
        for buffer in (packed.Buffers(index) for index in range(packed.BuffersLength()))
        if buffer.DataLength()
    ]
    assert len(places) == 4
    assert [place % 16 for place in places] == [0] * 4


def test_constants_behind_the_flatbuffer_are_taken_in() -> None:
    content = network(-2.2, 2.7)
    model = unpack(content)
    kernel = model.buffers[1].data
    model.buffers[1].data, model.buffers[1].offset, model.buffers[1].size = None, 2, len(kernel)
    model.buffers[1].offset = len(pack(model))  # as long as with any other number
    behind = pack(model) + kernel.tobytes()
    assert pack(unpack(behind)) == content
