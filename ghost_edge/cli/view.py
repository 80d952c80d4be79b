"""ghost-edge view: the graph, coloured by what each layer costs."""

from __future__ import annotations

from pathlib import Path

import click


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def view(folder: Path) -> None:
    """Open the quantized model of FOLDER in Model Explorer, with SQNR and time of each operation laid over it."""
    from ghost_edge.host.report.model_explorer import view as show

    show(folder)
