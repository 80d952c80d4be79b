"""The doctor on the shipped model, with the mistakes that people make."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

pytestmark = pytest.mark.slow
Command = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def doctor(repository: Path, tmp_path: Path, ghost_edge: Command) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Run the doctor on the shipped recipe with one text replaced by another."""

    def run(old: str = "", new: str = "", command: str = "doctor") -> subprocess.CompletedProcess[str]:
        text = (repository / "models" / "ghostnet_mnist.toml").read_text()
        assert old in text
        recipe = tmp_path / "ghostnet_mnist.toml"
        recipe.write_text(text.replace(old, new))
        return ghost_edge(command, recipe, "--data", repository / "models", "--out", tmp_path / "out")

    return run


def test_the_shipped_recipe_is_healthy(doctor: Command) -> None:
    run = doctor()
    assert run.returncode == 0, run.stderr
    assert run.stdout == "healthy: nothing is wrong with the calibration images\n"


def test_a_wrong_scaling_stops_convert_before_it_quantizes_and_says_what_was_seen(
    doctor: Command, tmp_path: Path
) -> None:
    run = doctor("mean = [0.1307]\nstd = [0.3081]", "mean = [120.0]\nstd = [60.0]", "convert")
    assert run.returncode == 3
    line = run.stderr.splitlines()[-1]
    assert line.startswith("ghost-edge: preprocessing does not fit: the float model has ")
    assert "its model card says 98.8%" in line
    assert "with divide_by = 255, mean = [0.1307], std = [0.3081] it is 9" in line
    assert not list((tmp_path / "out").glob("*int8*"))


def test_few_images_are_a_warning_and_the_chain_goes_on(doctor: Command, tmp_path: Path) -> None:
    run = doctor("samples = 200", "samples = 20")
    assert run.returncode == 0, run.stderr
    assert "warning: 20 calibration images are few" in run.stdout
    assert json.loads((tmp_path / "out" / "doctor.json").read_text())[0]["fatal"] is False


def test_before_training_the_images_alone_are_looked_at(
    repository: Path, tmp_path: Path, ghost_edge: Callable[..., subprocess.CompletedProcess[str]]
) -> None:
    text = (repository / "models" / "ghostnet_mnist.toml").read_text().replace("weights/", "none_yet/")
    recipe = tmp_path / "digits.toml"
    recipe.write_text(text.replace("../calibration", str(repository / "calibration")))
    run = ghost_edge("doctor", recipe, "--out", tmp_path / "out")
    assert (run.returncode, run.stdout.splitlines()[0][:16]) == (0, "not trained yet:")
    recipe.write_text(recipe.read_text().replace("samples = 200", "samples = 1"))
    run = ghost_edge("doctor", recipe, "--out", tmp_path / "out")
    assert run.returncode == 3
    assert "are all of one class" in run.stderr
