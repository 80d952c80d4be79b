"""A first recipe and the lists of its images: text, place, and what the user is told."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import tomllib

from ghost_edge.core.errors import DataError, RecipeError
from ghost_edge.core.files import sha256_file, write_bytes
from ghost_edge.core.preprocess import CHANNELS
from ghost_edge.host.init.images import (
    FEW,
    ONE_POINT,
    PARTS,
    Dealt,
    Images,
    best_size,
    check_encodable,
    check_source,
    deal_images,
    find_images,
    visible_drop,
)
from ghost_edge.host.init.models import CHECKPOINTS, KERAS, Model, read_model
from ghost_edge.host.networks.options import TABLE_7
from ghost_edge.host.recipe.schema import parse_recipe
from ghost_edge.host.recipe.toml import table as toml_table

_SMALL = 32  # pixels of one channel, for which the network of models/ghostnet_mnist.toml is enough
_STEM_KEEPS, _STAGE_3_KEEPS = 48, 64  # pixels, as in models/ghostnet_cifar10.toml and ghostnet_tin40.toml
_STEPS = 2000  # of training
_NO_IMAGES = """\
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
_LONGEST = 100  # characters of a name
_SUFFIXES = (".npz", KERAS, *CHECKPOINTS)
_IMAGENET = {"mean": [0.485, 0.456, 0.406], "std": [0.229, 0.224, 0.225]}  # of published checkpoints
_MUST_FIT = "MUST BE WHAT THE MODEL WAS TRAINED WITH: input = (pixel / divide_by - mean) / std"


@dataclasses.dataclass(frozen=True)
class FirstRecipe:
    """A recipe that was written. files: the recipe last; found: lines on the source; commands: the next ones to run."""

    files: tuple[Path, ...]
    found: tuple[str, ...]
    commands: tuple[str, ...]


def make_recipe(
    source: Path,
    *,
    out: Path | None = None,
    images: Path | None = None,
    name: str = "",
    size: int | None = None,
    force: bool = False,
    say: Callable[[float, str], None] = lambda share, told: None,
) -> FirstRecipe:
    """Write a recipe for a source, with disjoint lists of its distinct images, stratified by class (seed 0).

    source: a folder or .npz of images, a .keras file or a checkpoint. out: the recipe's path, <name>.toml if not
    given. images: for a trained model. size: of the network's input, in pixels. force: write over files.
    Raises RecipeError for a source, name or path that cannot be used, DataError and ArtifactError for its content.
    """
    check_source(source, _SUFFIXES)
    is_model = source.suffix in (KERAS, *CHECKPOINTS) and source.is_file()
    if images and not is_model:
        raise RecipeError(f"--images goes with a trained model, and {source} is not one; leave it out")
    name, recipe = _choose_place(source, out, name, force=force)
    where = images if is_model else source
    found = _find(where, recipe) if where else None
    model = read_model(source.resolve(), size) if is_model else None
    dealt = deal_images(found, learns=not model, say=say) if found else None
    if model and dealt and dealt.classes > model.classes:
        raise DataError(
            f"{where} has {dealt.classes} classes, {source} has {model.classes}; give images of the model's classes"
        )
    files = _compose(model, source.resolve(), dealt, size, recipe, name)
    for path, content in files.items():  # the recipe last: there is none without its lists
        write_bytes(content, path)
    return FirstRecipe(tuple(files), tuple(_found(model, dealt)), tuple(_next(recipe, name, model, dealt)))


def _choose_place(source: Path, out: Path | None, name: str, *, force: bool) -> tuple[str, Path]:
    """Return name and path of the recipe; RecipeError where it cannot be written there, before minutes of work."""
    own = source.resolve().name if source.is_dir() else re.sub(r"(\.pth)?\.\w+$", "", source.name)
    name = name or re.sub(r"[^A-Za-z0-9_-]+", "_", out.stem if out else own)[:_LONGEST]
    if len(name) > _LONGEST:
        raise RecipeError(f"--name has {len(name)} characters and becomes file names; give it {_LONGEST} or fewer")
    recipe = out or Path(f"{name}.toml")
    check_encodable(recipe)
    parse_recipe({"name": name, "preprocess": {"size": 1}}, recipe)
    if recipe.suffix != ".toml":
        raise RecipeError(f"-o {recipe}: name a file that ends in .toml")
    files = (recipe, *(_list_path(recipe, name, part) for part in PARTS))
    try:
        has_folder, there = recipe.parent.is_dir(), [path for path in files if path.exists()]
    except OSError as error:
        raise RecipeError(f"-o {recipe} cannot be written ({error.strerror}); name another place") from error
    if not has_folder:
        raise RecipeError(f"-o {recipe}: there is no folder {recipe.parent}; make it first")
    if there and not force:
        raise RecipeError(f"{there[0]} is there already; --force writes over it, -o names another place")
    return name, recipe


