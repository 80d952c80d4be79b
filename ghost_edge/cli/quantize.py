"""ghost-edge quantize: what int8 costs each layer, and the cheapest mix of precisions that answers as well as asked."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.options import data_option, out_option, recipe_argument
from ghost_edge.cli.progress import open_progress
from ghost_edge.core.tables import as_text

_WORST = 10  # layers
_TITLE = "layers in which most noise enters, as a share of the signal's power (all: layers.json)"
_SHARE = click.FloatRange(0, 1)


@click.command()
@recipe_argument
@out_option
@data_option
@click.option("--target-agreement", "min_agreement", type=_SHARE, help="Share of answers equal to float's: 0.995.")
@click.option("--target-drop", "max_drop", type=_SHARE, help="Largest drop of top-1 as a fraction: 0.003.")
@click.option("--target-sqnr", "min_sqnr_db", type=float, help="SQNR of the logits in dB: 35.")
def quantize(
    recipe: Optional[Path],
    out: Optional[Path],
    data: Optional[Path],
    min_agreement: Optional[float],
    max_drop: Optional[float],
    min_sqnr_db: Optional[float],
) -> None:
    """Quantize the model of RECIPE and say what each layer loses; with a target, search a mix that meets it."""
    from ghost_edge.host.accuracy.layers import COLUMNS, layer_rows, read_layers
    from ghost_edge.host.chain.run import run_chain
    from ghost_edge.host.chain.stages import STAGES
    from ghost_edge.host.datasets.places import places_for
    from ghost_edge.host.explore.mixed_precision import REPORT, Target, describe_mix, mix_stage
    from ghost_edge.host.recipe.output import layout
    from ghost_edge.host.recipe.schema import load_recipe
    from ghost_edge.host.recipe.shipped import default_recipe

    loaded = load_recipe(recipe or default_recipe())
    folder, target = out or Path("out") / loaded.name, Target(min_agreement, max_drop, min_sqnr_db)
    stages = STAGES[: [stage.name for stage in STAGES].index("layers") + 1]
    wanted = target != Target()
    stages += (mix_stage(loaded, target),) if wanted else ()
    with open_progress(folder / "tools.log") as progress:
        run_chain(loaded, places_for(loaded.path.parent, data), folder, progress, stages=stages)
    click.echo(_TITLE)
    click.echo(as_text(layer_rows(read_layers(folder / layout(loaded).layers), _WORST), COLUMNS))
    if wanted:
        click.echo(describe_mix(folder / REPORT))
