"""ghost-edge bundle: one file with all that a board without a network needs."""

from __future__ import annotations

import tarfile
from pathlib import Path
from typing import Any

import click

from ghost_edge.cli.options import data_option
from ghost_edge.core.targets import TARGETS

_Path = click.Path(path_type=Path)


@click.command()
@click.argument("folder", type=_Path, metavar="OUT-FOLDER")
@click.option("--target", required=True, type=click.Choice(list(TARGETS)), help="The board it is for.")
@click.option("-o", "--out", type=_Path, help="The file.  [default: <name>-<target>.tar.gz]")
@click.option("--images", default=0, type=click.IntRange(0), help="So many evaluation images.  [default: none]")
@click.option("--recipe", type=_Path, help="With --images: the one that made the folder.  [default: the embedded one]")
@click.option(
    "--python", "pythons", multiple=True, default=["3.11"], show_default=True, help="The board's; repeatable."
)
@data_option
def bundle(folder: Path, target: str, **options: Any) -> None:
    """Pack what convert wrote into OUT-FOLDER, with the wheels for a board and a script that runs it there."""
    from ghost_edge.host.board.bundle import make_bundle

    path = make_bundle(folder, target, say=click.echo, **options)
    with tarfile.open(path) as archive:
        entries = archive.getmembers()
    for entry in entries:
        click.echo(f"{entry.size:>12,}  {entry.name}")
    click.echo(f"{path}: {path.stat().st_size:,} bytes; on the board:")
    click.echo(f"  tar xzf {path.name}\n  sh {entries[0].name.split('/')[0]}/run.sh")
