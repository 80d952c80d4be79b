"""The table at the end: what each artifact costs and what it lost."""

from __future__ import annotations

from typing import Any

from ghost_edge.core.manifest import Manifest
from ghost_edge.core.report import Column

COLUMNS = (
    Column("artifact", "file"),
    Column("bytes", "size_bytes", ","),
    Column("top-1", "top1", ".2%"),
    Column("top-5", "top5", ".2%"),
    Column("drop (points)", "drop"),
    Column("agreement", "agreement", ".2%"),
    Column("SQNR dB", "sqnr_db", ".1f"),
    Column("median ms here", "median_ms", ".3f"),
)


def summary_rows(manifest: Manifest) -> list[dict[str, Any]]:
    """One row an artifact; None where it was not evaluated, or where it is the reference of the others."""
    rows = []
    for model in manifest.models:
        row: dict[str, Any] = dict.fromkeys(column.key for column in COLUMNS)
        row.update(file=model.artifact.file, size_bytes=model.artifact.size_bytes, median_ms=model.median_ms)
        if model.accuracy is not None:
            row.update(top1=model.accuracy.top1, top5=model.accuracy.top5)
        if model.accuracy is not None and model.role != "float":
            row.update(
                drop=f"{model.accuracy.drop * 100:.2f} ± {model.accuracy.margin * 100:.2f}",
                agreement=model.accuracy.agreement,
                sqnr_db=model.accuracy.sqnr_db,
            )
        rows.append(row)
    return rows
