"""The whole way of somebody's own model: train it, write the two lines into the recipe, convert it."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ghost_edge.core.files import save_npz, sha256_file

pytestmark = pytest.mark.slow
Command = Callable[..., "subprocess.CompletedProcess[str]"]
RECIPE = """
name = "corners"
[network]
kind = "ghostnet"
input_size = 8
input_channels = 1
classes = 4
head_channels = 8
stem_stride = 1
dropout = 0.0
padding = "same"
stages = [[3, 16, 16, 0, 1]]
[preprocess]
size = 8
channels = "GRAY"
mean = [0.3]
std = [0.3]
[training]
kind = "arrays"
path = "train.npz"
epochs = 6
batch_size = 16
warmup_epochs = 1
learning_rate = 0.01
crop_padding = 0
flip = false
[calibration]
kind = "arrays"
path = "train.npz"
samples = 50
[evaluation]
kind = "arrays"
path = "test.npz"
[gate]
max_drop = 0.02
"""


def images(seed: int, count: int) -> dict[str, np.ndarray]:
    """Four classes that differ by the corner that is bright."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count) % 4
    images = rng.integers(0, 60, (count, 8, 8, 1), np.uint8)
    for image, label in zip(images, labels):
        image[4 * (label // 2) : 4 * (label // 2) + 4, 4 * (label % 2) : 4 * (label % 2) + 4] += 150
    return {"images": images, "labels": labels}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("corners")
    save_npz(images(0, 256), made / "train.npz")
    save_npz(images(1, 400), made / "test.npz")
    (made / "corners.toml").write_text(RECIPE)
    return made


@pytest.fixture(scope="module")
def trained(folder: Path, ghost_edge: Command) -> subprocess.CompletedProcess[str]:
    run = ghost_edge("train", folder / "corners.toml")
    assert run.returncode == 0, run.stderr
    return run


def test_train_says_what_belongs_into_the_recipe(trained: subprocess.CompletedProcess[str], folder: Path) -> None:
    weights = folder / "weights" / "corners.safetensors"
    assert trained.stdout.splitlines()[1:] == [
        f'weights = "{weights}"',
        f'weights_sha256 = "{sha256_file(weights)}"',
    ]


def test_train_says_how_good_the_weights_are(trained: subprocess.CompletedProcess[str], folder: Path) -> None:
    card = json.loads((folder / "weights" / "corners.json").read_text())
    assert trained.stdout.splitlines()[0] == f"top-1 {card['top1']:.2%} on 400 images of test.npz"


def test_weights_card_and_log_are_all_that_is_left(trained: subprocess.CompletedProcess[str], folder: Path) -> None:
    names = sorted(path.name for path in (folder / "weights").iterdir())
    assert names == ["corners.json", "corners.log", "corners.safetensors"]


def test_the_same_training_again_is_up_to_date_and_another_one_is_not(
    trained: subprocess.CompletedProcess[str], folder: Path, ghost_edge: Command
) -> None:
    card = folder / "weights" / "corners.json"
    before = card.read_bytes(), card.stat().st_mtime_ns
    again = ghost_edge("train", folder / "corners.toml")
    assert (again.returncode, again.stdout) == (0, trained.stdout)
    assert "up to date" in again.stderr
    assert (card.read_bytes(), card.stat().st_mtime_ns) == before
    other = ghost_edge("train", folder / "corners.toml", "--epochs", 1, "--out", folder / "other" / "w.safetensors")
    assert other.returncode == 0, other.stderr
    assert "up to date" not in other.stderr
    longer = ghost_edge("train", folder / "corners.toml", "--epochs", 2, "--out", folder / "other" / "w.safetensors")
    assert "up to date" not in longer.stderr


def test_what_was_trained_converts_and_passes_its_gate(
    trained: subprocess.CompletedProcess[str], folder: Path, ghost_edge: Command
) -> None:
    lines = "\n".join(trained.stdout.splitlines()[1:])
    (folder / "own.toml").write_text(RECIPE.replace("[network]\n", f"[network]\n{lines}\n"))
    run = ghost_edge("convert", folder / "own.toml", "--out", folder / "out")
    assert run.returncode == 0, run.stderr
    assert re.search(r"corners_int8\.tflite .* \d+\.\d\d%", run.stdout)
    assert run.stdout.splitlines()[-1] == "gate: PASS"


def test_a_recipe_without_training_is_refused_on_one_line(folder: Path, ghost_edge: Command) -> None:
    (folder / "none.toml").write_text(re.sub(r"\[training\].*?\[calibration\]", "[calibration]", RECIPE, flags=re.S))
    run = ghost_edge("train", folder / "none.toml", "--out", folder / "none.safetensors")
    assert (run.returncode, run.stdout) == (2, "")
    assert run.stderr == "ghost-edge: train needs the table [training] in the recipe, and it is missing\n"
