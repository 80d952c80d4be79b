"""Where images come from: one row a source."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.dataset import Dataset, Image, Lazy, image_digest
from ghost_edge.core.errors import DataError
from ghost_edge.core.files import sha256_file
from ghost_edge.host.datasets import arrays, folder, packed, synthetic
from ghost_edge.host.datasets.places import Places, unreadable

KEPT_BYTES = 256 << 20  # of decoded images for each source; what does not fit is decoded again

Choose = Callable[[int], NDArray[np.int64]]  # from the number of images to the positions of those that are used


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
    """A dataset table of a recipe: the options of its source, and the list that selects images.

    list: a file of image digests, one a line, in the order to use; empty: all images.
    list_sha256: SHA-256 of that file.
    """

    kind: str
    source: Any
    list: str = ""
    list_sha256: str = ""


def open_dataset(table: DataTable, places: Places) -> Dataset:
    """Open the images of a recipe's table; raises DataError where there are none."""
    return Library(places).images(table).dataset


class Opened(NamedTuple):
    """A data set, and for each of its images the identity that image_digest() gives."""

    dataset: Dataset
    digests: Sequence[str]


@dataclasses.dataclass(frozen=True)
class Images:
    """The images of a table: identified by a fingerprint, opened once, when they are asked for."""

    fingerprint: Mapping[str, Any]
    open: Callable[[], Opened] = dataclasses.field(repr=False, compare=False)

    @functools.cached_property
    def _opened(self) -> Opened:
        return self.open()

    @property
    def dataset(self) -> Dataset:
        """Images, labels and class names; raises DataError where there are none."""
        return self._opened.dataset

    @functools.cached_property
    def digests(self) -> tuple[str, ...]:
        """The identity of each image, in their order."""
        return tuple(self._opened.digests)


class Library:
    """The data sets of a run: each file is read once, each image is decoded and hashed once a table."""

    def __init__(self, places: Places) -> None:
        self._places = places
        self._sources: dict[tuple[str, Any], _Source] = {}

    def images(self, table: DataTable, choose: Choose | None = None, **identity: Any) -> Images:
        """Return the images of a table, or those that `choose` picks of them.

        identity: what belongs into the fingerprint beside the table itself, such as the seed of `choose`.
        """
        # of a recipe's table only what says which images: not how ranges or labels are made of them
        bare = DataTable(table.kind, table.source, table.list, table.list_sha256)
        found = {**fingerprint(bare, self._places), **identity}
        return Images(found, functools.partial(self._open, table, choose))

    def class_names(self, table: DataTable) -> tuple[str, ...]:
        """Return the names of a table's classes, in the order of the labels."""
        return getattr(table.source, "class_names", ()) or self._source(table).dataset.class_names

    def _open(self, table: DataTable, choose: Choose | None) -> Opened:
        source = self._source(table)
        if table.list:
            path = self._places.find(table.list, sha256=table.list_sha256)
            digests: Sequence[str] = read_list(path)
            used = [digests[index] for index in choose(len(digests))] if choose else digests
            known = source.find(used)
            missing = [digest for digest in digests if digest not in known]
            if missing:
                raise DataError(
                    f"{path} lists {len(missing)} images that {source.dataset.name} does not hold, "
                    f"first {missing[0]}; list and data do not belong together: restore them, "
                    "or make the lists anew (init --force) and train"
                )
            positions = [known[digest] for digest in used]
        else:
            count = len(source.dataset)
            positions = list(map(int, choose(count))) if choose else list(range(count))
        if not positions:
            raise DataError(f"{source.dataset.name} holds no images; check path, split and list of the table")
        images = Lazy(source.image, positions)
        dataset = dataclasses.replace(
            source.dataset,
            images=images,
            labels=source.dataset.labels[positions],
            class_names=self.class_names(table),
        )
        return Opened(dataset, used if table.list else Lazy(source.digest, positions))

    def _source(self, table: DataTable) -> _Source:
        bare = table.source
        if hasattr(bare, "class_names"):  # two tables of one file may differ in these alone
            bare = dataclasses.replace(bare, class_names=())
        if (table.kind, bare) not in self._sources:
            self._sources[table.kind, bare] = _Source(DATASETS[table.kind].load(bare, self._places))
        return self._sources[table.kind, bare]


class _Source:
    """A data set that remembers digests, and keeps images decoded while there is room."""

    def __init__(self, dataset: Dataset) -> None:
        self.dataset = dataset
        self._kept: dict[int, Image] = {}
        self._digests: dict[int, str] = {}
        self._room = KEPT_BYTES if isinstance(dataset.images, Lazy) else 0  # others are in memory already

    def image(self, index: int) -> Image:
        image = self._kept.get(index)
        return self._keep(index, self.dataset.images[index]) if image is None else image

    def digest(self, index: int) -> str:
        if index not in self._digests:
            self._digests[index] = image_digest(self.image(index))
        return self._digests[index]

    def find(self, wanted: Iterable[str]) -> dict[str, int]:
        """Return the position of every image by its digest; images with a wanted one stay decoded."""
        names = set(wanted)
        for index in range(len(self.dataset)):
            if index not in self._digests:
                image = self.dataset.images[index]
                self._digests[index] = image_digest(image)
                if self._digests[index] in names:
                    self._keep(index, image)
        return {digest: index for index, digest in sorted(self._digests.items())}

    def _keep(self, index: int, image: Image) -> Image:
        if image.nbytes <= self._room:
            self._room -= image.nbytes
            self._kept[index] = image
        return image


def read_list(path: Path) -> list[str]:
    """Digests in a list file, in order; lines that start with # are comments."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path} is not a readable list of digests ({error})") from error
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def fingerprint(table: DataTable, places: Places) -> dict[str, Any]:
    """Return every option that decides the images, with the content instead of the path of a file or folder.

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