def _list_path(recipe: Path, name: str, part: str) -> Path:
    return recipe.with_name(f"{name}_{part}.txt")


def _find(where: Path, recipe: Path) -> Images:
    """Find the images; RecipeError where the recipe would lie among the folders of the classes, or in one."""
    check_source(where, (".npz",))
    found = find_images(where.resolve())
    for classes in (Path(keys["path"]) for keys in found.sets):
        if classes in recipe.resolve().parents and not (classes / "labels.csv").is_file():
            instead = Path(os.path.relpath(classes.parent), recipe.name)
            raise RecipeError(
                f"{recipe} would lie among the folders of the classes, and what train and convert write there would "
                f"become part of them; go to another folder, or name one: -o {instead}"
            )
    return found


def _compose(
    model: Model | None, source: Path, dealt: Dealt | None, size: int | None, recipe: Path, name: str
) -> dict[Path, bytes]:
    """Return contents by path: the lists, and the recipe that names them, parsed once as a check."""
    lists = {}
    for part, digests in dealt.lists.items() if dealt else ():
        about = f"# {part} images of {name}: first 16 hex digits of the SHA-256 over shape and pixels"
        lists[part] = "\n".join((about, *digests, "")).encode()
    above = f"# of {source.name!a}; made by `ghost-edge init`, and yours to change"
    text = _table(above, "", {"name": name, "seed": 0, "target": "zynq7000"})
    folder = recipe.resolve().parent
    if model:
        text += _of_model(model, source, folder)
        size = model.keys["input_size"]
    else:
        assert dealt is not None
        size = size or best_size(dealt.side)
        text += ghostnet(size, dealt.channels, dealt.classes, f"weights/{name}.safetensors")
        keys = {"size": size, "channels": dealt.channels, "mean": dealt.mean, "std": dealt.std}
        text += _table("[preprocess]", "of every image, here and on the board", keys)
    if dealt:
        tables = {part: _image_keys(dealt, part, _list_path(recipe, name, part), lists[part]) for part in lists}
        text += _with_images(dealt, tables, size)
    else:
        text += _NO_IMAGES
    parse_recipe(tomllib.loads(text), recipe)
    return {**{_list_path(recipe, name, part): content for part, content in lists.items()}, recipe: text.encode()}


def _of_model(model: Model, source: Path, folder: Path) -> str:
    """Return [network] and [preprocess] of a trained model."""
    path = _seen_from(folder, source)
    size, count = model.keys["input_size"], model.keys["input_channels"]
    channels = {1: "GRAY", 3: "RGB"}.get(count)
    if channels is None:
        raise RecipeError(f"{source} takes {count} channels; the chain feeds 1 (grey) or 3 (RGB)")
    preprocess: dict[str, Any] = {"size": size, "channels": channels}
    if model.kind == "keras":
        files = {"path": path}
        preprocess |= {"mean": [0.0], "std": [1.0], "divide_by": 255.0}
    else:
        files = {"weights": path, "weights_sha256": sha256_file(source)}
        preprocess |= {"resize": round(size / 0.875), **(_IMAGENET if count == 3 else {})}
    network = _table("[network]", "what was trained", {"kind": model.kind, **files, **model.keys}, weights="", width="")
    return network + _table("[preprocess]", _MUST_FIT, preprocess, divide_by="1.0 where the model rescales itself")


def _image_keys(dealt: Dealt, part: str, listing: Path, content: bytes) -> dict[str, str]:
    """Return the keys of a recipe's table that name its images."""
    images = dealt.images
    keys = images.sets[-1 if part == "evaluation" else 0]
    path = {"path": _seen_from(listing.resolve().parent, Path(keys["path"]))}
    sha256 = hashlib.sha256(content).hexdigest()
    return {"kind": images.kind, **keys, **path, "list": listing.name, "list_sha256": sha256}


