"""A folder of images: one sub-folder a class, or a labels.csv."""

from __future__ import annotations

import csv
import dataclasses
import re
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from ghost_edge.core.dataset import Dataset, Lazy
from ghost_edge.core.errors import DataError
from ghost_edge.host.datasets.decode import SUFFIXES, read_image
from ghost_edge.host.datasets.places import Places, is_utf8, unreadable


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
