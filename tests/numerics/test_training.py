"""Training: seeded, resumable, and what it writes."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from ghost_edge.core.errors import DataError, RecipeError
from ghost_edge.core.files import save_npz, sha256_file
from ghost_edge.host.datasets.places import Places
from ghost_edge.host.recipe.network import ModelCard
from ghost_edge.host.recipe.schema import Recipe, parse_recipe
from ghost_edge.host.training.train import _mix, fit

pytestmark = pytest.mark.slow


class StoppedError(Exception):
    """Stands for Ctrl-C, a power cut, a lost connection."""


def recipe(folder: Path, **training: Any) -> Recipe:
    """Four classes that differ by where the image is bright: learnt in a few epochs."""
    rng = np.random.default_rng(0)
    labels = np.arange(256) % 4
    images = rng.integers(0, 60, (256, 8, 8, 1), np.uint8)
    for image, label in zip(images, labels):
        image[4 * (label // 2) : 4 * (label // 2) + 4, 4 * (label % 2) : 4 * (label % 2) + 4] += 150
    save_npz({"images": images, "labels": labels}, folder / "images.npz")
    data = {"kind": "arrays", "path": "images.npz"}
    network = {"input_size": 8, "input_channels": 1, "classes": 4, "head_channels": 8, "stem_stride": 1}
    table = {
        "name": "tiny",
        "network": {"kind": "ghostnet", **network, "dropout": 0.2, "stages": [[3, 16, 16, 0, 1]]},
        "preprocess": {"size": 8, "channels": "GRAY", "mean": [0.3], "std": [0.3]},
        "training": {
            **{**data, "epochs": 8, "batch_size": 16, "warmup_epochs": 1, "learning_rate": 0.01},
            **{"crop_padding": 0, "flip": False, **training},
        },
        "evaluation": data,
    }
    return parse_recipe(table, folder / "tiny.toml")


def run(folder: Path, name: str, *, stop_after: float = 2.0, **training: Any) -> tuple[ModelCard, list[str]]:
    """Train; raise StoppedError once this share of it is done. Returns the card and what was said."""
    said: list[str] = []

    def say(share: float, text: str) -> None:
        said.append(text)
        if share > stop_after:
            raise StoppedError("stopped")

    return fit(recipe(folder, **training), Places((folder,)), folder / f"{name}.safetensors", say=say), said


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, ModelCard]:
    folder = tmp_path_factory.mktemp("trained")
    return folder, run(folder, "whole")[0]


def test_training_learns(trained: tuple[Path, ModelCard]) -> None:
    assert trained[1].top1 > 0.9  # chance is a quarter


def test_the_card_says_which_weights_it_is_about(trained: tuple[Path, ModelCard]) -> None:
    assert trained[1].weights_sha256 == sha256_file(trained[0] / "whole.safetensors")


def test_nothing_is_left_beside_weights_and_card(trained: tuple[Path, ModelCard]) -> None:
    assert {path.name for path in trained[0].iterdir()} >= {"whole.safetensors", "whole.json"}
    assert not (trained[0] / "whole.checkpoint").exists()


def test_the_same_seed_gives_the_same_weights(trained: tuple[Path, ModelCard]) -> None:
    again, _ = run(trained[0], "again")
    assert again.weights_sha256 == trained[1].weights_sha256


@pytest.fixture(scope="module")
def resumed(trained: tuple[Path, ModelCard]) -> tuple[ModelCard, list[str]]:
    """Card and words of a run that was stopped in its fourth epoch of eight and started again."""
    folder, _ = trained
    with pytest.raises(StoppedError, match="stopped"):
        run(folder, "stopped", stop_after=0.4)
    assert not (folder / "stopped.safetensors").exists()
    assert (folder / "stopped.checkpoint").is_dir()
    return run(folder, "stopped")


def test_a_stopped_run_goes_on_with_the_epoch_it_was_in(resumed: tuple[ModelCard, list[str]]) -> None:
    assert resumed[1][0].startswith("epoch 4/8")


def test_a_stopped_run_ends_where_it_would_have(
    trained: tuple[Path, ModelCard], resumed: tuple[ModelCard, list[str]]
) -> None:
    assert resumed[0].weights_sha256 == trained[1].weights_sha256


def test_a_resumed_run_leaves_no_checkpoint_behind(
    trained: tuple[Path, ModelCard], resumed: tuple[ModelCard, list[str]]
) -> None:
    assert not (trained[0] / "stopped.checkpoint").exists()


def test_the_start_of_a_run_with_other_settings_is_not_gone_on_with(trained: tuple[Path, ModelCard]) -> None:
    folder, _ = trained
    with pytest.raises(StoppedError, match="stopped"):
        run(folder, "mixed", stop_after=0.4, epochs=2)
    with pytest.raises(RecipeError, match=r"mixed\.checkpoint holds a stopped run with other settings; remove that"):
        run(folder, "mixed", epochs=2, learning_rate=0.02)


def test_a_run_that_diverges_is_stopped_and_writes_no_weights(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match=r"the loss is nan after epoch \d+; lower \[training\] learning_rate"):
        run(tmp_path, "wild", epochs=3, warmup_epochs=0, learning_rate=1e30)
    assert not (tmp_path / "wild.safetensors").exists()


def test_another_seed_gives_other_weights(trained: tuple[Path, ModelCard], tmp_path: Path) -> None:
    shas = []
    for seed in (0, 1):
        asked = dataclasses.replace(recipe(tmp_path, epochs=1, warmup_epochs=0), seed=seed)
        card = fit(asked, Places((tmp_path,)), tmp_path / f"{seed}.safetensors", say=lambda share, text: None)
        shas.append(card.weights_sha256)
    assert shas[0] != shas[1]


def test_the_card_says_everything_that_the_weights_come_from(trained: tuple[Path, ModelCard]) -> None:
    folder, card = trained
    written = json.loads((folder / "whole.json").read_text())
    assert written == json.loads(json.dumps(dataclasses.asdict(card)))
    assert (written["trained_on"], written["training"]["epochs"], written["training"]["seed"]) == (
        {"data": "images.npz", "images": 256},
        8,
        0,
    )
    assert {"name", "network", "preprocess", "evaluated_on", "class_names", "seconds", "top1"} <= written.keys()


def test_progress_says_loss_accuracy_and_time_left(tmp_path: Path) -> None:
    _, said = run(tmp_path, "told", epochs=1, warmup_epochs=0)
    assert re.fullmatch(
        r"epoch 1/1  loss \d\.\d{3}  top-1 \d+\.\d%  evaluation top-1 \d+\.\d\d%  \d+ min left", said[-1]
    )


def test_labels_that_the_network_has_no_class_for_are_refused(tmp_path: Path) -> None:
    asked = recipe(tmp_path)
    save_npz({"images": np.zeros((8, 8, 8, 1), np.uint8), "labels": np.arange(8)}, tmp_path / "images.npz")
    with pytest.raises(DataError, match=r"has labels 0\.\.7, the model answers 4 classes"):
        fit(asked, Places((tmp_path,)), tmp_path / "w.safetensors", say=lambda share, text: None)


def test_a_recipe_without_training_is_refused(tmp_path: Path) -> None:
    asked = dataclasses.replace(recipe(tmp_path), training=None)
    with pytest.raises(RecipeError, match=r"train needs the table \[training\] in the recipe"):
        fit(asked, Places((tmp_path,)), tmp_path / "w.safetensors", say=lambda share, text: None)


def test_fine_tuning_starts_from_the_weights_it_is_given(trained: tuple[Path, ModelCard]) -> None:
    card, _ = run(trained[0], "tuned", start="whole.safetensors", epochs=1, warmup_epochs=0, learning_rate=1e-6)
    assert card.top1 == pytest.approx(trained[1].top1, abs=0.02)  # nothing is learnt in one such epoch


def test_mixup_blends_images_and_targets_alike() -> None:
    images = np.arange(8, dtype=np.float32).reshape(8, 1, 1, 1)
    blended, targets = _mix(images, np.eye(8, dtype=np.float32), 1.0, np.random.default_rng(0))
    np.testing.assert_allclose(targets @ np.arange(8), blended[:, 0, 0, 0], rtol=1e-6)
    assert (targets.max(axis=1) < 1).any()
