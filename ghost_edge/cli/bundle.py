"""The command `ghost-edge bundle`."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import click

from ghost_edge.cli.options import PATH, data_option
from ghost_edge.device.board import TARGETS


@click.command()
@click.argument("folder", type=PATH, metavar="OUT-FOLDER")
@click.option("--target", required=True, type=click.Choice(list(TARGETS)), help="Board that the bundle is for.")
@click.option("-o", "--out", type=PATH, help="File to write.  [default: <name>-<target>.tar.gz]")
@click.option(
    "--images", default=0, type=click.IntRange(0), help="Number of evaluation images to pack.  [default: none]"
)
@click.option(
    "--recipe", type=PATH, help="With --images: the recipe that made the folder.  [default: the embedded one]"
)
@click.option(
    "--python",
    "pythons",
    multiple=True,
    default=["3.11"],
    show_default=True,
    help="Python version of the board; repeatable.",
)
@data_option
def bundle(folder: Path, target: str, **options: Any) -> None:
    """Pack the models in OUT-FOLDER with wheels for a board and a script that installs, benches and evaluates there."""
    from ghost_edge.host.board.bundle import make_bundle

    path = make_bundle(folder, target, say=click.echo, **options)
    with tarfile.open(path) as archive:
        entries = archive.getmembers()
    for entry in entries:
        click.echo(f"{entry.size:>12,}  {entry.name}")
    click.echo(f"{path}: {path.stat().st_size:,} bytes; on the board:")
    click.echo(f"  tar xzf {path.name}\n  sh {entries[0].name.split('/')[0]}/run.sh")
