"""The command `ghost-edge init`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ghost_edge.cli.options import PATH
from ghost_edge.cli.progress import open_progress
from ghost_edge.core.progress import timed


@click.command()
@click.argument("source", type=PATH)
@click.option("-o", "--out", type=PATH, help="The recipe.  [default: <name>.toml]")
@click.option("--images", type=PATH, help="With a trained model: a folder or .npz to calibrate and evaluate with.")
@click.option("--name", default="", help="Name of the files that convert makes.  [default: from SOURCE]")
@click.option(
    "--size", type=click.IntRange(8, 1024), help="Side of the network's input in pixels.  [default: from the images]"
)
@click.option("--force", is_flag=True, help="Write over an existing recipe and lists.")
def init(source: Path, **options: Any) -> None:
    """Write a commented recipe for SOURCE, ready for train and convert, and lists of its images.

    SOURCE: a folder of class folders (or of train/ and test/ with such), or with labels.csv; a .npz; a .keras file; a
    GhostNet checkpoint (.safetensors, .pth, .pt, .pth.tar).
    """
    from ghost_edge.host.init.write import make_recipe

    with open_progress() as progress, timed(progress, "init") as say:
        made = make_recipe(source, say=say, **options)
    for line in (*made.found, f"wrote {', '.join(map(str, made.files))}"):
        click.echo(line)
    if made.commands:
        click.echo("\n  ".join(("next:", *made.commands)))
