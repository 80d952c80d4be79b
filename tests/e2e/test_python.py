"""docs/how-to/python.md: its code runs as it stands, one block after the other, as in a notebook."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytestmark = [pytest.mark.slow, pytest.mark.data]


@pytest.fixture(scope="module")
def names(
    tmp_path_factory: pytest.TempPathFactory, repository: Path, data_folder: Path, converted: Path
) -> Iterator[dict[str, Any]]:
    """Run the page where it finds a model of somebody else, photographs and a recipe; yield what it defined."""
    folder = tmp_path_factory.mktemp("notebook")
    shutil.copy(data_folder / "models" / "mlperf_tiny_vww96_float.tflite", folder / "float.tflite")
    (folder / "images").symlink_to(data_folder / "imagenet_sample_1000" / "images")
    recipe = (repository / "models" / "ghostnet_mnist.toml").read_text(encoding="utf-8")
    recipe = recipe.replace("../calibration", str(repository / "calibration"))
    (folder / "widgets.toml").write_text(recipe.replace('"weights/', f'"{repository}/models/weights/'))
    shutil.copytree(converted, folder / "out" / "ghostnet_mnist")
    shutil.copy(repository / "models" / "ghostnet_mnist.baseline.json", folder / "baseline.json")
    text = (repository / "docs" / "how-to" / "python.md").read_text(encoding="utf-8")
    found: dict[str, Any] = {"labels": np.arange(100) % 2, "class_names": ("a", "b")}
    before = Path.cwd()
    os.chdir(folder)
    try:
        for block in re.findall(r"```python\n(.*?)```", text, re.DOTALL):
            exec(block, found)  # the page itself
        yield found
    finally:
        os.chdir(before)


def test_a_model_of_somebody_else_is_quantized_in_five_lines(names: dict[str, Any], repository: Path) -> None:
    text = (repository / "docs" / "how-to" / "python.md").read_text(encoding="utf-8")
    first = re.findall(r"```python\n(.*?)```", text, re.DOTALL)[0]
    assert len([line for line in first.splitlines() if line and not line.startswith("import")]) == 5
    int8 = names["int8"]
    assert {int8.tensors[index].dtype for index in int8.inputs + int8.outputs} == {"int8"}
    assert not int8.has_float_kernels


def test_the_quantized_model_answers_as_the_float_model_does(names: dict[str, Any]) -> None:
    assert names["quantized"].agreement >= 0.95  # 97 of 100 photographs: int8 of a model at 96 px
    assert names["reference"].drop is None


def test_the_exports_are_verified(names: dict[str, Any]) -> None:
    assert names["kit"].checks
    assert names["kit"].arenas[32].advised > names["kit"].arenas[32].total


def test_the_recipe_is_converted_and_passes_its_gate(names: dict[str, Any]) -> None:
    run = names["run"]
    assert run.gate == ()
    assert set(run.models) == set(run.accuracy) == {"float", "int8", "float_onnx", "int8_onnx"}
    assert run.models["int8"].path.is_file()
    assert names["result"].passed, names["result"].reasons


def test_results_print_as_tables(names: dict[str, Any]) -> None:
    assert "ghostnet_mnist_int8.tflite" in str(names["run"])
    assert str(names["result"]).endswith("gate: PASS")
    assert "int8.tflite" in str(names["ge"].bench(names["run"].models["int8"].path))


def test_a_gate_that_fails_says_so_and_raises_nothing(names: dict[str, Any]) -> None:
    result = names["ge"].gate(names["run"], limits={"min_agreement": 0.9999})
    assert not result.passed
    assert "of the answers agree; the limit is 99.99%" in result.reasons[0]


def test_an_unknown_limit_is_refused_by_name(names: dict[str, Any]) -> None:
    with pytest.raises(names["ge"].RecipeError, match="limits has no key 'max_drops'; did you mean 'max_drop'"):
        names["ge"].gate(names["run"], limits={"max_drops": 0.1})
