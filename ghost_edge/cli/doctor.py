"""ghost-edge doctor: what is wrong with a recipe's images and [preprocess], or with what is installed here."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.options import PATH, data_option, recipe_argument
from ghost_edge.cli.progress import open_progress
from ghost_edge.core.errors import MissingPackageError, RecipeError
from ghost_edge.core.tables import as_text
from ghost_edge.device.environment import COLUMNS, check_installation


@click.command()
@recipe_argument
@click.option("--out", type=PATH, help="Folder for what it makes.  [default: out/<name>]")
@click.option("--env", is_flag=True, help="Check the installation instead; exit 5 when something in it does not do.")
@data_option
def doctor(recipe: Optional[Path], out: Optional[Path], env: bool, data: Optional[Path]) -> None:
    """Examine the calibration images of RECIPE and what its float model says of them; exit 3 when they are unfit."""
    if env:
        if recipe or out or data:
            raise RecipeError("--env looks at what is installed and takes no recipe, --out or --data; leave them out")
        _check_installation()
        return
    from ghost_edge.host.chain.outside import Outside
    from ghost_edge.host.chain.run import run_chain
    from ghost_edge.host.chain.stages import STAGES
    from ghost_edge.host.datasets.health import health, read_findings, refuse_fatal
    from ghost_edge.host.datasets.places import places_for
    from ghost_edge.host.recipe.network import is_trained
    from ghost_edge.host.recipe.output import layout
    from ghost_edge.host.recipe.schema import load_recipe
    from ghost_edge.host.recipe.shipped import default_recipe

    loaded = load_recipe(recipe or default_recipe())
    places, folder = places_for(loaded.path.parent, data), out or Path("out") / loaded.name
    if is_trained(loaded, places):
        names = [stage.name for stage in STAGES]
        with open_progress(folder / "tools.log") as progress:
            run_chain(loaded, places, folder, progress, stages=STAGES[: names.index("doctor") + 1])
        findings = read_findings(folder / layout(loaded).doctor)
    else:
        outside = Outside(loaded, places)
        findings = health(outside.calibration, outside.evaluation, None, loaded.preprocess)
        refuse_fatal(findings)
        click.echo("not trained yet: what the float model says of the images is looked at once it is")
    for finding in findings:
        click.echo(f"warning: {finding.sentence}")
    if not findings:
        click.echo("healthy: nothing is wrong with the calibration images")


def _check_installation() -> None:
    parts = list(check_installation())
    click.echo(as_text([dataclasses.asdict(part) for part in parts], COLUMNS))
    broken = [f"{part.name} {part.version} {part.state}" for part in parts if part.broken]
    if broken:
        raise MissingPackageError("; ".join(broken))
    click.echo("sound: what is installed fits, and what is missing is optional")
