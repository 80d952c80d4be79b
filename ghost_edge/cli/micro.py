"""ghost-edge micro: sources for TFLite Micro that prove themselves on the target."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Optional

import click

from ghost_edge.cli.options import data_option
from ghost_edge.core.errors import RecipeError
from ghost_edge.core.tables import Column, as_text

_Path = click.Path(path_type=Path)
_COLUMNS = (
    Column("target", "bits"),
    Column("activations", "head", ","),
    Column("bookkeeping", "tail", ","),
    Column("used", "total", ","),
    Column("least that starts", "least", ","),
    Column("in the kit", "advised", ","),
)


@click.command()
@click.argument("tflite", type=_Path, required=False)
@click.option("-o", "--out", type=_Path, help="Folder of the kit.  [default: <name>_micro]")
@click.option("--prefix", help="Of the names in the sources.  [default: made of the file's name]")
@click.option("--recipe", type=_Path, help="Golden vectors are images of its [evaluation].  [default: noise]")
@click.option("--images", default=3, show_default=True, type=click.IntRange(1, 100), help="Golden vectors.")
@click.option("--verify", type=_Path, help="Instead: prove a kit that was written before.")
@data_option
def micro(tflite: Optional[Path], verify: Optional[Path], **options: Any) -> None:
    """Write C and C++ sources of an int8 TFLITE file for TFLite Micro, with the arena to the byte, and prove them."""
    from ghost_edge.host.tflite_micro.verify import verify_kit

    if (tflite is None) == (verify is None):
        raise RecipeError("micro needs the path of an int8 .tflite, or --verify FOLDER; give one of the two")
    if verify is not None:
        for line in verify_kit(verify):
            click.echo(line)
        return
    assert tflite is not None
    _write(tflite, **options)


def _write(
    tflite: Path,
    *,
    out: Optional[Path],
    prefix: Optional[str],
    recipe: Optional[Path],
    images: int,
    data: Optional[Path],
) -> None:
    from ghost_edge.host.datasets.places import places_for
    from ghost_edge.host.recipe.schema import load_recipe
    from ghost_edge.host.tflite.graph import read_model
    from ghost_edge.host.tflite_micro import golden
    from ghost_edge.host.tflite_micro.arena import plan_arena, shrink_advice
    from ghost_edge.host.tflite_micro.kit import make_kit, write_kit
    from ghost_edge.host.tflite_micro.options import default_prefix
    from ghost_edge.host.tflite_micro.verify import prove_kit

    name = prefix or default_prefix(tflite.stem)
    if recipe is None:
        vectors = golden.noise(tflite, images)
    else:
        vectors = golden.images(tflite, load_recipe(recipe), places_for(recipe.parent, data), images)
    files, folder = make_kit(tflite, name, vectors), out or Path(f"{name}_micro")
    plans = {bits: plan_arena(tflite, bits) for bits in (32, 64)}
    proofs = prove_kit(files)
    write_kit(files, folder)
    rows = [
        {**vars(plan), "bits": f"{bits} bits", "total": plan.total, "advised": plan.advised}
        for bits, plan in plans.items()
    ]
    click.echo(as_text(rows, _COLUMNS))
    click.echo(shrink_advice(plans[32], read_model(tflite)))
    for line in proofs:
        click.echo(line)
    click.echo(f"{folder}/: {', '.join(sorted(files))}")
