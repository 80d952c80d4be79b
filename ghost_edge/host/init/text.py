"""Text of a first recipe: its tables, with comments on what each value decides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ghost_edge.core.preprocess import CHANNELS
from ghost_edge.host.init.survey import FEW, ONE_POINT, Dealt, visible_drop
from ghost_edge.host.networks.options import TABLE_7
from ghost_edge.host.recipe import toml

_SMALL = 32  # pixels of one channel, for which the network of models/ghostnet_mnist.toml is enough
_STEM_KEEPS, _STAGE_3_KEEPS = 48, 64  # pixels, as in models/ghostnet_cifar10.toml and ghostnet_tin40.toml
_STEPS = 2000  # of training
NO_IMAGES = """\
# convert needs images: remove the # signs, or run init again with --images FOLDER --force
# [calibration]       # ranges are made from these: images of the kind that the model was trained on
# kind = "folder"     # a folder for each class
# path = "images"
# [evaluation]        # labelled images that the model has not seen: accuracy is measured on them
# kind = "folder"
# path = "test_images"
"""
_EXPORT = """\
# [[export]]          # beside the .onnx files, which are made in any case:
# kind = "micro"      # C sources for TFLite Micro

"""
_COMMENTS = {
    "target": "refuse what that board cannot run; or zynqmp, generic-aarch64, generic-x86_64",
    "seed": "of initial weights, batches and the choice of calibration images",
    "width": "of all layers; more is slower and more accurate",
    "stem_stride": "a small image keeps its pixels",
    "weights": "`ghost-edge train` writes them, and prints the weights_sha256 that pins them",
    "epochs": "passes over the training images",
    "crop_padding": "pixels of shift in each direction",
    "flip": "mirror half of the images; false where left and right differ, as in text",
    "labels": 'class_names = ["first", ...] beside it names the classes',
    "min_agreement": "least share of answers equal to the float model's",
}


def table(header: str, comment: str, keys: Mapping[str, Any], **comments: str) -> str:
    """Return a table of TOML and an empty line; comments: of its keys, with or instead of the usual ones."""
    return toml.table(header, keys, about=comment, notes={**_COMMENTS, **comments}) + "\n"


def head(name: str, about: str) -> str:
    """Return the lines above the first table."""
    above = f"# {about}; made by `ghost-edge init`, and yours to change"
    return table(above, "", {"name": name, "seed": 0, "target": "zynq7000"})


def ghostnet(size: int, channels: str, classes: int, weights: str) -> str:
    """Return [network] for images of this size, as in the shipped recipe for such images; weights: a path."""
    small = channels == "GRAY" and size <= _SMALL
    keys: dict[str, Any] = {"kind": "ghostnet", "input_size": size, "input_channels": CHANNELS[channels]}
    keys |= {"classes": classes, "width": 1.0 if small else 0.5, "padding": "same"}
    keys |= {"stem_stride": 1} if size <= _STEM_KEEPS else {}
    keys |= {"head_channels": 96} if small else {}
    rows: Sequence[Sequence[float]] = TABLE_7
    if small:
        rows = TABLE_7[:5]
    elif size <= _STAGE_3_KEEPS:
        rows = (*TABLE_7[:3], (*TABLE_7[3][:4], 1), *TABLE_7[4:])
    made = table("[network]", "the architecture, and what it learned", {**keys, "weights": weights}).rstrip()
    stages = "".join(f"  [{', '.join(f'{number:g}' for number in row)}],\n" for row in rows)
    return f"{made}\nstages = [            # kernel, expanded, output, squeeze ratio, stride\n{stages}]\n\n"


def with_images(dealt: Dealt, tables: Mapping[str, Mapping[str, Any]], size: int) -> str:
    """Return the tables after [preprocess]; tables: by list, the keys that name its images."""
    count = {part: len(digests) for part, digests in dealt.lists.items()}
    calibration = {**tables["calibration"], "samples": count["calibration"]}
    limits = {"max_drop": visible_drop(count["evaluation"]), "min_agreement": 0.95}
    sees = f"of top-1, as a fraction: the least that {count['evaluation']:,} images resolve when 1 % of answers change"
    sees += f"; {ONE_POINT} resolve 0.01" if count["evaluation"] < FEW else ""
    learn = ""
    if "training" in tables:
        how = _training(count["training"], size, dealt.names)
        learn = table("[training]", "what to learn from, and how", {**tables["training"], **how})
    return (
        learn
        + table("[calibration]", "what ranges are made from", calibration)
        + table("[quantization]", "how numbers become integers", {"kind": "int8"})
        + _EXPORT
        + table("[evaluation]", "what accuracy is measured on", tables["evaluation"])
        + table("[gate]", "limits; beyond them convert ends with exit code 7", limits, max_drop=sees)
    )


def _training(count: int, size: int, names: Sequence[str]) -> dict[str, Any]:
    """Return the keys of [training] for this many images: about 2,000 steps, but 30 to 100 epochs."""
    batch = 32 if count < 1000 else 64 if count < 10_000 else 128
    epochs = min(max(5 * round(_STEPS * batch / count / 5), 30), 100)
    signs = bool(names) and all(len(name) == 1 for name in names)
    rates = {"epochs": epochs, "batch_size": batch, "learning_rate": 0.002}
    return {**rates, "crop_padding": max(2, size // 8), "flip": not signs}
