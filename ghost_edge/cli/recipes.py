"""The command `ghost-edge recipes`."""

from __future__ import annotations

import click

from ghost_edge.core.tables import as_text


@click.command()
def recipes() -> None:
    """List the shipped recipes: network, accuracy, the images they need, and whether those are here."""
    from ghost_edge.host.recipe.shipped import COLUMNS, shipped_recipes

    click.echo(as_text(shipped_recipes(), COLUMNS))
