"""Pixels become the model's input in whole numbers, as the workstation makes it."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from ghost_edge.core.manifest import Metadata
from ghost_edge.core.preprocess import Preprocess, normalise
from ghost_edge.core.tensor import TensorSpec, quantize
from ghost_edge.host.tflite_micro.feed import fed_values, feed_parts, fixed_point

IMAGENET = Preprocess(size=2, mean=(0.485, 0.456, 0.406), std=(0.229, 0.224, 0.225))


@pytest.mark.parametrize(
    ("preprocess", "spec"),
    [
        (IMAGENET, TensorSpec("", (1, 2, 2, 3), "int8", 0.0186584480, -14)),
        (IMAGENET, TensorSpec("", (1, 2, 2, 3), "int8", 0.003, 20)),  # both ends are cut off
        (IMAGENET, TensorSpec("", (1, 2, 2, 3), "int16", 8e-5, 0)),
        (Preprocess(size=2), TensorSpec("", (1, 2, 2, 3), "uint8", 1 / 255, 0)),
        (Preprocess(size=2, divide_by=1), TensorSpec("", (1, 2, 2, 3), "int8", 1.0, -128)),
        (
            Preprocess(size=2, mean=(0.5,), std=(0.5,), channels="GRAY"),
            TensorSpec("", (1, 2, 2, 1), "int8", 0.0078, -1),
        ),
    ],
)
def test_whole_numbers_feed_what_the_workstation_feeds(preprocess: Preprocess, spec: TensorSpec) -> None:
    line = fixed_point(preprocess, spec)
    assert line is not None
    pixels = np.arange(256)[:, np.newaxis] * np.ones(len(line.mul), np.int64)
    shifted = pixels * line.mul + line.add
    assert shifted.min() >= 0
    assert shifted.max() < 2**31
    limits = np.iinfo(spec.dtype)
    found = np.clip((shifted >> line.shift) + line.offset, limits.min, limits.max)
    expected = quantize(normalise(pixels.astype(np.uint8)[:, np.newaxis], preprocess), spec)[:, 0]
    np.testing.assert_array_equal(found, expected)


def test_halves_that_are_rounded_to_even_take_a_table(tmp_path: Path) -> None:
    preprocess = Preprocess(size=2, mean=(0.5,), std=(0.25,), channels="GRAY")
    spec = TensorSpec("", (1, 2, 2, 1), "int8", 0.01568627543747425, 0)
    assert fixed_point(preprocess, spec) is None
    parts = feed_parts("x", spec, Metadata(preprocess, ()), Path("x.tflite"))
    table = re.search(r"#define X_PIXEL_TABLE \{ \{ (.*) \} \}", parts["preprocess"])
    assert table is not None
    assert list(map(int, table[1].split(", "))) == fed_values(preprocess, spec)[:, 0].tolist()
