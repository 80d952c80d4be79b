"""Mixed precision on the shipped digits model: a target, the file that meets it, and the recipe that makes it again."""

from __future__ import annotations

import dataclasses
import json
import shutil
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from one_stage import find_inputs

from ghost_edge.core.progress import silent
from ghost_edge.host.calibration import ESTIMATORS
from ghost_edge.host.calibration.observe import load_observed
from ghost_edge.host.chain.stage import Outside
from ghost_edge.host.datasets.places import places_for
from ghost_edge.host.explore import mixed_precision as mixing
from ghost_edge.host.explore.mixed_precision import segments
from ghost_edge.host.recipe.schema import load_recipe
from ghost_edge.host.tflite.edit import replace_values
from ghost_edge.host.tflite.graph import parse_model, read_model

pytestmark = pytest.mark.slow
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def quantize(repository: Path, tmp_path: Path, ghost_edge: Command) -> Command:
    """Run a command on the shipped recipe with texts replaced by others."""

    def run(
        *options: object, changes: Mapping[str, str] = {}, command: str = "quantize"
    ) -> subprocess.CompletedProcess[str]:
        text = (repository / "models" / "ghostnet_mnist.toml").read_text()
        for old, new in changes.items():
            assert old in text
            text = text.replace(old, new)
        recipe = tmp_path / "ghostnet_mnist.toml"
        recipe.write_text(text)
        return ghost_edge(command, recipe, "--data", repository / "models", "--out", tmp_path / "out", *options)

    return run


NO_BOARD = {'target = "zynq7000"  # and so for every other board\n': ""}


def test_a_mix_meets_its_target_and_its_recipe_makes_the_same_file_again(quantize: Command, tmp_path: Path) -> None:
    run = quantize("--target-sqnr", "36", changes=NO_BOARD)
    assert run.returncode == 0, run.stderr
    found = json.loads((tmp_path / "out" / "mixed.json").read_text())
    int8, mixed = found["models"]
    # the half of the images that decided nothing is another half: some tenths of a decibel
    assert int8["accuracy"]["sqnr_db"] < 34 < 35 < mixed["accuracy"]["sqnr_db"]
    assert 0 < found["operations"] <= found["of"]  # so small a network can be fastest in float32 as a whole
    made = (tmp_path / "out" / "ghostnet_mnist_mixed.tflite").read_bytes()
    assert mixed["size_bytes"] == len(made)
    lines = run.stdout[run.stdout.index("[quantization]") :]
    changes = {**NO_BOARD, '[quantization]\nkind = "int8"\n': lines}
    again = quantize("--out", tmp_path / "again", changes=changes, command="convert")
    assert again.returncode == 0, again.stderr
    assert (tmp_path / "again" / "ghostnet_mnist_mixed.tflite").read_bytes() == made


def test_a_refinement_that_does_not_help_is_in_neither_file(converted: Path, repository: Path, tmp_path: Path) -> None:
    """What the search judges are the bytes that convert would write; where it refined more, a target was missed."""
    recipe = load_recipe(repository / "models" / "ghostnet_mnist.toml")
    out = Path(shutil.copytree(converted, tmp_path / "out"))
    stage = mixing.mix_stage(recipe, mixing.Target())
    settings = stage.settings(Outside(recipe, places_for(recipe.path.parent)))
    source = read_model(find_inputs(stage, recipe, out).source)

    def spoil(content: bytes) -> bytes:
        model = parse_model(content)
        *_, bias = (op.inputs[2] for op in model.operations if op.name == "CONV_2D")
        return replace_values(model, {bias: model.values(bias) + 10_000})

    steps = [("a step that spoils", spoil)]
    parts = segments(source)
    ranges = ESTIMATORS["mse"](load_observed(out / "ranges.npz"), source)
    bench = mixing._Bench(source, settings, silent, ranges, steps, parts, tmp_path, "int16")
    plan = tuple(number == 0 for number in range(len(parts)))
    plain = dataclasses.replace(bench, steps=[], folder=tmp_path / "plain")
    plain.folder.mkdir()
    expected = plain.make(plan).read_bytes()
    assert bench.make_final(plan).read_bytes() == expected
    assert bench.make(plan).read_bytes() != expected


def test_without_a_target_it_says_what_each_layer_loses(quantize: Command) -> None:
    run = quantize()
    assert run.returncode == 0, run.stderr
    title, names, *rows = run.stdout.splitlines()
    assert title == "layers that add most noise, as a share of the signal's power (all: layers.json)"
    assert names.split() == ["op", "operation", "layer", "noise", "SQNR", "dB", "own", "dB", "bits", "why"]
    assert len(rows) == 10


def test_what_no_mix_reaches_is_said_with_what_it_reaches(quantize: Command, tmp_path: Path) -> None:
    run = quantize("--target-sqnr", "90")  # its board takes no float: int16 activations, and the weights are int8 still
    assert run.returncode == 7
    line = run.stderr.splitlines()[-1]
    assert line.startswith("ghost-edge: no mixed precision is enough: with every operation in int16 and int8 weights ")
    assert line.endswith("; ask for less, or set adapt_rounding = true")
    assert "float32" not in line
    assert not (tmp_path / "out" / "ghostnet_mnist_mixed.tflite").exists()


def test_a_target_needs_images_that_judge(quantize: Command, repository: Path, tmp_path: Path) -> None:
    text = (repository / "models" / "ghostnet_mnist.toml").read_text()
    run = quantize("--target-agreement", "0.9", changes={text[text.index("[evaluation]") :]: ""})
    assert run.returncode == 2
    line = "ghost-edge: a target needs the table [evaluation] in the recipe, and it is missing"
    assert run.stderr.splitlines() == [line]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("share", ["-0.1", "1.5", "99%"])
def test_a_share_is_a_fraction(quantize: Command, share: str) -> None:
    run = quantize("--target-agreement", share)
    assert run.returncode == 2
    assert "--target-agreement" in run.stderr


def test_a_mix_starts_from_int8(quantize: Command, tmp_path: Path) -> None:
    run = quantize("--target-agreement", "0.9", changes={'kind = "int8"': 'kind = "float16"'})
    assert run.returncode == 2
    assert 'mixed precision starts from [quantization] kind = "int8"' in run.stderr
    assert not (tmp_path / "out").exists()
