"""Recipes: what they say, and what is said when they are wrong."""

from __future__ import annotations

import copy
import dataclasses
import re
from pathlib import Path
from typing import Any

import pytest

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.files import sha256_file
from ghost_edge.core.gate.limits import Limits
from ghost_edge.core.tasks import TASKS
from ghost_edge.host.datasets.packed import Packed
from ghost_edge.host.recipe.schema import load_recipe, parse_recipe, require
from ghost_edge.host.recipe.shipped import default_recipe

MODELS = Path(__file__).resolve().parents[2] / "models"
RECIPES = sorted(MODELS.glob("*.toml"))
TABLE: dict[str, Any] = {
    "name": "m",
    "network": {"kind": "ghostnet", "input_size": 32, "classes": 10, "weights": "random"},
    "preprocess": {"size": 32, "mean": [0.5], "std": [0.25]},
    "calibration": {"kind": "packed", "path": "x.npz", "samples": 100},
    "evaluation": {"kind": "packed", "path": "x.npz", "split": "test"},
    "gate": {"max_drop": 0.01},
}


def changed(where: str, value: Any) -> dict[str, Any]:
    """TABLE with one value set ("network.width") or, where it is None, taken away."""
    table = copy.deepcopy(TABLE)
    *tables, key = where.split(".")
    place = table
    for name in tables:
        place = place[name]
    if value is None:
        del place[key]
    else:
        place[key] = value
    return table


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_recipe_in_models_loads(path: Path) -> None:
    assert load_recipe(path).name == load_recipe(str(path)).name == path.stem


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_promises_what_it_reads(path: Path) -> None:
    recipe = load_recipe(path)
    for table in (recipe.training, recipe.calibration, recipe.evaluation):
        assert table is not None
        assert re.fullmatch("[0-9a-f]{64}", table.source.sha256)


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_has_the_weights_it_promises(path: Path) -> None:
    network = load_recipe(path).network
    assert network is not None
    assert sha256_file(path.parent / network.weights) == network.weights_sha256


def test_the_default_recipe_is_the_embedded_one() -> None:
    assert load_recipe(default_recipe()).name == "ghostnet_mnist"


@pytest.mark.parametrize(
    ("kind", "exports"),
    [
        ("int8", ["onnx_float", "onnx_int8"]),
        ("uint8_io", ["onnx_float", "onnx_int8"]),
        ("int16x8", ["onnx_float"]),
        ("mixed", ["onnx_float"]),
    ],
)
def test_a_recipe_without_exports_makes_float_onnx_and_the_twin_of_an_integer_file(
    kind: str, exports: list[str]
) -> None:
    recipe = parse_recipe({**TABLE, "quantization": {"kind": kind}}, Path("m.toml"))
    assert [export.kind for export in recipe.exports] == exports


def test_a_twin_of_what_is_no_integer_file_is_refused() -> None:
    table = {**TABLE, "quantization": {"kind": "float16"}, "export": [{"kind": "onnx_int8"}]}
    with pytest.raises(RecipeError, match=r'kind "onnx_int8" is made of an integer file, .* "float16" makes another'):
        parse_recipe(table, Path("m.toml"))


def test_a_recipe_may_ask_for_no_exports() -> None:
    assert parse_recipe(changed("export", []), Path("m.toml")).exports == ()


def test_a_recipe_without_a_name_is_called_after_its_file() -> None:
    assert parse_recipe(changed("name", None), Path("some/other.toml")).name == "other"


def test_a_recipe_without_limits_has_those_of_the_gate() -> None:
    assert parse_recipe(changed("gate", None), Path("m.toml")).gate == Limits()


def test_the_keys_of_the_source_and_of_the_table_are_told_apart() -> None:
    calibration = parse_recipe(TABLE, Path("m.toml")).calibration
    assert calibration is not None
    assert (calibration.source, calibration.samples) == (Packed(path="x.npz"), 100)


