"""ghost-edge evaluate: how well model files answer images: a recipe's, or those of a bundle on the board."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

import click

from ghost_edge.cli.options import data_option
from ghost_edge.cli.progress import open_progress
from ghost_edge.core.errors import GateError, RecipeError
from ghost_edge.core.files import open_artifact, save_npz, write_json
from ghost_edge.core.manifest import FILE_NAME, read_manifest
from ghost_edge.core.metadata import check_fed, read_card
from ghost_edge.core.preprocess import Preprocess
from ghost_edge.core.tables import Column, as_text
from ghost_edge.device.evaluate import RunOptions
from ghost_edge.device.evaluation_set import evaluate_set, load_evaluation_set
from ghost_edge.device.runtimes.open import INTERPRETERS, KERNELS, check_model_file

_Path = click.Path(path_type=Path)


@click.command()
@click.argument("artifacts", nargs=-1, required=True, type=_Path)
@click.option("--recipe", type=_Path, help="Its [preprocess] and [evaluation] are used.")
@click.option("--images", type=_Path, help="Instead of a recipe: the images.npz of a bundle, without TensorFlow.")
@click.option("--manifest", type=_Path, help="With --images: says [preprocess].  [default: beside each]")
@click.option("--runtime", default="auto", show_default=True, type=click.Choice(["auto", *INTERPRETERS]))
@click.option(
    "--kernels",
    default="default",
    show_default=True,
    type=click.Choice(KERNELS),
    help="reference: slow, the same bytes everywhere.",
)
@click.option(
    "--threads", default=1, show_default=True, type=click.IntRange(1, 256), help="Threads of the interpreter."
)
@click.option("--json", "json_file", type=_Path, help="Write the numbers as JSON.")
@click.option("--outputs", type=_Path, help="With --images: write every output as .npz, as the model stores it.")
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
    """Top-1 and top-5 of each of ARTIFACTS; with a recipe the others are compared with the first, image by image.

    With --images: how many images have the very bytes as output that the workstation's reference kernels gave.
    """
    how = RunOptions(**run_options)
    if (recipe is None) == (images is None):
        raise RecipeError("evaluate needs --recipe FILE, or --images FILE on a board; give one of the two")
    if recipe is not None and (manifest or outputs):
        raise RecipeError("--manifest and --outputs go with --images; leave them out, or --recipe")
    for file in artifacts:  # all, before the first one takes its minutes
        check_model_file(file)
    if recipe is not None:
        rows, columns = _by_recipe(artifacts, recipe, data, how)
    else:
        assert images is not None
        preprocess = {file: _preprocess_of(file, manifest) for file in artifacts}
        loaded = load_evaluation_set(images)
        rows, answers = evaluate_set(artifacts, loaded, preprocess, how)
        columns = loaded.columns
    click.echo(as_text(rows, columns))
    if json_file is not None:
        write_json({"format": 1, "results": rows}, json_file)
    if outputs is not None:
        save_npz(answers, outputs)
    # one step: FULLY_CONNECTED of tflite-runtime 2.14 rounds a few values the other way
    other = [row["file"] for row in rows if how.kernels == "reference" and (row.get("largest_difference") or 0) > 1]
    if other:
        raise GateError(f"{other[0]} gives other outputs than on the workstation, see above; is it the same file?")


def _preprocess_of(file: Path, manifest: Optional[Path]) -> Preprocess:
    """What the manifest says, or, of a file that travels alone, its card.

    Raises ArtifactError where there is neither, or the manifest promises another file under this name.
    """
    if manifest is None and not (file.parent / FILE_NAME).exists() and (card := read_card(file)):
        return card.preprocess
    found = read_manifest(manifest or file.parent)
    for model in found.models:
        if model.artifact.file == file.name:
            open_artifact(model.artifact, file.parent)
    return found.preprocess


def _by_recipe(
    artifacts: Sequence[Path], recipe: Path, data: Optional[Path], how: RunOptions
) -> tuple[list[dict[str, Any]], Sequence[Column]]:
    from ghost_edge.host.accuracy.evaluate import columns, evaluate_files
    from ghost_edge.host.datasets.places import places_for
    from ghost_edge.host.recipe.schema import load_recipe

    loaded = load_recipe(recipe)
    doubts = [check_fed(file, loaded.preprocess) for file in artifacts]
    with open_progress(Path(os.devnull)) as progress:
        rows = evaluate_files(artifacts, loaded, places_for(recipe.parent, data), how, progress)
    for doubt in filter(None, doubts):
        click.echo(doubt, err=True)
    return rows, columns(loaded.task)
