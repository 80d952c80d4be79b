"""Deal a source's pictures into the lists of a recipe, and measure what its tables say of them."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping

import numpy as np

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
    """

    pictures: Pictures
    lists: Mapping[str, tuple[str, ...]]
    names: tuple[str, ...]
    classes: int
    copies: int
    side: int
    size: int
    channels: str
    mean: list[float]
    std: list[float]


def deal_pictures(pictures: Pictures, *, learns: bool, say: Callable[[float, str], None]) -> Dealt:
    """Three lists to train with, or without `learns` (the network is trained) two, of which most pictures judge.

    Raises DataError: a picture is unreadable, there is one class, or a class has fewer pictures than there are lists.
    """
    sets = pictures.load()
    surveys = [look(one, say) for one in sets]
    kept = distinct(surveys)
    least = (len(sets) == 1) + 2 if learns else 0
    for one, survey, positions, few in zip(sets, surveys, kept, (least, min(least, 1))):
        check_classes(one, survey.labels[positions], least=few)
    rng, first, rest = np.random.default_rng(_SEED), surveys[0], kept[0]
    evaluation = kept[-1]
    if learns and len(sets) == 1:
        evaluation, rest = deal(first.labels, rest, _JUDGES, rng)
    share = calibration_share(len(kept[0]), len(rest))
    calibration, rest = deal(first.labels, rest, share, rng, least=int(learns))
    if not learns and len(sets) == 1:
        evaluation = rest
    chosen = zip(PARTS, (first, first, surveys[-1]), (rest, calibration, evaluation))
    lists = {part: tuple(survey.digests[index] for index in positions) for part, survey, positions in chosen}
    grey = all(survey.grey for survey in surveys)
    side = int(np.median(first.sides))
    mean, std = _moments(first, rest, channels=1 if grey else 3)
    return Dealt(
        pictures=pictures,
        lists={part: lists[part] for part in PARTS if learns or part != "training"},
        names=sets[0].class_names,
        classes=max(len(sets[0].class_names), int(first.labels.max()) + 1),
        copies=sum(len(one) for one in sets) - sum(map(len, kept)),
        side=side,
        size=best_size(side),
        channels="GRAY" if grey else "RGB",
        mean=mean,
        std=std,
    )


def _moments(survey: Survey, positions: Indices, *, channels: int) -> tuple[list[float], list[float]]:
    """Mean and standard deviation by channel; every picture counts alike, however large it is."""
    mean, square = survey.moments[positions, :, :channels].mean(axis=0)
    deviation = np.sqrt(square - mean**2)
    return mean.round(_DIGITS).tolist(), deviation.round(_DIGITS).tolist()
