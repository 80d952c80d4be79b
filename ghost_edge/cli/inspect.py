"""ghost-edge inspect: what a model costs, and what its ghost modules save."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.options import data_option
from ghost_edge.cli.progress import open_progress
from ghost_edge.core.files import write_json
from ghost_edge.core.tables import as_text


@click.command()
@click.argument("model", type=click.Path(path_type=Path), metavar="ARTIFACT|RECIPE")
@click.option("--measure", is_flag=True, help="Time each ghost module against the plain convolution it replaces.")
@click.option("--rounds", default=30, show_default=True, type=click.IntRange(1), help="Turns of each, with --measure.")
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write everything as JSON.")
@click.option("--chart", type=click.Path(path_type=Path), help="Draw the ghost modules' ratios, .svg or .png.")
@data_option
def inspect(
    model: Path, measure: bool, rounds: int, json_file: Optional[Path], chart: Optional[Path], data: Optional[Path]
) -> None:
    """Parameters, multiply-accumulates, bytes and ghost modules of a .tflite file or of a recipe's network."""
    from ghost_edge.host.explore.inspect import GHOSTS, LAYERS, ghost_rows, inspect_model, layer_rows, summary

    if chart is not None:
        from ghost_edge.host.explore.ghost_chart import check_chart, draw_ghosts

        check_chart(chart)  # a conversion and a measurement may lie before the drawing
    with open_progress(Path(os.devnull)) as progress:
        found = inspect_model(model, data, progress)
        if measure and found.ghosts:
            from ghost_edge.host.explore.ghost_modules import measure_ghosts

            ghosts = measure_ghosts(found.ghosts, rounds=rounds, reporter=progress)
            found = dataclasses.replace(found, ghosts=ghosts)
    if chart is not None:
        draw_ghosts(chart, found.ghosts, title=found.file)
    if json_file is not None:
        write_json({"format": 1, **dataclasses.asdict(found)}, json_file)
    modules = (
        f"plain convolution / ghost module:\n{as_text(ghost_rows(found), GHOSTS)}"
        if found.ghosts
        else "ghost modules: none"
    )
    click.echo("\n\n".join([as_text(layer_rows(found), LAYERS), modules, "\n".join(summary(found))]))
