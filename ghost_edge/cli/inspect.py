"""The command `ghost-edge inspect`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.options import PATH, data_option, json_option
from ghost_edge.cli.progress import open_progress
from ghost_edge.core.files import write_json


@click.command()
@click.argument("model", type=PATH, metavar="ARTIFACT|RECIPE")
@click.option("--measure", is_flag=True, help="Time each ghost module against the plain convolution it replaces.")
@click.option(
    "--rounds",
    default=30,
    show_default=True,
    type=click.IntRange(1),
    help="With --measure: measurements of each, in turn.",
)
@json_option
@click.option("--chart", type=PATH, help="Draw the ghost modules' ratios, .svg or .png.")
@data_option
def inspect(
    model: Path, measure: bool, rounds: int, json_file: Optional[Path], chart: Optional[Path], data: Optional[Path]
) -> None:
    """Show parameters, multiply-accumulates, bytes and ghost modules of a .tflite file or a recipe's network."""
    from ghost_edge.host.explore.ghost_modules import check_chart, draw_ghosts, measure_ghosts
    from ghost_edge.host.explore.inspect import inspect as inspect_model

    if chart is not None:
        check_chart(chart)  # a conversion and a measurement may lie before the drawing
    with open_progress() as progress:
        found = inspect_model(model, data=data, progress=progress)
        if measure and found.ghosts:
            ghosts = measure_ghosts(found.ghosts, rounds=rounds, reporter=progress)
            found = dataclasses.replace(found, ghosts=ghosts)
    if chart is not None:
        draw_ghosts(chart, found.ghosts, title=found.file)
    if json_file is not None:
        write_json({"format": 1, **dataclasses.asdict(found)}, json_file)
    click.echo(found)
