"""What the parity matrix says of answers that are known."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from ghost_edge.core.errors import ConversionError
from ghost_edge.core.files import write_json
from ghost_edge.host.accuracy.parity import (
    Pair,
    Parity,
    check_parity,
    columns,
    compare_runs,
    load_parity,
    rows,
    saturation_doubts,
)
from ghost_edge.host.onnx.compare import OpDistance

STEP = 0.5
REFERENCE = np.array([[0.0, 1.0, 2.0], [3.0, 1.0, 0.0]], np.float32)
GOOD, BAD = OpDistance(3, "CONV_2D", "stem", 1, 0.995, 10**9), OpDistance(4, "ADD", "sum", 2, 0.999, 10**9)
FILES = {"quantized": Path("a.tflite")}


def measured(*operations: OpDistance) -> Parity:
    runs = {"int8 reference": REFERENCE, "int8 XNNPACK": REFERENCE, "int8 .onnx": REFERENCE + STEP}
    return Parity(2, tuple(runs), compare_runs(runs, STEP), operations)


def test_differences_are_counted_in_steps_of_the_output() -> None:
    other = REFERENCE.copy()
    other[0, 2] -= 3 * STEP  # now the middle one is the largest
    other[1, 1] += 0.4 * STEP  # less than half a step is none
    (pair,) = compare_runs({"a": REFERENCE, "b": other}, STEP)
    assert pair == Pair("a", "b", max_lsb=3, differ=1 / 6, agreement=0.5)


def test_without_an_integer_output_a_step_is_a_256th_of_the_span() -> None:
    (pair,) = compare_runs({"a": REFERENCE, "b": REFERENCE + np.float32(3 / 256)}, 0.0)
    assert (pair.max_lsb, pair.differ) == (1, 1.0)


def test_sums_that_saturate_are_a_doubt() -> None:
    runs = {"int8 .onnx": REFERENCE, "int8 .onnx unasked": REFERENCE + 7 * STEP}
    (doubt,) = saturation_doubts(Parity(2, tuple(runs), compare_runs(runs, STEP), ()))
    assert "session.x64quantprecision = 1" in doubt
    assert "off by up to 7 LSB" in doubt


def test_sums_that_do_not_are_none() -> None:
    runs = {"int8 .onnx": REFERENCE, "int8 .onnx unasked": REFERENCE}
    assert saturation_doubts(Parity(2, tuple(runs), compare_runs(runs, STEP), ())) == []


def test_the_file_holds_all_of_it(tmp_path: Path) -> None:
    parity = measured(GOOD, BAD)
    write_json(dataclasses.asdict(parity), tmp_path / "parity.json")
    assert load_parity(tmp_path / "parity.json") == parity


def test_the_table_is_the_lower_half_of_the_matrix() -> None:
    parity = measured()
    assert [column.title for column in columns(parity)] == ["", "int8 reference", "int8 XNNPACK"]
    assert rows(parity)[1]["int8 XNNPACK"] == "1 / 100% / 100%"
    assert rows(parity)[0]["int8 XNNPACK"] == ""


def test_operations_within_rounding_pass() -> None:
    check_parity(measured(GOOD), FILES)


@pytest.mark.parametrize("changes", [{"max_lsb": 2}, {"equal": 0.9849}, {"equal": float("nan")}])
def test_an_operation_beyond_rounding_is_named(changes: dict[str, float]) -> None:
    apart = dataclasses.replace(GOOD, index=4, name="second", **changes)  # type: ignore[arg-type]
    files = {**FILES, "int8_onnx": Path("a.onnx")}
    with pytest.raises(ConversionError, match=r"a\.onnx differs from a\.tflite at operation 4, CONV_2D second: "):
        check_parity(measured(GOOD, apart, BAD), files)
