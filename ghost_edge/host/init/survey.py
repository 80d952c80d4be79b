"""Survey of the images of a source, and the lists that its distinct images are dealt into."""

from __future__ import annotations

import dataclasses
import math
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.dataset import Dataset, image_digest
from ghost_edge.core.errors import DataError
from ghost_edge.core.gate.checks import least_lost
from ghost_edge.core.preprocess import check_image
from ghost_edge.core.tasks.classification import compare
from ghost_edge.host.init.sources import Images

PARTS = ("training", "calibration", "evaluation")
_SEED = 0
_EVALUATION = 0.2  # share of the images that is split off where the source has no evaluation images
_DIGITS = 4  # of mean and std

Indices = NDArray[np.int64]
_SIZES = (224, 192, 160, 128, 96, 64, 48, 32)  # pixels
_ENOUGH = 256  # rows and columns of an image that its mean is taken from
_CALIBRATION = (50, 300)  # images: fewer say little of ranges, more cost time
_STEP = 0.005  # of max_drop
FEW = 100  # evaluation images: with fewer, a max_drop that they can see passes almost anything
ONE_POINT = 700  # evaluation images that see a drop of 0.01
_TESTS = 5  # of the gate against a baseline: top-1 of the float, int8 and int8 ONNX model, agreement of the last two


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
        means = [np.broadcast_to(values.mean(axis=(0, 1)), 3) for values in (pixels, pixels**2)]
        moments.append(means)
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


def calibration_share(count: int, pool: int) -> float:
    """Return the share of a pool of images that gives a tenth of `count` images, but 50 to 300."""
    return min(max(count / 10, _CALIBRATION[0]), _CALIBRATION[1]) / pool


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
    of files that are not read as images. side: median of the shorter sides, in pixels; size: the input that suits it.
    mean, std: of pixel / 255 by channel.
    """

    images: Images
    lists: Mapping[str, tuple[str, ...]]
    names: tuple[str, ...]
    classes: int
    copies: int
    unread: str
    side: int
    size: int
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
    side = int(np.median(first.sides))
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
        side=side,
        size=best_size(side),
        channels="GRAY" if grey else "RGB",
        mean=mean,
        std=std,
    )


def _deal(first: Survey, kept: Sequence[Indices], *, learns: bool) -> tuple[Indices, Indices, Indices]:
    """Return the positions by list, in the order of PARTS; kept: positions of one set or two."""
    rng, rest, evaluation = np.random.default_rng(_SEED), kept[0], kept[-1]
    if learns and len(kept) == 1:
        evaluation, rest = deal(first.labels, rest, _EVALUATION, rng)
    share = calibration_share(len(kept[0]), len(rest))
    calibration, rest = deal(first.labels, rest, share, rng, least=int(learns))
    return rest, calibration, evaluation if learns or len(kept) == 2 else rest


def _moments(survey: Survey, positions: Indices, *, channels: int) -> tuple[list[float], list[float]]:
    """Return mean and standard deviation by channel; every image has the same weight, whatever its size."""
    mean, square = survey.moments[positions, :, :channels].mean(axis=0)
    deviation = np.sqrt(np.maximum(square - mean**2, 0))  # rounding may leave less than nothing
    return mean.round(_DIGITS).tolist(), deviation.round(_DIGITS).tolist()
