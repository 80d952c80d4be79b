"""Random images: for speed, never for ranges or accuracy."""

from __future__ import annotations

import dataclasses

import numpy as np

from ghost_edge.core.dataset import Dataset
from ghost_edge.host.datasets.places import Places


@dataclasses.dataclass(frozen=True)
class Synthetic:
    """kind = "synthetic": `count` images of smooth noise, reproducible from the seed."""

    count: int = 100
    size: int = 224
    channels: int = 3
    classes: int = 10
    seed: int = 0


def load(options: Synthetic, places: Places) -> Dataset:
    """Noise uint8 [count, size, size, channels] at an eighth of the resolution, so that it has edges and areas."""
    rng = np.random.default_rng(options.seed)
    cells = -(-options.size // 8)
    coarse = rng.integers(0, 256, (options.count, cells, cells, options.channels), np.uint8)
    images = coarse.repeat(8, axis=1).repeat(8, axis=2)[:, : options.size, : options.size]
    labels = np.arange(options.count, dtype=np.int64) % options.classes
    return Dataset(name="synthetic", images=list(images), labels=labels)
