"""Labelled images as bytes, from any source."""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]
Item = TypeVar("Item")


class Lazy(Sequence[Item]):
    """Sequence whose items, such as decoded images, are made when asked for: it takes the memory of one."""

    def __init__(self, load: Callable[[int], Item], indices: Sequence[int]) -> None:
        self._load, self._indices = load, list(indices)

    def __len__(self) -> int:
        return len(self._indices)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # int -> Item, slice -> Lazy
        if isinstance(index, slice):
            return Lazy(self._load, self._indices[index])
        return self._load(self._indices[index])


@dataclasses.dataclass(frozen=True)
class Dataset:
    """Images uint8 [H, W, 1 or 3] with labels int64 [N] (class indices); class_names in the order of the labels."""

    name: str
    images: Sequence[Image]
    labels: NDArray[np.int64]
    class_names: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.images)


def image_digest(image: Image) -> str:
    """Return the first 16 hex digits of the SHA-256 of an image's shape and pixels: its identity in lists."""
    image = np.ascontiguousarray(image)
    return hashlib.sha256(repr(image.shape).encode() + image.tobytes()).hexdigest()[:16]


def select(dataset: Dataset, indices: Sequence[int] | NDArray[np.int64]) -> Dataset:
    """Return the images at these positions, in this order, decoded when asked for."""
    chosen = [int(index) for index in indices]
    images = Lazy(dataset.images.__getitem__, chosen)
    return dataclasses.replace(dataset, images=images, labels=dataset.labels[chosen])


def spread(items: Sequence[Item], count: int) -> list[Item]:
    """Return at most `count` items, evenly spread: images of a folder come class after class."""
    return [items[index] for index in range(0, len(items), max(1, -(-len(items) // count)))]
