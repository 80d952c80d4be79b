"""core.preprocess against Pillow: a board without Pillow sees what the workstation saw."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from PIL import Image

from ghost_edge.core.preprocess import Preprocess, fit_image, resize

SIZES = [
    ((32, 32), (224, 224)),
    ((224, 224), (32, 32)),
    ((481, 321), (96, 96)),
    ((7, 5), (64, 13)),
    ((1, 1), (9, 9)),
    ((100, 3), (10, 7)),
    ((300, 200), (299, 201)),
]
# Pillow rounds to bytes between its two passes, we only at the end: half a step, and once more half a step
ONE_ROUNDING_MORE = 1


def noise(height: int, width: int, channels: int) -> Any:
    # the worst case for a resampling filter: every pixel differs from its neighbours
    return np.random.default_rng(0).integers(0, 256, (height, width, channels), dtype=np.uint8)


def pillow(image: Any, size: tuple[int, int], method: Image.Resampling) -> Any:
    made = Image.fromarray(image if image.shape[-1] == 3 else image[..., 0])
    return np.asarray(made.resize(size[::-1], method)).reshape(*size, image.shape[-1])


def distance(left: Any, right: Any) -> int:
    return int(np.abs(left.astype(int) - right.astype(int)).max())


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("source", "target"), SIZES, ids=str)
def test_resize_is_pillows_bilinear(source: tuple[int, int], target: tuple[int, int], channels: int) -> None:
    image = noise(*source, channels)
    expected = pillow(image, target, Image.Resampling.BILINEAR)
    assert distance(resize(image, *target), expected) <= ONE_ROUNDING_MORE


@pytest.mark.parametrize(
    "method", [Image.Resampling.NEAREST, Image.Resampling.BOX, Image.Resampling.BICUBIC, Image.Resampling.HAMMING]
)
def test_the_comparison_tells_bilinear_from_other_filters(method: Image.Resampling) -> None:
    image = noise(224, 224, 3)
    assert distance(resize(image, 96, 96), pillow(image, (96, 96), method)) > 10 * ONE_ROUNDING_MORE


def test_the_comparison_tells_a_shift_of_one_pixel() -> None:
    image = noise(224, 224, 3)
    shifted = pillow(np.roll(image, 1, axis=1), (96, 96), Image.Resampling.BILINEAR)
    assert distance(resize(image, 96, 96), shifted) > 10 * ONE_ROUNDING_MORE


def test_grey_is_pillows_l() -> None:
    image = noise(64, 64, 3)
    expected = np.asarray(Image.fromarray(image).convert("L"))[..., np.newaxis]
    # Pillow's weights are 16-bit integers: another value only where ours lies at a half
    assert distance(fit_image(image, Preprocess(size=64, channels="GRAY")), expected) <= ONE_ROUNDING_MORE
