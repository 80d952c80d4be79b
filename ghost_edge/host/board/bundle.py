"""A bundle: everything that a board without a network needs, in one file."""

from __future__ import annotations

import base64
import dataclasses
import gzip
import hashlib
import io
import os
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

import ghost_edge
from ghost_edge.core.dataset import Image, select
from ghost_edge.core.errors import DataError, MissingPackageError, RecipeError
from ghost_edge.core.files import open_artifact, sha256_file, whole_file
from ghost_edge.core.manifest import FILE_NAME, Manifest, Model, read_manifest
from ghost_edge.core.options import pick
from ghost_edge.core.preprocess import Preprocess, fit_image
from ghost_edge.device.board import TARGETS, Target
from ghost_edge.device.evaluate import EvaluationSet, RunOptions, raw_outputs_isolated, save_evaluation_set
from ghost_edge.host.datasets import open_dataset
from ghost_edge.host.datasets.places import Places, places_for
from ghost_edge.host.recipe.schema import Recipe, load_recipe, require
from ghost_edge.host.recipe.shipped import default_recipe
from ghost_edge.host.tflite.graph import read_model

_PACKAGE = Path(ghost_edge.__file__).parent
_PIP = "pip==25.0.1"  # runs from its wheel: a board needs no pip, and how old its own is does not matter
_WHEEL = "Wheel-Version: 1.0\nGenerator: ghost-edge\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
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
            quantized = [each for each in manifest.models if each.role == "quantized" and each.artifact.file in models]
            # sums of float kernels are not equal on every machine
            comparable = [models[each.artifact.file] for each in quantized if not each.output.dtype.startswith("float")]
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


def download_wheels(target: Target, pythons: Sequence[str], folder: Path) -> None:
    """Download the target's packages, and pip, for these Python versions, such as "3.11".

    Raises RecipeError for a version that has no wheels, MissingPackageError with pip's own last error.
    """
    for python in pythons:
        if python not in target.pythons:
            known = ", ".join(target.pythons)
            raise RecipeError(f"there are no wheels for Python {python} on {target.machine}; --python takes {known}")
        command = [
            *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary=:all:"),
            *("--implementation=cp", f"--python-version={python}", f"--dest={folder}"),
            *(f"--platform={tag}" for tag in target.platforms),
            *(_PIP, *target.packages),
        ]
        environment = {**os.environ, "PIP_CONSTRAINT": ""}  # those are for the workstation's environment
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
        if done.returncode:
            if "Retrying" in done.stderr:
                raise MissingPackageError("the package index does not answer; bundle where there is a network")
            errors = [line for line in done.stderr.splitlines() if "ERROR" in line] or [done.stderr.strip()]
            raise MissingPackageError(f"no wheels for {target.machine}, Python {python}: pip says {errors[-1]}")


def write_own_wheel(requires: Sequence[str], folder: Path) -> Path:
    """Write a wheel that requires exactly `requires`, without the shipped images and weights.

    Nothing in it comes from a build tool: a checkout and an installation of the same sources give the same bytes.
    """
    info = f"ghost_edge-{ghost_edge.__version__}.dist-info"
    about = f"Metadata-Version: 2.1\nName: ghost-edge\nVersion: {ghost_edge.__version__}\nRequires-Python: >=3.9\n"
    paths = [path for path in _PACKAGE.rglob("*") if path.suffix in (".py", ".sh")]
    files = {f"ghost_edge/{path.relative_to(_PACKAGE).as_posix()}": path.read_bytes() for path in sorted(paths)}
    files[f"{info}/METADATA"] = "".join((about, *(f"Requires-Dist: {need}\n" for need in requires))).encode()
    files[f"{info}/WHEEL"] = _WHEEL.encode()
    files[f"{info}/entry_points.txt"] = b"[console_scripts]\nghost-edge = ghost_edge.cli.main:main\n"
    record = ""
    for name, content in files.items():
        digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).decode().rstrip("=")
        record += f"{name},sha256={digest},{len(content)}\n"
    files[f"{info}/RECORD"] = f"{record}{info}/RECORD,,\n".encode()
    wheel = folder / f"ghost_edge-{ghost_edge.__version__}-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        for name, content in files.items():
            entry = zipfile.ZipInfo(name)  # dated 1980
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, content, zipfile.ZIP_DEFLATED)
    return wheel


def sample_images(recipe: Recipe, places: Places, count: int, models: Sequence[Path]) -> EvaluationSet:
    """Choose `count` images evenly from [evaluation], with the outputs of models; DataError where it has fewer."""
    options = require(recipe.evaluation, "evaluation", "--images")
    dataset = open_dataset(options, places)
    if count > len(dataset):
        raise DataError(f"--images {count}: {dataset.name} has {len(dataset)} images; ask for no more")
    chosen = select(dataset, np.arange(count) * len(dataset) // count)  # a folder's first images are one class
    images = [store_image(image, recipe.preprocess) for image in chosen.images]
    how = RunOptions(kernels="reference")
    outputs = {path.stem: raw_outputs_isolated(path, images, recipe.preprocess, how)[0][0] for path in models}
    return EvaluationSet(np.stack(images), chosen.labels + options.label_offset, outputs, recipe.task)


def store_image(image: Image, options: Preprocess) -> Image:
    """Return uint8 [H, W, C], RGB or grey, of which prepare() makes the very input that it makes of the image itself.

    H, W: what prepare() covers before the crop: with a black frame around the crop there is nothing left to resize.
    """
    stored = "RGB" if options.channels == "BGR" else options.channels
    frames = (options.covered[0] - options.height, options.covered[1] - options.width)
    sides = [(frame // 2, frame - frame // 2) for frame in frames]
    return np.pad(fit_image(image, dataclasses.replace(options, channels=stored)), (*sides, (0, 0)))
