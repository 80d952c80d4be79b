"""Every disease of calibration images is found in images that have it, and none in healthy ones."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
from numpy.typing import NDArray

from ghost_edge.core.dataset import Dataset, Lazy, image_digest
from ghost_edge.core.files import read_npz
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.host import datasets
from ghost_edge.host.datasets.health import Finding, examine_images, examine_preprocess

RIGHT = Preprocess(size=28, mean=(0.5,), std=(0.25,), channels="RGB")
Images = NDArray[np.uint8]


@pytest.fixture(scope="session")
def digits(repository: object) -> tuple[Images, NDArray[np.int64]]:
    """The shipped digits: uint8 [5000, 28, 28, 1], int64 [5000]."""
    held = read_npz(repository / "calibration" / "mnist" / "mnist.npz")  # type: ignore[operator]
    return held["images"][..., np.newaxis], held["labels"].astype(np.int64)


def opened(dataset: Dataset) -> datasets.Images:
    digests = Lazy(lambda index: image_digest(dataset.images[index]), range(len(dataset)))
    return datasets.Images({}, lambda: datasets.Opened(dataset, digests))


def look(images: Images, judges: Images, labels: NDArray[np.int64] | None = None) -> list[Finding]:
    labels = np.arange(len(images)) % 10 if labels is None else labels
    evaluation = Dataset("digits", list(judges), np.zeros(len(judges), np.int64))
    return list(examine_images(opened(Dataset("digits", list(images), labels)), opened(evaluation)))


def told(findings: list[Finding]) -> Finding:
    (finding,) = findings
    return finding


def test_healthy_images_have_no_finding(digits: tuple[Images, NDArray[np.int64]]) -> None:
    images, labels = digits
    chosen = np.arange(len(images)) % 10 == 0
    assert look(images[chosen], images[~chosen], labels[chosen]) == []


def test_images_that_also_judge_are_fatal(digits: tuple[Images, NDArray[np.int64]]) -> None:
    images, _ = digits
    finding = told(look(images[:200], images[199:400]))
    assert finding.sentence.startswith("1 of 200 calibration images are also evaluation images, first ")
    assert finding.fatal


def test_judges_that_were_stored_again_are_found(digits: tuple[Images, NDArray[np.int64]]) -> None:
    images, _ = digits
    noise = np.random.default_rng(0).integers(-6, 7, images[:3].shape)
    again = np.clip(images[300:303].astype(int) + noise, 0, 255).astype(np.uint8)
    finding = told(look(np.concatenate([images[:200], again]), images[300:500]))
    assert finding.sentence.startswith("3 of 203 calibration images look like evaluation images stored again")


def test_one_class_is_fatal(digits: tuple[Images, NDArray[np.int64]]) -> None:
    images, _ = digits
    finding = told(look(images[:100], images[100:200], np.full(100, 7)))
    assert "are all of one class" in finding.sentence
    assert finding.fatal


@pytest.mark.parametrize(("count", "fatal"), [(6, False), (100, True)])
def test_images_of_one_colour_are_found(digits: tuple[Images, NDArray[np.int64]], count: int, fatal: bool) -> None:
    images = digits[0][:100].copy()
    images[:count] = np.arange(10, 10 + count, dtype=np.uint8)[:, np.newaxis, np.newaxis, np.newaxis]
    finding = told(look(images, digits[0][100:200]))
    assert finding.sentence.startswith(f"{count} of 100 calibration images are of one colour")
    assert finding.fatal == fatal


def test_almost_black_images_are_found(digits: tuple[Images, NDArray[np.int64]]) -> None:
    images = digits[0][:100].copy()
    images[:6] //= 20
    assert told(look(images, digits[0][100:200])).sentence.startswith("6 of 100 calibration images are almost black")


def test_copies_are_found(digits: tuple[Images, NDArray[np.int64]]) -> None:
    images = digits[0][:100].copy()
    images[:6] = images[6]
    assert told(look(images, digits[0][100:200])).sentence.startswith("6 of 100 calibration images are copies")


def test_few_images_are_found(digits: tuple[Images, NDArray[np.int64]]) -> None:
    assert told(look(digits[0][:49], digits[0][100:200])).sentence.startswith("49 calibration images are few")


def model(wanted: Preprocess, right: float, otherwise: float) -> Callable[[Preprocess], float]:
    """The top-1 of a model that was trained with `wanted`."""
    return lambda preprocess: right if preprocess == wanted else otherwise


def examine(preprocess: Preprocess, top1: Callable[[Preprocess], float], card: float | None) -> list[Finding]:
    return list(examine_preprocess(preprocess, top1, card, [np.arange(48, dtype=np.uint8).reshape(4, 4, 3)] * 200))


def test_a_model_as_good_as_its_card_has_no_finding() -> None:
    assert examine(RIGHT, model(RIGHT, 0.9, 0.3), 0.86) == []


def test_images_easier_than_the_test_set_have_no_finding() -> None:
    assert examine(RIGHT, model(RIGHT, 0.99, 0.3), 0.86) == []


def test_four_images_prove_nothing_against_a_model_card() -> None:
    few = [np.arange(48, dtype=np.uint8).reshape(4, 4, 3)] * 4
    assert list(examine_preprocess(RIGHT, model(RIGHT, 0.5, 0.3), 0.665, few)) == []  # 2 of 4
    assert list(examine_preprocess(RIGHT, model(RIGHT, 0.5, 0.3), 0.665, few * 50)) != []


def test_the_scaling_that_fits_is_named() -> None:
    wanted = dataclasses.replace(RIGHT, mean=(0.0,), std=(1.0,), divide_by=1.0)
    finding = told(examine(RIGHT, model(wanted, 0.88, 0.12), 0.86))
    assert finding.fatal
    assert finding.sentence == (
        "preprocessing does not fit: the float model has 12.0% top-1 on the calibration images, its model card says "
        "86.0%; they span 0..47, [preprocess] says divide_by 255, mean [0.5], std [0.25], RGB; "
        "with divide_by = 1, mean = [0.0], std = [1.0] it is 88.0%"
    )


def test_a_wrong_channel_order_is_named_without_a_model_card() -> None:
    finding = told(examine(RIGHT, model(dataclasses.replace(RIGHT, channels="BGR"), 0.9, 0.7), None))
    assert finding.fatal
    assert 'with channels = "BGR" it is 90.0%' in finding.sentence


def test_random_weights_have_no_order() -> None:
    assert examine(RIGHT, model(dataclasses.replace(RIGHT, channels="BGR"), 0.3, 0.1), None) == []


def test_an_order_that_is_hardly_better_is_not_blamed() -> None:
    assert examine(RIGHT, model(dataclasses.replace(RIGHT, channels="BGR"), 0.92, 0.9), None) == []


def test_a_bad_model_that_nothing_mends_points_to_labels_and_weights() -> None:
    finding = told(examine(RIGHT, lambda preprocess: 0.1, 0.86))
    assert finding.sentence.endswith("check labels, their order, and the weights too")


def test_grey_images_have_no_order_and_no_scaling_of_three_channels() -> None:
    tried: list[Preprocess] = []

    def top1(preprocess: Preprocess) -> float:
        tried.append(preprocess)
        return 0.1

    examine(dataclasses.replace(RIGHT, channels="GRAY"), top1, 0.86)
    assert {(each.channels, len(each.mean)) for each in tried} == {("GRAY", 1)}
