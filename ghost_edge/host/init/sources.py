"""Where a source's pictures are, in the words of a recipe."""

from __future__ import annotations

import dataclasses
import zipfile
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from ghost_edge.core.dataset import Dataset
from ghost_edge.core.digest import sha256_file
from ghost_edge.core.errors import DataError, RecipeError
from ghost_edge.core.options import from_table
from ghost_edge.host.datasets import DATASETS
from ghost_edge.host.datasets.folder import SUFFIXES
from ghost_edge.host.datasets.places import Places

_LEARN, _JUDGE = ("train", "training"), ("test", "testing", "val", "validation", "valid")
_ARRAYS = "images and labels, x_train and y_train, or <split>_bytes as in a packed set"


@dataclasses.dataclass(frozen=True)
class Pictures:
    """Keys of a recipe's tables but `kind`: pictures to learn from, and those that judge (None: one set, to be split).

    path is absolute.
    """

    kind: str
    learn: Mapping[str, str]
    judge: Mapping[str, str] | None = None

    def load(self) -> list[Dataset]:
        """The one set, or both; raises DataError where they are empty, damaged, or not of the same classes."""
        row = DATASETS[self.kind]
        tables = [self.learn] if self.judge is None else [self.learn, self.judge]
        sets = [row.load(from_table(row.options, table, "init"), Places((Path(),))) for table in tables]
        for one in sets:
            if one.class_names != sets[0].class_names:
                other = sorted({*one.class_names} ^ {*sets[0].class_names})
                raise DataError(f"{sets[0].name} and {one.name} are not of the same classes: {', '.join(other)}")
            if not len(one) or not 0 <= one.labels.min() <= one.labels.max() < max(len(one), len(one.class_names)):
                raise DataError(f"{one.name} has no pictures of classes that count from 0; check its labels")
        return sets


def check_source(path: Path, suffixes: Sequence[str]) -> None:
    """Raise RecipeError, with what to do instead, unless path is a folder, or a file with one of these suffixes."""
    wanted = "give a folder with a folder of pictures for each class, a .npz, a .keras file or a checkpoint"
    if not path.exists():
        raise RecipeError(f"{path} does not exist; {wanted}")
    if path.suffix in (".tflite", ".onnx"):
        raise RecipeError(f"{path} is converted already; `ghost-edge parity`, `export` and `bench` take it as it is")
    if not path.is_dir() and path.suffix not in suffixes:
        what = "one picture" if path.suffix.lower() in SUFFIXES else "nothing that init knows"
        raise RecipeError(f"{path} is {what}; {wanted}")


def find_pictures(path: Path) -> Pictures:
    """Look at an absolute path of a folder or .npz; DataError where it is damaged, or its pictures have no classes."""
    return _in_folder(path) if path.is_dir() else _in_npz(path)


def _in_folder(path: Path) -> Pictures:
    if (path / "labels.csv").is_file():
        return Pictures("folder", {"path": str(path), **({} if (path / "images").is_dir() else {"images": "."})})
    folders = {entry.name for entry in path.iterdir() if entry.is_dir()}
    if not folders:
        raise DataError(f"{path} has no folders in it; put the pictures of each class into a folder of its own")
    with_classes = [name for name in folders if any(entry.is_dir() for entry in (path / name).iterdir())]
    learn, judge = _first(_LEARN, with_classes), _first(_JUDGE, with_classes)
    if learn is None:
        return Pictures("folder", {"path": str(path)})
    return Pictures("folder", {"path": str(path / learn)}, {"path": str(path / judge)} if judge else None)


def _in_npz(path: Path) -> Pictures:
    try:
        with zipfile.ZipFile(path) as archive:
            keys = {name.removesuffix(".npy") for name in archive.namelist()}
        sha256 = sha256_file(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise DataError(f"{path} is not a readable .npz file ({error}); make or fetch it again") from error
    splits = sorted(key.removesuffix("_bytes") for key in keys if key.endswith("_bytes"))
    if splits:
        learn, judge = _first(_LEARN, splits), _first(_JUDGE, splits)
        tables = [{"split": split} for split in ((learn, judge) if learn and judge else (learn or splits[0],))]
        kind = "packed"
    else:
        pairs = (("images", "labels"), ("x_train", "y_train"), ("x_test", "y_test"))
        tables = [{"images": images, "labels": labels} for images, labels in pairs if {images, labels} <= keys]
        kind = "arrays"
    if not tables:
        raise DataError(f"{path} holds {', '.join(sorted(keys)) or 'nothing'}; expected {_ARRAYS}")
    return Pictures(kind, *({"path": str(path), "sha256": sha256, **table} for table in tables[:2]))


def _first(wanted: Iterable[str], there: Iterable[str]) -> str | None:
    return next((name for name in wanted if name in there), None)
