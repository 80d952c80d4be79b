"""The manifest that travels to the board."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ghost_edge.core.errors import ArtifactError
from ghost_edge.core.files import open_artifact, seal
from ghost_edge.core.gate.checks import open_run
from ghost_edge.core.manifest import FORMAT, Manifest, load_predictions, read_manifest, write_manifest

Make = Callable[..., Manifest]


def test_a_manifest_survives_a_round_trip(make_manifest: Make, tmp_path: Path) -> None:
    assert make_manifest(tmp_path) == read_manifest(tmp_path)


def test_predictions_are_the_same_bytes_every_time(make_manifest: Make, tmp_path: Path) -> None:
    make_manifest(tmp_path / "a"), make_manifest(tmp_path / "b")
    assert (tmp_path / "a/predictions.npz").read_bytes() == (tmp_path / "b/predictions.npz").read_bytes()


def test_a_missing_manifest_says_what_writes_it(tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"manifest\.json does not exist; ghost-edge convert writes it"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("change", [{"format": 2}, {"models": 3}, {"models": [{"role": 1}]}, {"unknown": 1}])
def test_a_manifest_of_another_make_is_refused(make_manifest: Make, tmp_path: Path, change: dict[str, object]) -> None:
    table = {"format": FORMAT, **dataclasses.asdict(make_manifest(tmp_path)), **change}
    (tmp_path / "manifest.json").write_text(json.dumps(seal(table)))
    with pytest.raises(ArtifactError, match="run ghost-edge convert again"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_manifest_is_refused(make_manifest: Make, tmp_path: Path, share: float) -> None:
    make_manifest(tmp_path)
    path = tmp_path / "manifest.json"
    text = path.read_text()
    path.write_text(text[: int(len(text) * share)])
    with pytest.raises(ArtifactError, match=r"is not readable JSON .*; run ghost-edge convert again"):
        read_manifest(path)


def test_a_file_that_is_a_link_out_of_the_folder_is_refused(make_manifest: Make, tmp_path: Path) -> None:
    artifact = make_manifest(tmp_path).models[0].artifact
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


@pytest.mark.parametrize(
    "change",
    [
        {"format": None},
        {"format": "1"},
        {"models": None},
        {"preprocess": []},
        {"preprocess": {"size": "8"}},
        {"limits": {"max_drop": 5}},
        {"predictions": {"file": "predictions.npz"}},
        {"tools": []},
        {"name": 3},
    ],
)
def test_a_manifest_with_a_value_of_another_kind_is_refused(
    make_manifest: Make, tmp_path: Path, change: dict[str, Any]
) -> None:
    table = {"format": FORMAT, **dataclasses.asdict(make_manifest(tmp_path)), **change}
    (tmp_path / "manifest.json").write_text(json.dumps(seal(table)))
    with pytest.raises(ArtifactError, match=r"manifest\.json (is damaged|has format)"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("key", ["format", "name", "preprocess", "models", "limits", "predictions", "tools"])
def test_a_manifest_that_lacks_a_key_is_refused(make_manifest: Make, tmp_path: Path, key: str) -> None:
    table = {"format": FORMAT, **dataclasses.asdict(make_manifest(tmp_path))}
    del table[key]
    (tmp_path / "manifest.json").write_text(json.dumps(seal(table)))
    with pytest.raises(ArtifactError, match="run ghost-edge convert again"):
        read_manifest(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\xff\xfe\x00", b"null", b"3", b'"x"', b"[]", b"{}", b"[" * 100_000])
def test_a_file_that_is_no_manifest_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "manifest.json").write_bytes(content)
    with pytest.raises(ArtifactError, match=r"manifest\.json"):
        read_manifest(tmp_path)


def test_no_flipped_bit_passes_unseen(make_manifest: Make, tmp_path: Path) -> None:
    manifest = make_manifest(tmp_path)
    path = tmp_path / "manifest.json"
    content = path.read_bytes()
    # every third byte, the bits in turn: each of some 300 values is hit, names and braces too
    for position in range(0, len(content), 3):
        flipped = bytearray(content)
        flipped[position] ^= 1 << position // 3 % 8
        path.write_bytes(flipped)
        try:
            changed = read_manifest(path) != manifest
        except ArtifactError:
            continue
        assert not changed, f"bit {position // 3 % 8} of byte {position}"  # a blank that became another blank may pass


def test_a_flipped_bit_in_a_promised_hash_is_refused(make_manifest: Make, tmp_path: Path) -> None:
    sha256 = make_manifest(tmp_path).models[0].artifact.sha256
    path = tmp_path / "manifest.json"
    changed = path.read_text().replace(sha256, sha256[:-1] + chr(ord(sha256[-1]) ^ 1))
    path.write_text(json.dumps(seal(json.loads(changed))))
    with pytest.raises(ArtifactError, match=r"m_int8\.tflite has SHA-256"):
        open_run(tmp_path)


@pytest.mark.parametrize("name", ["../x.tflite", "a/../../x.tflite", "/etc/passwd", "..", "..\\x.tflite", "", "."])
def test_a_name_that_leads_outside_the_folder_is_refused(make_manifest: Make, tmp_path: Path, name: str) -> None:
    artifact = dataclasses.replace(make_manifest(tmp_path).models[0].artifact, file=name)
    with pytest.raises(ArtifactError, match="which is outside the folder; do not trust it"):
        open_artifact(artifact, tmp_path)


def test_a_file_behind_a_linked_folder_is_refused(make_manifest: Make, tmp_path: Path) -> None:
    artifact = make_manifest(tmp_path / "made").models[0].artifact
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "sub").symlink_to(tmp_path / "made", target_is_directory=True)
    linked = dataclasses.replace(artifact, file=f"sub/{artifact.file}")
    with pytest.raises(ArtifactError, match="outside the folder"):
        open_artifact(linked, tmp_path / "out")


def test_a_manifest_of_a_classifier_names_no_task(make_manifest: Make, tmp_path: Path) -> None:
    make_manifest(tmp_path)
    assert "task" not in json.loads((tmp_path / "manifest.json").read_text())
    assert read_manifest(tmp_path).task == "classification"


def test_a_manifest_of_a_task_that_is_not_known_here_is_refused(make_manifest: Make, tmp_path: Path) -> None:
    write_manifest(dataclasses.replace(make_manifest(tmp_path), task="segmentation"), tmp_path)
    with pytest.raises(ArtifactError, match="is of the task 'segmentation', this ghost-edge knows classification"):
        read_manifest(tmp_path)