@pytest.mark.parametrize(
    ("where", "value", "message"),
    [
        ("netwrok", {}, r"the recipe has no table or key 'netwrok'; did you mean 'network'\?"),
        ("gate", 0.01, "gate must be a dict, not 0.01"),
        ("seed", "0", "seed must be a int, not '0'"),
        ("seed", -1, "seed must be a whole number from 0 to 4294967295, not -1"),
        ("seed", True, "seed must be a whole number from 0 to 4294967295, not True"),
        ("name", "../m", "name '../m' becomes file names"),
        ("name", "", "name '' becomes file names"),
        ("preprocess", None, r"the recipe needs the table \[preprocess\], and it is missing"),
        ("preprocess.szie", 3, r"\[preprocess\] has no key 'szie'; did you mean 'size'\?"),
        ("preprocess.mean", 0.5, r"\[preprocess\] mean must be a list, not 0\.5"),
        ("network.kind", None, r"\[network\] needs the key 'kind', and it is missing"),
        ("network.kind", "ghotsnet", r"\[network\] kind 'ghotsnet' is not known; did you mean 'ghostnet'\?"),
        ("network.kind", 3, r"\[network\] kind 3 is not known|\[network\] kind '3' is not known"),
        ("network.widht", 1.0, r"\[network\] has no key 'widht'; did you mean 'width'\?"),
        ("network.weights", 3, r"\[network\] weights must be a text in quotes, not 3"),
        ("network.stages", [[3, 16, 16, 0]], r"stages row \[3.0, 16.0, 16.0, 0.0\] has 4 numbers"),
        ("network.input_size", 28, r"\[preprocess\] makes size 32, .* \[network\] takes input_size 28"),
        ("network.input_channels", 1, r"\[preprocess\] makes size 32, 3 channels, NHWC; \[network\] .* 1 channels"),
        ("preprocess.layout", "NCHW", r"makes size 32, 3 channels, NCHW; \[network\] takes .*NHWC"),
        ("calibration.kind", None, r"\[calibration\] needs the key 'kind'"),
        ("calibration.kind", "pakced", r"\[calibration\] kind 'pakced' is not known; did you mean 'packed'\?"),
        ("calibration.path", None, r"\[calibration\] needs the key 'path', and it is missing"),
        ("calibration.sampels", 3, r"\[calibration\] has no key 'sampels'; did you mean 'samples'\?"),
        ("calibration.samples", 0, r"\[calibration\] samples is 0; it must be 1 or more"),
        ("calibration.samples", 2.5, r"\[calibration\] samples must be a whole number, not 2\.5"),
        ("calibration.ranges", "minmacs", r"ranges 'minmacs' is not known; did you mean 'minmax'\?"),
        ("evaluation.splt", "test", r"\[evaluation\] has no key 'splt'; did you mean 'split'\?"),
        ("evaluation.samples", 3, r"\[evaluation\] has no key 'samples'"),
        ("quantization", {"kind": "int-8"}, r"\[quantization\] kind 'int-8' is not known; did you mean 'int8'\?"),
        ("quantization", {}, r"\[quantization\] needs the key 'kind'"),
        ("quantization", {"kind": "int8", "bits": 4}, r"\[quantization\] has no key 'bits'"),
        ("export", {"kind": "onnx_float"}, "export must be a list"),
        ("export", [{"kind": "onx_float"}], r"\[\[export\]\] kind 'onx_float' is not known; did you mean 'onnx_float'"),
        ("export", [{"opset": 17}], r"\[\[export\]\] needs the key 'kind'"),
        ("export", [3], r"\[\[export\]\] needs the key 'kind'"),
        ("export", [{"kind": "onnx_float"}] * 2, r"\[\[export\]\] names .* remove the second"),
        ("gate.max_drop", "1%", r"\[gate\] max_drop must be a number, not '1%'"),
        ("gate.max_drop", 1.5, r"\[gate\] max_drop is 1\.5; it is a fraction"),
        ("gate.min_agreement", 98, r"\[gate\] min_agreement is 98\.0; it is a fraction"),
        ("gate.min_agrement", 0.9, r"\[gate\] has no key 'min_agrement'; did you mean 'min_agreement'\?"),
    ],
)
def test_a_mistake_is_named_with_its_table(where: str, value: Any, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        parse_recipe(changed(where, value), Path("m.toml"))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"name = ", r"recipe .*m\.toml is not TOML"),
        (b"a = 1\na = 2", r"recipe .*m\.toml is not TOML: Cannot overwrite a value"),
        (b"\xff\xfe", r"recipe .*m\.toml cannot be read \('utf-8' codec"),
        (b"", r"m\.toml: the recipe needs the table \[preprocess\]"),
    ],
)
def test_a_file_that_is_no_recipe_is_named(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "m.toml").write_bytes(content)
    with pytest.raises(RecipeError, match=message):
        load_recipe(tmp_path / "m.toml")


