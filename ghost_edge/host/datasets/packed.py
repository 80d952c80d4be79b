"""A packed set: the JPEG or PNG bytes of every image in one .npz."""

from __future__ import annotations

import dataclasses

import numpy as np

from ghost_edge.core.dataset import Dataset, Image, Lazy
from ghost_edge.core.errors import DataError
from ghost_edge.core.files import read_npz
from ghost_edge.host.datasets.folder import decode_image
from ghost_edge.host.datasets.places import Places


@dataclasses.dataclass(frozen=True)
class Packed:
    """kind = "packed": keys <split>_bytes uint8, <split>_offsets int64 [N+1], y_<split>, class_names."""

    path: str
    split: str = "train"
    sha256: str = ""


def load(options: Packed, places: Places) -> Dataset:
    """Open one split; images are decoded when asked for. Raises DataError for a missing or damaged file."""
    path = places.find(options.path, sha256=options.sha256)
    split = options.split
    keys = (f"{split}_bytes", f"{split}_offsets", f"y_{split}", "class_names")
    buffer, offsets, labels, names = read_npz(path, keys, error=DataError).values()
    if len(offsets) != len(labels) + 1 or (np.diff(offsets) <= 0).any() or offsets[-1] != buffer.size:
        raise DataError(f"{path}: split {split!r} has {len(labels)} labels but offsets that do not fit; pack it again")

    def decode(index: int) -> Image:
        return decode_image(buffer[offsets[index] : offsets[index + 1]].tobytes(), f"{path.name} image {index}")

    return Dataset(
        name=f"{path.name}:{split}",
        images=Lazy(decode, range(len(labels))),
        labels=labels.astype(np.int64),
        class_names=tuple(str(name) for name in names),
    )
