"""The model card: what is written is read again, and only beside its own weights."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest

from ghost_edge.core.files import sha256_file
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.host.recipe.network import ImageCount, ModelCard, read_model_card, write_model_card


@pytest.fixture
def weights(tmp_path: Path) -> Path:
    path = tmp_path / "digits.safetensors"
    path.write_bytes(b"weights")
    return path


def card_of(weights: Path, **changes: Any) -> ModelCard:
    card = ModelCard(
        name="digits",
        network={"kind": "ghostnet", "stages": [[3.0, 16.0, 16.0, 0.0, 1.0]]},
        preprocess=Preprocess(size=28, channels="GRAY", mean=(0.1,), std=(0.3,)),
        trained_on=ImageCount("mnist.npz", 3200),
        evaluated_on=ImageCount("mnist.npz", 1600),
        class_names=("0", "1"),
        training={"epochs": 60, "seed": 0},
        seconds=1144,
        top1=0.9875,
        weights_sha256=sha256_file(weights),
    )
    return dataclasses.replace(card, **changes)


def test_a_written_card_is_read_again(weights: Path) -> None:
    write_model_card(card_of(weights), weights)
    assert read_model_card(weights) == card_of(weights)


def test_the_file_lies_beside_the_weights_and_keeps_the_order_of_its_keys(weights: Path) -> None:
    write_model_card(card_of(weights), weights)
    written = json.loads(weights.with_suffix(".json").read_text())
    order = "name network preprocess trained_on evaluated_on class_names training seconds top1 weights_sha256 made_of"
    assert list(written) == order.split()


def test_a_card_of_other_weights_is_none(weights: Path) -> None:
    write_model_card(card_of(weights, weights_sha256="0" * 64), weights)
    assert read_model_card(weights) is None


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"top1": 0.9}', "\xff"])
def test_a_file_that_is_no_card_is_none(weights: Path, text: str) -> None:
    weights.with_suffix(".json").write_bytes(text.encode("latin-1"))
    assert read_model_card(weights) is None


def test_a_mistyped_card_is_none(weights: Path) -> None:
    write_model_card(card_of(weights, top1="good"), weights)
    assert read_model_card(weights) is None


def test_weights_without_a_card_have_none(weights: Path) -> None:
    assert read_model_card(weights) is None


@pytest.mark.parametrize("name", ["ghostnet_mnist", "ghostnet_cifar10", "ghostnet_tin40"])
def test_the_shipped_cards_are_read(repository: Path, name: str) -> None:
    card = read_model_card(repository / "models" / "weights" / f"{name}.safetensors")
    assert card is not None
    assert card.name == name
