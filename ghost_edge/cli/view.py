"""The command `ghost-edge view`."""

from __future__ import annotations

from pathlib import Path

import click

from ghost_edge.cli.options import PATH


@click.command()
@click.argument("folder", type=PATH)
def view(folder: Path) -> None:
    """Open the quantized model of FOLDER in Model Explorer, with the SQNR and latency of each operation."""
    from ghost_edge.host.report.model_explorer import view as show

    show(folder)
