"""Options that several commands share."""

from __future__ import annotations

from pathlib import Path

import click

PATH = click.Path(path_type=Path)
data_option = click.option(
    "--data", type=PATH, help="Folder in which the recipe's data paths are looked up, after the recipe's own."
)
json_option = click.option("--json", "json_file", type=PATH, help="Write everything as JSON.")
recipe_argument = click.argument("recipe", required=False, type=PATH)
out_option = click.option("--out", type=PATH, help="Folder for the artifacts.  [default: out/<name>]")
threads_option = click.option(
    "--threads", default=1, show_default=True, type=click.IntRange(1, 256), help="Threads of the interpreter."
)
