"""ghost-edge gate: no is exit code 7."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from ghost_edge.core.comparison import COLUMNS, compare_manifests, row
from ghost_edge.core.errors import GateError
from ghost_edge.core.report import as_text


@click.command()
@click.argument("manifest", type=click.Path(path_type=Path))
@click.option("--max-drop", type=float, help="Largest drop of top-1, as a fraction.  [default: the recipe's]")
@click.option("--min-agreement", type=float, help="Least share of equal answers.  [default: the recipe's]")
@click.option("--baseline", type=click.Path(path_type=Path), help="Manifest of an earlier run to compare with as well.")
@click.option("--allow-few", is_flag=True, help="Judge even where the pictures are too few to see the limit.")
def gate(manifest: Path, **options: Any) -> None:
    """Compare the quantized model of MANIFEST with its float model, picture by picture."""
    comparisons = compare_manifests(manifest, **options)
    click.echo(as_text([row(comparison) for comparison in comparisons], COLUMNS))
    refused = [f"{comparison.title}: {reason}" for comparison in comparisons for reason in comparison.verdict.reasons]
    if refused:
        raise GateError("; ".join(refused))
    click.echo("gate: passed")
