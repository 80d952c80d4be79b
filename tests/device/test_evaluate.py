"""Predictions of real models, and what is said when images and model do not fit."""

from __future__ import annotations

import dataclasses
import io
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ghost_edge.core.errors import ArtifactError, DataError, DeviceError
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.core.tensor import TensorSpec
from ghost_edge.device import evaluate
from ghost_edge.device.evaluate import RunOptions, match_input, predict_all, raw_outputs_isolated, real_outputs

pytest.importorskip("ai_edge_litert", reason="needs pip install ai-edge-litert")
INT8 = "mlperf_tiny_ic_resnet8_cifar10_int8.tflite"
FLOAT = "mlperf_tiny_ic_resnet8_cifar10_float.tflite"
CIFAR10 = Preprocess(size=32, divide_by=1.0)
COUNT = 300


@pytest.fixture
def models(data_folder: Path) -> Path:
    return data_folder / "models"


@pytest.fixture
def images(data_folder: Path) -> tuple[Any, Any]:
    """The first 300 CIFAR-10 test images, uint8 [N, 32, 32, 3], and their labels."""
    image = pytest.importorskip("PIL.Image", reason="needs pip install Pillow to decode CIFAR-10")
    with np.load(data_folder / "cifar10.npz", allow_pickle=False) as packed:
        content, ends, labels = packed["test_bytes"].tobytes(), packed["test_offsets"], packed["y_test"]
    files = [io.BytesIO(content[start:end]) for start, end in zip(ends[:COUNT], ends[1 : COUNT + 1])]
    return np.stack([np.asarray(image.open(file).convert("RGB")) for file in files]), labels[:COUNT]


def top1(scores: Any, labels: Any) -> float:
    return float((scores.argmax(axis=1) == labels).mean())


def test_float_and_int8_are_right_three_times_in_four(models: Path, images: tuple[Any, Any]) -> None:
    images, labels = images
    for file in (FLOAT, INT8):
        scores = predict_all(models / file, images, CIFAR10)[0]
        assert scores.shape == (COUNT, 10)
        assert scores.dtype == np.float32
        # 75 % on 5,000 (models/README.md); 300 images: two standard errors are 5 points
        assert top1(scores, labels) == pytest.approx(0.75, abs=0.06)


def test_the_integers_come_back_as_real_numbers(models: Path, images: tuple[Any, Any]) -> None:
    scores = predict_all(models / INT8, images[0][:20], CIFAR10)[0]
    assert np.allclose(scores.sum(axis=1), 1, atol=10 / 256)  # a softmax in steps of 1/256, ten of them


@pytest.mark.parametrize("wrong", [{"divide_by": 255.0}, {"mean": (120.0,)}, {"channels": "BGR"}])
def test_wrong_preprocessing_costs_accuracy(models: Path, images: tuple[Any, Any], wrong: dict[str, Any]) -> None:
    images, labels = images
    right = top1(predict_all(models / FLOAT, images, CIFAR10)[0], labels)
    assert top1(predict_all(models / FLOAT, images, dataclasses.replace(CIFAR10, **wrong))[0], labels) < right - 0.05


def test_shuffled_images_are_no_better_than_chance(models: Path, images: tuple[Any, Any]) -> None:
    images, labels = images
    scores = predict_all(models / FLOAT, images[np.random.default_rng(0).permutation(COUNT)], CIFAR10)[0]
    assert top1(scores, labels) < 0.2  # chance is 0.1, with a standard error of 0.017


def test_a_child_predicts_the_same(models: Path, images: tuple[Any, Any]) -> None:
    few = images[0][:10]
    here = predict_all(models / INT8, few, CIFAR10, RunOptions(kernels="reference"))[0]
    isolated = raw_outputs_isolated(models / INT8, few, CIFAR10, RunOptions(kernels="reference"))
    assert np.array_equal(real_outputs(models / INT8, *isolated)[0], here)


def test_a_child_that_dies_is_a_device_error(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(evaluate, "raw_outputs", lambda *_, **__: os.abort())
    with pytest.raises(DeviceError, match=rf"{INT8}: killed by SIGABRT"):
        raw_outputs_isolated(models / INT8, [np.zeros((32, 32, 3), np.uint8)], CIFAR10)


def test_progress_counts_every_image(models: Path) -> None:
    seen: list[tuple[int, int]] = []
    images = [np.zeros((32, 32, 3), np.uint8)] * 3
    predict_all(models / INT8, images, CIFAR10, say=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


def test_a_channels_first_model_gets_channels_first(models: Path) -> None:
    pytest.importorskip("onnxruntime", reason="needs pip install onnxruntime")
    image = np.zeros((200, 150, 3), np.uint8)
    path = models / "st_mobilenet_v2_0.35_128_float.onnx"
    assert predict_all(path, [image], Preprocess(size=128))[0].shape == (1, 5)


def test_the_layout_is_the_model_s(tmp_path: Path) -> None:
    spec = TensorSpec("x", (1, 3, 32, 32), "float32")
    for layout in ("NHWC", "NCHW"):
        options = dataclasses.replace(CIFAR10, layout=layout)
        assert match_input(tmp_path, spec, options).layout == "NCHW"


def test_a_size_that_does_not_fit_says_both_shapes(models: Path) -> None:
    with pytest.raises(ArtifactError, match=r"takes \[1, 32, 32, 3\], \[preprocess\] makes \[1, 64, 64, 3\]; set size"):
        predict_all(models / INT8, [np.zeros((64, 64, 3), np.uint8)], Preprocess(size=64))


def test_grey_images_for_a_colour_model_say_both_shapes(models: Path) -> None:
    with pytest.raises(ArtifactError, match=r"makes \[1, 32, 32, 1\]"):
        predict_all(models / INT8, [np.zeros((32, 32, 1), np.uint8)], Preprocess(size=32, channels="GRAY"))


def test_no_images_are_an_error(models: Path) -> None:
    with pytest.raises(DataError, match="there are no images to evaluate"):
        predict_all(models / INT8, [], CIFAR10)


def test_a_channels_first_image_is_refused(models: Path) -> None:
    with pytest.raises(DataError, match=r"uint8 \[3, 32, 32\]"):
        predict_all(models / INT8, [np.zeros((3, 32, 32), np.uint8)], CIFAR10)
