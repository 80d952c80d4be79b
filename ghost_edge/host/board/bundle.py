"""A bundle: everything that a board without a network needs, in one file."""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.files import open_artifact, sha256_file, whole_file
from ghost_edge.core.manifest import FILE_NAME, Manifest, Model, read_manifest
from ghost_edge.core.options import pick
from ghost_edge.core.targets import TARGETS, Target
from ghost_edge.device.evaluate import save_evaluation_set
from ghost_edge.host.board.evaluation_set import sample_images
from ghost_edge.host.board.wheels import download_wheels, write_own_wheel
from ghost_edge.host.datasets.places import places_for
from ghost_edge.host.recipe.schema import load_recipe
from ghost_edge.host.recipe.shipped import default_recipe
from ghost_edge.host.tflite.graph import read_model

_SCRIPTS = Path(__file__).parent


def make_bundle(
    source: Path,
    target: str,
    *,
    out: Path | None = None,
    images: int = 0,
    recipe: Path | None = None,
    data: Path | None = None,
    pythons: Sequence[str] = ("3.11",),
    say: Callable[[str], None],
) -> Path:
    """Pack a folder that convert made, for a row of TARGETS, as <name>-<target>.tar.gz; same input, same bytes.

    images: number of evaluation images to pack. recipe: the one that made the folder (default: the embedded one).
    pythons: versions that the board may have. say: gets a line for each model that is left out, with the reason.
    Raises ArtifactError for a damaged file, RecipeError for another recipe, and as download_wheels() and
    sample_images().
    """
    if recipe and not images:
        raise RecipeError("--recipe is for --images N; give both or none")
    row, manifest = pick(TARGETS, target, kind="target"), read_manifest(source)
    used = _its_recipe(recipe, manifest, source) if images else None
    models = _choose_models(manifest, source, row, say)
    if not models:
        raise RecipeError(f"no model in {source} runs on {target}; convert with another kind in [quantization]")
    with tempfile.TemporaryDirectory(prefix="ghost-edge-") as folder:
        work = Path(folder)
        if used:
            comparable = [models[each.artifact.file] for each in manifest.models if _is_comparable(each, models)]
            sample = sample_images(load_recipe(used), places_for(used.parent, data), images, comparable)
            save_evaluation_set(sample, work / "images.npz")
        download_wheels(row, pythons, work / "wheels")
        write_own_wheel((*row.packages, *row.expected), work / "wheels")
        made = {path.relative_to(work).as_posix(): path for path in work.rglob("*") if path.is_file()}
        paths = {**models, **made, FILE_NAME: source / FILE_NAME, "watch.py": _SCRIPTS / "watch.py"}
        files = {name: path.read_bytes() for name, path in paths.items()}
    run = (_SCRIPTS / "run.sh").read_text(encoding="utf-8")
    files["run.sh"] = run.replace("@MACHINE@", row.machine).replace("@PYTHONS@", " ".join(pythons)).encode()
    out = out or Path(f"{manifest.name}-{target}.tar.gz")
    _pack(files, f"{manifest.name}-{target}", out)
    return out


def _its_recipe(recipe: Path | None, manifest: Manifest, source: Path) -> Path:
    path = recipe or default_recipe()
    if sha256_file(path) != manifest.recipe_sha256:
        why = f"{path} did not make {source}" if recipe else "--images needs the recipe's images"
        raise RecipeError(f"{why}; give --recipe the one that made {source}, as it was then")
    return path


def _choose_models(manifest: Manifest, source: Path, row: Target, say: Callable[[str], None]) -> dict[str, Path]:
    models = {}
    for model in manifest.models:
        if reason := _why_left_out(model, source, row):
            say(f"left out: {model.artifact.file}: {reason}")
        else:
            models[model.artifact.file] = open_artifact(model.artifact, source)
    return models


def _is_comparable(model: Model, packed: Mapping[str, Path]) -> bool:
    """Return True for the packed integer model: sums of float kernels are not equal on every machine."""
    quantized = model.role == "quantized" and model.artifact.file in packed
    return quantized and not model.output.dtype.startswith("float")


def _why_left_out(model: Model, source: Path, row: Target) -> str:
    if not model.artifact.file.endswith(".tflite"):
        return "the bundle's interpreter runs .tflite files"
    dies = row.float_dies and read_model(open_artifact(model.artifact, source)).has_float_kernels
    return row.float_dies if dies else ""


def _pack(files: Mapping[str, bytes], folder: str, out: Path) -> None:
    """Write a .tar.gz of a folder and its SHA256SUMS, without dates, owners and the order of a disk."""
    sums = [f"{hashlib.sha256(content).hexdigest()}  {name}\n" for name, content in sorted(files.items())]
    files = {**files, "SHA256SUMS": "".join(sums).encode()}
    with (
        whole_file(out) as part,
        part.open("wb") as file,
        gzip.GzipFile("", "wb", 1, file, mtime=0) as packed,  # fast: wheels are compressed already
        tarfile.open(fileobj=packed, mode="w", format=tarfile.GNU_FORMAT) as archive,
    ):
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(f"{folder}/{name}")
            entry.size, entry.mode = len(content), 0o644
            entry.mtime = 1  # of 0 tar warns; and of today, on a board that has no clock
            archive.addfile(entry, io.BytesIO(content))
