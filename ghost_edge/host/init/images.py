"""Images of a source: found, measured, and dealt into the lists of a first recipe."""

from __future__ import annotations

import dataclasses
import math
import zipfile
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.dataset import Dataset, image_digest
from ghost_edge.core.errors import DataError, RecipeError
from ghost_edge.core.files import sha256_file
from ghost_edge.core.gate.checks import least_lost
from ghost_edge.core.options import from_table
from ghost_edge.core.preprocess import check_image
from ghost_edge.core.tasks.classification import compare
from ghost_edge.host.datasets import DATASETS
from ghost_edge.host.datasets.folder import SUFFIXES, not_read
from ghost_edge.host.datasets.places import Places, is_utf8, unreadable

_TRAINING, _EVALUATION = ("train", "training"), ("test", "testing", "val", "validation", "valid")
_ARRAYS = "images and labels, x_train and y_train, or <split>_bytes as in a packed set"
PARTS = ("training", "calibration", "evaluation")
_SEED = 0
_SPLIT_OFF = 0.2  # share of the images that is split off where the source has no evaluation images
_DIGITS = 4  # of mean and std
Indices = NDArray[np.int64]
_SIZES = (224, 192, 160, 128, 96, 64, 48, 32)  # pixels
_ENOUGH = 256  # rows and columns of an image that its mean is taken from
_FEWEST, _MOST = 50, 300  # calibration images: fewer say little of ranges, more cost time
_STEP = 0.005  # of max_drop
FEW = 100  # evaluation images: with fewer, a max_drop that they can see passes almost anything
ONE_POINT = 700  # evaluation images that see a drop of 0.01
_TESTS = 5  # of the gate against a baseline: top-1 of the float, int8 and int8 ONNX model, agreement of the last two


@dataclasses.dataclass(frozen=True)
class Images:
    """Keys of a recipe's tables, without `kind`: of the one set, or of the training and the evaluation images.

    path is absolute. used: a sentence on which of several sets are used; empty where there is no choice.
    """

    kind: str
    sets: Sequence[Mapping[str, str]]
    used: str = ""

    def unread(self) -> list[str]:
        """List, for each set, the kinds and numbers of files in its class folders that are not read as images."""
        return [not_read(Path(table["path"])) if self.kind == "folder" else "" for table in self.sets]

    def load(self) -> list[Dataset]:
        """Open the one set, or both; raises DataError where they are empty, damaged, or of different classes."""
        row = DATASETS[self.kind]
        sets = [row.load(from_table(row.options, table, "init"), Places((Path(),))) for table in self.sets]
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
        return Images("folder", [{"path": str(path), **({} if (path / "images").is_dir() else {"images": "."})}])
    folders = {entry.name for entry in path.iterdir() if entry.is_dir()}
    if not folders:
        raise DataError(f"{path} has no folders in it; put the images of each class into a folder of its own")
    with_classes = [name for name in folders if any(entry.is_dir() for entry in (path / name).iterdir())]
    train, test = _first(_TRAINING, with_classes), _first(_EVALUATION, with_classes)
    if train is None:
        return Images("folder", [{"path": str(path)}])
    sets = [{"path": str(path / name)} for name in (train, test) if name]
    return Images("folder", sets, _used(train, test, with_classes))


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
    return Images(kind, [{"path": str(path), "sha256": sha256, **table} for table in tables], used)


def _used(train: str, test: str | None, there: Iterable[str]) -> str:
    others = sorted(name.encode(errors="replace").decode() for name in {*there} - {train, test})
    told = f"{train} for training, {test} for evaluation" if test else f"{train} alone, split"
    return f"used: {told}" + (f"; not used: {', '.join(others)}" if others else "")


def _first(wanted: Iterable[str], there: Iterable[str]) -> str | None:
    return next((name for name in wanted if name in there), None)


@dataclasses.dataclass(frozen=True)
class Survey:
    """Measurements of each image of a data set.

    sides: the shorter one, in pixels [N]. moments: float64 [N, 2, 3], means of pixel / 255 and of its square by
    channel. grey: all channels of every image are equal.
    """

    digests: tuple[str, ...]
    labels: Indices
    sides: Indices
    moments: NDArray[np.float64]
    grey: bool


