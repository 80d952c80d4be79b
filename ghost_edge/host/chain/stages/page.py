"""report.html."""

from __future__ import annotations

from pathlib import Path

from ghost_edge.host.chain.work import Work
from ghost_edge.host.report.page import write_report


def run(work: Work) -> tuple[Path, ...]:
    """Write the page."""
    return (write_report([[work.folder]], work.path(work.names.page)),)
