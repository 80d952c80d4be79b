"""The key of each real stage: it hears of every input and every setting."""

from __future__ import annotations

import dataclasses
import json
import platform
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from one_stage import BY_NAME, find_inputs

from ghost_edge.core.files import sha256_file, write_bytes
from ghost_edge.host.chain.stage import Outside, Stage, paths_of, stage_key
from ghost_edge.host.chain.stages import STAGES
from ghost_edge.host.datasets.places import places_for
from ghost_edge.host.recipe.output import layout
from ghost_edge.host.recipe.schema import Recipe, load_recipe

NAMES = [stage.name for stage in STAGES]


@pytest.fixture(scope="module")
def recipe(repository: Path) -> Recipe:
    return load_recipe(repository / "models" / "ghostnet_mnist.toml")


def settings_of(stage: Stage, recipe: Recipe) -> Any:
    return stage.settings(Outside(recipe, places_for(recipe.path.parent)))


def key_of(stage: Stage, recipe: Recipe, folder: Path, settings: Any = None) -> str:
    inputs, outputs = find_inputs(stage, recipe, folder), stage.place(layout(recipe), folder)
    return stage_key(stage, inputs, settings_of(stage, recipe) if settings is None else settings, outputs)


@dataclasses.dataclass(frozen=True)
class Other:
    """Something else than any setting."""

    fingerprint: str = "other"


def changes(settings: Any) -> Iterator[tuple[str, Any]]:
    """Every field changed alone, in nested dataclasses too; an object with a fingerprint is changed as a whole."""
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        yield field.name, dataclasses.replace(settings, **{field.name: Other()})
        if dataclasses.is_dataclass(value) and not hasattr(value, "fingerprint"):
            for inner in dataclasses.fields(value):
                nested = object.__new__(type(value))  # whatever it is changed to, __post_init__ need not like it
                nested.__dict__.update({**vars(value), inner.name: Other()})
                yield f"{field.name}.{inner.name}", dataclasses.replace(settings, **{field.name: nested})


def put_inputs(stage: Stage, recipe: Recipe, folder: Path) -> list[Path]:
    """Write a file for each input of a stage."""
    names = layout(recipe)
    named = [getattr(names, field.name) for field in dataclasses.fields(stage.inputs_class)]
    paths = [folder / name for each in named for name in (each if isinstance(each, tuple) else (each,))]
    for path in paths:
        write_bytes(path.name.encode(), path)
    return paths


@pytest.mark.parametrize("name", NAMES)
def test_every_setting_is_in_the_key(name: str, recipe: Recipe, tmp_path: Path) -> None:
    stage = BY_NAME[name]
    put_inputs(stage, recipe, tmp_path)
    settings = settings_of(stage, recipe)
    before = key_of(stage, recipe, tmp_path, settings)
    assert before == key_of(stage, recipe, tmp_path, settings)
    unheard = [field for field, changed in changes(settings) if key_of(stage, recipe, tmp_path, changed) == before]
    assert unheard == []


@pytest.mark.parametrize("name", NAMES)
def test_every_input_is_in_the_key(name: str, recipe: Recipe, tmp_path: Path) -> None:
    stage = BY_NAME[name]
    paths = put_inputs(stage, recipe, tmp_path)
    settings = settings_of(stage, recipe)
    taken = [path for files in vars(find_inputs(stage, recipe, tmp_path)).values() for path in paths_of(files)]
    assert sorted(taken) == sorted(paths)
    for path in paths:
        before = key_of(stage, recipe, tmp_path, settings)
        path.write_bytes(path.read_bytes() + b".")
        assert key_of(stage, recipe, tmp_path, settings) != before, path.name


def test_an_export_that_was_left_out_is_tried_again_where_it_is_asked_for(recipe: Recipe, tmp_path: Path) -> None:
    assert recipe.has_default_exports
    put_inputs(BY_NAME["export"], recipe, tmp_path)
    asked = dataclasses.replace(recipe, has_default_exports=False)
    assert key_of(BY_NAME["export"], recipe, tmp_path) != key_of(BY_NAME["export"], asked, tmp_path)


def test_quantize_writes_the_digest_of_an_onnx_model_so_its_key_has_the_version_of_onnx() -> None:
    assert "onnx" in BY_NAME["quantize"].tools


def test_another_model_card_is_looked_at_again(recipe: Recipe, repository: Path, tmp_path: Path) -> None:
    put_inputs(BY_NAME["doctor"], recipe, tmp_path)
    weights = tmp_path / "weights" / "ghostnet_mnist.safetensors"
    shutil.copytree(repository / "models" / "weights", weights.parent)
    moved = dataclasses.replace(recipe, path=tmp_path / "ghostnet_mnist.toml")

    def key() -> str:
        outside = Outside(moved, places_for(tmp_path, repository / "models"))
        assert outside.network.weights == weights
        stage = BY_NAME["doctor"]
        inputs, outputs = find_inputs(stage, moved, tmp_path), stage.place(layout(moved), tmp_path)
        return stage_key(stage, inputs, stage.settings(outside), outputs)

    before = key()
    table = json.loads(weights.with_suffix(".json").read_text())
    assert table["weights_sha256"] == sha256_file(weights)
    weights.with_suffix(".json").write_text(json.dumps({**table, "top1": 0.5}))
    assert key() != before


@pytest.mark.parametrize("name", ["bench", "nodes"])
def test_another_machine_times_again(
    name: str, recipe: Recipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put_inputs(BY_NAME[name], recipe, tmp_path)
    before = key_of(BY_NAME[name], recipe, tmp_path)
    monkeypatch.setattr(platform, "node", lambda: "another")
    assert key_of(BY_NAME[name], recipe, tmp_path) != before
