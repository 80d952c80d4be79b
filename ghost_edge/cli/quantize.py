"""The command `ghost-edge quantize`."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.options import data_option, out_option, recipe_argument
from ghost_edge.cli.progress import open_progress
from ghost_edge.core.tables import as_text

_WORST = 10  # layers
_TITLE = "layers that add most noise, as a share of the signal's power (all: layers.json)"
_SHARE = click.FloatRange(0, 1)


@click.command()
@recipe_argument
@out_option
@data_option
@click.option(
    "--target-agreement", "min_agreement", type=_SHARE, help="Agreement with the float model to reach, such as 0.995."
)
@click.option("--target-drop", "max_drop", type=_SHARE, help="Largest drop of top-1, as a fraction such as 0.003.")
@click.option("--target-sqnr", "min_sqnr_db", type=float, help="SQNR of the logits to reach, in dB, such as 35.")
def quantize(recipe: Optional[Path], out: Optional[Path], data: Optional[Path], **limits: Optional[float]) -> None:
    """Quantize the model of RECIPE and show the noise of each layer.

    With a target, search the cheapest mixed precision that meets it.
    """
    from ghost_edge.host.accuracy.layers import COLUMNS, layer_rows, read_layers
    from ghost_edge.host.chain.convert import convert_until, open_job
    from ghost_edge.host.explore.mixed_precision import REPORT, Target, describe_mix, mix_stage

    job, target = open_job(recipe, out, data), Target(**limits)
    search = (mix_stage(job.recipe, target),) if target != Target() else ()
    with open_progress(job.log) as progress:
        convert_until(job, "layers", progress, search)
    click.echo(_TITLE)
    click.echo(as_text(layer_rows(read_layers(job.path("layers")), _WORST), COLUMNS))
    if search:
        click.echo(describe_mix(job.folder / REPORT))
