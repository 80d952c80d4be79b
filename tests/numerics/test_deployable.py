"""What TFLite Micro does not run is named before anything is written: operation, tensor, reason, what to change."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from ai_edge_litert import schema_py_generated as schema
from operations import COMMON, Function, convert

from ghost_edge.core.errors import ConversionError
from ghost_edge.host.tflite.edit import pack
from ghost_edge.host.tflite.graph import read_model, unpack
from ghost_edge.host.tflite_micro.operations import check_deployable

pytestmark = pytest.mark.slow
Change = Callable[[Any, Any], None]


def changed(function: Function, operation: str, change: Change, path: Path) -> Path:
    """The converter's file, with the first such operation or its tensors changed."""
    convert(function, path)
    number = next(number for number, op in enumerate(read_model(path).operations) if op.name == operation)
    model = unpack(path.read_bytes())
    change(model, model.subgraphs[0].operators[number])
    path.write_bytes(pack(model))
    return path


def _other_scale(model: Any, operator: Any) -> None:
    model.subgraphs[0].tensors[operator.inputs[0]].quantization.scale = [0.5]


def _activation(model: Any, operator: Any) -> None:
    operator.builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU


def _computed(model: Any, operator: Any) -> None:
    model.subgraphs[0].tensors[operator.inputs[1]].buffer = 0  # no values


def _tiny_output(model: Any, operator: Any) -> None:
    model.subgraphs[0].tensors[operator.outputs[0]].quantization.scale = [1e-5]


def _nothing(model: Any, operator: Any) -> None:
    pass


@pytest.mark.parametrize(
    ("function", "operation", "change", "sentence"),
    [
        (COMMON["CONCATENATION"], "CONCATENATION", _other_scale, "has another scale or zero point than the output"),
        (COMMON["CONCATENATION"], "CONCATENATION", _activation, "put the activation before the concatenation"),
        (lambda tf, x: tf.concat([x] * 11, -1), "CONCATENATION", _nothing, "it joins 11 tensors, at most 10 can be"),
        (COMMON["PAD"], "PAD", _computed, "its paddings must be constant"),
        (COMMON["STRIDED_SLICE"], "STRIDED_SLICE", _computed, "its begin, end and strides must be constant"),
        (COMMON["HARD_SWISH"], "HARD_SWISH", _tiny_output, "its output scale is under 1/128 of its input scale"),
    ],
)
def test_a_restriction_is_named_with_its_operation(
    function: Function, operation: str, change: Change, sentence: str, tmp_path: Path
) -> None:
    path = changed(function, operation, change, tmp_path / "op.tflite")
    with pytest.raises(
        ConversionError, match=rf"op\.tflite: TFLite Micro does not run operation \d+, {operation} .*{sentence}"
    ):
        check_deployable(read_model(path))


@pytest.mark.parametrize("name", [name for name in COMMON if "," not in name])
def test_what_the_converter_makes_runs(name: str, tmp_path: Path) -> None:
    check_deployable(read_model(convert(COMMON[name], tmp_path / "op.tflite")))
