"""The command `ghost-edge compare`."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.options import PATH, threads_option
from ghost_edge.cli.progress import open_progress
from ghost_edge.core.files import write_bytes, write_json
from ghost_edge.core.tables import as_markdown, as_text
from ghost_edge.device.board import describe, read_board


@click.command()
@click.option(
    "--size", default=224, show_default=True, type=click.IntRange(32, 1024), help="Pixels of an image's side."
)
@click.option("--networks", "some", multiple=True, metavar="NAME...", help="Networks to compare.  [default: all]")
@click.option(
    "--rounds", default=30, show_default=True, type=click.IntRange(1), help="Measurements of each file, in turn."
)
@threads_option
@click.option("--json", "json_file", type=PATH, help="Write everything, every sample too.")
@click.option("--markdown", type=PATH, help="Write the table as Markdown.")
@click.option("--keep", type=click.Path(file_okay=False, path_type=Path), help="Folder for the converted files.")
@click.argument("more", nargs=-1, metavar="")
def compare(
    size: int,
    some: tuple[str, ...],
    more: tuple[str, ...],
    rounds: int,
    threads: int,
    json_file: Optional[Path],
    markdown: Optional[Path],
    keep: Optional[Path],
) -> None:
    """Convert untrained light networks with the same chain, and time their float and int8 models in turn."""
    from ghost_edge.host.explore.networks import COLUMNS, RIVALS, compare_networks, footnotes

    with contextlib.ExitStack() as stack:
        folder = keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        progress = stack.enter_context(open_progress())
        names = some + more or tuple(RIVALS)
        rows = compare_networks(names, folder, size=size, rounds=rounds, threads=threads, reporter=progress)
    board, notes = read_board(), footnotes(rows)
    click.echo("\n".join([describe(board), as_text(rows, COLUMNS), *notes]))
    if markdown is not None:
        lines = [as_markdown(rows, COLUMNS), "", *(f"* {note}" for note in [describe(board), *notes]), ""]
        write_bytes("\n".join(lines).encode(), markdown)
    if json_file is not None:
        plan = {"size": size, "rounds": rounds, "threads": threads}
        write_json({"format": 1, "board": dataclasses.asdict(board), **plan, "results": rows}, json_file)
