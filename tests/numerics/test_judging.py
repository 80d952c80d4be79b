"""Judging files: labels that fit, and numbers that are about the right reference."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ghost_edge.core.dataset import Dataset
from ghost_edge.core.errors import ArtifactError, DataError, RecipeError
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.core.tasks import check_truth
from ghost_edge.device.bench import bench
from ghost_edge.device.evaluate import RunOptions
from ghost_edge.host.accuracy.evaluate import accuracy_by_role, evaluate, evaluate_files
from ghost_edge.host.chain.stage import Models
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.recipe.output import layout
from ghost_edge.host.recipe.schema import Recipe, parse_recipe

LABELS = np.arange(100) % 10
# the label's own logit is 10, the others lie between -1 and 1
LOGITS = np.eye(10, dtype=np.float32)[LABELS] * 10 + np.random.default_rng(0).uniform(-1, 1, (100, 10)).astype(
    "float32"
)
DATASET = Dataset("some", [np.zeros((1, 1, 1), np.uint8)] * 3, np.array([0, 5, 9]))


def test_labels_that_are_classes_pass() -> None:
    check_truth(DATASET.labels, [np.zeros((3, 10), np.float32)], "some")


@pytest.mark.parametrize(("offset", "classes", "said"), [(1, 10, r"1\.\.10"), (0, 9, r"0\.\.9"), (-1, 10, r"-1\.\.8")])
def test_labels_that_are_no_classes_are_refused(offset: int, classes: int, said: str) -> None:
    with pytest.raises(
        DataError, match=rf"some has labels {said}, the model answers {classes} classes; .*label_offset"
    ):
        check_truth(DATASET.labels + offset, [np.zeros((3, classes), np.float32)], "some")


@pytest.mark.parametrize("labels", [np.zeros(3), np.array(["a", "b", "c"]), np.zeros((3, 10), np.int64)])
def test_labels_that_are_no_class_indices_are_refused(labels: np.ndarray) -> None:
    with pytest.raises(DataError, match=r"some has labels .*\[3.*\], expected class indices int64 \[N\]"):
        check_truth(labels, [np.zeros((3, 10), np.float32)], "some")


@pytest.mark.parametrize(
    ("dataset", "message"),
    [
        (dataclasses.replace(DATASET, labels=[0, 5]), r"some has 3 images and labels \[2\]; give a label for each"),  # type: ignore[arg-type]
        (dataclasses.replace(DATASET, labels=None), r"some has 3 images and labels \[\]"),  # type: ignore[arg-type]
        (dataclasses.replace(DATASET, images=Path("photos")), r"PosixPath\('photos'\) is no list of images"),  # type: ignore[arg-type]
        (DATASET.images, r"a list has no labels; give ghost_edge.Dataset\(name, images, labels\)"),
    ],
)
def test_a_dataset_that_is_none_is_refused_before_a_model_runs(dataset: Dataset, message: str) -> None:
    with pytest.raises(DataError, match=message):
        evaluate("float.tflite", dataset, Preprocess(size=1))


@pytest.mark.parametrize("models", [3, [None], DATASET])
def test_what_is_no_path_is_refused(models: Any) -> None:
    with pytest.raises(ArtifactError, match="is no path of a file; save it, and give its path"):
        evaluate(models, DATASET, Preprocess(size=1))
    with pytest.raises(ArtifactError, match="is no path of a file; save it, and give its path"):
        bench(models)


def test_one_path_is_a_list_of_one() -> None:
    with pytest.raises(ArtifactError, match=r"^no\.tflite cannot be read"):
        evaluate("no.tflite", DATASET, Preprocess(size=1))


def test_the_reference_loses_nothing_against_itself() -> None:
    judged = accuracy_by_role({"float": [LOGITS], "quantized": [LOGITS]}, LABELS)["float"]
    assert (*judged.metrics.values(), judged.drop, judged.agreement, judged.sqnr_db) == (1, 1, 0, 1, None)


def test_every_model_is_compared_with_the_float_one() -> None:
    worse = LOGITS.copy()
    worse[:20] = np.roll(LOGITS[:20], 1, axis=1)  # 20 of 100 answer the next class
    judged = accuracy_by_role({"quantized": [worse], "float": [LOGITS]}, LABELS)
    assert (judged["quantized"].drop, judged["quantized"].agreement) == pytest.approx((0.2, 0.8))
    assert (judged["float"].drop, judged["float"].agreement) == (0, 1)


def test_logits_in_another_image_order_lose_their_sqnr() -> None:
    judged = accuracy_by_role({"float": [LOGITS], "quantized": [np.roll(LOGITS, 1, axis=0)]}, LABELS)["quantized"]
    assert judged.sqnr_db is not None
    assert judged.sqnr_db < 0  # the noise is stronger than the signal


def test_swapped_classes_lose_their_top5_too() -> None:
    judged = accuracy_by_role({"float": [LOGITS], "quantized": [-LOGITS]}, LABELS)["quantized"]
    assert judged.metrics == {"top1": 0, "top5": 0}


def test_a_recipe_without_evaluation_cannot_judge() -> None:
    recipe = parse_recipe({"name": "m", "preprocess": {"size": 8}}, Path("m.toml"))
    with pytest.raises(RecipeError, match=r"evaluate needs the table \[evaluation\]"):
        evaluate_files([Path("m.tflite")], recipe, Places(()), RunOptions(), reporter=None)


def models(recipe: Recipe) -> dict[str, str]:
    names = layout(recipe)
    paths = Models(Path(names.float_tflite), Path(names.quantized), tuple(map(Path, names.exports)))
    return {role: path.name for role, path in paths.by_role.items()}


def test_a_model_has_a_role_for_each_file() -> None:
    recipe = parse_recipe({"name": "m", "preprocess": {"size": 8}}, Path("m.toml"))
    assert models(recipe) == {
        "float": "m_float.tflite",
        "quantized": "m_int8.tflite",
        "float_onnx": "m_float.onnx",
        "int8_onnx": "m_int8.onnx",
    }


def test_two_recipes_of_one_folder_share_no_model_file() -> None:
    recipe = parse_recipe({"name": "m", "preprocess": {"size": 8}}, Path("m.toml"))
    other = dataclasses.replace(recipe, name="n")
    assert set(models(recipe).values()) & set(models(other).values()) == set()
