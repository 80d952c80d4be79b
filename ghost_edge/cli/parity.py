"""ghost-edge parity: one model in every runtime that is here, and where two part."""

from __future__ import annotations

import dataclasses
import os
from pathlib import Path
from typing import Optional

import click

from ghost_edge.cli.progress import open_progress
from ghost_edge.core.errors import ArtifactError
from ghost_edge.core.files import open_artifact, write_json
from ghost_edge.core.manifest import read_manifest
from ghost_edge.core.tables import as_text

_Path = click.Path(path_type=Path)


@click.command()
@click.argument("folder", type=_Path)
@click.option("--json", "json_file", type=_Path, help="Write everything as JSON.")
def parity(folder: Path, json_file: Optional[Path]) -> None:
    """Every runtime of this machine on the images that convert left in FOLDER; exit 6 where rounding is no excuse."""
    from ghost_edge.host.accuracy.parity import (
        check_parity,
        columns,
        load_images,
        measure_parity,
        rows,
        saturation_doubts,
    )

    if folder.is_file():
        raise ArtifactError(f"{folder} is a file; give the folder that ghost-edge convert wrote")
    manifest = read_manifest(folder)
    files = {model.role: open_artifact(model.artifact, folder) for model in manifest.models}
    images, keras = load_images(folder / "parity.npz", files["float"])
    with open_progress(Path(os.devnull)):
        found = measure_parity(files, images, manifest.preprocess, keras)
    click.echo(f"{found.images} images: largest difference in steps of the output / outputs that differ / same answers")
    click.echo(as_text(rows(found), columns(found)))
    for doubt in (*found.refused, *saturation_doubts(found)):
        click.echo(doubt)
    if json_file is not None:
        write_json({"format": 1, **dataclasses.asdict(found)}, json_file)
    check_parity(found, files)
    if found.operations:
        click.echo(f"operation by operation on equal bytes: all {len(found.operations)} of the ONNX twin are its own")
