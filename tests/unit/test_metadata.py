"""What a file says about itself is found again, and damaged metadata is not believed."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from ghost_edge.core.errors import ArtifactError
from ghost_edge.core.manifest import Metadata, check_fed, describe_input, metadata_text, read_metadata
from ghost_edge.core.preprocess import Preprocess

METADATA = Metadata(Preprocess(32, mean=(0.5,), std=(0.25,)), ("chat", "éléphant", "Löwe", "dog"), "ab" * 32)


def write(folder: Path, text: str) -> Path:
    path = folder / "model.tflite"
    path.write_bytes(b"\x00\xff{" + text.encode() + b'\x00}"' * 9)
    return path


def test_a_card_is_read_from_the_middle_of_any_file(tmp_path: Path) -> None:
    assert read_metadata(write(tmp_path, metadata_text(METADATA))) == METADATA


def test_a_file_without_a_card_says_nothing(tmp_path: Path) -> None:
    assert read_metadata(write(tmp_path, "")) is None


@pytest.mark.parametrize(
    ("old", "new"),
    [('"size": 32', '"size": "32"'), ('"size": 32', '"sise": 32'), ('"class_names"', '"class'), ('"mean"', "mean")],
)
def test_a_damaged_card_is_refused(tmp_path: Path, old: str, new: str) -> None:
    text = metadata_text(METADATA)
    assert old in text
    with pytest.raises(ArtifactError, match="is damaged: what it says about itself cannot be read"):
        read_metadata(write(tmp_path, text.replace(old, new)))


def test_the_line_says_how_to_feed_the_file() -> None:
    expected = "RGB 32 x 32, (pixel / 255 - [0.5]) / [0.25]; 4 classes: chat, éléphant, Löwe, ..."
    assert describe_input(METADATA) == expected


def test_a_recipe_that_feeds_the_file_otherwise_is_doubted(tmp_path: Path) -> None:
    path = write(tmp_path, metadata_text(METADATA))
    other = dataclasses.replace(METADATA.preprocess, mean=(0.0,), channels="BGR")
    expected = f"doubt: {path} says that it was made for mean [0.5], not [0.0]; channels RGB, not BGR"
    assert check_fed(path, other) == expected


def test_a_recipe_that_feeds_the_file_as_it_says_is_not(tmp_path: Path) -> None:
    assert (
        check_fed(write(tmp_path, metadata_text(METADATA)), dataclasses.replace(METADATA.preprocess, layout="NCHW"))
        == ""
    )