def test_a_missing_recipe_is_named(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"gone\.toml cannot be read \(.*No such file.*\); give the path of a \.toml"):
        load_recipe(tmp_path / "gone.toml")


def test_a_table_that_a_command_needs_is_asked_for_by_name() -> None:
    with pytest.raises(RecipeError, match=r"evaluate needs the table \[evaluation\] in the recipe"):
        require(None, "evaluation", "evaluate")


@pytest.mark.parametrize(
    ("key", "value"), [("epochs", 0), ("batch_size", 0), ("learning_rate", -1.0), ("mixup", -0.1), ("crop_padding", -1)]
)
def test_training_that_cannot_be_is_refused(key: str, value: Any) -> None:
    training = {"kind": "packed", "path": "x.npz", key: value}
    with pytest.raises(RecipeError, match=rf"\[training\] {key} is {value}; it must be \d or more"):
        parse_recipe(changed("training", training), Path("m.toml"))


def test_a_recipe_may_name_its_board() -> None:
    assert parse_recipe(changed("target", "zynq7000"), Path("m.toml")).target == "zynq7000"
    assert parse_recipe(TABLE, Path("m.toml")).target is None


@pytest.mark.parametrize("path", RECIPES, ids=lambda path: path.stem)
def test_every_shipped_recipe_is_for_the_board_that_runs_the_least(path: Path) -> None:
    assert load_recipe(path).target == "zynq7000"


def test_a_mistyped_board_names_the_nearest() -> None:
    with pytest.raises(RecipeError, match="target 'zynq700' is not known; did you mean 'zynq7000'"):
        parse_recipe(changed("target", "zynq700"), Path("m.toml"))


def test_a_board_that_is_no_text_is_refused() -> None:
    with pytest.raises(RecipeError, match="target must be a str, not 7000"):
        parse_recipe(changed("target", 7000), Path("m.toml"))


def test_an_export_that_is_no_list_is_told_how_to_be_one() -> None:
    with pytest.raises(RecipeError, match=r"export must be a list, .*: write \[\[export\]\], one for each"):
        parse_recipe({"preprocess": {"size": 8}, "export": {"kind": "onnx_float"}}, Path("a.toml"))


def test_spans_that_overlap_are_refused() -> None:
    table = {"kind": "mixed", "int16": [[0, 4]], "float32": [[4, 6]]}
    with pytest.raises(RecipeError, match=r"\[0, 4\] and \[4, 6\] overlap; an operation has one precision"):
        parse_recipe({"preprocess": {"size": 8}, "quantization": table}, Path("a.toml"))


def test_the_task_is_classification_unless_the_recipe_names_another() -> None:
    assert parse_recipe(TABLE, Path("m.toml")).task == "classification"
    with pytest.raises(RecipeError, match="task 'clasification' is not known; did you mean 'classification'"):
        parse_recipe(changed("task", "clasification"), Path("m.toml"))


def test_a_task_has_its_own_limits_and_the_recipe_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    other = dataclasses.replace(TASKS["classification"], limits={"max_drop": 0.02, "min_agreement": 0.9})
    monkeypatch.setitem(TASKS, "other", other)
    gate = parse_recipe({**TABLE, "task": "other", "gate": {"max_drop": 0.03}}, Path("m.toml")).gate
    assert (gate.max_drop, gate.min_agreement) == (0.03, 0.9)
