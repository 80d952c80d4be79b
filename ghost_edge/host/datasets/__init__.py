"""Where images come from: one row a source."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ghost_edge.core.dataset import Dataset, image_digest, select
from ghost_edge.core.errors import DataError
from ghost_edge.core.files import sha256_file
from ghost_edge.host.datasets import arrays, folder, packed, synthetic
from ghost_edge.host.datasets.places import Places, unreadable


class Source(NamedTuple):
    """The schema of a dataset table and the function that opens it."""

    options: type[Any]
    load: Callable[[Any, Places], Dataset]


DATASETS: dict[str, Source] = {
    "packed": Source(packed.Packed, packed.load),
    "folder": Source(folder.Folder, folder.load),
    "arrays": Source(arrays.Arrays, arrays.load),
    "synthetic": Source(synthetic.Synthetic, synthetic.load),
}


@dataclasses.dataclass(frozen=True)
class DataTable:
    """A dataset as a recipe names it: the source's own options, and which of its images.

    list: a file of image digests, one a line, in the order to use; empty: all images.
    list_sha256: SHA-256 of that file.
    """

    kind: str
    source: Any
    list: str = ""
    list_sha256: str = ""


def open_dataset(table: DataTable, places: Places) -> Dataset:
    """Open the images of a recipe's table; raises DataError where there are none."""
    dataset = DATASETS[table.kind].load(table.source, places)
    if table.list:
        dataset = select_listed(dataset, places.find(table.list, sha256=table.list_sha256))
    if not len(dataset):
        raise DataError(f"{dataset.name} holds no images; check path, split and list of the table")
    return dataset


def class_names(recipe: Any, places: Places) -> tuple[str, ...]:
    """What the classes are called, in the order of the labels; nothing where the recipe names no images."""
    table = recipe.evaluation or recipe.calibration
    return () if table is None else DATASETS[table.kind].load(table.source, places).class_names


def read_list(path: Path) -> list[str]:
    """Digests in a list file, in order; lines that start with # are comments."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a readable list of digests ({error})") from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def select_listed(dataset: Dataset, path: Path) -> Dataset:
    """The listed images in the list's order; raises DataError when one is not in the data set."""
    wanted = read_list(path)
    positions = {image_digest(image): index for index, image in enumerate(dataset.images)}
    missing = [digest for digest in wanted if digest not in positions]
    if missing:
        raise DataError(
            f"{path} lists {len(missing)} images that {dataset.name} does not hold, first {missing[0]}; "
            "list and data do not belong together: restore them, or make the lists anew (init --force) and train"
        )
    return select(dataset, [positions[digest] for digest in wanted])


def fingerprint(table: DataTable, places: Places) -> dict[str, Any]:
    """What decides the images and their use: every option, with the content instead of the path of what it names.

    A file counts by its SHA-256, a folder by the names, sizes and time stamps in it.
    """
    settings = dataclasses.asdict(table)
    found = {"list": places.find(table.list, sha256=table.list_sha256)} if table.list else {}
    if settings["source"].get("path"):
        found["path"] = places.find(table.source.path, sha256=getattr(table.source, "sha256", ""))
    try:
        digests = {name: sha256_file(path) if path.is_file() else _folder_digest(path) for name, path in found.items()}
    except OSError as error:
        raise unreadable(Path(table.source.path), error) from error
    return {**settings, "source": {**settings["source"], "path": ""}, **digests}


def _folder_digest(folder: Path) -> str:
    lines = []
    for inside, folders, files in os.walk(folder, followlinks=True):
        folders.sort()  # an empty class folder counts too: it moves the labels of those after it
        place = Path(inside).relative_to(folder)
        lines += [f"{place / name}\n" for name in folders]
        found = [
            (place / name, (Path(inside) / name).stat()) for name in sorted(files) if (Path(inside) / name).is_file()
        ]
        lines += [f"{path} {status.st_size} {status.st_mtime_ns}\n" for path, status in found]
    names = "".join(lines).encode(errors="surrogateescape")  # any bytes, in files that are no images
    return hashlib.sha256(names).hexdigest()
