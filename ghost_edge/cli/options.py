"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

data_option = click.option(
    "--data",
    type=click.Path(path_type=Path),
    help="Folder in which the recipe's data paths are looked up, after the recipe's own.",
)
