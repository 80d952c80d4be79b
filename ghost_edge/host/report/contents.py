"""What a converted folder holds, read for a page."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ghost_edge.core.artifact import open_artifact
from ghost_edge.core.errors import ArtifactError, DataError
from ghost_edge.core.manifest import Manifest, Model, read_manifest
from ghost_edge.core.stats import LatencyStats
from ghost_edge.device.baseline import LATENCY
from ghost_edge.device.bench_results import doubt_lines, read_document, results_from_document
from ghost_edge.host.cost import activation_bytes
from ghost_edge.host.disagreements import Disagreement, load_disagreements
from ghost_edge.host.graph import read_graph
from ghost_edge.host.layout import DISAGREEMENTS, DOCTOR, LAYERS, PARITY, RANGES, VERIFIED
from ghost_edge.host.parity import Parity, load_parity, saturation_doubts
from ghost_edge.host.ranges.observer import Observed, load_observed
from ghost_edge.host.stages.doctor import read_findings
from ghost_edge.host.stages.report import delegate_doubts


@dataclasses.dataclass(frozen=True)
class Bench:
    """Times on one machine: by file name. board: in words. doubts: why not to trust them."""

    board: str
    times: dict[str, LatencyStats]
    doubts: tuple[str, ...]

    def of(self, file: str) -> LatencyStats | None:
        """The times of a file; of several thread counts, those of the first."""
        return next((stats for name, stats in self.times.items() if name.split(",")[0] == file), None)


@dataclasses.dataclass(frozen=True)
class Run:
    """A converted model. layers: rows of layers.json. alive: bytes of activations by operation, by file name."""

    folder: Path
    manifest: Manifest
    layers: list[dict[str, Any]]
    observed: Observed
    disagreements: tuple[Disagreement, ...]
    parity: Parity
    benches: tuple[Bench, ...]
    alive: dict[str, list[int]]
    doubts: tuple[str, ...]

    def model(self, role: str) -> Model:
        """The artifact of a role that every run has: float, quantized."""
        return next(model for model in self.manifest.models if model.role == role)


def read_run(folder: Path, benches: Sequence[Path] = ()) -> Run:
    """Read what convert left in a folder, and benches of its files on other machines.

    Raises ArtifactError where something is missing, damaged, or of an older convert.
    """
    manifest = read_manifest(folder)
    folder = folder if folder.is_dir() else folder.parent
    files = {model.artifact.file: open_artifact(model.artifact, folder) for model in manifest.models}
    try:
        layers, parity = json.loads((folder / LAYERS).read_text(encoding="utf-8")), load_parity(folder / PARITY)
        findings = read_findings(folder / DOCTOR)
        doubts = (*(finding.sentence for finding in findings), *delegate_doubts(folder / VERIFIED))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{folder} is not what convert of this version leaves ({error}); convert again") from error
    kept = folder / DISAGREEMENTS
    return Run(
        folder=folder,
        manifest=manifest,
        layers=layers,
        observed=load_observed(folder / RANGES),
        disagreements=load_disagreements(kept) if manifest.predictions else (),
        parity=parity,
        benches=tuple(read_bench(path, manifest) for path in (folder / LATENCY, *benches)),
        alive={name: activation_bytes(read_graph(path)) for name, path in files.items() if path.suffix == ".tflite"},
        doubts=(*doubts, *saturation_doubts(parity)),
    )


def read_bench(path: Path, manifest: Manifest) -> Bench:
    """The times of a manifest's files in a --json of `ghost-edge bench`; DataError where it timed none of them."""
    document, sums = read_document(path), {model.artifact.sha256 for model in manifest.models}
    results = [each for each in results_from_document(document, str(path)) if each.stats and each.sha256 in sums]
    if not results:
        raise DataError(f"{path} timed no file of {manifest.name}; bench the folder that the report is of")
    board = document["board"]
    words = ", ".join(str(board[key]) for key in ("model", "cpu") if board[key])
    threads = {each.threads for each in results}
    names = {
        f"{each.path.name}{f', {each.threads} threads' if len(threads) > 1 else ''}": each.stats
        for each in results
        if each.stats
    }
    return Bench(words or "an unknown machine", names, tuple(doubt_lines(results)))
