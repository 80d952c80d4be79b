"""The command `ghost-edge report`."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.options import PATH
from ghost_edge.core.errors import RecipeError


@click.command()
@click.argument("paths", nargs=-1, required=True, type=PATH, metavar="FOLDER-OR-BENCH...")
@click.option("-o", "--out", type=PATH, help="File to write.  [default: report.html in the folder]")
def report(paths: tuple[Path, ...], out: Optional[Path]) -> None:
    """Write report.html of a folder that convert made, or of several side by side.

    A --json file of `ghost-edge bench`, from a board, adds its latencies to the folder before it.
    """
    from ghost_edge.host.report.page import write_report

    groups: list[list[Path]] = []
    for path in paths:
        if path.suffix != ".json" or path.name == "manifest.json":
            groups.append([path])
        elif groups:
            groups[-1].append(path)
        else:
            raise RecipeError(f"{path} is a bench; name the folder of its models before it")
    click.echo(write_report(groups, out))
