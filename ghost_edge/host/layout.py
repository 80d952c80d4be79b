"""What the files of a converted model are called."""

from __future__ import annotations

import dataclasses

from ghost_edge.core.manifest import FILE_NAME
from ghost_edge.device.baseline import LATENCY
from ghost_edge.host.exporters import EXPORTERS
from ghost_edge.host.recipe import Recipe

# what is the same for every recipe
DISAGREEMENTS, DOCTOR, LAYERS, PARITY = "disagreements.npz", "doctor.json", "layers.json", "parity.json"
RANGES, VERIFIED, PAGE = "ranges.npz", "verify.json", "report.html"
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
    layers_chart: str = "layers.svg"
    left_out: str = "left_out.json"
    verified: str = VERIFIED
    parity: str = PARITY
    parity_chart: str = "parity.svg"
    parity_pictures: str = "parity.npz"
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
        source=".equalized.tflite" if recipe.quantization.options.equalize else f"{name}_float.tflite",
        ranges=RANGES,
        quantized=f"{name}_{recipe.quantization.kind}.tflite",
        exports=tuple(f"{name}{EXPORTERS[export.kind].suffix}" for export in recipe.exports),
        micro=f"{name}_micro",
    )