def _seen_from(folder: Path, path: Path) -> str:
    """Return an absolute path as a recipe in this folder names it: relative if it lies in or beside the folder."""
    return os.path.relpath(path, folder) if folder.parent in path.parents else str(path)


def _found(model: Model | None, dealt: Dealt | None) -> Iterator[str]:
    if model:
        keys = {**model.keys, "classes": model.classes}
        yield f"{model.kind}: {', '.join(f'{key} {value}' for key, value in keys.items())}"
        yield "[preprocess] is a guess; write what the model was trained with"
        yield "target is a proposal; check it before you convert"
    if not dealt:
        yield "convert needs images, and there are none; give --images FOLDER --force, or add [calibration]"
        return
    counts = {part: len(digests) for part, digests in dealt.lists.items()}
    told = ", ".join(f"{count:,} {part}" for part, count in counts.items())
    yield f"{dealt.classes} classes; images: {told}; {dealt.channels}, shorter side {dealt.side} pixels (median)"
    if dealt.images.used:
        yield dealt.images.used
    if dealt.unread:
        yield f"not read: {dealt.unread}"
    if dealt.copies:
        yield f"{dealt.copies:,} copies, and images in two classes, are in no list"
    if (few := counts["evaluation"]) < FEW:
        yield (
            f"warning: {few} evaluation images resolve no drop under {100 * visible_drop(few):g} points, and max_drop "
            f"is set to that; {ONE_POINT} images resolve one point"
        )
    if not model:
        yield "target and [training] flip are proposals; check both before you train"


def _next(recipe: Path, name: str, model: Model | None, dealt: Dealt | None) -> Iterator[str]:
    if not model:
        yield f"ghost-edge train {recipe}"
    if dealt:
        yield f"ghost-edge convert {recipe}"
        yield f"ghost-edge gate out/{name} --update baseline.json"
        yield f"ghost-edge bench out/{name}"


def _table(header: str, comment: str, keys: Mapping[str, Any], **comments: str) -> str:
    """Return a table of TOML and an empty line; comments: of its keys, with or instead of the usual ones."""
    return toml_table(header, keys, about=comment, notes={**_COMMENTS, **comments}) + "\n"


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
    made = _table("[network]", "the architecture, and what it learned", {**keys, "weights": weights}).rstrip()
    stages = "".join(f"  [{', '.join(f'{number:g}' for number in row)}],\n" for row in rows)
    return f"{made}\nstages = [            # kernel, expanded, output, squeeze ratio, stride\n{stages}]\n\n"


def _with_images(dealt: Dealt, tables: Mapping[str, Mapping[str, Any]], size: int) -> str:
    """Return the tables after [preprocess]; tables: by list, the keys that name its images."""
    count = {part: len(digests) for part, digests in dealt.lists.items()}
    calibration = {**tables["calibration"], "samples": count["calibration"]}
    limits = {"max_drop": visible_drop(count["evaluation"]), "min_agreement": 0.95}
    sees = f"of top-1, as a fraction: the least that {count['evaluation']:,} images resolve when 1 % of answers change"
    sees += f"; {ONE_POINT} resolve 0.01" if count["evaluation"] < FEW else ""
    learn = ""
    if "training" in tables:
        how = _training(count["training"], size, dealt.names)
        learn = _table("[training]", "what to learn from, and how", {**tables["training"], **how})
    return (
        learn
        + _table("[calibration]", "what ranges are made from", calibration)
        + _table("[quantization]", "how numbers become integers", {"kind": "int8"})
        + _EXPORT
        + _table("[evaluation]", "what accuracy is measured on", tables["evaluation"])
        + _table("[gate]", "limits; beyond them convert ends with exit code 7", limits, max_drop=sees)
    )


def _training(count: int, size: int, names: Sequence[str]) -> dict[str, Any]:
    """Return the keys of [training] for this many images: about 2,000 steps, but 30 to 100 epochs."""
    batch = 32 if count < 1000 else 64 if count < 10_000 else 128
    epochs = min(max(5 * round(_STEPS * batch / count / 5), 30), 100)
    signs = bool(names) and all(len(name) == 1 for name in names)
    rates = {"epochs": epochs, "batch_size": batch, "learning_rate": 0.002}
    return {**rates, "crop_padding": max(2, size // 8), "flip": not signs}
