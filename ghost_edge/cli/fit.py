"""The command `ghost-edge fit`."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.options import PATH
from ghost_edge.cli.progress import open_progress
from ghost_edge.core.errors import RecipeError
from ghost_edge.core.progress import timed
from ghost_edge.core.tables import Column, as_text

_UNITS = {"": 1, "k": 1024, "m": 1024**2}
_COLUMNS = (
    Column("recipe", "name"),
    Column("width", "width"),
    Column("pixels", "size"),
    Column("MACs", "macs", ","),
    Column("flash", "flash", ","),
    Column("arena, 32 bits", "arena", ","),
)


def _bytes(_: click.Context, option: click.Parameter, text: str) -> int:
    found = re.fullmatch(r"(\d+)\s*([km]?)i?b?", text.lower())
    if found is None or int(found[1]) == 0:
        raise RecipeError(f"--{option.name} {text!r} is no size; write bytes, 256k or 1M")
    return int(found[1]) * _UNITS[found[2]]


@click.command()
@click.option("--arena", required=True, callback=_bytes, help="RAM for TFLite Micro: 256k.")
@click.option("--flash", required=True, callback=_bytes, help="For the model itself: 512k.")
@click.option("--classes", default=10, show_default=True, type=click.IntRange(2, 100_000))
@click.option("--gray", is_flag=True, help="Images have one channel.")
@click.option(
    "--most", default=12, show_default=True, type=click.IntRange(1), help="Number of rows, the largest networks first."
)
@click.option("-o", "--out", type=PATH, help="Write a recipe for each into this folder.")
def fit(arena: int, flash: int, classes: int, gray: bool, most: int, out: Optional[Path]) -> None:
    """Search widths, input sizes and stage tables of GhostNet that fit; none is trained: sizes need no weights."""
    from ghost_edge.host.explore.memory_budget import search, write_recipes

    channels = 1 if gray else 3
    with open_progress() as progress, timed(progress, "fit") as say:
        found = search(arena=arena, flash=flash, classes=classes, channels=channels, say=say)[:most]
    click.echo(as_text([{**vars(each), "name": each.name} for each in found], _COLUMNS))
    if out is not None:
        write_recipes(found, classes, channels, out)
        click.echo(f"{out}/: a recipe for each; add [training], [calibration] and [evaluation]")
