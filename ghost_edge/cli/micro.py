"""The command `ghost-edge micro`."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.options import PATH, data_option
from ghost_edge.core.errors import RecipeError
from ghost_edge.core.tables import Column, as_text

_COLUMNS = (
    Column("target", "bits"),
    Column("arena head", "head", ","),
    Column("arena tail", "tail", ","),
    Column("used", "total", ","),
    Column("minimum arena", "minimum", ","),
    Column("arena in the kit", "advised", ","),
)


@click.command()
@click.argument("tflite", type=PATH, required=False)
@click.option("-o", "--out", type=PATH, help="Folder of the kit.  [default: <name>_micro]")
@click.option("--prefix", help="Prefix of every C name.  [default: from the file's name]")
@click.option("--recipe", type=PATH, help="Take golden vectors from its [evaluation].  [default: noise]")
@click.option("--images", default=3, show_default=True, type=click.IntRange(1, 100), help="Number of golden vectors.")
@click.option("--verify", type=PATH, help="Verify this kit instead of writing one.")
@data_option
def micro(
    tflite: Optional[Path],
    verify: Optional[Path],
    out: Optional[Path],
    prefix: Optional[str],
    recipe: Optional[Path],
    images: int,
    data: Optional[Path],
) -> None:
    """Write C and C++ sources for TFLite Micro from an int8 TFLITE file, with the exact arena, and verify them."""
    if (tflite is None) == (verify is None):
        raise RecipeError("micro needs the path of an int8 .tflite, or --verify FOLDER; give one of the two")
    if verify is not None:
        from ghost_edge.host.tflite_micro.verify import verify_kit

        for line in verify_kit(verify):
            click.echo(line)
        return
    from ghost_edge.host.board.bundle import sample_images
    from ghost_edge.host.datasets.places import places_for
    from ghost_edge.host.recipe.schema import load_recipe
    from ghost_edge.host.tflite_micro import default_prefix
    from ghost_edge.host.tflite_micro.kit import to_tflite_micro
    from ghost_edge.host.tflite_micro.verify import from_images, noise

    assert tflite is not None
    name = prefix or default_prefix(tflite.stem)
    if recipe is None:
        vectors = noise(tflite, images)
    else:
        loaded = load_recipe(recipe)
        sample = sample_images(loaded, places_for(recipe.parent, data), images, [])
        vectors = from_images(tflite, list(sample.images), loaded.preprocess, "images of [evaluation]")
    kit = to_tflite_micro(tflite, out or Path(f"{name}_micro"), vectors=vectors, prefix=name)
    rows = [
        {**vars(plan), "bits": f"{bits} bits", "total": plan.total, "advised": plan.advised}
        for bits, plan in kit.arenas.items()
    ]
    click.echo("\n".join([as_text(rows, _COLUMNS), kit.advice, *kit.checks]))
    click.echo(f"{kit.folder}/: {', '.join(sorted(path.name for path in kit.files))}")
