"""The command `ghost-edge convert`."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.options import data_option, out_option, recipe_argument
from ghost_edge.cli.progress import open_progress
from ghost_edge.core.errors import GateError


@click.command()
@recipe_argument
@out_option
@data_option
def convert(recipe: Optional[Path], out: Optional[Path], data: Optional[Path]) -> None:
    """Build, quantize, export, verify and evaluate the model of RECIPE (default: the embedded recipe).

    Exit 7 where the quantized model is beyond the limits of [gate].
    """
    from ghost_edge.host.chain.convert import convert_job, open_job
    from ghost_edge.host.report.summary import verdict

    job = open_job(recipe, out, data)
    with open_progress(job.log) as progress:
        run = convert_job(job, progress)
    click.echo(f"\n{run}")
    if run.manifest.gate:
        raise GateError(f"{run.manifest.name}: {'; '.join(run.manifest.gate)}")
    click.echo(f"gate: {verdict(run.manifest)}")
