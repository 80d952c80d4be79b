"""The ONNX file depends on the graph alone: not on names that tf2onnx makes up, nor on its order."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

from ghost_edge.core.errors import RecipeError
from ghost_edge.host.onnx import EXPORTERS
from ghost_edge.host.onnx.float import OnnxFloat, rename


def model(*, first: int, backwards: bool) -> onnx.ModelProto:
    """relu(x * w + b), with names numbered from `first` and nodes in one order or the other (not a valid one)."""
    product, total, weight, bias = (f"{name}__{first + step}" for step, name in enumerate(("mul", "add", "w", "b")))
    nodes = [
        helper.make_node("Mul", ["x", weight], [product], name=f"node__{first}"),
        helper.make_node("Add", [product, bias], [total], name=f"node__{first + 7}"),
        helper.make_node("Relu", [total], ["y"], name="relu"),
    ]
    values = [
        numpy_helper.from_array(np.full(3, 2, np.float32), weight),
        numpy_helper.from_array(np.arange(3, dtype=np.float32), bias),
    ]
    x, y = (helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [3]) for name in "xy")
    step = -1 if backwards else 1
    return helper.make_model(helper.make_graph(nodes[::step], "g", [x], [y], values[::step]))


def renamed(**options: int) -> onnx.ModelProto:
    return rename(model(first=options["first"], backwards=bool(options["backwards"])))


def test_made_up_names_and_order_do_not_reach_the_file() -> None:
    made = [renamed(first=first, backwards=backwards) for first, backwards in ((1, 0), (812, 0), (3, 1))]
    assert len({entry.SerializeToString(deterministic=True) for entry in made}) == 1


def test_nodes_come_after_what_they_need() -> None:
    made = renamed(first=5, backwards=1)
    onnx.checker.check_model(made, full_check=True)
    assert [node.op_type for node in made.graph.node] == ["Mul", "Add", "Relu"]


def test_the_names_of_inputs_and_outputs_are_kept() -> None:
    graph = renamed(first=5, backwards=0).graph
    assert (graph.input[0].name, graph.output[0].name, graph.node[-1].output[0]) == ("x", "y", "y")


def test_the_file_computes_what_it_computed() -> None:
    onnxruntime = pytest.importorskip("onnxruntime", reason="needs pip install onnxruntime")
    made = renamed(first=5, backwards=1)
    made.ir_version, made.opset_import[0].version = 8, 17
    session = onnxruntime.InferenceSession(made.SerializeToString())
    (answer,) = session.run(None, {"x": np.array([1, -3, 2], np.float32)})
    assert list(answer) == [2, 0, 6]  # relu(x * 2 + [0, 1, 2])


def test_the_model_that_was_given_is_not_written_into() -> None:
    given = model(first=5, backwards=True)
    before = given.SerializeToString(deterministic=True)
    rename(given)
    assert given.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("opset", [12, 19])
def test_an_opset_that_tf2onnx_does_not_write_is_refused(opset: int) -> None:
    with pytest.raises(RecipeError, match=rf"opset is {opset}; tf2onnx writes 13 to 18"):
        OnnxFloat(opset=opset)


def test_every_exporter_has_a_suffix_of_its_own() -> None:
    suffixes = [exporter.suffix for exporter in EXPORTERS.values()]
    assert len(set(suffixes)) == len(suffixes)


@pytest.mark.slow
def test_the_bytes_depend_neither_on_the_hash_seed_nor_on_earlier_exports(converted: Path) -> None:
    code = (
        "import hashlib, pathlib, sys; from ghost_edge.host.onnx.float import export; "
        "from ghost_edge.host.tflite.graph import read_model; model = read_model(pathlib.Path(sys.argv[1])); "
        "print(*[hashlib.sha256(export(model)).hexdigest() for _ in range(2)])"
    )
    digests = set()
    for seed in "01":
        command = [sys.executable, "-c", code, str(converted / "ghostnet_mnist_float.tflite")]
        environment = {**os.environ, "PYTHONHASHSEED": seed}
        run = subprocess.run(command, capture_output=True, text=True, check=True, env=environment)
        digests |= {*run.stdout.split()}
    assert len(digests) == 1
