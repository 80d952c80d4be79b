"""What is timed for an operation is that operation: cut out, it makes the same bytes of the same bytes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from ghost_edge.host.calibration.observe import Ranges
from ghost_edge.host.quantization import QUANTIZERS
from ghost_edge.host.tflite.edit import pack
from ghost_edge.host.tflite.graph import read_model, unpack
from ghost_edge.host.tflite.op_latency import cut_out, time_operations

pytestmark = pytest.mark.slow
NOTHING = Ranges((), *(np.zeros(0, np.float32) for _ in range(4)))  # float16 asks for no ranges


def interpreter(content: bytes) -> Any:
    opened = Interpreter(
        model_content=content,
        experimental_preserve_all_tensors=True,
        experimental_op_resolver_type=OpResolverType.BUILTIN_REF,
    )
    opened.allocate_tensors()
    return opened


@pytest.fixture(scope="module")
def tflite(converted: Path) -> Path:
    return converted / "ghostnet_mnist_int8.tflite"


def test_each_operation_alone_makes_what_it_makes_in_the_file(tflite: Path) -> None:
    whole = interpreter(tflite.read_bytes())
    given = whole.get_input_details()[0]
    whole.set_tensor(given["index"], np.random.default_rng(0).integers(-128, 128, given["shape"], np.int8))
    whole.invoke()
    model, same = read_model(tflite), []
    stored = unpack(model.content)
    for number, operation in enumerate(model.operations):
        alone = interpreter(pack(cut_out(model, stored, number)))
        by_name = {model.tensors[index].name: index for index in operation.inputs if index >= 0}
        for detail in alone.get_input_details():
            alone.set_tensor(detail["index"], whole.get_tensor(by_name[detail["name"]]))
        alone.invoke()
        made = alone.get_tensor(alone.get_output_details()[0]["index"])
        same.append(np.array_equal(made, whole.get_tensor(operation.output)))
    assert same == [True] * len(model.operations)


def test_every_operation_has_a_time(tflite: Path) -> None:
    times = time_operations(tflite)
    assert len(times) == len(read_model(tflite).operations)
    assert min(times) > 0


def test_what_makes_a_constant_is_not_timed_and_comes_with_its_reader(tflite: Path, tmp_path: Path) -> None:
    source = tflite.with_name("ghostnet_mnist_float.tflite")
    float16 = QUANTIZERS["float16"]
    path = tmp_path / "float16.tflite"
    path.write_bytes(float16.quantize(float16.options(), read_model(source), NOTHING))
    graph, times = read_model(path), time_operations(path)
    constant = [all(graph.tensors[index].constant for index in each.inputs) for each in graph.operations]
    assert [time == 0 for time in times] == constant
    assert any(constant)
