"""Digits of calibration/mnist as PNG files in class folders."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import PIL.Image

MNIST = Path(__file__).resolve().parents[2] / "calibration" / "mnist" / "mnist.npz"
EACH = 10  # images of a digit


def write_digits(folder: Path, start: int = 0, count: int = EACH, colour: bool = False) -> Path:
    with np.load(MNIST) as arrays:
        images, labels = arrays["images"], arrays["labels"]
    for label in range(10):
        (folder / f"digit{label}").mkdir(parents=True)
        for number in np.flatnonzero(labels == label)[start : start + count]:
            image = PIL.Image.fromarray(images[number].squeeze())
            if colour:
                image = PIL.Image.merge("RGB", (image, image, image.point(lambda value: value // 2)))
            image.save(folder / f"digit{label}" / f"{number}.png")
    return folder
