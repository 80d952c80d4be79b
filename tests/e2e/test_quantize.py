"""Mixed precision on the shipped digits model: a target, the file that meets it, and the recipe that makes it again."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def quantize(repository: Path, tmp_path: Path, ghost_edge: Command) -> Command:
    """Run a command on the shipped recipe without its board, with one text replaced by another."""

    def run(
        *options: object, old: str = "", new: str = "", command: str = "quantize"
    ) -> subprocess.CompletedProcess[str]:
        text = (repository / "models" / "ghostnet_mnist.toml").read_text()
        assert old in text
        recipe = tmp_path / "ghostnet_mnist.toml"
        recipe.write_text(text.replace(old, new))
        return ghost_edge(command, recipe, "--data", repository / "models", "--out", tmp_path / "out", *options)

    return run


BOARD = 'target = "zynq7000"  # and so for every other board\n'


def test_a_mix_meets_its_target_and_its_recipe_makes_the_same_file_again(quantize: Command, tmp_path: Path) -> None:
    run = quantize("--target-sqnr", "36", old=BOARD)
    assert run.returncode == 0, run.stderr
    found = json.loads((tmp_path / "out" / "mixed.json").read_text())
    int8, mixed = found["models"]
    # the half of the pictures that decided nothing is another half: some tenths of a decibel
    assert int8["sqnr_db"] < 34 < 35 < mixed["sqnr_db"]
    assert 0 < found["operations"] < found["of"]
    made = (tmp_path / "out" / "ghostnet_mnist_mixed.tflite").read_bytes()
    assert mixed["size_bytes"] == len(made)
    lines = run.stdout[run.stdout.index("[quantization]") :]
    again = quantize("--out", tmp_path / "again", old='[quantization]\nkind = "int8"\n', new=lines, command="convert")
    assert again.returncode in (0, 6), again.stderr
    assert (tmp_path / "again" / "ghostnet_mnist_mixed.tflite").read_bytes() == made


def test_what_no_mix_reaches_is_said_with_what_it_reaches(quantize: Command, tmp_path: Path) -> None:
    run = quantize("--target-sqnr", "90")  # its board takes no float: int16 activations, and the weights are int8 still
    assert run.returncode == 7
    line = run.stderr.splitlines()[-1]
    assert line.startswith("ghost-edge: no mix of int8 and int16 is enough: with every operation in int16 and int8 ")
    assert not (tmp_path / "out" / "ghostnet_mnist_mixed.tflite").exists()


def test_a_target_needs_pictures_that_judge(quantize: Command, tmp_path: Path) -> None:
    run = quantize("--target-agreement", "0.9", old="[evaluation]", new="[training2]")
    assert run.returncode == 2


@pytest.mark.parametrize("share", ["-0.1", "1.5", "99%"])
def test_a_share_is_a_fraction(quantize: Command, share: str) -> None:
    run = quantize("--target-agreement", share)
    assert run.returncode == 2
    assert "--target-agreement" in run.stderr


def test_a_mix_starts_from_int8(quantize: Command) -> None:
    run = quantize("--target-agreement", "0.9", old='kind = "int8"', new='kind = "float16"')
    assert run.returncode == 2
    assert 'a mix starts from [quantization] kind = "int8"' in run.stderr
