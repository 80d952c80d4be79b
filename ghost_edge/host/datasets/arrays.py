"""Images and labels as plain arrays in one .npz."""

from __future__ import annotations

import dataclasses

import numpy as np

from ghost_edge.core.dataset import Dataset
from ghost_edge.core.errors import DataError
from ghost_edge.core.files import read_npz
from ghost_edge.core.preprocess import check_image
from ghost_edge.host.datasets.places import Places


@dataclasses.dataclass(frozen=True)
class Arrays:
    """kind = "arrays": keys `images` uint8 [N, H, W] or [N, H, W, C] and `labels` [N]."""

    path: str
    images: str = "images"
    labels: str = "labels"
    class_names: tuple[str, ...] = ()
    sha256: str = ""


def load(options: Arrays, places: Places) -> Dataset:
    """Read both arrays; raises DataError where they are not bytes, NaN-free, NHWC and of one length."""
    path = places.find(options.path, sha256=options.sha256)
    arrays = read_npz(path, (options.images, options.labels), error=DataError)
    images, labels = arrays[options.images], arrays[options.labels]
    if images.ndim == 3:
        images = images[..., np.newaxis]
    if images.ndim != 4 or labels.ndim != 1 or len(images) != len(labels):
        raise DataError(
            f"{path}: images {list(images.shape)} and labels {list(labels.shape)}; expected [N, H, W, C] and [N]"
        )
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        raise DataError(f"{path}: the images hold NaN or infinity; store the camera's bytes as uint8")
    if len(images):
        check_image(images[0])
    if labels.dtype.kind not in "iu":
        raise DataError(f"{path}: labels are {labels.dtype} {list(labels.shape)}; expected whole numbers [N]")
    return Dataset(name=path.name, images=list(images), labels=labels.astype(np.int64), class_names=options.class_names)
