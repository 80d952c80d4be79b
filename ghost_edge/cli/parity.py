"""The command `ghost-edge parity`."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.options import PATH, json_option
from ghost_edge.cli.progress import open_progress
from ghost_edge.core.errors import ArtifactError
from ghost_edge.core.files import open_artifact, write_json
from ghost_edge.core.manifest import read_manifest
from ghost_edge.core.tables import as_text


@click.command()
@click.argument("folder", type=PATH)
@json_option
def parity(folder: Path, json_file: Optional[Path]) -> None:
    """Compare all runtimes of this machine on the images that convert left in FOLDER.

    Exit 6 where two differ by more than rounding explains.
    """
    from ghost_edge.host.accuracy import parity as runtimes

    if folder.is_file():
        raise ArtifactError(f"{folder} is a file; give the folder that ghost-edge convert wrote")
    manifest = read_manifest(folder)
    files = {model.role: open_artifact(model.artifact, folder) for model in manifest.models}
    images, keras = runtimes.load_images(folder / "parity.npz", files["float"])
    with open_progress():
        found = runtimes.measure_parity(files, images, manifest.preprocess, keras)
    click.echo(f"{found.images} images: largest difference in LSB of the output / outputs that differ / agreement")
    click.echo(as_text(runtimes.rows(found), runtimes.columns(found)))
    for doubt in (*found.refused, *runtimes.saturation_doubts(found)):
        click.echo(doubt)
    if json_file is not None:
        write_json({"format": 1, **dataclasses.asdict(found)}, json_file)
    runtimes.check_parity(found, files)
    if found.operations:
        count, lsb = len(found.operations), max(each.max_lsb for each in found.operations)
        click.echo(f"op by op on identical inputs: {count} of {count} ops match within {lsb} LSB")
