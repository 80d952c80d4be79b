"""ghost-edge evaluate: how well one model file answers a recipe's pictures."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.options import data_option
from ghost_edge.cli.progress import open_progress
from ghost_edge.core.report import as_text


@click.command()
@click.argument("artifacts", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--recipe", required=True, type=click.Path(path_type=Path), help="Its [preprocess] and [evaluation] are used."
)
@click.option("--runtime", default="auto", show_default=True, help="litert, tflite-runtime or onnxruntime.")
@click.option(
    "--kernels", default="default", show_default=True, help="default, or reference (the same bytes everywhere)."
)
@click.option("--json", "json_file", type=click.Path(path_type=Path), help="Write the numbers as JSON.")
@data_option
def evaluate(
    artifacts: tuple[Path, ...],
    recipe: Path,
    runtime: str,
    kernels: str,
    json_file: Optional[Path],
    data: Optional[Path],
) -> None:
    """Top-1 and top-5 of each of ARTIFACTS; the others are compared with the first, picture by picture."""
    from ghost_edge.host.datasets.places import places_for
    from ghost_edge.host.judging import COLUMNS, judge_files, write_rows
    from ghost_edge.host.recipe import load_recipe

    loaded = load_recipe(recipe)
    with open_progress(Path(os.devnull)) as progress:
        rows = judge_files(
            artifacts, loaded, places_for(recipe.parent, data), runtime=runtime, kernels=kernels, reporter=progress
        )
    click.echo(as_text(rows, COLUMNS))
    if json_file is not None:
        write_rows(rows, json_file)
