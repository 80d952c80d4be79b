"""Deal a source's pictures into the lists of a recipe, and measure what its tables say of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import numpy as np

from ghost_edge.core.errors import DataError
from ghost_edge.host.init.sources import Pictures
from ghost_edge.host.init.survey import (
    Indices,
    Survey,
    best_size,
    calibration_share,
    check_classes,
    deal,
    distinct,
    look,
)

PARTS = ("training", "calibration", "evaluation")
_SEED = 0
_JUDGES = 0.2  # share of the pictures that evaluate, where there is no set of its own for that
_DIGITS = 4  # of mean and std


@dataclasses.dataclass(frozen=True)
class Dealt:
    """Digests by list, in the order of the tables; names and number of the classes; how many copies are in no list.

    side: median of the shorter sides, in pixels; size: the input that suits it. mean, std: of pixel / 255 by channel.
    unread: the kinds and numbers of files that are no pictures to us.
    """

    pictures: Pictures
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


def deal_pictures(pictures: Pictures, *, learns: bool, say: Callable[[float, str], None]) -> Dealt:
    """Three lists to train with, or without `learns` (the network is trained) two, of which most pictures judge.

    Raises DataError: a picture is unreadable, there is one class, a class has fewer pictures than there are lists, or
    there is nothing to learn from, for a channel is the same everywhere.
    """
    sets = pictures.load()
    surveys = [look(one, say) for one in sets]
    kept = distinct(surveys)
    least, unread = (len(sets) == 1) + 2 if learns else 0, pictures.unread()
    for one, survey, positions, few, others in zip(sets, surveys, kept, (least, min(least, 1)), unread):
        check_classes(one, survey.labels[positions], least=few, unread=others)
    first, positions_of = surveys[0], _deal(surveys[0], kept, learns=learns)
    chosen = zip(PARTS, (first, first, surveys[-1]), positions_of)
    lists = {part: tuple(survey.digests[index] for index in positions) for part, survey, positions in chosen}
    grey = all(survey.grey for survey in surveys)
    side = int(np.median(first.sides))
    mean, std = _moments(first, positions_of[0], channels=1 if grey else 3)
    if learns and 0.0 in std:
        raise DataError(f"every pixel of a channel is the same in all pictures of {sets[0].name}; take real pictures")
    return Dealt(
        pictures=pictures,
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
    """Positions by list, in the order of PARTS, of what is kept of one set or two."""
    rng, rest, evaluation = np.random.default_rng(_SEED), kept[0], kept[-1]
    if learns and len(kept) == 1:
        evaluation, rest = deal(first.labels, rest, _JUDGES, rng)
    share = calibration_share(len(kept[0]), len(rest))
    calibration, rest = deal(first.labels, rest, share, rng, least=int(learns))
    return rest, calibration, evaluation if learns or len(kept) == 2 else rest


def _moments(survey: Survey, positions: Indices, *, channels: int) -> tuple[list[float], list[float]]:
    """Mean and standard deviation by channel; every picture counts alike, however large it is."""
    mean, square = survey.moments[positions, :, :channels].mean(axis=0)
    deviation = np.sqrt(np.maximum(square - mean**2, 0))  # rounding may leave less than nothing
    return mean.round(_DIGITS).tolist(), deviation.round(_DIGITS).tolist()
