"""Images that travel with a bundle, and the bytes that the workstation's model answered."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ghost_edge.core.errors import DataError
from ghost_edge.core.files import read_npz, save_npz
from ghost_edge.core.manifest import read_manifest
from ghost_edge.device.evaluate import (
    EvaluationSet,
    RunOptions,
    evaluate_set,
    load_evaluation_set,
    raw_outputs,
    save_evaluation_set,
)

pytest.importorskip("ai_edge_litert", reason="needs pip install ai-edge-litert")
REFERENCE = RunOptions(kernels="reference")
COUNT = 40


@pytest.fixture
def int8(converted: Path) -> Path:
    return converted / "ghostnet_mnist_int8.tflite"


@pytest.fixture
def images(repository: Path, int8: Path) -> EvaluationSet:
    """The first digits of the shipped sample, with what the int8 model says of them."""
    held = read_npz(repository / "calibration" / "mnist" / "mnist.npz")
    images, labels = held["images"][:COUNT, ..., np.newaxis], held["labels"][:COUNT].astype(np.int64)
    (outputs, *_), _ = raw_outputs(int8, list(images), read_manifest(int8.parent).preprocess, REFERENCE)
    return EvaluationSet(images, labels, {int8.stem: outputs})


def judge(file: Path, images: EvaluationSet, **how: Any) -> dict[str, Any]:
    preprocess = {file: read_manifest(file.parent).preprocess}
    ((row,), _) = evaluate_set([file], images, preprocess, RunOptions(**how))
    return row


def test_what_was_saved_is_read_and_the_bytes_are_the_same_each_time(tmp_path: Path, images: EvaluationSet) -> None:
    first, second = tmp_path / "a.npz", tmp_path / "b.npz"
    for path in (first, second):
        save_evaluation_set(images, path)
    assert first.read_bytes() == second.read_bytes()
    read = load_evaluation_set(first)
    assert np.array_equal(read.images, images.images)
    assert read.outputs.keys() == images.outputs.keys()


def test_reference_kernels_give_the_same_bytes_and_the_right_answers(int8: Path, images: EvaluationSet) -> None:
    row = judge(int8, images, kernels="reference")
    assert row["equal_outputs"] == 1.0
    assert row["images"] == COUNT
    assert row["top1"] >= 0.95  # 98.75 % on 1,600 (README.md)


def test_one_changed_byte_is_one_image_less(int8: Path, images: EvaluationSet) -> None:
    images.outputs[int8.stem][3, 2] ^= 1
    row = judge(int8, images, kernels="reference")
    assert row["equal_outputs"] == pytest.approx(1 - 1 / COUNT)
    assert row["largest_difference"] == 1


def test_outputs_of_another_shape_are_an_error(int8: Path, images: EvaluationSet) -> None:
    fewer = {int8.stem: images.outputs[int8.stem][:, :-1]}
    with pytest.raises(DataError, match=r"answers int8 \[40, 10\], on the workstation it was int8 \[40, 9\]"):
        judge(int8, EvaluationSet(images.images, images.labels, fewer))


def test_images_of_another_size_are_an_error(int8: Path, images: EvaluationSet) -> None:
    with pytest.raises(DataError, match=r"the images are \[14, 14\], \[preprocess\] of .* begins with 28 x 28"):
        judge(int8, EvaluationSet(images.images[:, ::2, ::2], images.labels, {}))


def test_images_without_outputs_say_nothing_about_bytes(int8: Path, images: EvaluationSet) -> None:
    assert judge(int8, EvaluationSet(images.images, images.labels, {}))["equal_outputs"] is None


def test_labels_that_are_no_classes_are_an_error(int8: Path, images: EvaluationSet) -> None:
    with pytest.raises(DataError, match=r"labels .*\.\.1\d, the model answers 10 classes; these are not its images"):
        judge(int8, EvaluationSet(images.images, images.labels + 10, {}))


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"images": np.zeros((2, 4, 4, 1), np.uint8)}, "must hold images"),
        ({"images": np.zeros((2, 4, 4, 1), np.float32), "labels": np.zeros(2, np.int64)}, "it holds images float32"),
        ({"images": np.zeros((2, 4, 4, 1), np.uint8), "labels": np.zeros(3, np.int64)}, "2 images and 3 labels"),
        ({"images": np.zeros((0, 4, 4, 1), np.uint8), "labels": np.zeros(0, np.int64)}, "at least one"),
    ],
)
def test_a_file_of_something_else_is_an_error(tmp_path: Path, arrays: dict[str, Any], said: str) -> None:
    save_npz(arrays, tmp_path / "x.npz")
    with pytest.raises(DataError, match=said):
        load_evaluation_set(tmp_path / "x.npz")


def test_the_command_writes_numbers_and_outputs(
    tmp_path: Path, int8: Path, images: EvaluationSet, ghost_edge: Any
) -> None:
    save_evaluation_set(images, tmp_path / "images.npz")
    run = ghost_edge(
        *("evaluate", int8, "--images", tmp_path / "images.npz", "--kernels", "reference"),
        *("--json", tmp_path / "e.json", "--outputs", tmp_path / "outputs.npz"),
    )
    assert run.returncode == 0, run.stderr
    (row,) = json.loads((tmp_path / "e.json").read_text())["results"]
    assert (row["equal_outputs"], row["largest_difference"]) == (1.0, 0)
    assert np.array_equal(read_npz(tmp_path / "outputs.npz")[int8.stem], images.outputs[int8.stem])


def test_the_command_fails_where_the_outputs_are_others(
    tmp_path: Path, int8: Path, images: EvaluationSet, ghost_edge: Any
) -> None:
    images.outputs[int8.stem][3, 2] ^= 2
    save_evaluation_set(images, tmp_path / "images.npz")
    run = ghost_edge("evaluate", int8, "--images", tmp_path / "images.npz", "--kernels", "reference")
    assert run.returncode == 7
    assert "gives other outputs than on the workstation" in run.stderr


def test_the_command_refuses_a_file_that_the_manifest_does_not_promise(
    tmp_path: Path, int8: Path, images: EvaluationSet, ghost_edge: Any
) -> None:
    shutil.copy(int8.parent / "manifest.json", tmp_path)
    shutil.copy(int8.with_name("ghostnet_mnist_float.tflite"), tmp_path / int8.name)
    save_evaluation_set(images, tmp_path / "images.npz")
    run = ghost_edge("evaluate", tmp_path / int8.name, "--images", tmp_path / "images.npz")
    assert run.returncode == 4
    assert f"{int8.name} has" in run.stderr


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--images", "p.npz", "--recipe", "r.toml"], "give one of the two"),
        (["--recipe", "r.toml", "--outputs", "o.npz"], "--manifest and --outputs go with --images"),
    ],
)
def test_options_that_do_not_go_together_are_refused(ghost_edge: Any, options: list[str], said: str) -> None:
    run = ghost_edge("evaluate", "m.tflite", *options)
    assert run.returncode == 2
    assert said in run.stderr
