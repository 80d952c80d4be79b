"""Summary of a converted model: the table of its artifacts, and report.md."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from ghost_edge.core.manifest import Accuracy, Manifest, accuracy_table
from ghost_edge.core.tables import Column, as_markdown
from ghost_edge.core.tasks import CLASSIFICATION, TASKS
from ghost_edge.host.accuracy.layers import COLUMNS as LAYERS
from ghost_edge.host.accuracy.layers import LayerLoss, layer_rows

_WORST = 3  # layers
_LAYERS = """## Layers

Where most noise enters, as a share of the signal's power: [page](report.html), [all layers](layers.json).
Without a reason: rounded weights, or earlier noise that the layer amplifies."""


def columns(task: str = CLASSIFICATION) -> tuple[Column, ...]:
    """Return the columns of summary_rows()."""
    metrics = (Column(name, key, ".2%") for key, name in TASKS[task].metrics.items())
    return (
        Column("artifact", "file"),
        Column("bytes", "size_bytes", ","),
        *metrics,
        Column("drop (points)", "drop"),
        Column("agreement", "agreement", ".2%"),
        Column("SQNR dB", "sqnr_db", ".1f"),
        Column("median ms here", "median_ms", ".3f"),
    )


def as_report(manifest: Manifest, layers: Sequence[LayerLoss]) -> str:
    """Return report.md: the artifacts, the gate's verdict and the worst layers, as Markdown."""
    reasons = f": {'; '.join(manifest.gate)}" if manifest.gate else "."
    artifacts = as_markdown(summary_rows(manifest), columns(manifest.task))
    worst = as_markdown(layer_rows(layers, _WORST), LAYERS)
    return "\n\n".join([f"# {manifest.name}", artifacts, f"Gate: {verdict(manifest)}{reasons}", _LAYERS, worst, ""])


def verdict(manifest: Manifest) -> str:
    """Return the gate's verdict: PASS, FAIL or "not checked" with the reason."""
    if manifest.predictions is None:
        return "not checked, the recipe has no [evaluation]"
    return "FAIL" if manifest.gate else "PASS"


def summary_rows(manifest: Manifest) -> list[dict[str, Any]]:
    """Return a row of columns() for each artifact; cells of what was not measured are None."""
    rows = []
    for model in manifest.models:
        file = {"file": model.artifact.file, "size_bytes": model.artifact.size_bytes, "median_ms": model.median_ms}
        rows.append({**dict.fromkeys(column.key for column in columns(manifest.task)), **file})
        if model.accuracy is not None:
            cells = accuracy_cells(model.accuracy)
            rows[-1].update(model.accuracy.metrics if model.role == "float" else cells)
    return rows


def accuracy_cells(accuracy: Accuracy) -> dict[str, Any]:
    """Return the cells of columns() for a model that has a reference; drop: in points, with its margin."""
    drop = f"{accuracy.drop * 100:.2f} ± {accuracy.margin * 100:.2f}"
    return {**accuracy_table(accuracy), "drop": drop}
