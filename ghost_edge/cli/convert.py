"""ghost-edge convert: from a recipe to proven artifacts."""

from __future__ import annotations

from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.options import data_option, out_option, recipe_argument
from ghost_edge.cli.progress import open_progress
from ghost_edge.core.errors import GateError
from ghost_edge.core.manifest import read_manifest
from ghost_edge.core.tables import as_text


@click.command()
@recipe_argument
@out_option
@data_option
def convert(recipe: Optional[Path], out: Optional[Path], data: Optional[Path]) -> None:
    """Build, quantize to int8, export, verify and judge the model of RECIPE (without one: the embedded default)."""
    from ghost_edge.host.accuracy.parity import load_parity, saturation_doubts
    from ghost_edge.host.chain.run import run_chain
    from ghost_edge.host.chain.stages.export import read_skipped
    from ghost_edge.host.datasets.health import read_findings
    from ghost_edge.host.datasets.places import places_for
    from ghost_edge.host.recipe.output import layout
    from ghost_edge.host.recipe.schema import load_recipe
    from ghost_edge.host.recipe.shipped import default_recipe
    from ghost_edge.host.report.summary import COLUMNS, summary_rows, verdict
    from ghost_edge.host.tflite.verify import delegate_doubts, read_verified

    loaded = load_recipe(recipe or default_recipe())
    folder = out or Path("out") / loaded.name
    with open_progress(folder / "tools.log") as progress:
        run_chain(loaded, places_for(loaded.path.parent, data), folder, progress)
    manifest = read_manifest(folder)
    click.echo(
        f"\n{as_text(summary_rows(manifest), COLUMNS)}\n\nfiles: {folder}/ (report.html, manifest.json, report.md)"
    )
    if loaded.micro:
        click.echo(f"kit for TFLite Micro, proved here: {folder / layout(loaded).micro}/")
    for finding in read_findings(folder / layout(loaded).doctor):
        click.echo(f"warning: {finding.sentence}")
    parity = load_parity(folder / layout(loaded).parity)
    for line in [
        *read_skipped(folder / layout(loaded).left_out).lines(),
        *delegate_doubts(read_verified(folder / layout(loaded).verified)),
        *saturation_doubts(parity),
        *parity.refused,
    ]:
        click.echo(line)
    if manifest.gate:
        raise GateError(f"{manifest.name}: {'; '.join(manifest.gate)}")
    click.echo(f"gate: {verdict(manifest)}")
