"""Random images: for speed, never for ranges or accuracy."""

from __future__ import annotations

import dataclasses

import numpy as np

from ghost_edge.core.dataset import Dataset
from ghost_edge.core.preprocess import Size, check_size, height_and_width
from ghost_edge.host.datasets.places import Places


@dataclasses.dataclass(frozen=True)
class Synthetic:
    """kind = "synthetic": `count` images of smooth noise, reproducible from the seed."""

    count: int = 100
    size: Size = 224
    channels: int = 3
    classes: int = 10
    seed: int = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", check_size(self.size, "size of synthetic images"))


def load(options: Synthetic, places: Places) -> Dataset:
    """Return noise, uint8 [count, height, width, channels], at an eighth of the resolution: it has edges and areas."""
    rng = np.random.default_rng(options.seed)
    height, width = height_and_width(options.size)
    coarse = rng.integers(0, 256, (options.count, -(-height // 8), -(-width // 8), options.channels), np.uint8)
    images = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, :height, :width]
    labels = np.arange(options.count, dtype=np.int64) % options.classes
    return Dataset(name="synthetic", images=list(images), labels=labels)
