"""Image files: decoded, and a folder of them, with one sub-folder a class or a labels.csv."""

from __future__ import annotations

import csv
import dataclasses
import io
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Optional, Union

import numpy as np
import PIL.Image

from ghost_edge.core.dataset import Dataset, Image, Lazy, spread
from ghost_edge.core.errors import DataError, RecipeError
from ghost_edge.host.datasets.places import Places, is_utf8, unreadable

_FORMATS = ("JPEG", "PNG", "BMP", "WEBP")  # others run code of other programs, or are no images of a camera
SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".webp")
_GREY = ("1", "L", "LA")
_DEEP = ("I", "I;16", "I;16B", "F")


def decode_image(content: bytes, name: str) -> Image:
    """Decode to RGB uint8 [H, W, 3], or grey [H, W, 1]; raises DataError naming the image."""
    try:
        with PIL.Image.open(io.BytesIO(content), formats=_FORMATS) as image:
            if image.mode in _DEEP:
                raise DataError(f"{name} has more than 8 bits a pixel (mode {image.mode}); save it with 8")
            grey = image.mode in _GREY
            pixels = np.asarray(image.convert("L" if grey else "RGB"))
    except (OSError, ValueError, SyntaxError, PIL.Image.DecompressionBombError) as error:
        raise DataError(f"{name} is not a readable {', '.join(_FORMATS)} image; remove it or save it again") from error
    return pixels[..., np.newaxis] if grey else pixels


def read_image(path: Path) -> Image:
    """Decode an image file as decode_image() does; DataError where it cannot be read."""
    try:
        return decode_image(path.read_bytes(), str(path))
    except OSError as error:
        raise DataError(f"{path} cannot be read ({error.strerror}); it is in the list of images") from error


def load_images(folder: Union[str, Path], count: Optional[int] = None) -> Sequence[Image]:
    """Return the images of a folder and its sub-folders, uint8 [H, W, 1 or 3], decoded when asked for.

    count: at most so many, evenly spread over the sorted names; None: all. Raises DataError where there are none,
    RecipeError for a count under 1.
    """
    if count is not None and (type(count) is not int or count < 1):
        raise RecipeError(f"count is {count!r}; it must be a whole number, 1 or more")
    files = sorted(file for file in Path(folder).rglob("*") if file.suffix.lower() in SUFFIXES)
    if not files:
        raise DataError(f"{folder} holds no images ({', '.join(SUFFIXES)}); give a folder of images")
    return as_images(spread(files, count) if count else files)


def as_images(images: Iterable[Any]) -> Sequence[Image]:
    """Return image files as lazily decoded images, and arrays or Pillow images as uint8 [H, W] or [H, W, C].

    Raises DataError for what is one image, or a folder, instead of a list.
    """
    array: Any = images if isinstance(images, np.ndarray) else np.empty(0)
    if array.dtype == np.uint8 and array.ndim == 3 and array.shape[-1] in (1, 3):  # its rows would pass for grey images
        raise DataError(f"the images are one array uint8 {list(array.shape)}; expected a list: put the image into [ ]")
    if isinstance(images, (str, Path)) or not isinstance(images, Iterable):
        raise DataError(f"{images!r} is no list of images; give arrays or files, or ghost_edge.load_images(folder)")
    given = images if isinstance(images, Sequence) else list(images)
    return Lazy(lambda index: _as_image(given[index]), range(len(given)))


def _as_image(item: Any) -> Image:
    return read_image(Path(item)) if isinstance(item, (str, Path)) else np.asarray(item)


@dataclasses.dataclass(frozen=True)
class Folder:
    """kind = "folder": class sub-folders in alphabetical order, or labels.csv with columns file, class_index.

    images: the sub-folder that the names in labels.csv start from.
    """

    path: str
    labels: str = "labels.csv"
    images: str = "images"


def load(options: Folder, places: Places) -> Dataset:
    """List the images, decoding each when asked for. Raises DataError for an empty folder, a bad line or name."""
    folder = places.find(options.path)
    if not folder.is_dir():
        raise DataError(f'{folder} is a file; kind = "folder" needs a folder, kind = "packed" takes .npz files')
    listing = folder / options.labels
    try:
        is_listed = listing.is_file()
        files, labels, names = _from_csv(listing, folder / options.images) if is_listed else _from_classes(folder)
    except OSError as error:
        raise unreadable(folder, error) from error
    if not files:
        others = not_read(folder)
        raise DataError(
            f"{folder} holds no images ({', '.join(SUFFIXES)}) in class sub-folders, and no labels.csv"
            + (f"; not read: {others}" if others else "")
        )
    return Dataset(
        name=folder.name,
        images=Lazy(lambda index: read_image(files[index]), range(len(files))),
        labels=np.asarray(labels, np.int64),
        class_names=names,
    )


def not_read(folder: Path) -> str:
    """Return the files in class folders that are not read, by suffix: ".gif (12)"; "" beside a labels.csv."""
    if (folder / Folder.labels).is_file():
        return ""
    others = [file for entry in _classes(folder) for file in entry.iterdir() if file.suffix.lower() not in SUFFIXES]
    suffixes = [file.suffix.lower() for file in others if file.is_file()]
    counts = Counter(suffix for suffix in suffixes if re.fullmatch(r"\.[a-z0-9]+", suffix))
    return ", ".join(f"{suffix} ({counts[suffix]})" for suffix in sorted(counts))


def _classes(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir())


def _check_names(entries: Iterable[Path]) -> None:
    for entry in entries:
        if not is_utf8(entry.name):
            raise DataError(f"{str(entry)!a} is not named in UTF-8, as recipes and reports are; rename it")


def _from_classes(folder: Path) -> tuple[list[Path], list[int], tuple[str, ...]]:
    classes = _classes(folder)
    _check_names(classes)
    files, labels = [], []
    for label, entry in enumerate(classes):
        found = sorted(file for file in entry.iterdir() if file.suffix.lower() in SUFFIXES)
        _check_names(found)
        files += found
        labels += [label] * len(found)
    return files, labels, tuple(entry.name for entry in classes)


def _from_csv(listing: Path, folder: Path) -> tuple[list[Path], list[int], tuple[str, ...]]:
    try:
        with listing.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
    except (UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"{listing} is not a readable UTF-8 CSV file ({error})") from error
    names: dict[int, str] = {}
    files, labels = [], []
    for number, row in enumerate(rows, start=2):
        try:
            label = int(row["class_index"])
            files.append(folder / row["file"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(f"{listing} line {number} needs the columns file and class_index (a number)") from error
        if not 0 <= label < 2**31:
            raise DataError(f"{listing} line {number} has the class_index {label}; it starts at 0")
        labels.append(label)
        names[label] = row.get("name") or str(label)
    complete = sorted(names) == list(range(len(names)))
    return files, labels, tuple(names[label] for label in sorted(names)) if complete else ()
