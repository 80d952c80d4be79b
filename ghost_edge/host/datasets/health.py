"""Health of the calibration images: what is wrong with them, and what to change."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.dataset import Image
from ghost_edge.core.errors import DataError
from ghost_edge.core.files import read_document
from ghost_edge.core.preprocess import CHANNELS, Preprocess, fit_image
from ghost_edge.core.tasks import classification
from ghost_edge.device.evaluate import predict_all
from ghost_edge.host.datasets import Images

_ASKED = 200  # images that the float model answers
FEWEST = 50
MOST_ILL = 0.05  # share of images of one colour, of almost black ones, of copies
BLACK = 6  # mean of 0..255
COPY = 0.995  # correlation of thumbnails; stored again as JPEG 75: over 0.998; other images: under 0.994 (MNIST)
FAR_UNDER = 0.15  # of top-1, under the model card's; images to calibrate with are training images, so easier
BETTER, SURE = 0.05, 0.5  # of top-1: what another [preprocess] has to win, and to reach, before it is named
_THUMBNAIL = Preprocess(size=16, channels="GRAY", fit="stretch")
_SCALINGS = (  # mean, std, divide_by: what published networks were trained with
    ((0.0,), (1.0,), 255.0),
    ((0.5,), (0.5,), 255.0),
    ((0.0,), (1.0,), 1.0),
    ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), 255.0),
)
_FLATTERED = "the measured drop would be flattered: calibrate on training images"


@dataclasses.dataclass(frozen=True)
class Finding:
    """A sentence that says what is wrong and what to change; fatal: the result would be worthless."""

    sentence: str
    fatal: bool = False


class _Look(NamedTuple):
    """The part of an image that is kept, which may be large: identity, extremes and mean, a thumbnail."""

    digest: str
    flat: bool
    mean: float
    thumbnail: NDArray[np.float32]


def health(
    calibration: Images,
    evaluation: Images | None,
    float_tflite: Path | None,
    preprocess: Preprocess,
    *,
    label_offset: int = 0,
    model_card_top1: float | None = None,
    trained: Preprocess | None = None,
) -> list[Finding]:
    """Return what is wrong with calibration images, and with what a float .tflite answers to them; None: not asked.

    label_offset is added to the labels. model_card_top1, trained: accuracy and preprocessing in the model card, None
    where there is none. Raises DataError where there are no images, and what predict_all() raises.
    """
    found = list(examine_images(calibration, evaluation))
    if float_tflite is None:
        return found
    dataset = calibration.dataset
    every = -(-len(dataset) // _ASKED)
    images, labels = list(dataset.images[::every]), dataset.labels[::every] + label_offset

    def top1(preprocess: Preprocess) -> float:
        logits = predict_all(float_tflite, images, preprocess)[0]
        return classification.score(classification.decode([logits]), labels)["top1"]

    return [*found, *examine_preprocess(preprocess, top1, model_card_top1, images, trained)]


def examine_images(calibration: Images, evaluation: Images | None) -> Iterator[Finding]:
    """Yield what can be seen without a model: evaluation images among them, one class, flat, dark, copies, too few."""
    dataset = calibration.dataset
    looks, others = (
        list(map(_look, each.dataset.images, each.digests)) if each else [] for each in (calibration, evaluation)
    )
    several = f"of {len(looks)} calibration images"
    shared = sorted({look.digest for look in looks} & {look.digest for look in others})
    if shared:
        yield Finding(f"{len(shared)} {several} are also evaluation images, first {shared[0]}; {_FLATTERED}", True)
    elif alike := _count_alike(looks, others):
        yield Finding(f"{alike} {several} look like evaluation images stored again; {_FLATTERED}")
    if len(np.unique(dataset.labels)) < 2:
        yield Finding(
            f"the {len(looks)} calibration images from {dataset.name} are all of one class; ranges would fit that "
            "class alone: take images of every class",
            fatal=True,
        )
    flat = sum(look.flat for look in looks)
    dark = sum(not look.flat and look.mean < BLACK for look in looks)
    copies = len(looks) - len({look.digest for look in looks})
    if flat > MOST_ILL * len(looks):
        yield Finding(f"{flat} {several} are of one colour; take real images", fatal=flat == len(looks))
    if dark > MOST_ILL * len(looks):
        yield Finding(f"{dark} {several} are almost black (mean under {BLACK} of 255); check exposure and decoding")
    if copies > MOST_ILL * len(looks):
        yield Finding(f"{copies} {several} are copies of others and add nothing; take more different ones")
    if len(looks) < FEWEST:
        yield Finding(f"{len(looks)} calibration images are few to find ranges with; take {FEWEST} or more: samples")


def examine_preprocess(
    preprocess: Preprocess,
    top1: Callable[[Preprocess], float],
    card_top1: float | None,
    images: Sequence[Image],
    trained: Preprocess | None = None,
) -> Iterator[Finding]:
    """Yield what the float model's answers to labelled images say of [preprocess]; top1(p): share of right ones with p.

    card_top1, trained: those of the model card; None: nothing is known of what they should be.
    """
    here = top1(preprocess)
    chance = len(images) ** -0.5  # two deviations of a share of so many, at most
    ill = card_top1 is not None and here < card_top1 - max(FAR_UNDER, chance)
    others = {**_orders(preprocess), **(_scalings(preprocess, trained) if ill else {})}
    scores = {text: top1(other) for text, other in others.items()}
    best = max(scores, key=lambda text: scores[text], default="")
    better = bool(best) and scores[best] > here + max(BETTER, chance) and scores[best] >= SURE
    if not ill and not better:
        return
    sample = np.concatenate([image.reshape(-1) for image in images[:50]])
    means = f"divide_by {preprocess.divide_by:g}, mean {list(preprocess.mean)}, std {list(preprocess.std)}"
    yield Finding(
        f"preprocessing does not fit: the float model has {here:.1%} top-1 on the calibration images"
        + (f", its model card says {card_top1:.1%}" if ill else "")
        + f"; they span {sample.min()}..{sample.max()}, [preprocess] says {means}, {preprocess.channels}; "
        + (f"with {best} it is {scores[best]:.1%}" if better else "check labels, their order, and the weights too"),
        fatal=True,
    )


def _scalings(preprocess: Preprocess, trained: Preprocess | None) -> dict[str, Preprocess]:
    """Return what else it may have been trained with, the model card's first."""
    rows = [(trained.mean, trained.std, trained.divide_by)] if trained else []
    return {
        f"divide_by = {divide_by:g}, mean = {list(mean)}, std = {list(std)}": dataclasses.replace(
            preprocess, mean=mean, std=std, divide_by=divide_by
        )
        for mean, std, divide_by in [*rows, *_SCALINGS]
        if len(mean) in (1, CHANNELS[preprocess.channels])
    }


