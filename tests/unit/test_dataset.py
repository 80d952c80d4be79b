"""Images that are decoded when they are asked for, and sets made of other sets."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from ghost_edge.core.dataset import Dataset, Lazy, select


def image(index: int) -> np.ndarray:
    return np.full((2, 2, 1), index, np.uint8)


@pytest.fixture
def loaded() -> list[int]:
    """The positions that were decoded, in order."""
    return []


@pytest.fixture
def lazy(loaded: list[int]) -> Lazy:
    def load(index: int) -> np.ndarray:
        loaded.append(index)
        return image(index)

    return Lazy(load, range(5))


def test_nothing_is_decoded_until_it_is_asked_for(lazy: Lazy, loaded: list[int]) -> None:
    assert (len(lazy), len(lazy[1:3]), loaded) == (5, 2, [])


def test_one_image_is_decoded_alone(lazy: Lazy, loaded: list[int]) -> None:
    assert_array_equal(lazy[3], image(3))
    assert loaded == [3]


def test_a_slice_keeps_the_order(lazy: Lazy) -> None:
    assert [int(image[0, 0, 0]) for image in lazy[4:1:-1]] == [4, 3, 2]


def test_a_position_outside_is_an_error(lazy: Lazy) -> None:
    with pytest.raises(IndexError, match="index out of range"):
        lazy[5]


def test_iteration_decodes_each_image_once(lazy: Lazy, loaded: list[int]) -> None:
    assert [int(image[0, 0, 0]) for image in lazy] == loaded == [0, 1, 2, 3, 4]


def test_select_keeps_images_and_labels_together(lazy: Lazy) -> None:
    chosen = select(Dataset("five", lazy, np.array([10, 11, 12, 13, 14])), np.array([4, 0, 0]))
    pairs = [(int(image[0, 0, 0]), int(label)) for image, label in zip(chosen.images, chosen.labels)]
    assert pairs == [(4, 14), (0, 10), (0, 10)]


def test_a_selection_of_a_selection_counts_from_the_selection(lazy: Lazy) -> None:
    first = select(Dataset("five", lazy, np.arange(5)), [3, 1, 2])
    assert_array_equal(select(first, [0]).images[0], image(3))


def test_select_decodes_nothing(lazy: Lazy, loaded: list[int]) -> None:
    assert (len(select(Dataset("five", lazy, np.arange(5)), [1, 2])), loaded) == (2, [])


def test_a_selection_keeps_the_names_of_the_classes() -> None:
    dataset = Dataset("two", [image(0), image(1)], np.arange(2), class_names=("cat", "dog"))
    assert select(dataset, [1]).class_names == ("cat", "dog")
