"""Contents of a converted folder, read into types for the page."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ghost_edge.core.errors import ArtifactError, DataError
from ghost_edge.core.latency import LatencyStats
from ghost_edge.core.manifest import Manifest, Model, load_predictions, read_manifest
from ghost_edge.device.bench_results import doubt_lines, read_bench_json, results_from_document
from ghost_edge.device.gate import LATENCY
from ghost_edge.host.accuracy.evaluate import Disagreement, load_disagreements
from ghost_edge.host.accuracy.layers import LayerLoss, read_layers
from ghost_edge.host.accuracy.parity import Parity, load_parity, saturation_doubts
from ghost_edge.host.calibration.observe import Observed, load_observed
from ghost_edge.host.datasets.health import read_findings
from ghost_edge.host.recipe.output import EQUALIZED, Layout, open_recorded, recorded_files
from ghost_edge.host.tflite.cost import activation_bytes
from ghost_edge.host.tflite.graph import Model as TfliteModel
from ghost_edge.host.tflite.graph import read_model
from ghost_edge.host.tflite.verify import delegate_doubts, read_verified


class Timed(NamedTuple):
    """Latency of a model file with a number of threads."""

    file: str
    threads: int
    stats: LatencyStats


@dataclasses.dataclass(frozen=True)
class Bench:
    """Latencies on one machine. board: its name. doubts: reasons not to trust them."""

    board: str
    timed: tuple[Timed, ...]
    doubts: tuple[str, ...]

    def named(self) -> list[tuple[str, LatencyStats]]:
        """Return names and latencies; a name holds the threads where several numbers of threads were timed."""
        sweep = len({each.threads for each in self.timed}) > 1
        return [(each.file + (f", {each.threads} threads" if sweep else ""), each.stats) for each in self.timed]


@dataclasses.dataclass(frozen=True)
class Run:
    """A converted model.

    images: number of evaluation images. alive: bytes of activations at each operation, by file name. weights: largest
    |weight| of each channel of the depthwise layers, by operation, in the float model and in the equalized one.
    """

    folder: Path
    manifest: Manifest
    layers: list[LayerLoss]
    observed: Observed
    images: int
    disagreements: tuple[Disagreement, ...]
    parity: Parity
    benches: tuple[Bench, ...]
    alive: dict[str, list[int]]
    weights: dict[int, tuple[NDArray[np.float32], ...]]
    doubts: tuple[str, ...]

    def model(self, role: str) -> Model:
        """Return the artifact of a role that every run has, float or quantized; ArtifactError where it is missing."""
        found = [model for model in self.manifest.models if model.role == role]
        if not found:
            raise ArtifactError(f"{self.folder} has no {role} model; run ghost-edge convert again")
        return found[0]


def read_run(
    folder: Path,
    benches: Sequence[Path] = (),
    *,
    open_file: Callable[[Path, str], Path] = open_recorded,
    is_equalized: bool | None = None,
) -> Run:
    """Read a folder that convert made, and benches of its models on other machines.

    open_file: from folder and name to the path; open_recorded() checks what convert promised of the file.
    is_equalized: the folder holds the equalized model (None: look, for it is hidden and a copy may lack it).
    Raises ArtifactError where a file is missing, damaged, of another run, or of an older convert.
    """
    manifest = read_manifest(folder)
    folder = folder if folder.is_dir() else folder.parent
    paths = {model.role: open_file(folder, model.artifact.file) for model in manifest.models}
    graphs = {role: read_model(path) for role, path in paths.items() if path.suffix == ".tflite"}
    if is_equalized is None:
        is_equalized = EQUALIZED in recorded_files(folder) and (folder / EQUALIZED).is_file()
    if is_equalized:
        graphs["equalized"] = read_model(open_file(folder, EQUALIZED))
    layers = read_layers(open_file(folder, Layout.layers))
    parity, findings = (open_file(folder, name) for name in (Layout.parity, Layout.doctor))
    try:
        loaded = load_parity(parity)
        doubts = [finding.sentence for finding in read_findings(findings)]
        doubts += delegate_doubts(read_verified(open_file(folder, Layout.verified)))
    except (ValueError, KeyError, TypeError) as error:  # as an older convert has made it
        raise ArtifactError(f"{folder} is not what convert of this version leaves ({error}); convert again") from error
    predictions = load_predictions(open_file(folder, manifest.predictions.file)) if manifest.predictions else None
    return Run(
        folder=folder,
        manifest=manifest,
        layers=layers,
        observed=load_observed(open_file(folder, Layout.ranges)),
        images=len(predictions.labels) if predictions else 0,
        disagreements=load_disagreements(open_file(folder, Layout.disagreements)) if predictions else (),
        parity=loaded,
        benches=tuple(read_bench(path, manifest) for path in (open_file(folder, LATENCY), *benches)),
        alive={paths[role].name: activation_bytes(graphs[role]) for role in paths if role in graphs},
        weights=_channel_peaks(layers, [graphs[role] for role in ("float", "equalized") if role in graphs]),
        doubts=(*doubts, *saturation_doubts(loaded)),
    )


def _channel_peaks(
    layers: Sequence[LayerLoss], models: Sequence[TfliteModel]
) -> dict[int, tuple[NDArray[np.float32], ...]]:
    """Return the largest |weight| of each channel, float32 [C], by depthwise layer and model; no empty channels."""
    peaks: dict[str, list[NDArray[np.float32]]] = {}
    for model in models:
        for each in model.operations:
            if each.name == "DEPTHWISE_CONV_2D":
                channels = np.abs(model.values(each.inputs[1])).max((0, 1, 2))
                peaks.setdefault(model.tensors[each.output].name, []).append(channels[channels > 0])
    rows = {row.index: peaks[row.name] for row in layers if row.index is not None and row.name in peaks}
    return {index: tuple(files) for index, files in rows.items() if all(map(len, files))}


def read_bench(path: Path, manifest: Manifest) -> Bench:
    """Read the latencies of a manifest's models from a --json of `ghost-edge bench`; DataError without any."""
    document, sums = read_bench_json(path), {model.artifact.sha256 for model in manifest.models}
    results = [each for each in results_from_document(document, str(path)) if each.sha256 in sums]
    timed = tuple(Timed(each.path.name, each.threads, each.stats) for each in results if each.stats)
    if not timed:
        raise DataError(f"{path} timed no file of {manifest.name}; bench the folder that the report is of")
    words = ", ".join(str(document["board"][key]) for key in ("model", "cpu") if document["board"][key])
    return Bench(words or "an unknown machine", timed, tuple(doubt_lines(results)))
