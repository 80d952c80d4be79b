"""ghost-edge init: a first recipe from images, or from a trained model."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import click

from ghost_edge.cli.progress import open_progress
from ghost_edge.core.progress import timed

_Path = click.Path(path_type=Path)


@click.command()
@click.argument("source", type=_Path)
@click.option("-o", "--out", type=_Path, help="The recipe.  [default: <name>.toml]")
@click.option("--images", type=_Path, help="With a trained model: a folder or .npz to calibrate and evaluate with.")
@click.option("--name", default="", help="Of the files that convert makes.  [default: that of SOURCE]")
@click.option("--size", type=click.IntRange(8, 1024), help="Pixels of the network's input.  [default: what suits]")
@click.option("--force", is_flag=True, help="Write over a recipe and lists that are there.")
def init(source: Path, **options: Any) -> None:
    """Look at SOURCE and write a recipe for it, commented and ready for train and convert, with lists of its images.

    SOURCE: a folder of class folders (or of train/ and test/ with such), or with labels.csv; a .npz; a .keras file; a
    GhostNet checkpoint (.safetensors, .pth, .pt, .pth.tar).
    """
    from ghost_edge.host.init.write import make_recipe

    with open_progress(Path(os.devnull)) as progress, timed(progress, "init") as say:
        made = make_recipe(source, say=say, **options)
    for line in (*made.found, f"wrote {', '.join(map(str, made.files))}"):
        click.echo(line)
    if made.commands:
        click.echo("\n  ".join(("next:", *made.commands)))
