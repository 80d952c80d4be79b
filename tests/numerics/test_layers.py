"""The report by layer names what was made sick on purpose, and little else."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hostile import quantize_hostile, write_hostile
from one_stage import run_stage

from ghost_edge.host.accuracy.layers import layer_rows, measure, read_layers
from ghost_edge.host.chain.stage import Outside
from ghost_edge.host.datasets.places import Places, places_for
from ghost_edge.host.recipe.output import layout
from ghost_edge.host.recipe.schema import Recipe, load_recipe
from ghost_edge.host.tflite.edit import replace_values
from ghost_edge.host.tflite.graph import read_model

pytestmark = pytest.mark.slow
INT8 = "ghostnet_mnist_int8.tflite"
INPUT, DEPTHWISE, CHEAP, LAST = None, 1, 3, 7  # operations of the hostile network


def rows_of(recipe: Recipe, folder: Path) -> dict[Any, dict[str, Any]]:
    path = run_stage("layers", recipe, Places((folder,)), folder).layers
    return {row["index"]: row for row in json.loads(path.read_text())}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile")
    write_hostile(folder)
    return folder


@pytest.fixture(scope="module")
def plain(folder: Path) -> dict[Any, dict[str, Any]]:
    """By plain min/max."""
    return rows_of(quantize_hostile(folder, "minmax", equalize=False, correct_bias=False), folder)


@pytest.fixture(scope="module")
def mended(folder: Path, plain: dict[Any, dict[str, Any]]) -> dict[Any, dict[str, Any]]:
    """By the default chain."""
    return rows_of(quantize_hostile(folder, "mse"), folder)


@pytest.mark.parametrize(
    ("operation", "cause"),
    [
        (DEPTHWISE, r"channel 5 is \d{3}x as wide as the median channel"),  # built 200 times the others
        (CHEAP, r"sharing a scale with conv2d_1_?\w*, which is \d+x as wide"),
        (INPUT, r"outliers reach \d+x as far as 99.8 % of the values"),
    ],
    ids=["wide channel", "ghost halves", "outlier"],
)
def test_each_disease_is_named_where_it_is(plain: dict[Any, dict[str, Any]], operation: Any, cause: str) -> None:
    assert any(re.match(cause, words) for words in plain[operation]["causes"]), plain[operation]


def test_the_sick_layers_come_first(plain: dict[Any, dict[str, Any]]) -> None:
    assert [row["index"] for row in sorted(plain.values(), key=lambda row: -row["noise"])][:2] == [DEPTHWISE, CHEAP]


def test_only_what_the_diseases_reach_is_named(plain: dict[Any, dict[str, Any]]) -> None:
    assert {index for index, row in plain.items() if row["causes"]} == {INPUT, DEPTHWISE, CHEAP, CHEAP + 1}


@pytest.mark.parametrize("operation", [DEPTHWISE, CHEAP])
def test_what_equalization_mended_is_told(mended: dict[Any, dict[str, Any]], operation: int) -> None:
    (healed,) = mended[operation]["healed"]
    before, after = (float(part.split("x")[0].split()[-1]) for part in (healed, healed.split("equalized to ")[1]))
    assert after < before / 10


def test_the_default_chain_loses_less_in_each_sick_layer(
    plain: dict[Any, dict[str, Any]], mended: dict[Any, dict[str, Any]]
) -> None:
    for operation in (INPUT, DEPTHWISE, CHEAP):
        assert mended[operation]["own_db"] > plain[operation]["own_db"] + 2
    assert mended[LAST]["sqnr_db"] > 15 > 5 > plain[LAST]["sqnr_db"]


@pytest.fixture
def recipe(repository: Path) -> Recipe:
    return load_recipe(repository / "models" / "ghostnet_mnist.toml")


def test_a_shipped_model_is_silent(converted: Path) -> None:
    rows = json.loads((converted / "layers.json").read_text())
    assert [row["causes"] for row in rows if row["causes"]] == []


@pytest.mark.data
def test_a_deeper_one_is_nearly_silent(converted_cifar10: Path) -> None:
    rows = json.loads((converted_cifar10 / "layers.json").read_text())
    assert len([row for row in rows if row["causes"]]) <= 0.03 * len(rows)


def test_every_operation_has_a_row(converted: Path) -> None:
    rows = json.loads((converted / "layers.json").read_text())
    operations = [operation.name for operation in read_model(converted / INT8).operations]
    assert [row["operation"] for row in rows] == ["INPUT", *(name for name in operations if name != "RESHAPE")]


def test_the_last_layer_lost_what_the_model_lost(converted: Path) -> None:
    row = json.loads((converted / "layers.json").read_text())[-1]
    accuracy = json.loads((converted / "accuracy.json").read_text())["quantized"]
    # other images and other kernels, and the lower of two numbers
    assert row["sqnr_db"] == pytest.approx(accuracy["sqnr_db"], abs=3)


def test_a_file_compared_with_itself_lost_nothing(converted: Path, recipe: Recipe) -> None:
    source = read_model(converted / layout(recipe).source)
    images = Outside(recipe, places_for(recipe.path.parent)).calibration.dataset.images[:2]
    seen = measure(source, source, images, recipe.preprocess)
    assert all(float(each.rounding.sum()) == 0 for each in seen.values())
    # reference kernels sum in another order: float32's digits after some forty layers
    assert all(float(each.error.sum()) <= 1e-9 * float(each.signal.sum()) for each in seen.values())


@pytest.mark.parametrize("number", [4, 21, 47])
def test_a_layer_whose_weights_were_damaged_is_the_worst(
    converted: Path, recipe: Recipe, tmp_path: Path, number: int
) -> None:
    folder = Path(shutil.copytree(converted, tmp_path / "copy"))
    path = folder / INT8
    model = read_model(path)
    weights = model.operations[number].inputs[1]
    path.write_bytes(replace_values(model, {weights: np.flip(model.values(weights), axis=-1)}))
    outputs = run_stage("layers", recipe, places_for(recipe.path.parent), folder)
    assert layer_rows(read_layers(outputs.layers), 1)[0]["index"] == number


def test_the_report_names_the_worst_three(converted: Path) -> None:
    text = (converted / "report.md").read_text()
    lines = text[text.index("## Layers") :].splitlines()
    worst = layer_rows(read_layers(converted / "layers.json"), 3)
    assert [line.split(" | ")[2] for line in lines if line.startswith("| ")][2:] == [row["layer"] for row in worst]
