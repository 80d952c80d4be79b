"""ghost-edge report: one page that shows what a conversion did."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from ghost_edge.core.errors import RecipeError
from ghost_edge.core.files import write_bytes


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path), metavar="FOLDER-OR-BENCH...")
@click.option("-o", "--out", type=click.Path(path_type=Path), help="The page.  [default: report.html in the folder]")
def report(paths: tuple[Path, ...], out: Optional[Path]) -> None:
    """Write report.html of a folder that convert made, or of several side by side.

    A .json of `ghost-edge bench`, from a board, adds its times to the folder that stands before it.
    """
    from ghost_edge.host.report.contents import read_run
    from ghost_edge.host.report.page import render

    groups: list[list[Path]] = []
    for path in paths:
        if path.suffix == ".json" and path.name != "manifest.json":
            if not groups:
                raise RecipeError(f"{path} is a bench; name the folder of its models before it")
            groups[-1].append(path)
        else:
            groups.append([path])
    if len(groups) > 1 and out is None:
        raise RecipeError("several folders make one page, and none of theirs; name it: -o comparison.html")
    page = out or (groups[0][0] if groups[0][0].is_dir() else groups[0][0].parent) / "report.html"
    write_bytes(render([read_run(folder, benches) for folder, *benches in groups]).encode(), page)
    click.echo(page)
