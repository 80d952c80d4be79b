"""The command `ghost-edge train`."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.options import PATH, data_option
from ghost_edge.cli.progress import open_progress


@click.command()
@click.argument("recipe", type=PATH)
@click.option("--out", type=PATH, help="Weights file.  [default: weights/<name>.safetensors]")
@click.option("--epochs", type=click.IntRange(min=1), help="Number of epochs.  [default: the recipe's]")
@data_option
def train(recipe: Path, out: Optional[Path], epochs: Optional[int], data: Optional[Path]) -> None:
    """Train the network of RECIPE: write weights and a model card, print the SHA-256. Resumes where it stopped."""
    from ghost_edge.host.recipe.schema import load_recipe

    loaded = load_recipe(recipe)
    weights = out or recipe.parent / "weights" / f"{loaded.name}.safetensors"
    with open_progress(weights.with_suffix(".log")) as progress:
        from ghost_edge.host.training.train import train as train_network

        model_card = train_network(loaded, weights, epochs=epochs, data=data, progress=progress)
    click.echo(
        f"top-1 {model_card.top1:.2%} on {model_card.evaluated_on.images} images of {model_card.evaluated_on.data}"
    )
    click.echo(f'weights = "{weights}"\nweights_sha256 = "{model_card.weights_sha256}"')
