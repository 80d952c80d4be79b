"""Interpreters: the table of them, and model files found and opened in those that are installed here."""

from __future__ import annotations

import dataclasses
import importlib
import importlib.util
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from ghost_edge.core.errors import ArtifactError, MissingPackageError, RecipeError
from ghost_edge.core.options import pick
from ghost_edge.device.runtimes.model import PIP, Model, damaged, one_line
from ghost_edge.device.runtimes.onnx import OnnxModel
from ghost_edge.device.runtimes.tflite import TfliteModel
from ghost_edge.device.runtimes.tflite_micro import MicroModel

KERNELS = ("default", "optimised", "reference")
MODEL_SUFFIXES = (".tflite", ".onnx")
_TFLITE_MAGIC = b"TFL3"  # FlatBuffers file identifier, tensorflow/lite/schema/schema.fbs


def open_model(path: Path, *, runtime: str = "auto", kernels: str = "default", threads: int = 1) -> Model:
    """Open a .tflite or .onnx file, ready to invoke.

    kernels: "default" is what is right and fast; "optimised" is the same without a delegate (.tflite), or with sums
    that may saturate (.onnx, x86 without VNNI: what a session does unasked); "reference" is plain loops (.tflite: the
    same int8 bytes on every machine), or no graph optimisation (.onnx).
    Raises ArtifactError (missing, damaged, open dimensions), MissingPackageError, DeviceError (it is refused).
    """
    if kernels not in KERNELS or threads < 1:
        raise RecipeError(f"kernels {kernels!r}, threads {threads}: need {' or '.join(KERNELS)}, and at least 1 thread")
    check_model_file(path)
    name, module = import_interpreter(path, runtime)
    return INTERPRETERS[name].open(name, path, module, kernels, threads)


def import_interpreter(path: Path, runtime: str = "auto") -> tuple[str, Any]:
    """Import the interpreter for this file; return its name in INTERPRETERS and the module.

    Raises MissingPackageError with the pip command when it is not installed or does not load.
    """
    name = choose_interpreter(path, runtime)
    row = INTERPRETERS[name]
    try:
        return name, importlib.import_module(row.module)
    except (ImportError, OSError) as error:  # OSError: LiteRT loads a library by hand
        way_out = f"{PIP} --force-reinstall {row.install}"
        if "libstdc++" in str(error):
            way_out = "apt-get install libstdc++6, or add it to the image"
        raise MissingPackageError(f"{name} does not load ({one_line(error)}); try: {way_out}") from error


def check_model_file(path: Path) -> None:
    """Raise ArtifactError unless path is a file that begins as its suffix promises."""
    if path.suffix not in MODEL_SUFFIXES:
        raise ArtifactError(f"{path} is not a model this can run; expected a file named .tflite or .onnx")
    try:
        with path.open("rb") as file:
            head = file.read(8)
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}); check the path") from error
    if not head:
        raise ArtifactError(f"{path} is empty; copy or convert it again")
    if path.suffix == ".tflite" and head[4:8] != _TFLITE_MAGIC:
        raise damaged(path, f"bytes 4 to 8 are {head[4:8]!r}, expected {_TFLITE_MAGIC!r}")


def is_runnable(path: Path) -> bool:
    """Return whether an interpreter for this kind of file is installed here."""
    try:
        return bool(choose_interpreter(path))
    except MissingPackageError:
        return False


def is_installed(runtime: str) -> bool:
    """Return whether the package of an interpreter is installed, without importing it."""
    return importlib.util.find_spec(INTERPRETERS[runtime].module.partition(".")[0]) is not None


def choose_interpreter(path: Path, runtime: str = "auto") -> str:
    """Return the interpreter for this file, by name: the one asked for, else the first of its kind installed here."""
    if runtime != "auto" and path.suffix != pick(INTERPRETERS, runtime, kind="runtime").suffix:
        raise ArtifactError(f"{path}: {runtime} runs {INTERPRETERS[runtime].suffix} files; leave --runtime out")
    known = [name for name, row in INTERPRETERS.items() if row.suffix == path.suffix and not row.only_if_asked]
    asked = known if runtime == "auto" else [runtime]
    for name in asked:
        if is_installed(name):
            return name
    armv7 = os.uname().machine.startswith("armv7")
    published = INTERPRETERS[asked[-1] if armv7 else asked[0]]
    way_out = f"which is not installed; run: {PIP} {published.install}"
    if armv7 and published.module != "tflite_runtime.interpreter":
        way_out = "published for no armv7l; take the int8 .tflite file and tflite-runtime"
    raise MissingPackageError(f"{path} needs {' or '.join(asked)}, {way_out}")


def find_models(paths: Sequence[Path]) -> list[Path]:
    """Return the .tflite and .onnx files among these paths and directly in these folders, sorted within each.

    Other files are passed over, so that a shell's "models/*" works; and in a folder, models that left_out() names.
    Raises ArtifactError for a path that is not there, and when no model is left.
    """
    passed_over = left_out(paths)
    found: list[Path] = []
    for path in paths:
        if not path.exists():
            raise ArtifactError(f"{path} does not exist; give .tflite or .onnx files, or folders that hold them")
        found += _inside(path) if path.is_dir() else [path]
    models = [
        path
        for path in dict.fromkeys(found)
        if path.suffix in MODEL_SUFFIXES and path.is_file() and path not in passed_over
    ]
    if not models:
        raise ArtifactError(f"no .tflite or .onnx file in {', '.join(map(str, paths)) or 'nothing'}; check the path")
    return models


def left_out(paths: Sequence[Path]) -> list[Path]:
    """Return models in these folders for which no interpreter is installed, such as .onnx files on a board."""
    inside = [path for folder in paths if folder.is_dir() for path in _inside(folder)]
    return [path for path in inside if path.suffix in MODEL_SUFFIXES and path not in paths and not is_runnable(path)]


def _inside(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if not path.name.startswith("."))


@dataclasses.dataclass(frozen=True)
class Interpreter:
    """Row of INTERPRETERS: the module to import, what pip calls it, the files it runs, and what opens one."""

    module: str
    install: str
    suffix: str
    open: Callable[[str, Path, Any, str, int], Model]
    only_if_asked: bool = False


# The order is that of preference; .tflite on armv7l has only the second (no other wheel is published for it).
INTERPRETERS = {
    "litert": Interpreter("ai_edge_litert.interpreter", "ai-edge-litert", ".tflite", TfliteModel),
    "tflite-runtime": Interpreter("tflite_runtime.interpreter", "tflite-runtime 'numpy<2'", ".tflite", TfliteModel),
    "onnxruntime": Interpreter("onnxruntime", "onnxruntime", ".onnx", OnnxModel),
    # what firmware computes, on the workstation
    "tflite-micro": Interpreter(
        "tflite_micro.python.tflite_micro.runtime", "--pre tflite-micro", ".tflite", MicroModel, only_if_asked=True
    ),
}
