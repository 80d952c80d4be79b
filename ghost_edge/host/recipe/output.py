"""What the files of a converted model are called."""

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

# what is the same for every recipe
DISAGREEMENTS, DOCTOR, LAYERS, PARITY = "disagreements.npz", "doctor.json", "layers.json", "parity.json"
RANGES, VERIFIED, PAGE = "ranges.npz", "verify.json", "report.html"
EQUALIZED = ".equalized.tflite"
NODES_SQNR, NODES_LATENCY = "nodes_sqnr.json", "nodes_latency.json"


@dataclasses.dataclass(frozen=True)
class Layout:
    """File names inside the output folder, in the order in which the chain makes them.

    source: what is quantized, the equalized float file (hidden: nobody's to deploy), or the float one itself. micro: a
    folder.
    """

    keras: str
    frozen: str
    probe: str
    float_tflite: str
    source: str
    ranges: str
    quantized: str
    exports: tuple[str, ...]
    micro: str
    doctor: str = DOCTOR
    layers: str = LAYERS
    left_out: str = "left_out.json"
    verified: str = VERIFIED
    parity: str = PARITY
    parity_images: str = "parity.npz"
    predictions: str = "predictions.npz"
    accuracy: str = "accuracy.json"
    verdict: str = "gate.json"
    disagreements: str = DISAGREEMENTS
    latency: str = LATENCY
    manifest: str = FILE_NAME
    report: str = "report.md"
    page: str = PAGE
    nodes_sqnr: str = NODES_SQNR
    nodes_latency: str = NODES_LATENCY

    @property
    def models(self) -> dict[str, str]:
        """The artifacts that run, role to file name: the reference first, then what is deployed."""
        exports = {name.split(".")[0].rsplit("_", 1)[-1] + "_onnx": name for name in self.exports}
        return {"float": self.float_tflite, "quantized": self.quantized, **exports}


def layout(recipe: Recipe) -> Layout:
    """The names for a recipe."""
    name = recipe.name
    return Layout(
        keras=f"{name}.keras",
        frozen="frozen.pb",
        probe="probe.npz",
        float_tflite=f"{name}_float.tflite",
        source=EQUALIZED if recipe.quantization.options.equalize else f"{name}_float.tflite",
        ranges=RANGES,
        quantized=f"{name}_{recipe.quantization.kind}.tflite",
        exports=tuple(f"{name}{EXPORTERS[export.kind].suffix}" for export in recipe.exports),
        micro=f"{name}_micro",
    )


@dataclasses.dataclass(frozen=True)
class Record:
    """What a stage made: its key, and the SHA-256 of each file by name."""

    key: str
    files: dict[str, str]


def read_records(folder: Path) -> dict[str, Record]:
    """What earlier runs made here; a damaged file counts as nothing made, for everything can be made again."""
    try:
        table = json.loads((folder / RECORDS).read_text(encoding="utf-8"))
        return {name: Record(str(entry["key"]), dict(entry["files"])) for name, entry in table.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return {}


def open_recorded(folder: Path, name: str) -> Path:
    """The path of a file that is as the chain made it here; ArtifactError where it is missing, or of another run."""
    made = {file: sha256 for record in read_records(folder).values() for file, sha256 in record.files.items()}
    path = folder / name
    if not path.is_file() or made.get(name) != sha256_file(path):
        raise ArtifactError(f"{path} is not as ghost-edge convert left it here ({RECORDS}); run it again")
    return path
