"""The command `ghost-edge evaluate`: with the images of a recipe, or of a bundle on the board."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import click

from ghost_edge.cli.options import PATH, data_option, threads_option
from ghost_edge.cli.progress import open_progress
from ghost_edge.core.errors import RecipeError
from ghost_edge.core.files import save_npz, write_json
from ghost_edge.core.manifest import check_fed
from ghost_edge.core.tables import Column, as_text
from ghost_edge.device.evaluate import RunOptions, check_outputs, evaluate_set, load_evaluation_set, read_preprocess
from ghost_edge.device.runtimes.open import INTERPRETERS, KERNELS, check_model_file


@click.command()
@click.argument("artifacts", nargs=-1, required=True, type=PATH)
@click.option("--recipe", type=PATH, help="The recipe with [preprocess] and [evaluation].")
@click.option("--images", type=PATH, help="Instead of a recipe: the images.npz of a bundle, without TensorFlow.")
@click.option("--manifest", type=PATH, help="With --images: the manifest with [preprocess].  [default: beside each]")
@click.option("--runtime", default="auto", show_default=True, type=click.Choice(["auto", *INTERPRETERS]))
@click.option(
    "--kernels",
    default="default",
    show_default=True,
    type=click.Choice(KERNELS),
    help="reference: slow, equal bytes on every machine.",
)
@threads_option
@click.option("--json", "json_file", type=PATH, help="Write the rows as JSON.")
@click.option("--outputs", type=PATH, help="With --images: write every output as .npz, as the model stores it.")
@data_option
def evaluate(
    artifacts: tuple[Path, ...],
    recipe: Optional[Path],
    images: Optional[Path],
    manifest: Optional[Path],
    data: Optional[Path],
    json_file: Optional[Path],
    outputs: Optional[Path],
    **run_options: Any,
) -> None:
    """Print the accuracy of ARTIFACTS; with a recipe, each is compared with the first, image by image.

    With --images: also the share of images whose output is, byte for byte, that of the workstation's reference kernels.
    """
    how = RunOptions(**run_options)
    if (recipe is None) == (images is None):
        raise RecipeError("evaluate needs --recipe FILE, or --images FILE on a board; give one of the two")
    if recipe is not None and (manifest or outputs):
        raise RecipeError("--manifest and --outputs go with --images; leave them out, or --recipe")
    for file in artifacts:  # all, before the first one takes its minutes
        check_model_file(file)
    if images is None:
        assert recipe is not None
        rows, columns = _by_recipe(artifacts, recipe, data, how)
    else:
        preprocess = {file: read_preprocess(file, manifest) for file in artifacts}
        loaded = load_evaluation_set(images)
        rows, answers = evaluate_set(artifacts, loaded, preprocess, how)
        columns = loaded.columns
    click.echo(as_text(rows, columns))
    if json_file is not None:
        write_json({"format": 1, "results": rows}, json_file)
    if outputs is not None:
        save_npz(answers, outputs)
    if images is not None and how.kernels == "reference":
        check_outputs(rows)


def _by_recipe(
    artifacts: Sequence[Path], recipe: Path, data: Optional[Path], how: RunOptions
) -> tuple[list[dict[str, Any]], Sequence[Column]]:
    from ghost_edge.host.accuracy.evaluate import columns, evaluate_files
    from ghost_edge.host.datasets.places import places_for
    from ghost_edge.host.recipe.schema import load_recipe

    loaded = load_recipe(recipe)
    doubts = [check_fed(file, loaded.preprocess) for file in artifacts]
    with open_progress() as progress:
        rows = evaluate_files(artifacts, loaded, places_for(recipe.parent, data), how, progress)
    for doubt in filter(None, doubts):
        click.echo(doubt, err=True)
    return [each.row() for each in rows], columns(loaded.task)