def look(dataset: Dataset, say: Callable[[float, str], None]) -> Survey:
    """Decode and measure every image once; raises DataError that names an unreadable image."""
    digests, sides, moments, grey = [], [], [], True
    for index, image in enumerate(map(check_image, dataset.images)):
        side = min(image.shape[:2])
        step = max(1, side // _ENOUGH)
        pixels = image[::step, ::step] / 255
        grey = grey and bool((image == image[..., :1]).all())
        digests.append(image_digest(image))
        sides.append(side)
        moments.append([np.broadcast_to(values.mean(axis=(0, 1)), 3) for values in (pixels, pixels**2)])
        say((index + 1) / len(dataset), f"{index + 1:,} of {len(dataset):,} images of {dataset.name}")
    return Survey(tuple(digests), dataset.labels, np.asarray(sides), np.asarray(moments), grey)


def distinct(surveys: Sequence[Survey]) -> list[Indices]:
    """Return the positions in each survey without copies.

    The last survey that holds an image keeps it; an image with two different labels is dropped.
    """
    classes = defaultdict(set)
    for survey in surveys:
        for digest, label in zip(survey.digests, survey.labels):
            classes[digest].add(int(label))
    taken = {digest for digest, labels in classes.items() if len(labels) > 1}
    kept = []
    for survey in reversed(surveys):
        positions = [index for index, digest in enumerate(survey.digests) if digest not in taken]
        first = {survey.digests[index]: index for index in reversed(positions)}
        kept.append(np.asarray(sorted(first.values()), np.int64))
        taken |= set(first)
    return kept[::-1]


def deal(
    labels: Indices, pool: Indices, share: float, rng: np.random.Generator, *, least: int = 1
) -> tuple[Indices, Indices]:
    """Split positions [N] into about `share` of each class, at most half of it, and the rest; both in order."""
    taken = []
    for label in np.unique(labels[pool]):
        members = rng.permutation(pool[labels[pool] == label])
        count = max(least, int(share * len(members) + rng.random()))  # rounded up as often as the fraction says
        taken.append(members[: min(count, max(1, len(members) // 2))])
    chosen = np.sort(np.concatenate(taken))
    return chosen, np.setdiff1d(pool, chosen)


def check_classes(dataset: Dataset, labels: Indices, *, least: int, unread: str = "") -> None:
    """Raise DataError where there is only one class, or a class has fewer images than there are lists to fill.

    unread: files beside the images that may have been meant as images.
    """
    counts = np.bincount(labels, minlength=len(dataset.class_names))
    names = dataset.class_names or [str(label) for label in range(len(counts))]
    if len(counts) < 2:
        raise DataError(f"{dataset.name} has one class, {names[0]!r}; a network tells two or more apart")
    few = int(counts.argmin())
    if counts[few] < least:
        raise DataError(
            f"class {names[few]!r} of {dataset.name} has {counts[few]} different images; {least} or more are needed, "
            "for none may be in two of the lists: add some, or take the class out"
            + (f"; not read: {unread}, save them as .png" if unread else "")
        )


def best_size(side: int) -> int:
    """Return the largest usual input size that images of this side fill, in pixels."""
    return next((size for size in _SIZES if size <= side), _SIZES[-1])


def visible_drop(images: int) -> float:
    """Return the smallest max_drop, a multiple of 0.005, that this many images resolve when 1 % of the answers change.

    Both limits count: the margin against the float model, and the paired tests against a baseline.
    """
    index, changed = np.arange(images), math.ceil(images / 100)
    was_wrong, is_wrong = index < changed // 2, (index >= changed // 2) & (index < changed)
    margin = compare(was_wrong.astype(int), is_wrong.astype(int), np.zeros(images, int)).margin
    seen = max(margin, least_lost(_TESTS) / images)
    return round(min(1.0, math.ceil(round(seen / _STEP, 6)) * _STEP), 3)


@dataclasses.dataclass(frozen=True)
class Dealt:
    """Images dealt into lists: digests by list, in the order of the tables.

    names, classes: names and number of the classes. copies: how many images are in no list. unread: kinds and numbers
    of files that are not read as images. side: median of the shorter sides, in pixels. mean, std: of pixel / 255 by
    channel.
    """

    images: Images
    lists: Mapping[str, tuple[str, ...]]
    names: tuple[str, ...]
    classes: int
    copies: int
    unread: str
    side: int
    channels: str
    mean: list[float]
    std: list[float]


def deal_images(images: Images, *, learns: bool, say: Callable[[float, str], None]) -> Dealt:
    """Deal images into the lists training, calibration and evaluation; without `learns` (a trained network) into two.

    Raises DataError where an image is unreadable, there is only one class, a class has fewer images than there are
    lists, or a channel has one value everywhere.
    """
    sets = images.load()
    surveys = [look(one, say) for one in sets]
    kept = distinct(surveys)
    least, unread = (len(sets) == 1) + 2 if learns else 0, images.unread()
    for one, survey, positions, few, others in zip(sets, surveys, kept, (least, min(least, 1)), unread):
        check_classes(one, survey.labels[positions], least=few, unread=others)
    first, positions_of = surveys[0], _deal(surveys[0], kept, learns=learns)
    chosen = zip(PARTS, (first, first, surveys[-1]), positions_of)
    lists = {part: tuple(survey.digests[index] for index in positions) for part, survey, positions in chosen}
    grey = all(survey.grey for survey in surveys)
    mean, std = _moments(first, positions_of[0], channels=1 if grey else 3)
    if learns and 0.0 in std:
        raise DataError(f"every pixel of a channel is the same in all images of {sets[0].name}; take real images")
    return Dealt(
        images=images,
        lists={part: lists[part] for part in PARTS if learns or part != "training"},
        names=sets[0].class_names,
        classes=max(len(sets[0].class_names), int(first.labels.max()) + 1),
        copies=sum(len(one) for one in sets) - sum(map(len, kept)),
        unread=", ".join(filter(None, unread)),
        side=int(np.median(first.sides)),
        channels="GRAY" if grey else "RGB",
        mean=mean,
        std=std,
    )


def _deal(first: Survey, kept: Sequence[Indices], *, learns: bool) -> tuple[Indices, Indices, Indices]:
    """Return the positions by list, in the order of PARTS; kept: positions of one set or two."""
    rng, rest, evaluation = np.random.default_rng(_SEED), kept[0], kept[-1]
    if learns and len(kept) == 1:
        evaluation, rest = deal(first.labels, rest, _SPLIT_OFF, rng)
    count = min(max(len(kept[0]) / 10, _FEWEST), _MOST)
    calibration, rest = deal(first.labels, rest, count / len(rest), rng, least=int(learns))
    return rest, calibration, evaluation if learns or len(kept) == 2 else rest


def _moments(survey: Survey, positions: Indices, *, channels: int) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation by channel; every image has the same weight, whatever its size."""
    mean, square = survey.moments[positions, :, :channels].mean(axis=0)
    deviation = np.sqrt(np.maximum(square - mean**2, 0))  # rounding may leave less than nothing
    return mean.round(_DIGITS).tolist(), deviation.round(_DIGITS).tolist()
