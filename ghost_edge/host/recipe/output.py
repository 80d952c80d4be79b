"""The output folder of a recipe: names of its files, and records of what was made."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

from ghost_edge.core.errors import ArtifactError
from ghost_edge.core.files import sha256_file
from ghost_edge.core.manifest import FILE_NAME
from ghost_edge.device.gate import LATENCY
from ghost_edge.host.onnx import EXPORTERS
from ghost_edge.host.recipe.schema import Recipe

RECORDS = "chain.json"

EQUALIZED = ".equalized.tflite"


@dataclasses.dataclass(frozen=True)
class Layout:
    """File names inside the output folder; those with a default are the same for every recipe.

    source: the float file that is quantized, equalized (hidden: not to be deployed) or the float one itself.
    plain_onnx: the int8 ONNX model without metadata (hidden). micro: a folder.
    """

    keras: str
    float_tflite: str
    source: str
    quantized: str
    mixed: str
    exports: tuple[str, ...]
    micro: str
    frozen: str = "frozen.pb"
    probe: str = "probe.npz"
    ranges: str = "ranges.npz"
    plain_onnx: str = ".int8.onnx"
    doctor: str = "doctor.json"
    layers: str = "layers.json"
    left_out: str = "left_out.json"
    verified: str = "verify.json"
    parity: str = "parity.json"
    parity_images: str = "parity.npz"
    predictions: str = "predictions.npz"
    accuracy: str = "accuracy.json"
    verdict: str = "gate.json"
    disagreements: str = "disagreements.npz"
    latency: str = LATENCY
    manifest: str = FILE_NAME
    report: str = "report.md"
    page: str = "report.html"
    mix_report: str = "mixed.json"
    nodes_sqnr: str = "nodes_sqnr.json"
    nodes_latency: str = "nodes_latency.json"


def layout(recipe: Recipe) -> Layout:
    """Return the names for a recipe."""
    name = recipe.name
    return Layout(
        keras=f"{name}.keras",
        float_tflite=f"{name}_float.tflite",
        source=EQUALIZED if recipe.quantization.options.equalize else f"{name}_float.tflite",
        quantized=f"{name}_{recipe.quantization.kind}.tflite",
        mixed=f"{name}_mixed.tflite",
        exports=tuple(f"{name}{EXPORTERS[export.kind].suffix}" for export in recipe.exports),
        micro=f"{name}_micro",
    )


@dataclasses.dataclass(frozen=True)
class Record:
    """The files that a stage made: its key, and the SHA-256 of each by its path in the folder."""

    key: str
    files: dict[str, str]


def read_records(folder: Path) -> dict[str, Record]:
    """Read what earlier runs made here; a damaged file counts as nothing made, for everything can be made again."""
    try:
        table = json.loads((folder / RECORDS).read_text(encoding="utf-8"))
        return {name: Record(str(entry["key"]), dict(entry["files"])) for name, entry in table.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def recorded_files(folder: Path) -> dict[str, str]:
    """Return the SHA-256 of each file that the chain has made here, by its path in the folder."""
    return {file: sha256 for record in read_records(folder).values() for file, sha256 in record.files.items()}


def open_recorded(folder: Path, name: str) -> Path:
    """Return the path of a file that is as the chain made it; ArtifactError where it is missing, or of another run."""
    made = recorded_files(folder)
    path = folder / name
    if not path.is_file() or made.get(name) != sha256_file(path):
        raise ArtifactError(f"{path} is not as ghost-edge convert left it here ({RECORDS}); run it again")
    return path
