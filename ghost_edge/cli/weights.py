"""The commands `ghost-edge weights import` and `ghost-edge weights export`."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.options import PATH, data_option
from ghost_edge.cli.progress import open_progress

_out = click.option("-o", "--out", required=True, type=PATH, help="A .safetensors file.")


@click.group(no_args_is_help=False)
def weights() -> None:
    """Import and export weights in the authors' PyTorch layout."""


@weights.command("import")
@click.argument("checkpoint", type=PATH)
@click.option("--network", required=True, help="Kind of network, such as ghostnet or ghostnet_v2, or a recipe.toml.")
@click.option("--width", type=float, help="Width multiplier of the kind.  [default: 1.0]")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Any other key of [network]; repeatable.")
@click.option("--drop-classifier", is_flag=True, help="Leave the classifier out, to train one for other classes.")
@_out
def import_(
    checkpoint: Path, network: str, width: Optional[float], settings: tuple[str, ...], drop_classifier: bool, out: Path
) -> None:
    """Convert CHECKPOINT (.safetensors, .pth, .pt, .pth.tar) to weights for a recipe; no key may be left over.

    PyTorch is not needed, and no code in the file runs. The number of classes is that of the checkpoint.
    """
    from ghost_edge.core.files import sha256_file
    from ghost_edge.host.training import import_weights, network_table

    given = (*settings, *([f"width={width}"] if width is not None else []))
    with open_progress() as progress:
        progress.started("import")
        options = import_weights(checkpoint, network_table(network, given), out, drop_classifier=drop_classifier)
    if drop_classifier:
        click.echo(f'[training]  # of the recipe: a new classifier is trained\nstart = "{out}"')
        return
    click.echo(f'[network]  # for the recipe\nkind = "{options["kind"]}"')
    for key in ("width", "classes"):
        if key in options:
            click.echo(f"{key} = {options[key]}")
    click.echo(f'weights = "{out}"\nweights_sha256 = "{sha256_file(out)}"')


@weights.command("export")
@click.argument("source", metavar="RECIPE|MODEL.keras", type=PATH)
@data_option
@_out
def export(source: Path, data: Optional[Path], out: Path) -> None:
    """Write the weights of a recipe, or of a .keras file that convert made, with the authors' keys."""
    from ghost_edge.host.datasets.places import places_for
    from ghost_edge.host.training import export_weights

    with open_progress() as progress:
        progress.started("export")
        count = export_weights(source, out, places_for(source.parent, data))
    click.echo(f"{count} weights in {out}")
