"""The images of a source, as the tables of a recipe name them."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ghost_edge.core.dataset import Dataset
from ghost_edge.core.errors import DataError, RecipeError
from ghost_edge.core.files import sha256_file
from ghost_edge.core.options import from_table
from ghost_edge.host.datasets import DATASETS
from ghost_edge.host.datasets.decode import SUFFIXES
from ghost_edge.host.datasets.folder import not_read
from ghost_edge.host.datasets.places import Places, is_utf8, unreadable

_TRAINING, _EVALUATION = ("train", "training"), ("test", "testing", "val", "validation", "valid")
_ARRAYS = "images and labels, x_train and y_train, or <split>_bytes as in a packed set"


@dataclasses.dataclass(frozen=True)
class Images:
    """Keys of a recipe's tables, without `kind`: training images, and evaluation images (None: to be split off).

    path is absolute. used: a sentence on which of several sets are used; empty where there is no choice.
    """

    kind: str
    training: Mapping[str, str]
    evaluation: Mapping[str, str] | None = None
    used: str = ""

    def unread(self) -> list[str]:
        """List, for each set, the kinds and numbers of files in its class folders that are not read as images."""
        tables = filter(None, (self.training, self.evaluation))
        return [not_read(Path(table["path"])) if self.kind == "folder" else "" for table in tables]

    def load(self) -> list[Dataset]:
        """Open the one set, or both; raises DataError where they are empty, damaged, or of different classes."""
        row = DATASETS[self.kind]
        tables = [self.training] if self.evaluation is None else [self.training, self.evaluation]
        sets = [row.load(from_table(row.options, table, "init"), Places((Path(),))) for table in tables]
        for one in sets:
            if one.class_names != sets[0].class_names:
                other = sorted({*one.class_names} ^ {*sets[0].class_names})
                raise DataError(f"{sets[0].name} and {one.name} differ in their classes: {', '.join(other)}")
            if not len(one) or not 0 <= one.labels.min() <= one.labels.max() < max(len(one), len(one.class_names)):
                raise DataError(f"{one.name} has no images of classes that count from 0; check its labels")
        return sets


def check_source(path: Path, suffixes: Sequence[str]) -> None:
    """Raise RecipeError, with what to do instead, unless path is a folder, or a file with one of these suffixes."""
    wanted = "give a folder with a folder of images for each class, a .npz, a .keras file or a checkpoint"
    check_encodable(path)
    try:
        exists = path.exists()
    except OSError as error:
        raise RecipeError(f"{path} cannot be read ({error.strerror}); {wanted}") from error
    if not exists:
        raise RecipeError(f"{path} does not exist; {wanted}")
    if path.suffix in (".tflite", ".onnx"):
        raise RecipeError(f"{path} is converted already; `ghost-edge parity`, `export` and `bench` take it as it is")
    if not path.is_dir() and path.suffix not in suffixes:
        what = "one image" if path.suffix.lower() in SUFFIXES else "of no kind that init reads"
        raise RecipeError(f"{path} is {what}; {wanted}")


def check_encodable(path: Path) -> None:
    """Raise RecipeError where a recipe, which is UTF-8, cannot name the path."""
    if not is_utf8(str(path.absolute())):
        raise RecipeError(f"{str(path.absolute())!a} is not named in UTF-8, as recipes are; rename it")


def find_images(path: Path) -> Images:
    """Find the images in a folder or .npz, by absolute path.

    Raises DataError where the source is damaged or its images have no classes.
    """
    try:
        return _in_folder(path) if path.is_dir() else _in_npz(path)
    except OSError as error:
        raise unreadable(path, error) from error


def _in_folder(path: Path) -> Images:
    if (path / "labels.csv").is_file():
        return Images("folder", {"path": str(path), **({} if (path / "images").is_dir() else {"images": "."})})
    folders = {entry.name for entry in path.iterdir() if entry.is_dir()}
    if not folders:
        raise DataError(f"{path} has no folders in it; put the images of each class into a folder of its own")
    with_classes = [name for name in folders if any(entry.is_dir() for entry in (path / name).iterdir())]
    train, test = _first(_TRAINING, with_classes), _first(_EVALUATION, with_classes)
    if train is None:
        return Images("folder", {"path": str(path)})
    evaluation = {"path": str(path / test)} if test else None
    return Images("folder", {"path": str(path / train)}, evaluation, _used(train, test, with_classes))


def _in_npz(path: Path) -> Images:
    try:
        with zipfile.ZipFile(path) as archive:
            keys = {name.removesuffix(".npy") for name in archive.namelist()}
        sha256 = sha256_file(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not a readable .npz file ({error}); make or fetch it again") from error
    used, splits = "", sorted(key.removesuffix("_bytes") for key in keys if key.endswith("_bytes"))
    if splits:
        train, test = _first(_TRAINING, splits), _first(_EVALUATION, splits)
        tables = [{"split": split} for split in ((train, test) if train and test else (train or splits[0],))]
        kind, used = "packed", _used(tables[0]["split"], tables[1]["split"] if tables[1:] else None, splits)
    else:
        pairs = (("images", "labels"), ("x_train", "y_train"), ("x_test", "y_test"))
        tables = [{"images": images, "labels": labels} for images, labels in pairs if {images, labels} <= keys]
        kind = "arrays"
    if not tables:
        raise DataError(f"{path} holds {', '.join(sorted(keys)) or 'nothing'}; expected {_ARRAYS}")
    sets = [{"path": str(path), "sha256": sha256, **table} for table in tables]
    return Images(kind, sets[0], sets[1] if sets[1:] else None, used)


def _used(train: str, test: str | None, there: Iterable[str]) -> str:
    others = sorted(name.encode(errors="replace").decode() for name in {*there} - {train, test})
    told = f"{train} for training, {test} for evaluation" if test else f"{train} alone, split"
    return f"used: {told}" + (f"; not used: {', '.join(others)}" if others else "")


def _first(wanted: Iterable[str], there: Iterable[str]) -> str | None:
    return next((name for name in wanted if name in there), None)
