"""Numbers by operation, for Model Explorer."""

from __future__ import annotations

from pathlib import Path

from ghost_edge.host.accuracy.layers import read_layers
from ghost_edge.host.chain.work import Work
from ghost_edge.host.report.model_explorer import write_nodes
from ghost_edge.host.tflite.op_latency import time_operations


def run(work: Work) -> tuple[Path, ...]:
    """Write nodes_sqnr.json and nodes_latency.json: dB behind each operation, and ms of it alone."""
    noise, latency = work.path(work.names.nodes_sqnr), work.path(work.names.nodes_latency)
    rows = read_layers(work.path(work.names.layers))
    write_nodes({row.index: row.sqnr_db for row in rows if row.index is not None and row.sqnr_db is not None}, noise)
    write_nodes(dict(enumerate(time_operations(work.models["quantized"]))), latency, more_is_worse=True)
    return noise, latency
