"""The manifest that travels to the board."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from ghost_edge.core.artifact import describe, open_artifact
from ghost_edge.core.comparison import compare_manifests
from ghost_edge.core.errors import ArtifactError, DataError
from ghost_edge.core.gate import Limits
from ghost_edge.core.manifest import FORMAT, Accuracy, Manifest, Model, read_manifest, write_manifest
from ghost_edge.core.predictions import Predictions, load_predictions, save_predictions
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.core.tensor import TensorSpec

LABELS = np.arange(1000) % 10


def make(folder: Path, *, wrong: int = 0, first_digest: str = "0") -> Manifest:
    """A manifest with one model whose quantized answers are wrong on the first `wrong` pictures."""
    folder.mkdir(exist_ok=True)
    (folder / "m_int8.tflite").write_bytes(b"model")
    answers = LABELS.copy()
    answers[:wrong] += 1
    digests = (first_digest, *map(str, range(1, 1000)))
    roles = {"float": LABELS.astype(np.int32), "quantized": answers.astype(np.int32)}
    save_predictions(Predictions(digests, LABELS, roles), folder / "predictions.npz")
    manifest = Manifest(
        format=FORMAT,
        name="m",
        preprocess=Preprocess(size=8, mean=(0.5,), std=(0.25,)),
        class_names=("a", "b"),
        models=(
            Model(
                role="quantized",
                artifact=describe(folder / "m_int8.tflite"),
                input=TensorSpec("image", (1, 8, 8, 3), "int8", 0.1, -3),
                output=TensorSpec("logits", (1, 10), "int8", 0.2, 4),
                accuracy=Accuracy(0.9, 0.99, 0.01, 0.005, 0.98, 30.5),
                median_ms=1.5,
            ),
        ),
        limits=Limits(max_drop=0.01, min_agreement=0.98),
        predictions=describe(folder / "predictions.npz"),
        gate=(),
        recipe_sha256="1",
        weights_sha256="2",
        tools={"numpy": "2.0"},
    )
    write_manifest(manifest, folder)
    return manifest


def test_a_manifest_survives_a_round_trip(tmp_path: Path) -> None:
    assert make(tmp_path) == read_manifest(tmp_path)


def test_predictions_are_the_same_bytes_every_time(tmp_path: Path) -> None:
    make(tmp_path / "a"), make(tmp_path / "b")
    assert (tmp_path / "a/predictions.npz").read_bytes() == (tmp_path / "b/predictions.npz").read_bytes()


def test_a_missing_manifest_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"manifest\.json does not exist; ghost-edge convert writes it"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("change", [{"format": 2}, {"models": 3}, {"models": [{"role": 1}]}, {"unknown": 1}])
def test_a_manifest_of_another_make_is_refused(tmp_path: Path, change: dict[str, object]) -> None:
    table = {**dataclasses.asdict(make(tmp_path)), **change}
    (tmp_path / "manifest.json").write_text(json.dumps(table))
    with pytest.raises(ArtifactError, match="run ghost-edge convert again"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_manifest_is_refused(tmp_path: Path, share: float) -> None:
    make(tmp_path)
    path = tmp_path / "manifest.json"
    text = path.read_text()
    path.write_text(text[: int(len(text) * share)])
    with pytest.raises(ArtifactError, match="is not a readable manifest"):
        read_manifest(path)


def test_a_file_that_is_a_link_out_of_the_folder_is_refused(tmp_path: Path) -> None:
    artifact = make(tmp_path).models[0].artifact
    path = tmp_path / artifact.file
    path.rename(tmp_path.parent / "elsewhere.tflite")
    path.symlink_to(tmp_path.parent / "elsewhere.tflite")
    with pytest.raises(ArtifactError, match="is not there as a file"):
        open_artifact(artifact, tmp_path)


def test_a_damaged_predictions_file_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "predictions.npz"
    path.write_bytes(b"PK\x03\x04")
    with pytest.raises(ArtifactError, match=r"is not a readable \.npz file"):
        load_predictions(path)


def test_the_gate_passes_a_model_without_loss(tmp_path: Path) -> None:
    make(tmp_path)
    assert [entry.verdict.passed for entry in compare_manifests(tmp_path)] == [True]


def test_the_gate_refuses_a_model_that_answers_worse(tmp_path: Path) -> None:
    make(tmp_path, wrong=30)
    (comparison,) = compare_manifests(tmp_path)
    assert comparison.drop.drop == pytest.approx(0.03)
    assert not comparison.verdict.passed


def test_a_baseline_is_compared_picture_by_picture(tmp_path: Path) -> None:
    make(tmp_path / "old"), make(tmp_path / "new", wrong=30)
    by_title = {entry.title: entry for entry in compare_manifests(tmp_path / "new", baseline=tmp_path / "old")}
    assert by_title["quantized / baseline"].drop.drop == pytest.approx(0.03)


def test_a_baseline_on_other_pictures_is_refused(tmp_path: Path) -> None:
    make(tmp_path / "old", first_digest="other"), make(tmp_path / "new")
    with pytest.raises(DataError, match="not evaluated on the same pictures"):
        compare_manifests(tmp_path / "new", baseline=tmp_path / "old")


def test_a_limit_given_here_replaces_the_recipes(tmp_path: Path) -> None:
    make(tmp_path, wrong=5)
    (comparison,) = compare_manifests(tmp_path, min_agreement=0.999)
    assert comparison.verdict.reasons == ("only 99.50% of the answers agree; the limit is 99.90%",)
