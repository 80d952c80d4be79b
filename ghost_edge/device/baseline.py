"""A converted folder, with the times of a bench, as a baseline."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Optional

import numpy as np

from ghost_edge import __version__
from ghost_edge.core.baseline import Baseline, Held, Latency, read_baseline
from ghost_edge.core.comparison import open_run
from ghost_edge.core.errors import ArtifactError
from ghost_edge.core.manifest import Manifest, Model
from ghost_edge.core.predictions import Predictions
from ghost_edge.core.stats import LatencyStats, block_medians
from ghost_edge.device.bench_results import circumstances, read_document, results_from_document

LATENCY = "latency.json"  # that convert leaves in the folder: measured on the workstation


def hold_run(path: Path, manifest: Manifest, predictions: Predictions, bench: Optional[Path] = None) -> Baseline:
    """What open_run(path) gave, with the times of a --json of `ghost-edge bench` (None: those that convert measured).

    Raises ArtifactError where the bench is missing, damaged, or of other files than the manifest's.
    """
    beside = (path if path.is_dir() else path.parent) / LATENCY
    document = read_document(bench) if bench else read_document(beside) if beside.is_file() else None
    stats = _times(document, manifest, bench) if document else {}
    return Baseline(
        name=manifest.name,
        models={model.role: _hold(model, stats.get(model.artifact.file)) for model in manifest.models},
        predictions=predictions,
        recipe=manifest.recipe,
        weights_sha256=manifest.weights_sha256,
        tools={**manifest.tools, "ghost-edge": __version__},
        bench=circumstances(document) if document else {},
    )


def open_baseline(path: Path) -> Baseline:
    """A baseline.json; or the folder or manifest.json of an earlier run."""
    if path.is_dir() or path.name == "manifest.json":
        return hold_run(path, *open_run(path))
    return read_baseline(path)


def _times(document: Mapping[str, Any], manifest: Manifest, bench: Optional[Path]) -> dict[str, LatencyStats]:
    """By file name, of one thread count each: the first that was measured."""
    sums = {model.artifact.file: model.artifact.sha256 for model in manifest.models}
    found: dict[str, LatencyStats] = {}
    for result in results_from_document(document, str(bench or LATENCY)):
        name = result.path.name
        if name in sums and result.sha256 != sums[name]:
            raise ArtifactError(f"{bench or LATENCY} timed another {name} than the manifest's; bench this folder")
        if name in sums and result.stats:
            found.setdefault(name, result.stats)
    if bench and not found:
        raise ArtifactError(f"{bench} timed none of {', '.join(sums)}; give the --json of a bench of this folder")
    return found


def _hold(model: Model, stats: Optional[LatencyStats]) -> Held:
    latency = None
    if stats:
        blocks = block_medians(np.asarray(stats.samples_ns), stats.processes)
        latency = Latency(stats.median_ms, tuple(round(block) for block in blocks), len(stats.processes))
    sqnr_db = model.accuracy.sqnr_db if model.accuracy else None
    return Held(model.artifact.sha256, model.artifact.size_bytes, sqnr_db, latency)
