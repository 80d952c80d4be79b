"""report.html, and numbers by layer for Model Explorer."""

from __future__ import annotations

from pathlib import Path

from ghost_edge.core.files import write_bytes
from ghost_edge.host.report.contents import read_run
from ghost_edge.host.report.nodes import write_nodes
from ghost_edge.host.report.page import render
from ghost_edge.host.stages import Work


def run(work: Work) -> tuple[Path, ...]:
    """Write the page and both node files."""
    page = work.path(work.names.page)
    write_bytes(render([read_run(work.folder)]).encode(), page)
    return (page, *write_nodes(work.folder))