def _orders(preprocess: Preprocess) -> dict[str, Preprocess]:
    other = {"RGB": "BGR", "BGR": "RGB"}.get(preprocess.channels)
    return {f'channels = "{other}"': dataclasses.replace(preprocess, channels=other)} if other else {}


def _count_alike(looks: Sequence[_Look], evaluation: Sequence[_Look]) -> int:
    """Count the images that correlate with an evaluation image as only a copy does, thumbnail by thumbnail."""
    if not evaluation:
        return 0
    ours, theirs = (np.stack([look.thumbnail for look in each]) for each in (looks, evaluation))
    return int(((ours @ theirs.T).max(axis=1) >= COPY).sum())


def _look(image: Image, digest: str) -> _Look:
    """Look at an image; the thumbnail, float32 [256], is grey, of mean 0 and length 1 (0 where all is one colour)."""
    small = fit_image(image, _THUMBNAIL).reshape(-1).astype(np.float32)
    small -= small.mean()
    length = float(np.linalg.norm(small))
    flat = int(image.min()) == int(image.max())
    return _Look(digest, flat, float(image.mean()), small / length if length else small)


def refuse_fatal(found: Sequence[Finding]) -> None:
    """Raise DataError with what makes the result worthless."""
    fatal = [finding.sentence for finding in found if finding.fatal]
    if fatal:
        raise DataError("; also: ".join(fatal))


def read_findings(path: Path) -> list[Finding]:
    """Read doctor.json; raises ArtifactError where it is missing or damaged."""
    return list(read_document(path, tuple[Finding, ...]))
