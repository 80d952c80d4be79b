"""replace_values() changes constants in place and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from ai_edge_litert import schema_py_generated as schema
from numpy.testing import assert_array_equal

from ghost_edge.core.errors import ArtifactError
from ghost_edge.host.tflite.edit import add_tensor, make_operation, pack, replace_values
from ghost_edge.host.tflite.graph import Model, parse_model

FIRST, SAME, OTHER = range(3)


@pytest.fixture
def model() -> Model:
    """Two int8 constants that share one buffer, a float constant, and an operation on them."""
    stored, main = schema.ModelT(), schema.SubGraphT()
    main.tensors, main.operators, main.inputs, main.outputs = [], [], [3], [4]
    stored.version, stored.subgraphs, stored.operatorCodes, stored.buffers = 3, [main], [], [schema.BufferT()]
    add_tensor(stored, "first", (2, 2), "int8", [0.5], values=np.arange(4))
    add_tensor(stored, "same", (4,), "int8", [0.5])
    main.tensors[SAME].buffer = main.tensors[FIRST].buffer
    add_tensor(stored, "other", (3,), "float32", values=np.ones(3))
    for name in ("given", "made"):
        add_tensor(stored, name, (1, 3), "float32")
    main.operators.append(make_operation(stored, "ADD", [3, OTHER], 4))
    return parse_model(pack(stored))


def test_only_the_bytes_of_the_constant_change(model: Model) -> None:
    content = replace_values(model, {OTHER: np.array([1.5, 1.0, 1.0])})
    changed = [place for place, (old, new) in enumerate(zip(model.content, content)) if old != new]
    start = model.tensors[OTHER].offset
    assert len(content) == len(model.content)
    assert changed
    assert {*changed} <= {*range(start, start + 4)}  # the first float32
    assert_array_equal(parse_model(content).values(OTHER), np.array([1.5, 1, 1], np.float32))


def test_constants_that_share_bytes_change_together(model: Model) -> None:
    made = parse_model(replace_values(model, {FIRST: np.array([[5, 6], [7, 8]])}))
    assert_array_equal(made.values(FIRST), [[5, 6], [7, 8]])
    assert_array_equal(made.values(SAME), [5, 6, 7, 8])


def test_values_of_another_size_are_refused(model: Model) -> None:
    with pytest.raises(ValueError, match="cannot reshape array of size 4"):
        replace_values(model, {OTHER: np.ones(4)})


def test_a_computed_tensor_is_refused_by_its_name(model: Model) -> None:
    with pytest.raises(ArtifactError, match=r"given is computed, expected a constant"):
        replace_values(model, {3: np.ones((1, 3))})


def test_a_file_of_another_format_is_refused() -> None:
    with pytest.raises(
        ArtifactError, match=r"m\.onnx is not a \.tflite file .*; it is empty, damaged or of another format"
    ):
        parse_model(b"hello, world", "m.onnx")
