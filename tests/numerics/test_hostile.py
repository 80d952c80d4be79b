"""A network built to break int8: plain min/max loses it, ours keeps it."""

from __future__ import annotations

from pathlib import Path

import pytest
from hostile import TABLE, draw_images, quantize_hostile, write_hostile

from ghost_edge.core.preprocess import Preprocess
from ghost_edge.device.evaluate import predict_all
from ghost_edge.host.tflite.graph import read_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    write_hostile(folder)
    return folder


def agreement(folder: Path, ranges: str, **options: bool) -> float:
    quantize_hostile(folder, ranges, **options)
    images = draw_images(500, seed=3)[0]
    logits = [
        predict_all(folder / f"hostile_{kind}.tflite", images, Preprocess(**TABLE["preprocess"]))[0]
        for kind in ("float", "int8")
    ]
    return float((logits[0].argmax(1) == logits[1].argmax(1)).mean())


def test_plain_minmax_loses_it(folder: Path) -> None:
    assert agreement(folder, "minmax", equalize=False, correct_bias=False) < 0.6


def test_the_default_keeps_it(folder: Path) -> None:
    assert agreement(folder, "mse") > 0.97


def test_every_part_of_it_is_int8(folder: Path) -> None:
    agreement(folder, "mse")
    assert {tensor.dtype for tensor in read_model(folder / "hostile_int8.tflite").tensors} == {"int8", "int32"}
