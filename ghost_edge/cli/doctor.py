"""ghost-edge doctor: what is wrong with a recipe's calibration pictures and [preprocess], before anything is made."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.options import data_option
from ghost_edge.cli.progress import open_progress


@click.command()
@click.argument("recipe", required=False, type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), help="Folder for what it makes.  [default: out/<name>]")
@data_option
def doctor(recipe: Optional[Path], out: Optional[Path], data: Optional[Path]) -> None:
    """Examine the calibration pictures of RECIPE and what its float model says of them; exit 3 when they are unfit."""
    from ghost_edge.host.chain import STAGES
    from ghost_edge.host.datasets.places import places_for
    from ghost_edge.host.layout import layout
    from ghost_edge.host.pipeline import run_chain
    from ghost_edge.host.recipe import load_recipe
    from ghost_edge.host.shipped import default_recipe
    from ghost_edge.host.stages.doctor import read_findings

    loaded = load_recipe(recipe or default_recipe())
    folder = out or Path("out") / loaded.name
    names = [stage.name for stage in STAGES]
    with open_progress(folder / "tools.log") as progress:
        stages = STAGES[: names.index("doctor") + 1]
        run_chain(loaded, places_for(loaded.path.parent, data), folder, progress, stages=stages)
    findings = read_findings(folder / layout(loaded).doctor)
    for finding in findings:
        click.echo(f"warning: {finding.sentence}")
    if not findings:
        click.echo("healthy: nothing is wrong with the calibration pictures")
