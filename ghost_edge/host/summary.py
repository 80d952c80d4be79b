"""The table at the end: what each artifact costs and what it lost."""

from __future__ import annotations

import json
from pathlib import Path
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


def delegate_doubts(parity: Path) -> list[str]:
    """What parity.json says against the int8 file's speed: a line where the delegate did not take it in one piece."""
    found = json.loads(parity.read_text(encoding="utf-8"))
    parts, taken, total = found["delegate_partitions"], found["delegated_operations"], sum(found["operations"].values())
    if parts is None or (parts == 1 and taken == total):
        return []
    return [
        f"doubt: the delegate took {taken} of {total} int8 operations here, in {parts} partitions; the rest runs on "
        "plain kernels, which can be slower than float: ghost-edge inspect lists the operations"
    ]


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
