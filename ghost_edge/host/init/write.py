"""A first recipe and the lists of its images: where they are written, and what the user is told."""

from __future__ import annotations

import dataclasses
import hashlib
import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import tomllib

from ghost_edge.core.errors import DataError, RecipeError
from ghost_edge.core.files import sha256_file, write_bytes
from ghost_edge.host.init import text
from ghost_edge.host.init.models import CHECKPOINTS, KERAS, Model, read_model
from ghost_edge.host.init.sources import Images, check_encodable, check_source, find_images
from ghost_edge.host.init.survey import FEW, ONE_POINT, PARTS, Dealt, deal_images, visible_drop
from ghost_edge.host.recipe.schema import parse_recipe

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
    for table in filter(None, (found.training, found.evaluation)):
        classes = Path(table["path"])
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
    lists = {part: _list(name, part, digests) for part, digests in dealt.lists.items()} if dealt else {}
    toml = text.head(name, f"of {source.name!a}")
    folder = recipe.resolve().parent
    if model:
        toml += _of_model(model, source, folder)
        size = model.size
    else:
        assert dealt is not None
        size = size or dealt.size
        toml += text.ghostnet(size, dealt.channels, dealt.classes, f"weights/{name}.safetensors")
        keys = {"size": size, "channels": dealt.channels, "mean": dealt.mean, "std": dealt.std}
        toml += text.table("[preprocess]", "of every image, here and on the board", keys)
    if dealt:
        tables = {part: _table(dealt, part, _list_path(recipe, name, part), lists[part]) for part in lists}
        toml += text.with_images(dealt, tables, size)
    else:
        toml += text.NO_IMAGES
    parse_recipe(tomllib.loads(toml), recipe)
    return {**{_list_path(recipe, name, part): content for part, content in lists.items()}, recipe: toml.encode()}


def _of_model(model: Model, source: Path, folder: Path) -> str:
    """Return [network] and [preprocess] of a trained model."""
    path = _seen_from(folder, source)
    channels = {1: "GRAY", 3: "RGB"}.get(model.channels)
    if channels is None:
        raise RecipeError(f"{source} takes {model.channels} channels; the chain feeds 1 (grey) or 3 (RGB)")
    preprocess: dict[str, Any] = {"size": model.size, "channels": channels}
    if model.kind == "keras":
        files = {"path": path}
        preprocess |= {"mean": [0.0], "std": [1.0], "divide_by": 255.0}
    else:
        files = {"weights": path, "weights_sha256": sha256_file(source)}
        preprocess |= {"resize": round(model.size / 0.875), **(_IMAGENET if model.channels == 3 else {})}
    network = text.table(
        "[network]", "what was trained", {"kind": model.kind, **files, **model.keys}, weights="", width=""
    )
    return network + text.table("[preprocess]", _MUST_FIT, preprocess, divide_by="1.0 where the model rescales itself")


def _list(name: str, part: str, digests: tuple[str, ...]) -> bytes:
    about = f"# {part} images of {name}: first 16 hex digits of the SHA-256 over shape and pixels"
    return "\n".join((about, *digests, "")).encode()


def _table(dealt: Dealt, part: str, listing: Path, content: bytes) -> dict[str, str]:
    """Return the keys of a recipe's table that name its images."""
    images = dealt.images
    keys = images.evaluation if part == "evaluation" and images.evaluation else images.training
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
