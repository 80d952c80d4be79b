"""The command `ghost-edge doctor`."""

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
@click.option("--out", type=PATH, help="Folder for the float model and findings.  [default: out/<name>]")
@click.option("--env", is_flag=True, help="Check the installation instead; exit 5 when a package does not fit.")
@data_option
def doctor(recipe: Optional[Path], out: Optional[Path], env: bool, data: Optional[Path]) -> None:
    """Check the calibration images of RECIPE, also with its float model if it is trained; exit 3 if they are unfit."""
    if env:
        if recipe or out or data:
            raise RecipeError("--env looks at what is installed and takes no recipe, --out or --data; leave them out")
        _check_installation()
        return
    from ghost_edge.host.chain.convert import check_images_untrained, convert_until, open_job
    from ghost_edge.host.datasets.health import read_findings
    from ghost_edge.host.recipe.network import is_trained

    job = open_job(recipe, out, data)
    if is_trained(job.recipe, job.places):
        with open_progress(job.log) as progress:
            convert_until(job, "doctor", progress)
        findings = read_findings(job.path("doctor"))
    else:
        findings = check_images_untrained(job)
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
